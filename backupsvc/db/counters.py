# SPDX-License-Identifier: Apache-2.0
"""Counters of work that has ended, one row per manager, kind and outcome; and what is still to do.

A manager adds to its own rows only, so that none waits for another. Rows of tasks that have ended
are never counted: they are many, and are purged.
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from backupsvc import states
from backupsvc.db import engine, models, statements, types

_table = models.work_counters
_tasks = models.tasks

_KEY = ('host', 'kind', 'outcome')
#: Columns that are added up.
COUNTED = tuple(column.name for column in _table.c if column.name not in _KEY)


@engine.writer
def add(
    context: Any, session: orm.Session, host: str, kind: str, outcome: str,
    amounts: Mapping[str, float],
) -> None:
    """Add amounts, by column, to a row; it is made where there is none."""
    key = sa.and_(_table.c.host == host, _table.c.kind == kind, _table.c.outcome == outcome)
    change = sa.update(_table).where(key).values(
        {name: _table.c[name] + amount for name, amount in amounts.items()})
    if not statements.count_changed(session, change):
        session.execute(statements.insert_if_absent(
            session, _table, {'host': host, 'kind': kind, 'outcome': outcome}))
        session.execute(change)


@engine.reader
def sums(context: Any, session: orm.Session) -> list[dict[str, Any]]:
    """Return kind, outcome and the sums over all managers."""
    query = sa.select(
        _table.c.kind, _table.c.outcome,
        *(sa.func.sum(_table.c[name]).label(name) for name in COUNTED),
    ).group_by(_table.c.kind, _table.c.outcome).order_by(_table.c.kind, _table.c.outcome)
    return [dict(row) for row in session.execute(query).mappings()]


@engine.reader
def live(context: Any, session: orm.Session) -> list[dict[str, Any]]:
    """Return kind, state and ``tasks`` of what has not ended, by index; and as ``waits`` the
    seconds that the longest waiting one of them has been due, null where none is.
    """
    is_due = sa.and_(
        _tasks.c.state == states.QUEUED, _tasks.c.run_after <= types.utc_now())
    since = sa.func.min(sa.case((is_due, _tasks.c.run_after)))
    counted = sa.select(
        _tasks.c.kind, _tasks.c.state, sa.func.count().label('tasks'), since.label('since'),
    ).where(_tasks.c.state.in_(states.TASK_LIVE)).group_by(_tasks.c.kind, _tasks.c.state)
    found = counted.subquery()
    query = sa.select(
        found.c.kind, found.c.state, found.c.tasks,
        types.seconds_since(found.c.since).label('waits'),
    ).order_by(found.c.kind, found.c.state)
    return [dict(row) for row in session.execute(query).mappings()]
