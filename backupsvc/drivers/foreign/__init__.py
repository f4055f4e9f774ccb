# SPDX-License-Identifier: Apache-2.0
"""Backups that other services made, read where they lie."""
