# SPDX-License-Identifier: Apache-2.0
"""Backups that cinder-backup made with one of its chunked drivers."""
