# SPDX-License-Identifier: Apache-2.0
"""Services: one row per process of a binary on a host, kept alive by heartbeats."""

import datetime
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from backupsvc import exception
from backupsvc.db import engine, models, statements, types

_table = models.services


def _query() -> sa.Select:
    return sa.select(
        _table, types.seconds_since(_table.c.last_seen_at).label('seconds_since_seen'))


def _row(session: orm.Session, host: str, binary: str) -> dict[str, Any]:
    row = session.execute(
        _query().where(_table.c.host == host, _table.c.binary == binary)).mappings().first()
    if row is None:
        raise exception.ServiceHostNotFound(binary=binary, host=host)
    return dict(row)


@engine.writer
def heartbeat(
    context: Any, session: orm.Session, host: str, binary: str, values: Mapping[str, Any],
) -> dict[str, Any]:
    """Note that a service lives, register it when it is new, and return its row."""
    session.execute(statements.insert_if_absent(session, _table, {
        'host': host, 'binary': binary, 'last_seen_at': types.utc_now(),
        'created_at': datetime.datetime.now(datetime.UTC)}))
    session.execute(
        sa.update(_table).where(_table.c.host == host, _table.c.binary == binary)
        .values({**values, 'report_count': _table.c.report_count + 1,
                 'last_seen_at': types.utc_now(), 'updated_at': types.utc_now()}))
    return _row(session, host, binary)


@engine.reader
def list_(
    context: Any, session: orm.Session, filters: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Return rows with ``seconds_since_seen``, by binary and host.

    :param filters: column → value or values
    """
    query = _query().where(
        *(statements.matches(_table.c[name], wanted) for name, wanted in filters.items()))
    query = query.order_by(_table.c.binary, _table.c.host)
    return [dict(row) for row in session.execute(query).mappings()]


@engine.writer
def update(
    context: Any, session: orm.Session, host: str, binary: str, values: Mapping[str, Any],
) -> dict[str, Any]:
    """Change what an operator may change of a service, and return its row.

    :raises ServiceHostNotFound: there is none
    """
    session.execute(
        sa.update(_table).where(_table.c.host == host, _table.c.binary == binary)
        .values(dict(values)))
    return _row(session, host, binary)


@engine.writer
def delete(context: Any, session: orm.Session, host: str, binary: str) -> bool:
    """Forget a service; one that lives registers itself again. False: there was none."""
    return statements.count_changed(
        session, sa.delete(_table).where(_table.c.host == host, _table.c.binary == binary)) == 1
