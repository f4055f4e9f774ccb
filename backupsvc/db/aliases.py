# SPDX-License-Identifier: Apache-2.0
"""Integers that stand for ids, counted from 1 in each project and kind.

A row is written when a thing is first shown to somebody who needs its number, and is never
removed, not by the purge either: a number that was seen once never means anything else.
"""

import datetime
from collections.abc import Collection, Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from backupsvc.db import engine, models, statements

_table = models.id_aliases
_counters = models.id_counters

#: Ids looked up by one statement, well below what SQLite takes as parameters.
_BATCH = 500


def _of(table: sa.Table, project_id: str, kind: str) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.project_id == project_id, table.c.kind == kind)


@engine.reader
def target(
    context: Any, session: orm.Session, project_id: str, kind: str, number: int,
) -> str | None:
    """Return the id that a number stands for, None for a number that was never given."""
    if not 0 < number <= models.INT_MAX:
        return None
    return session.scalar(
        sa.select(_table.c.target_id)
        .where(_of(_table, project_id, kind), _table.c.number == number))


def numbers(
    context: Any, project_id: str, kind: str, target_ids: Iterable[str],
) -> dict[str, int]:
    """Return id → number, in the order of the ids; new ones get the next numbers in that order.

    Not to be joined into another transaction: what others have given meanwhile is only seen by a
    transaction that has selected nothing before it holds the counter.
    """
    wanted = list(dict.fromkeys(target_ids))
    known = _known(context, project_id, kind, wanted)
    if len(known) < len(wanted):
        known = _give(context, project_id, kind, wanted)
    return {target_id: known[target_id] for target_id in wanted}


@engine.reader
def _known(
    context: Any, session: orm.Session, project_id: str, kind: str, target_ids: Collection[str],
) -> dict[str, int]:
    return _select(session, project_id, kind, target_ids)


def _select(
    session: orm.Session, project_id: str, kind: str, target_ids: Collection[str],
) -> dict[str, int]:
    ids = list(target_ids)
    found: dict[str, int] = {}
    for start in range(0, len(ids), _BATCH):
        rows = session.execute(
            sa.select(_table.c.target_id, _table.c.number).where(
                _of(_table, project_id, kind),
                _table.c.target_id.in_(ids[start:start + _BATCH])))
        found.update({row.target_id: row.number for row in rows})
    return found


@engine.writer
def _give(
    context: Any, session: orm.Session, project_id: str, kind: str, target_ids: Collection[str],
) -> dict[str, int]:
    now = datetime.datetime.now(datetime.UTC)
    session.execute(statements.insert_if_absent(session, _counters, {
        'project_id': project_id, 'kind': kind, 'last_number': 0, 'created_at': now}))
    # From here on nobody else gives numbers of this project and kind.
    last = session.scalar(
        sa.select(_counters.c.last_number).where(_of(_counters, project_id, kind))
        .with_for_update())
    assert last is not None
    known = _select(session, project_id, kind, target_ids)
    new = [target_id for target_id in target_ids if target_id not in known]
    if new:
        given = {target_id: last + place for place, target_id in enumerate(new, 1)}
        session.execute(sa.insert(_table), [
            {'project_id': project_id, 'kind': kind, 'number': number, 'target_id': target_id,
             'created_at': now} for target_id, number in given.items()])
        session.execute(
            sa.update(_counters).where(_of(_counters, project_id, kind))
            .values(last_number=last + len(new), updated_at=now))
        known.update(given)
    return known
