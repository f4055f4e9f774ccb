# SPDX-License-Identifier: Apache-2.0
"""Root of an instance."""
