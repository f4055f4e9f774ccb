# SPDX-License-Identifier: Apache-2.0
"""Tasks: written with the record they work on, claimed by lease, ended by who holds the lease.

A lease is held by the pair (owner, attempt) of a running row. Whatever its holder writes is
conditional on that pair, so one that was thought dead and lives on can change nothing. Leases and
``run_after`` are set by and compared with the clock of the database server: hosts whose clocks
differ agree on who holds what.
"""

import datetime
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from oslo_db import exception as db_exception
from sqlalchemy import orm

from backupsvc import exception, states
from backupsvc.db import engine, models, statements, types

_table = models.tasks

#: How many of the oldest tasks a claimer looks at before it says that there is nothing to do.
CANDIDATES = 20

#: Seconds after which any host may end a queued task that was cancelled, whose own host did not.
ORPHANED_S = 60


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _due() -> sa.ColumnElement[bool]:
    """Return the condition that a row waits for an owner: queued and due, or its lease ran out."""
    return sa.or_(
        sa.and_(_table.c.state == states.QUEUED, _table.c.run_after <= types.utc_now()),
        sa.and_(_table.c.state == states.RUNNING, _table.c.lease_expires_at <= types.utc_now()))


def _is_first() -> sa.ColumnElement[bool]:
    """Return the condition that no older task of the resource is still to be done.

    So that a delete that was accepted while a create ran begins when the create has ended. Where
    the order does not matter, one that waits for its time keeps nobody waiting.
    """
    older = _table.alias('older')
    steps_aside = sa.and_(older.c.kind.in_(states.TASKS_IN_ANY_ORDER),
                          older.c.state == states.QUEUED, older.c.run_after > types.utc_now())
    return ~sa.exists().where(
        older.c.resource_id == _table.c.resource_id,
        older.c.state.in_(states.TASK_LIVE), ~steps_aside,
        sa.or_(older.c.created_at < _table.c.created_at,
               sa.and_(older.c.created_at == _table.c.created_at, older.c.id < _table.c.id)))


@engine.writer
def create(context: Any, session: orm.Session, values: Mapping[str, Any]) -> dict[str, Any]:
    """Insert a queued task and return its row."""
    session.execute(sa.insert(_table).values(
        {'created_at': _now(), 'state': states.QUEUED, 'run_after': types.utc_now(), **values}))
    return _get(session, values['id'])


def _get(session: orm.Session, task_id: str) -> dict[str, Any]:
    if not statements.is_storable(task_id):
        raise exception.TaskNotFound(task_id=task_id)
    row = session.execute(sa.select(_table).where(_table.c.id == task_id)).mappings().first()
    if row is None:
        raise exception.TaskNotFound(task_id=task_id)
    return dict(row)


@engine.reader
def get(context: Any, session: orm.Session, task_id: str) -> dict[str, Any]:
    """Return a task's row.

    :raises TaskNotFound: there is none
    """
    return _get(session, task_id)


@engine.reader
def list_(
    context: Any, session: orm.Session, filters: Mapping[str, Any], limit: int | None = None,
) -> list[dict[str, Any]]:
    """Return rows by creation time, the oldest first.

    :param filters: column → value or values
    """
    query = sa.select(_table).where(
        *(statements.matches(_table.c[name], wanted) for name, wanted in filters.items()))
    query = query.order_by(_table.c.created_at, _table.c.id).limit(limit)
    return [dict(row) for row in session.execute(query).mappings()]


@engine.reader
def due(
    context: Any, session: orm.Session, host: str, kinds: Collection[str] | None,
) -> list[tuple[str, int, str]]:
    """Return (id, attempt, state) of tasks that ``host`` may claim now, the longest due first."""
    query = sa.select(_table.c.id, _table.c.attempt, _table.c.state).where(
        _table.c.state.in_(states.TASK_LIVE), _due(), _is_first(), _may_run_on(host))
    if kinds is not None:
        query = query.where(_table.c.kind.in_(sorted(kinds)))
    query = query.order_by(_table.c.run_after, _table.c.created_at, _table.c.id)
    return [(row.id, row.attempt, row.state)
            for row in session.execute(query.limit(CANDIDATES))]


def _may_run_on(host: str) -> sa.ColumnElement[bool]:
    """Return the condition of host affinity.

    A cancelled task needs its source no more: where its host does not come to end it, any may.
    """
    is_orphan = sa.or_(
        _table.c.state == states.RUNNING, _table.c.run_after <= types.utc_now(-ORPHANED_S))
    return sa.or_(
        _table.c.host_affinity.is_(None), _table.c.host_affinity == host,
        sa.and_(_table.c.cancel_requested == sa.true(), is_orphan))


def claim(
    context: Any, task_id: str, attempt: int, owner: str, lease_s: float,
) -> dict[str, Any] | None:
    """Take a task that is due; of several that try at once exactly one succeeds.

    :param attempt: the attempt that the task was seen with
    :returns: the row, or None: somebody else has it, or another task of its resource runs
    """
    try:
        return _claim(context, task_id, attempt, owner, lease_s)
    except db_exception.DBDuplicateEntry:
        # uq_tasks_running_resource_id: two tasks of one resource were claimed at once.
        return None


@engine.writer
def _claim(
    context: Any, session: orm.Session, task_id: str, attempt: int, owner: str,
    lease_s: float,
) -> dict[str, Any] | None:
    change = sa.update(_table).where(
        _table.c.id == task_id, _table.c.attempt == attempt, _due())
    taken = statements.count_changed(session, change.values(
        state=states.RUNNING, running_resource_id=_table.c.resource_id, owner=owner,
        attempt=_table.c.attempt + 1, lease_expires_at=types.utc_now(lease_s),
        started_at=sa.func.coalesce(_table.c.started_at, types.utc_now()),
        updated_at=types.utc_now()))
    return _get(session, task_id) if taken else None


def claim_one(
    context: Any, task_id: str, owner: str, host: str, lease_s: float,
) -> dict[str, Any] | None:
    """Take a certain task if ``host`` may take it now; see ``claim``."""
    attempt = _claimable(context, task_id, host) if statements.is_storable(task_id) else None
    return None if attempt is None else claim(context, task_id, attempt, owner, lease_s)


@engine.reader
def _claimable(context: Any, session: orm.Session, task_id: str, host: str) -> int | None:
    return session.scalar(
        sa.select(_table.c.attempt).where(
            _table.c.id == task_id, _due(), _is_first(), _may_run_on(host)))


def _fence(task_id: str, owner: str | None, attempt: int) -> sa.ColumnElement[bool]:
    return sa.and_(_table.c.id == task_id, _table.c.state == states.RUNNING,
                   _table.c.owner == owner, _table.c.attempt == attempt)


@engine.writer
def update_held(
    context: Any, session: orm.Session, task_id: str, owner: str | None, attempt: int,
    values: Mapping[str, Any], lease_s: float | None = None,
) -> dict[str, Any]:
    """Change a task that (owner, attempt) holds, optionally renewing the lease.

    :raises LeaseLost: somebody else has it, or it has ended
    """
    changes: dict[str, Any] = {'updated_at': types.utc_now(), **values}
    if lease_s is not None:
        changes['lease_expires_at'] = types.utc_now(lease_s)
    changed = statements.count_changed(
        session,
        sa.update(_table).where(_fence(task_id, owner, attempt)).values(changes))
    if not changed:
        raise exception.LeaseLost(task_id=task_id)
    return _get(session, task_id)


#: Columns of a task that nobody holds.
_UNHELD = {'owner': None, 'lease_expires_at': None, 'running_resource_id': None}


@engine.writer
def end(
    context: Any, session: orm.Session, task_id: str, owner: str | None, attempt: int, state: str,
    error: str | None = None,
) -> dict[str, Any]:
    """End a task that (owner, attempt) holds; who held it last stays on the row.

    :param state: one of DONE, FAILED, CANCELLED
    :raises LeaseLost: as in ``update_held``
    """
    return update_held(context, task_id, owner, attempt, {
        'state': state, 'error': error, 'finished_at': types.utc_now(),
        'lease_expires_at': None, 'running_resource_id': None})


@engine.writer
def release(
    context: Any, session: orm.Session, task_id: str, owner: str | None, attempt: int,
    delay_s: float, keep_attempt: bool, error: str | None,
) -> dict[str, Any]:
    """Put a task that (owner, attempt) holds back into the queue.

    :param delay_s: seconds until it may be claimed
    :param keep_attempt: the attempt that ends here does not count
    :raises LeaseLost: as in ``update_held``
    """
    return update_held(context, task_id, owner, attempt, {
        **_UNHELD, 'state': states.QUEUED, 'run_after': types.utc_now(delay_s), 'error': error,
        'attempt': attempt - 1 if keep_attempt else attempt})


@engine.writer
def release_owned(context: Any, session: orm.Session, owner_prefix: str) -> int:
    """Put every running task whose owner's name begins so back into the queue."""
    begins = sa.func.substr(_table.c.owner, 1, len(owner_prefix)) == owner_prefix
    return statements.count_changed(
        session,
        sa.update(_table).where(_table.c.state == states.RUNNING, begins)
        .values(**_UNHELD, state=states.QUEUED, run_after=types.utc_now(),
                updated_at=types.utc_now()))


@engine.writer
def cancel_idle(context: Any, session: orm.Session, task_id: str) -> bool:
    """End a task that nobody works on: queued, or its lease ran out. False: somebody does."""
    idle = sa.or_(
        _table.c.state == states.QUEUED,
        sa.and_(_table.c.state == states.RUNNING, _table.c.lease_expires_at <= types.utc_now()))
    return statements.count_changed(
        session,
        sa.update(_table).where(_table.c.id == task_id, idle)
        .values(**_UNHELD, state=states.CANCELLED, finished_at=types.utc_now(),
                updated_at=types.utc_now())) == 1


@engine.reader
def longest_due(context: Any, session: orm.Session, host: str) -> float:
    """Return for how many seconds the task has been due that ``host`` may claim and that has
    waited longest; 0 where none waits.
    """
    waits = types.seconds_since(_table.c.run_after)
    return session.scalar(
        sa.select(waits).where(
            _table.c.state == states.QUEUED, _due(), _is_first(), _may_run_on(host))
        .order_by(_table.c.run_after).limit(1)) or 0.0


@engine.writer
def move(context: Any, session: orm.Session, resource_id: str) -> int:
    """Take the host affinity from the live tasks of a resource; return how many there are."""
    return statements.count_changed(
        session,
        sa.update(_table).where(
            _table.c.resource_id == resource_id, _table.c.state.in_(states.TASK_LIVE))
        .values(host_affinity=None, updated_at=types.utc_now()))


@engine.writer
def hasten(context: Any, session: orm.Session, resource_id: str) -> int:
    """Make the queued tasks of a resource due now, and return how many there are."""
    return statements.count_changed(
        session,
        sa.update(_table).where(
            _table.c.resource_id == resource_id, _table.c.state == states.QUEUED)
        .values(run_after=types.utc_now(), updated_at=types.utc_now()))


@engine.writer
def request_cancel(
    context: Any, session: orm.Session, resource_id: str, kinds: Collection[str] | None = None,
) -> list[dict[str, Any]]:
    """Ask whoever works on a resource to stop, and return the rows of the tasks that were asked.

    A queued one becomes due at once: a manager ends it and undoes what was prepared for it.
    """
    live = sa.and_(_table.c.resource_id == resource_id, _table.c.state.in_(states.TASK_LIVE))
    if kinds is not None:
        live = sa.and_(live, _table.c.kind.in_(sorted(kinds)))
    ids = list(session.scalars(sa.select(_table.c.id).where(live).with_for_update()))
    if not ids:
        return []
    session.execute(
        sa.update(_table).where(_table.c.id.in_(ids))
        .values(cancel_requested=True, updated_at=types.utc_now()))
    session.execute(
        sa.update(_table).where(_table.c.id.in_(ids), _table.c.state == states.QUEUED)
        .values(run_after=types.utc_now()))
    rows: Sequence[Any] = session.execute(
        sa.select(_table).where(_table.c.id.in_(ids)).order_by(_table.c.created_at, _table.c.id)
    ).mappings().all()
    return [dict(row) for row in rows]
