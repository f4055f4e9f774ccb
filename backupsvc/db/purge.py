# SPDX-License-Identifier: Apache-2.0
"""Removal of what was deleted, has ended or has expired long ago."""

import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from backupsvc import states
from backupsvc.db import engine, models

#: Table → columns by which rows of others belong to a row of it, and go with it.
_PARTS: dict[str, tuple[sa.Column, ...]] = {
    models.backup_sets.name: (models.backup_set_metadata.c.set_id,),
    models.snapshots.name: (
        models.snapshot_metadata.c.set_id, models.snapshot_members.c.set_id),
    models.checkpoints.name: (models.checkpoint_partitions.c.checkpoint_id,),
}


def purge(context: Any, before: datetime.datetime, batch: int = 1000) -> dict[str, int]:
    """Remove rows for good, ``batch`` at a time, so that nobody waits long for a lock.

    Gone are backups that were deleted before that time with their metadata, pairs of metadata that
    were, sets and checkpoints that were with all that belongs to them, database instances that
    were, tasks that ended before it, and messages that expired before it. May be stopped at any
    point and run again.

    :returns: table → rows removed
    """
    backups = models.backups
    pairs = models.backup_metadata
    tasks = models.tasks
    messages = models.messages
    sets = models.backup_sets
    snapshots = models.snapshots
    instances = models.db_instances
    checkpoints = models.checkpoints
    ended = (states.DONE, states.FAILED, states.CANCELLED)
    steps = (
        (pairs, sa.and_(pairs.c.deleted == sa.true(), pairs.c.deleted_at < before)),
        (backups, sa.and_(backups.c.deleted == sa.true(), backups.c.deleted_at < before)),
        (sets, sa.and_(sets.c.deleted == sa.true(), sets.c.deleted_at < before)),
        (snapshots, sa.and_(snapshots.c.deleted == sa.true(), snapshots.c.deleted_at < before)),
        (instances, sa.and_(instances.c.deleted == sa.true(), instances.c.deleted_at < before)),
        (checkpoints, sa.and_(
            checkpoints.c.deleted == sa.true(), checkpoints.c.deleted_at < before)),
        (tasks, sa.and_(tasks.c.state.in_(ended), tasks.c.finished_at < before)),
        (messages, messages.c.expires_at < before),
    )
    removed = {}
    for table, condition in steps:
        removed[table.name] = 0
        while count := _remove(context, table, condition, batch):
            removed[table.name] += count
    return removed


@engine.writer
def _remove(
    context: Any, session: orm.Session, table: sa.Table, condition: sa.ColumnElement[bool],
    batch: int,
) -> int:
    ids = list(session.scalars(
        sa.select(table.c.id).where(condition).limit(batch).with_for_update()))
    if not ids:
        return 0
    if table is models.backups:
        # Pairs that were deleted later than what is purged now would keep the backup's row.
        pairs = models.backup_metadata
        session.execute(sa.delete(pairs).where(pairs.c.backup_id.in_(ids)))
    for owner in _PARTS.get(table.name, ()):
        session.execute(sa.delete(owner.table).where(owner.in_(ids)))
    session.execute(sa.delete(table).where(table.c.id.in_(ids)))
    return len(ids)
