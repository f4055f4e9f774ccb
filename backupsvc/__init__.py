# SPDX-License-Identifier: Apache-2.0
"""OpenStack backup service."""
