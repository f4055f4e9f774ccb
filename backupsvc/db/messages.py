# SPDX-License-Identifier: Apache-2.0
"""User messages: what went wrong with a request that had been accepted."""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from backupsvc import exception
from backupsvc.db import engine, models, statements

_table = models.messages


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _visible(context: Any) -> list[sa.ColumnElement[bool]]:
    conditions = [sa.or_(_table.c.expires_at.is_(None), _table.c.expires_at > _now())]
    if not context.is_admin:
        conditions.append(_table.c.project_id == context.project_id)
    return conditions


@engine.writer
def create(context: Any, session: orm.Session, values: Mapping[str, Any]) -> dict[str, Any]:
    """Insert a message and return its row."""
    session.execute(sa.insert(_table).values({'created_at': _now(), **values}))
    return dict(session.execute(
        sa.select(_table).where(_table.c.id == values['id'])).mappings().one())


@engine.reader
def get(context: Any, session: orm.Session, message_id: str) -> dict[str, Any]:
    """Return a message of the caller's project that has not expired.

    :raises MessageNotFound: there is none
    """
    row = None
    if statements.is_storable(message_id):
        row = session.execute(
            sa.select(_table).where(_table.c.id == message_id, *_visible(context))
        ).mappings().first()
    if row is None:
        raise exception.MessageNotFound(message_id=message_id)
    return dict(row)


@engine.reader
def list_(
    context: Any, session: orm.Session, filters: Mapping[str, Any],
    sort: Sequence[tuple[str, str]], limit: int | None, marker_id: str | None,
    offset: int | None,
) -> list[dict[str, Any]]:
    """Return one page; paging and sorting as in ``backups.list_``.

    :param filters: column → value or values; what is not a column matches nothing
    :raises MessageNotFound: the marker is not visible to the caller
    :raises InvalidInput: unknown sort key or direction
    """
    keys = statements.normalise_sort(_table, sort or (('created_at', 'desc'), ('id', 'desc')))
    conditions = _visible(context)
    for name, wanted in filters.items():
        conditions.append(
            statements.matches(_table.c[name], wanted) if name in _table.c else sa.false())
    if marker_id is not None:
        conditions.append(statements.after(keys, get(context, marker_id)))
    dialect = session.get_bind().dialect.name
    query = sa.select(_table).where(*conditions).order_by(*statements.order_by(dialect, keys))
    query = query.limit(limit)
    if offset:
        query = query.limit(2**62 if limit is None else limit).offset(offset)
    return [dict(row) for row in session.execute(query).mappings()]


@engine.writer
def delete(context: Any, session: orm.Session, message_id: str) -> None:
    """Delete a message of the caller's project.

    :raises MessageNotFound: there is none
    """
    get(context, message_id)
    session.execute(sa.delete(_table).where(_table.c.id == message_id))
