# SPDX-License-Identifier: Apache-2.0
"""Transfers of volumes between projects."""
