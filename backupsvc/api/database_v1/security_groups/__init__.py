# SPDX-License-Identifier: Apache-2.0
"""Security groups and their rules."""
