# SPDX-License-Identifier: Apache-2.0
"""Rows of the catalogue as the plain values of the port, and which rows a caller may see."""

import sqlite3
import typing
from datetime import datetime
from typing import Any

from backupsvc.context import RequestContext
from backupsvc.drivers.base import Hold, Snapshot, Volume
from backupsvc.drivers.volume.file import catalogue

GIB = 1024 ** 3


def scope(context: RequestContext) -> str | None:
    """Return the project whose rows the caller sees, None for every project."""
    return None if context.is_admin else context.project_id


def to_volume(row: sqlite3.Row) -> Volume:
    """Return a row of ``volumes`` as a value."""
    return Volume(
        **_shared(row),
        availability_zone=row['availability_zone'],
        volume_type=row['volume_type'],
        bootable=bool(row['bootable']),
        multiattach=bool(row['multiattach']),
        snapshot_id=row['snapshot_id'],
        source_volid=row['source_volid'],
        host=row['host'],
        previous_status=row['previous_status'],
        image_metadata=catalogue.loads(row['image_metadata']),
        attachments=tuple(catalogue.loads(row['attachments'])),
    )


def to_snapshot(row: sqlite3.Row) -> Snapshot:
    """Return a row of ``snapshots`` as a value."""
    return Snapshot(**_shared(row), volume_id=row['volume_id'])


def _shared(row: sqlite3.Row) -> dict[str, Any]:
    """Return what volumes and snapshots have in common."""
    names = ('id', 'project_id', 'user_id', 'name', 'description', 'status', 'size_gb')
    return {
        **{name: row[name] for name in names},
        'created_at': to_time(row['created_at']),
        'updated_at': catalogue.parse_time(row['updated_at']),
        'metadata': catalogue.loads(row['metadata']),
    }


def to_hold(table: str, row: sqlite3.Row) -> Hold:
    """Return what a held row says about its holder."""
    return Hold(
        holder=row['holder'],
        resource_id=row['id'],
        is_snapshot=table == catalogue.SNAPSHOTS,
        status=row['status'],
        since=to_time(row['held_at']),
        is_unwritten=table == catalogue.VOLUMES and row['made_for'] == row['holder'],
    )


def to_taken(row: sqlite3.Row) -> Hold:
    """Return what a taken snapshot says about the task that it goes with."""
    return Hold(
        holder=row['made_for'],
        resource_id=row['id'],
        is_snapshot=True,
        status=row['status'],
        since=to_time(row['created_at']),
        is_taken=True,
    )


def to_time(text: str) -> datetime:
    """Return a time of the catalogue that is always set."""
    return typing.cast(datetime, catalogue.parse_time(text))
