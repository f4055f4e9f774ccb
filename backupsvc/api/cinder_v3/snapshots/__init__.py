# SPDX-License-Identifier: Apache-2.0
"""Snapshots and actions on them."""
