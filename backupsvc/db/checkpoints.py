# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of the cluster, their partitions, and the log of what has become of them.

An id is spent by one conditional UPDATE of the one row of counters, in the transaction that writes
the checkpoint. What several managers agree on (``report``) is decided by whoever holds the lock on
the checkpoint's row. A row comes out as a dict of its columns with ``partitions`` added.
"""

import datetime
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from backupsvc import exception, states
from backupsvc.db import backups, engine, models, statements, tasks

_table = models.checkpoints
_partitions = models.checkpoint_partitions
_counters = models.checkpoint_counters
_log = models.checkpoint_log

_CLUSTER = 'cluster'

#: The highest id.
ID_MAX = 2**63 - 1

#: Events of the log.
RESERVED = 'reserved'
TAKEN = 'taken'
COMPLETED = 'completed'
FAILED = 'failed'
DELETED = 'deleted'

_EVENTS = {states.CHECKPOINT_COMPLETED: COMPLETED, states.CHECKPOINT_FAILED: FAILED}

#: Columns of partitions that lists do without: the longest by far.
_LEFT_OUT_OF_LISTS = frozenset({'members'})


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


# Reading -----------------------------------------------------------------------------------------


@engine.reader
def get(
    context: Any, session: orm.Session, checkpoint_id: int, read_deleted: bool = False,
) -> dict[str, Any]:
    """Return a checkpoint.

    :raises CheckpointNotFound: there is none
    """
    return _get(session, checkpoint_id, read_deleted)


def _get(session: orm.Session, checkpoint_id: int, read_deleted: bool) -> dict[str, Any]:
    query = sa.select(_table).where(_table.c.id == checkpoint_id)
    if not read_deleted:
        query = query.where(_table.c.deleted == sa.false())
    row = None
    if 0 < checkpoint_id <= ID_MAX:
        row = session.execute(query).mappings().first()
    if row is None:
        raise exception.CheckpointNotFound(id=checkpoint_id)
    return {**row, 'partitions': _partitions_of(session, checkpoint_id)}


def _partitions_of(session: orm.Session, checkpoint_id: int) -> list[dict[str, Any]]:
    query = sa.select(_partitions).where(_partitions.c.checkpoint_id == checkpoint_id)
    return [dict(row) for row in session.execute(
        query.order_by(_partitions.c.partition_id)).mappings()]


@engine.reader
def id_of(context: Any, session: orm.Session, uuid: str) -> int:
    """Return the id of the checkpoint of that uuid, or that has a share of that id.

    :raises CheckpointNotFound: there is none
    """
    found = session.scalar(sa.select(_table.c.id).where(_table.c.uuid == uuid))
    if found is None:
        found = session.scalar(
            sa.select(_partitions.c.checkpoint_id).where(_partitions.c.share_id == uuid).limit(1))
    if found is None:
        raise exception.CheckpointNotFound(id=uuid)
    return found


@engine.reader
def list_(
    context: Any, session: orm.Session, prefix: str = '', status: str | None = None,
) -> list[dict[str, Any]]:
    """Return checkpoints, the highest id first, by two statements however many there are.

    Their partitions come without ``members``.

    :param prefix: digits that the id begins with
    """
    conditions = [_table.c.deleted == sa.false()]
    if prefix:
        conditions.append(sa.or_(sa.false(), *(
            _table.c.id.between(low, high) for low, high in ranges_of(prefix))))
    if status is not None:
        conditions.append(_table.c.status == status)
    rows = session.execute(
        sa.select(_table).where(*conditions).order_by(_table.c.id.desc())).mappings()
    found = {row['id']: {**row, 'partitions': []} for row in rows}
    columns = [column for column in _partitions.c if column.name not in _LEFT_OUT_OF_LISTS]
    query = sa.select(*columns).join(_table, _table.c.id == _partitions.c.checkpoint_id)
    for part in session.execute(
            query.where(*conditions).order_by(_partitions.c.partition_id)).mappings():
        if part['checkpoint_id'] in found:  # one may have come between the two statements
            found[part['checkpoint_id']]['partitions'].append(dict(part))
    return list(found.values())


def ranges_of(prefix: str) -> list[tuple[int, int]]:
    """Return the ranges of ids, both ends included, whose digits begin with ``prefix``."""
    if not prefix.isascii() or not prefix.isdigit() or prefix.startswith('0'):
        return []
    first, found = int(prefix), []
    low, high = first, first
    while low <= ID_MAX:
        found.append((low, min(high, ID_MAX)))
        low, high = low * 10, high * 10 + 9
    return found


@engine.reader
def previous(context: Any, session: orm.Session, checkpoint_id: int) -> dict[str, Any] | None:
    """Return the completed checkpoint with the highest id below ``checkpoint_id``, or None."""
    found = session.scalar(
        sa.select(sa.func.max(_table.c.id)).where(
            _table.c.status == states.CHECKPOINT_COMPLETED, _table.c.deleted == sa.false(),
            _table.c.id < checkpoint_id))
    return None if found is None else _get(session, found, read_deleted=False)


@engine.reader
def earlier_to_be_taken(context: Any, session: orm.Session, checkpoint_id: int) -> int | None:
    """Return the id of an earlier checkpoint that has no snapshots yet, or None."""
    return session.scalar(
        sa.select(sa.func.min(_table.c.id)).where(
            _table.c.status == states.CHECKPOINT_IN_PROGRESS, _table.c.deleted == sa.false(),
            _table.c.phase != states.STORING, _table.c.id < checkpoint_id))


@engine.reader
def look(context: Any, session: orm.Session, checkpoint_id: int) -> dict[str, Any]:
    """Return a checkpoint's own columns, deleted or not, by one statement.

    :raises CheckpointNotFound: there is none
    """
    row = session.execute(
        sa.select(_table).where(_table.c.id == checkpoint_id)).mappings().first()
    if row is None:
        raise exception.CheckpointNotFound(id=checkpoint_id)
    return dict(row)


@engine.reader
def last_id(context: Any, session: orm.Session) -> int:
    """Return the last id that was spent, 0 for none."""
    return session.scalar(
        sa.select(_counters.c.last_id).where(_counters.c.name == _CLUSTER)) or 0


@engine.reader
def last_scheduled_at(context: Any, session: orm.Session) -> datetime.datetime | None:
    """Return when the last scheduled checkpoint was begun, deleted or not."""
    return session.scalar(
        sa.select(_table.c.created_at).where(_table.c.is_scheduled == sa.true())
        .order_by(_table.c.id.desc()).limit(1))


# Writing -----------------------------------------------------------------------------------------


@engine.writer
def create(
    context: Any, session: orm.Session, checkpoint_id: int | None, at_least: int,
    values: Mapping[str, Any], partitions: Sequence[Mapping[str, Any]],
    work: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Spend an id, and write a checkpoint under it with its partitions and their tasks.

    :param checkpoint_id: None takes the next one, or ``at_least`` where that is higher
    :raises CheckpointIdTaken: it is not above the last one; nothing was written
    """
    session.execute(statements.insert_if_absent(session, _counters, {
        'name': _CLUSTER, 'last_id': 0, 'last_position': 0, 'created_at': _now()}))
    spent = _spend_next(session, at_least) if checkpoint_id is None else (
        _spend(session, checkpoint_id))
    _append(session, spent, RESERVED)
    now = _now()
    session.execute(sa.insert(_table).values({'created_at': now, **values, 'id': spent}))
    for partition in partitions:
        session.execute(sa.insert(_partitions).values(
            {'created_at': now, **partition, 'checkpoint_id': spent}))
    for task in work:
        tasks.create(context, task)
    return _get(session, spent, read_deleted=True)


def _spend(session: orm.Session, checkpoint_id: int) -> int:
    changed = statements.count_changed(
        session,
        sa.update(_counters).where(
            _counters.c.name == _CLUSTER, _counters.c.last_id < checkpoint_id)
        .values(last_id=checkpoint_id, updated_at=_now()))
    if not changed:
        raise exception.CheckpointIdTaken(requested=checkpoint_id, latest=_last_id(session))
    return checkpoint_id


def _spend_next(session: orm.Session, at_least: int) -> int:
    following = max(_last_id(session) + 1, at_least)
    if following > ID_MAX:
        raise exception.CheckpointIdTaken(requested=following, latest=ID_MAX)
    return _spend(session, following)


def _last_id(session: orm.Session) -> int:
    # Locked, so that MariaDB shows the committed one, not that of this transaction's start.
    last = session.scalar(
        sa.select(_counters.c.last_id).where(_counters.c.name == _CLUSTER).with_for_update())
    assert last is not None
    return last


def _append(session: orm.Session, checkpoint_id: int, event: str) -> int:
    """Write an event to the log and return its position."""
    session.execute(
        sa.update(_counters).where(_counters.c.name == _CLUSTER)
        .values(last_position=_counters.c.last_position + 1, updated_at=_now()))
    position = session.scalar(
        sa.select(_counters.c.last_position).where(_counters.c.name == _CLUSTER))
    assert position is not None
    session.execute(sa.insert(_log).values(
        position=position, checkpoint_id=checkpoint_id, event=event, created_at=_now()))
    return position


def _locked(session: orm.Session, checkpoint_id: int) -> dict[str, Any]:
    """Return a checkpoint's own columns and keep everybody else from changing it or its
    partitions; to be the first that a transaction selects.

    :raises CheckpointNotFound: there is none
    """
    row = session.execute(
        sa.select(_table).where(_table.c.id == checkpoint_id).with_for_update()).mappings().first()
    if row is None:
        raise exception.CheckpointNotFound(id=checkpoint_id)
    return dict(row)


def _change(session: orm.Session, checkpoint_id: int, values: Mapping[str, Any]) -> None:
    session.execute(
        sa.update(_table).where(_table.c.id == checkpoint_id)
        .values({'updated_at': _now(), **values}))


def _change_partitions(
    session: orm.Session, values: Mapping[str, Any], *conditions: sa.ColumnElement[bool],
) -> None:
    session.execute(
        sa.update(_partitions).where(*conditions).values({'updated_at': _now(), **values}))


@engine.writer
def report(
    context: Any, session: orm.Session, checkpoint_id: int, share_id: str, round_: int, step: str,
    task: Mapping[str, Any], resume_point: Mapping[str, Any] | None = None,
    members: Mapping[int, Sequence[Mapping[str, Any]]] | None = None,
    at: datetime.datetime | None = None,
) -> dict[str, Any]:
    """Write that a share has made a step, and begin the next phase if all shares have.

    The only share may take its snapshots without having said that everything stands still.

    :param task: id, owner and attempt of who holds the share's task
    :param members: partition id → what was taken of it
    :param at: the time that is the moment, if this makes it known
    :returns: the checkpoint's own columns
    :raises CheckpointChanged: it is not in the phase of this step, or in another round
    :raises LeaseLost: the task is held no more; nothing was changed
    """
    row = _locked(session, checkpoint_id)
    tasks.update_held(
        context, task['id'], task['owner'], task['attempt'],
        {} if resume_point is None else {'resume_point': resume_point})
    parts = _partitions_of(session, checkpoint_id)
    others = [part for part in parts if part['share_id'] != share_id]
    phase, following = states.CHECKPOINT_STEPS[step]
    phases = {phase}
    if step == states.TAKEN and not others:
        phases.add(states.QUIESCING)
    if not _is_at(row, round_) or row['phase'] not in phases:
        raise exception.CheckpointChanged(id=checkpoint_id)
    _change_partitions(session, {'step': step, 'step_round': round_},
                       _partitions.c.share_id == share_id)
    for partition_id, taken in (members or {}).items():
        _change_partitions(session, {'members': list(taken)},
                           _partitions.c.checkpoint_id == checkpoint_id,
                           _partitions.c.partition_id == partition_id)
    if all((part['step'], part['step_round']) == (step, round_) for part in others):
        values: dict[str, Any] = {'phase': following}
        if at is not None and (following == states.TAKING or not others):
            values['data_timestamp'] = at
        if following == states.STORING:
            values['position'] = _append(session, checkpoint_id, TAKEN)
        _change(session, checkpoint_id, values)
        row |= values
    return row


def _is_at(row: Mapping[str, Any], round_: int) -> bool:
    return (row['status'] == states.CHECKPOINT_IN_PROGRESS and not row['deleted']
            and row['round'] == round_)


@engine.writer
def leave(
    context: Any, session: orm.Session, checkpoint_id: int, share_id: str, round_: int,
) -> bool:
    """Take back that a share has joined, unless others rely on it by now: False then."""
    row = _locked(session, checkpoint_id)
    if not _is_at(row, round_) or row['phase'] != states.GATHERING:
        return False
    _change_partitions(session, {'step': None, 'step_round': None},
                       _partitions.c.share_id == share_id)
    return True


@engine.writer
def begin_round(
    context: Any, session: orm.Session, checkpoint_id: int, round_: int,
) -> bool:
    """Begin anew, unless somebody else has, or the snapshots of all are there: False then."""
    row = _locked(session, checkpoint_id)
    if not _is_at(row, round_) or row['phase'] == states.STORING:
        return False
    _change(session, checkpoint_id, {
        'phase': states.GATHERING, 'round': round_ + 1, 'data_timestamp': None})
    return True


@engine.writer
def begin_storing(
    context: Any, session: orm.Session, task: Mapping[str, Any], resume_point: Mapping[str, Any],
    members: Mapping[tuple[int, int], Sequence[Mapping[str, Any]]],
    records: Sequence[tuple[Mapping[str, Any], Mapping[str, str]]],
) -> dict[str, Any]:
    """Write the backups of a share, once; their tasks follow by ``queue``.

    :param task: id, owner and attempt of who holds the share's task
    :param members: (checkpoint id, partition id) → its members, with their backups
    :param records: (columns, metadata) of each backup
    :returns: the task's row
    :raises LeaseLost: the task is held no more; nothing was changed
    """
    task_row = tasks.update_held(
        context, task['id'], task['owner'], task['attempt'], {'resume_point': resume_point})
    for columns, metadata in records:
        backups.create(context, columns, metadata, None, None)
    for (checkpoint_id, partition_id), known in members.items():
        _change_partitions(session, {'members': list(known)},
                           _partitions.c.checkpoint_id == checkpoint_id,
                           _partitions.c.partition_id == partition_id)
    return task_row


@engine.writer
def queue(
    context: Any, session: orm.Session, task: Mapping[str, Any],
    work: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Insert tasks, by who holds the task that they belong to.

    :raises LeaseLost: the task is held no more; nothing was changed
    """
    tasks.update_held(context, task['id'], task['owner'], task['attempt'], {})
    return [tasks.create(context, values) for values in work]


@engine.writer
def end_partitions(
    context: Any, session: orm.Session, checkpoint_id: int,
    ends: Mapping[int, tuple[Collection[str], Mapping[str, Any]]],
) -> dict[str, Any]:
    """Change the status of partitions, and with the last of them that of the checkpoint.

    :param ends: partition id → (statuses to change from, columns); one in another status is left
        alone
    :returns: the checkpoint's own columns
    """
    row = _locked(session, checkpoint_id)
    _end(session, row, ends)
    return row


def _end(
    session: orm.Session, row: dict[str, Any],
    ends: Mapping[int, tuple[Collection[str], Mapping[str, Any]]],
) -> None:
    for partition_id, (expected, values) in ends.items():
        _change_partitions(session, values,
                           _partitions.c.checkpoint_id == row['id'],
                           _partitions.c.partition_id == partition_id,
                           _partitions.c.status.in_(sorted(expected)))
    found = {part['status'] for part in _partitions_of(session, row['id'])}
    if states.CHECKPOINT_IN_PROGRESS in found:
        return
    status = states.CHECKPOINT_COMPLETED
    if found != {status}:
        status = states.CHECKPOINT_FAILED
    if status in states.CHECKPOINT_TRANSITIONS[row['status']]:
        _change(session, row['id'], {'status': status})
        _append(session, row['id'], _EVENTS[status])
        row['status'] = status


@engine.writer
def update_partition(
    context: Any, session: orm.Session, share_id: str, values: Mapping[str, Any],
) -> None:
    """Change columns of the partitions of a share that are not their status."""
    _change_partitions(session, values, _partitions.c.share_id == share_id)


@engine.writer
def delete(
    context: Any, session: orm.Session, checkpoint_id: int,
    ended: tuple[Collection[str], Mapping[str, Any]], task: Mapping[str, Any],
) -> dict[str, Any] | None:
    """Delete a checkpoint softly and insert the task that removes what is stored of it.

    :param ended: what becomes of partitions in progress, as in ``end_partitions``
    :returns: its row, with partitions; None where there is none (any more)
    """
    try:
        row = _locked(session, checkpoint_id) if 0 < checkpoint_id <= ID_MAX else None
    except exception.CheckpointNotFound:
        row = None
    if row is None or row['deleted']:
        return None
    _end(session, row, {part['partition_id']: ended
                        for part in _partitions_of(session, checkpoint_id)})
    _change(session, checkpoint_id, {'deleted': True, 'deleted_at': _now()})
    _append(session, checkpoint_id, DELETED)
    tasks.create(context, {**task, 'resource_id': row['uuid']})
    return _get(session, checkpoint_id, read_deleted=True)
