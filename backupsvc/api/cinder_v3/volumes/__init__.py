# SPDX-License-Identifier: Apache-2.0
"""Volumes, where this service serves them."""
