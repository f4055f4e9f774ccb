# SPDX-License-Identifier: Apache-2.0
"""Answers put together from the volume service behind this one and from our own backups."""
