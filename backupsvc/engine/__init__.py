# SPDX-License-Identifier: Apache-2.0
"""The deduplicating store of backups: a plain library that knows nothing of the service around it.
"""
