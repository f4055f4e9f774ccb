# SPDX-License-Identifier: Apache-2.0
"""Databases of an instance."""
