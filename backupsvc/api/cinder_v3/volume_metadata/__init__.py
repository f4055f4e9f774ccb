# SPDX-License-Identifier: Apache-2.0
"""Metadata of volumes."""
