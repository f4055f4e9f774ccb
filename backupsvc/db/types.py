# SPDX-License-Identifier: Apache-2.0
"""Column types and expressions that mean the same on SQLite, MariaDB and PostgreSQL."""

import datetime
import json
from typing import Any

import sqlalchemy as sa
from sqlalchemy import types
from sqlalchemy.dialects import mysql
from sqlalchemy.ext import compiler
from sqlalchemy.sql import expression


class UtcDateTime(types.TypeDecorator):
    """An aware UTC time with microseconds; stored without a zone.

    Binding a naive time is a ValueError: which zone it means cannot be known.
    """

    impl = sa.DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> Any:
        if dialect.name in ('mysql', 'mariadb'):
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(sa.DateTime())

    def process_bind_param(
        self, value: datetime.datetime | None, dialect: sa.Dialect,
    ) -> datetime.datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f'{value!r} has no time zone')
        return value.astimezone(datetime.UTC).replace(tzinfo=None)

    def process_result_value(
        self, value: datetime.datetime | None, dialect: sa.Dialect,
    ) -> datetime.datetime | None:
        return None if value is None else value.replace(tzinfo=datetime.UTC)


class Json(types.TypeDecorator):
    """A JSON value as text: read by us only, never searched by the database."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> Any:
        if dialect.name in ('mysql', 'mariadb'):
            # TEXT ends at 64 KiB.
            return dialect.type_descriptor(mysql.MEDIUMTEXT())
        return dialect.type_descriptor(sa.Text())

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> str | None:
        return None if value is None else json.dumps(value, separators=(',', ':'))

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> Any:
        return None if value is None else json.loads(value)


def string(length: int) -> sa.types.TypeEngine:
    """Return a string type that compares and sorts by code point on every database.

    On MariaDB the table's collation does it, see ``models.mysql_collation``.
    """
    return sa.String(length).with_variant(sa.String(length, collation='C'), 'postgresql')


class utc_now(expression.FunctionElement):
    """The database server's clock, UTC, plus ``offset`` seconds.

    Leases are compared with it, so that hosts whose clocks differ agree on who holds one. SQLite
    has one clock per host and resolves milliseconds; the others resolve microseconds.
    """

    type = UtcDateTime()
    inherit_cache = True

    def __init__(self, offset: float = 0.0):
        super().__init__(sa.bindparam(None, float(offset), type_=sa.Float(), unique=True))


@compiler.compiles(utc_now, 'sqlite')
def _utc_now_sqlite(element: utc_now, visitor: Any, **kw: Any) -> str:
    offset = visitor.process(element.clauses, **kw)
    # The shape in which SQLAlchemy stores times, so that text order is time order.
    return f"(strftime('%Y-%m-%d %H:%M:%f', 'now', printf('%+.6f seconds', {offset})) || '000')"


@compiler.compiles(utc_now, 'mysql')
@compiler.compiles(utc_now, 'mariadb')
def _utc_now_mysql(element: utc_now, visitor: Any, **kw: Any) -> str:
    offset = visitor.process(element.clauses, **kw)
    return f'TIMESTAMPADD(MICROSECOND, ROUND({offset} * 1000000), UTC_TIMESTAMP(6))'


@compiler.compiles(utc_now, 'postgresql')
def _utc_now_postgresql(element: utc_now, visitor: Any, **kw: Any) -> str:
    offset = visitor.process(element.clauses, **kw)
    # Not now(): that is the time at which the transaction began.
    return f"(timezone('utc', clock_timestamp()) + make_interval(secs => {offset}))"


class seconds_since(expression.FunctionElement):
    """Seconds from a time column to the database server's clock, a float."""

    type = sa.Float()
    inherit_cache = True


@compiler.compiles(seconds_since, 'sqlite')
def _seconds_since_sqlite(element: seconds_since, visitor: Any, **kw: Any) -> str:
    column = visitor.process(element.clauses, **kw)
    return f"((julianday('now') - julianday({column})) * 86400.0)"


@compiler.compiles(seconds_since, 'mysql')
@compiler.compiles(seconds_since, 'mariadb')
def _seconds_since_mysql(element: seconds_since, visitor: Any, **kw: Any) -> str:
    column = visitor.process(element.clauses, **kw)
    return f'(TIMESTAMPDIFF(MICROSECOND, {column}, UTC_TIMESTAMP(6)) / 1000000.0)'


@compiler.compiles(seconds_since, 'postgresql')
def _seconds_since_postgresql(element: seconds_since, visitor: Any, **kw: Any) -> str:
    column = visitor.process(element.clauses, **kw)
    return f"(extract(epoch from (timezone('utc', clock_timestamp()) - {column})))::float"
