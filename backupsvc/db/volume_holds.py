# SPDX-License-Identifier: Apache-2.0
"""Holds on volumes and snapshots of a cloud whose own records have no room for them.

There is one row for each thing that is held; the primary key decides who of several gets it.
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from backupsvc.db import engine, models, statements

_table = models.volume_holds


@engine.writer
def take(context: Any, session: orm.Session, values: Mapping[str, Any]) -> dict[str, Any]:
    """Add a row unless its resource has one, and return the one that is there then."""
    session.execute(statements.insert_if_absent(session, _table, dict(values)))
    row = session.execute(
        sa.select(_table).where(_table.c.resource_id == values['resource_id'])
        .with_for_update()).mappings().one()
    return dict(row)


@engine.reader
def get(context: Any, session: orm.Session, resource_id: str) -> dict[str, Any] | None:
    """Return the row of a resource, None where nobody holds it."""
    row = session.execute(
        sa.select(_table).where(_table.c.resource_id == resource_id)).mappings().first()
    return None if row is None else dict(row)


@engine.writer
def update(
    context: Any, session: orm.Session, resource_id: str, holder: str, values: Mapping[str, Any],
) -> bool:
    """Change the row that ``holder`` has; False: it has none."""
    return statements.count_changed(
        session, sa.update(_table)
        .where(_table.c.resource_id == resource_id, _table.c.holder == holder)
        .values(dict(values))) == 1


@engine.writer
def delete(context: Any, session: orm.Session, resource_id: str, holder: str) -> bool:
    """Remove the row that ``holder`` has; False: it has none."""
    return statements.count_changed(
        session, sa.delete(_table)
        .where(_table.c.resource_id == resource_id, _table.c.holder == holder)) == 1


@engine.reader
def list_(context: Any, session: orm.Session) -> list[dict[str, Any]]:
    """Return all rows, the oldest first."""
    rows = session.execute(sa.select(_table).order_by(_table.c.since, _table.c.resource_id))
    return [dict(row) for row in rows.mappings()]
