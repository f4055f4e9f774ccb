# SPDX-License-Identifier: Apache-2.0
"""Holds on volumes of another service: who has taken which, and what it was before."""

from typing import Any

from backupsvc.db import volume_holds as db


def take(context: Any, **values: Any) -> dict[str, Any]:
    """Write a hold down unless its resource is held; return the one that is there then."""
    return db.take(context, values)


def find(context: Any, resource_id: str) -> dict[str, Any] | None:
    """Return the hold on a resource, if there is one."""
    return db.get(context, resource_id)


def change(context: Any, resource_id: str, holder: str, **values: Any) -> bool:
    """Change fields of a hold; False: ``holder`` has none."""
    return db.update(context, resource_id, holder, values)


def drop(context: Any, resource_id: str, holder: str) -> bool:
    """Strike a hold out; False: ``holder`` has none."""
    return db.delete(context, resource_id, holder)


def all_(context: Any) -> list[dict[str, Any]]:
    """Return all holds, the oldest first."""
    return db.list_(context)
