# SPDX-License-Identifier: Apache-2.0
"""Statements that the three databases spell differently, and the conditions of lists."""

import datetime
import re
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from oslo_utils import timeutils
from sqlalchemy import orm
from sqlalchemy.dialects import mysql, postgresql, sqlite

from backupsvc import exception
from backupsvc.db import models, types

_UNSTORABLE = re.compile('[\x00\ud800-\udfff]')


def insert_if_absent(
    session: orm.Session, table: sa.Table, values: Mapping[str, Any],
) -> sa.Insert:
    """Return an INSERT that does nothing where a row with the same unique key exists."""
    dialect = session.get_bind().dialect.name
    if dialect in ('mysql', 'mariadb'):
        # Not INSERT IGNORE: that would hide every other error too.
        key = list(table.primary_key.columns)[0]
        return mysql.insert(table).values(**values).on_duplicate_key_update({key.name: key})
    insert = sqlite.insert if dialect == 'sqlite' else postgresql.insert
    return insert(table).values(**values).on_conflict_do_nothing()


def count_changed(session: orm.Session, statement: sa.Update | sa.Delete) -> int:
    """Execute a statement and return how many rows its condition matched, changed by it or not."""
    result: Any = session.execute(statement)
    return result.rowcount


def is_storable(text: str) -> bool:
    """Tell whether every database can hold a text: PostgreSQL refuses NUL, all refuse surrogates.

    What cannot be stored is found nowhere.
    """
    return _UNSTORABLE.search(text) is None


def _coerce(column: sa.Column, value: Any) -> Any:
    """Return ``value``, often a text of a query string, as the column's type.

    :raises ValueError: the column can never hold it
    """
    if value is None:
        return None
    if isinstance(column.type, types.UtcDateTime):
        return _coerce_time(value)
    if isinstance(column.type, sa.Boolean):
        return _coerce_bool(value)
    if isinstance(column.type, sa.Integer):
        number = int(value)
        if abs(number) > models.INT_MAX and not isinstance(column.type, sa.BigInteger):
            raise ValueError(value)
        if abs(number) >= 2**63:
            raise ValueError(value)
        return number
    text = str(value)
    if not is_storable(text):
        raise ValueError('not storable')
    return text


def _coerce_time(value: Any) -> datetime.datetime:
    if not isinstance(value, datetime.datetime):
        value = timeutils.parse_isotime(str(value)) if 'T' in str(value) else (
            datetime.datetime.fromisoformat(str(value)))
    return value if value.tzinfo else value.replace(tzinfo=datetime.UTC)


def _coerce_bool(value: Any) -> bool:
    known = {'1': True, 'true': True, 'on': True, 'yes': True, 't': True, 'y': True,
             '0': False, 'false': False, 'off': False, 'no': False, 'f': False, 'n': False}
    try:
        return known[str(value).lower()]
    except KeyError:
        raise ValueError(value) from None


def matches(column: sa.Column, wanted: Any) -> sa.ColumnElement[bool]:
    """Return the condition that a column is ``wanted``, or one of it where it is a list.

    What the column's type cannot hold matches nothing, as any other value that is not there.
    """
    several = isinstance(wanted, list | tuple | set | frozenset)
    values = []
    for value in wanted if several else [wanted]:
        try:
            values.append(_coerce(column, value))
        except (ValueError, OverflowError):
            continue
    conditions: list[sa.ColumnElement[bool]] = []
    if None in values:
        conditions.append(column.is_(None))
    values = [value for value in values if value is not None]
    if len(values) == 1:
        conditions.append(column == values[0])
    elif values:
        conditions.append(column.in_(values))
    return sa.or_(sa.false(), *conditions)


def contains(column: sa.Column, part: str) -> sa.ColumnElement[bool]:
    """Return the condition that a text column contains ``part``, letter case included."""
    if not isinstance(column.type, sa.String) or not is_storable(part):
        return sa.false()
    return column_position(column, part) > 0


class column_position(sa.sql.expression.FunctionElement):
    """Where a text is in a column, from 1, or 0; unlike SQLite's LIKE it heeds letter case."""

    type = sa.Integer()
    inherit_cache = True

    def __init__(self, column: sa.Column, part: str):
        super().__init__(column, sa.bindparam(None, part, type_=sa.String(), unique=True))


@sa.ext.compiler.compiles(column_position)
def _instr(element: column_position, visitor: Any, **kw: Any) -> str:
    return f'instr({visitor.process(element.clauses, **kw)})'


@sa.ext.compiler.compiles(column_position, 'postgresql')
def _strpos(element: column_position, visitor: Any, **kw: Any) -> str:
    return f'strpos({visitor.process(element.clauses, **kw)})'


def normalise_sort(
    table: Any, sort: Sequence[tuple[str, str]],
) -> list[tuple[sa.Column, bool]]:
    """Return (column, descending) pairs that order the rows totally: ``id`` last, if not named.

    :param table: or a subquery that has its columns
    :param sort: (column name, 'asc' or 'desc') pairs
    :raises InvalidInput: unknown column or direction; the texts are those of Cinder v3
    """
    keys: list[tuple[sa.Column, bool]] = []
    for name, direction in sort:
        if name not in table.c:
            raise exception.InvalidInput(reason='Invalid sort key')
        if direction not in ('asc', 'desc'):
            raise exception.InvalidInput(
                reason="Unknown sort direction, must be 'desc' or 'asc'.")
        if all(table.c[name] is not column for column, _ in keys):
            keys.append((table.c[name], direction == 'desc'))
    if all(column is not table.c.id for column, _ in keys):
        keys.append((table.c.id, keys[-1][1] if keys else True))
    return keys


def order_by(
    dialect: str, keys: Sequence[tuple[sa.Column, bool]],
) -> list[sa.UnaryExpression]:
    """Return the ORDER BY in which null is less than every value.

    SQLite and MariaDB sort so by themselves; PostgreSQL is told, for nullable columns only, as
    the plain form is the one that an index serves.
    """
    clauses = []
    for column, descending in keys:
        clause = column.desc() if descending else column.asc()
        if dialect == 'postgresql' and column.nullable:
            clause = clause.nulls_last() if descending else clause.nulls_first()
        clauses.append(clause)
    return clauses


def after(
    keys: Sequence[tuple[sa.Column, bool]], marker: Mapping[str, Any],
) -> sa.ColumnElement[bool]:
    """Return the condition that a row comes after ``marker`` in the order of ``keys``.

    It reads ``k1 past m1 or (k1 = m1 and (k2 past m2 or …))``. Where k1 has no nulls it gets the
    implied bound ``k1 <= m1`` in front: the form that every optimiser turns into the start of an
    index range, which makes the last page cost what the first did.
    """
    condition: sa.ColumnElement[bool] = sa.false()
    for column, descending in reversed(keys):
        value = marker[column.name]
        condition = sa.or_(_past(column, descending, value),
                           sa.and_(_same(column, value), condition))
    first, descending = keys[0]
    value = marker[first.name]
    if value is not None and not (descending and first.nullable):
        bound = first <= value if descending else first >= value
        condition = sa.and_(bound, condition)
    return condition


def _past(column: sa.Column, descending: bool, value: Any) -> sa.ColumnElement[bool]:
    if value is None:
        return sa.false() if descending else column.is_not(None)
    if not descending:
        return column > value
    if column.nullable:
        return sa.or_(column < value, column.is_(None))
    return column < value


def _same(column: sa.Column, value: Any) -> sa.ColumnElement[bool]:
    return column.is_(None) if value is None else column == value
