# SPDX-License-Identifier: Apache-2.0
"""Backup metadata as bodies."""


def whole(backup) -> dict:
    """Return all pairs."""
    return {'metadata': dict(backup.metadata)}


def item(key: str, value: str) -> dict:
    """Return one pair."""
    return {'meta': {key: value}}
