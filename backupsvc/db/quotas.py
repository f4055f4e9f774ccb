# SPDX-License-Identifier: Apache-2.0
"""Limits and usage of quotas.

Usage changes in the transaction that writes the record it counts, so it needs no reservation that
could leak: both happen or neither does.
"""

import datetime
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from backupsvc import exception
from backupsvc.db import engine, models, statements

UNLIMITED = -1


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


@engine.writer
def consume(
    context: Any, session: orm.Session, project_id: str, amounts: Mapping[str, int],
    limits: Mapping[str, int] | None,
) -> None:
    """Add to a project's usage; meant to be joined into the transaction that writes the record.

    Two that race for the last unit: the row is locked by the first one's UPDATE, the second one's
    condition sees what the first has committed.

    :param amounts: resource → how much more is used; negative gives back and is never refused
    :param limits: resource → limit; what is missing, or is -1, has none. None: limit nothing
    :raises OverQuota: for the first resource in alphabetical order that would pass its limit
    """
    # One order for all, so that two transactions never wait for each other.
    for resource in sorted(amounts):
        amount = amounts[resource]
        limit = UNLIMITED if limits is None else limits.get(resource, UNLIMITED)
        _consume_one(session, project_id, resource, amount, limit)


def _consume_one(
    session: orm.Session, project_id: str, resource: str, amount: int, limit: int,
) -> None:
    table = models.quota_usages
    row = sa.and_(table.c.project_id == project_id, table.c.resource == resource)
    change = sa.update(table).where(row).values(
        in_use=table.c.in_use + amount, updated_at=_now())
    if limit != UNLIMITED and amount > 0:
        change = change.where(table.c.in_use + amount <= limit)
    if statements.count_changed(session, change):
        return
    # Either the limit refuses, or it is the project's first use.
    session.execute(statements.insert_if_absent(session, table, {
        'project_id': project_id, 'resource': resource, 'in_use': 0, 'created_at': _now()}))
    if statements.count_changed(session, change):
        return
    in_use = session.scalar(sa.select(table.c.in_use).where(row))
    raise exception.OverQuota(resource=resource, requested=amount, limit=limit, in_use=in_use)


@engine.reader
def usages(context: Any, session: orm.Session, project_id: str) -> dict[str, int]:
    """Return resource → amount in use, without resources that were never used."""
    table = models.quota_usages
    rows = session.execute(
        sa.select(table.c.resource, table.c.in_use).where(table.c.project_id == project_id))
    return {row.resource: row.in_use for row in rows}


@engine.reader
def project_limits(context: Any, session: orm.Session, project_id: str) -> dict[str, int]:
    """Return the limits that were set for a project."""
    return _limits(session, models.quotas, models.quotas.c.project_id, project_id)


@engine.reader
def class_limits(context: Any, session: orm.Session, class_name: str) -> dict[str, int]:
    """Return the limits that were set for a quota class."""
    return _limits(session, models.quota_classes, models.quota_classes.c.class_name, class_name)


def _limits(
    session: orm.Session, table: sa.Table, column: sa.Column, owner: str,
) -> dict[str, int]:
    rows = session.execute(sa.select(table.c.resource, table.c.hard_limit).where(column == owner))
    return {row.resource: row.hard_limit for row in rows}


@engine.writer
def set_project_limits(
    context: Any, session: orm.Session, project_id: str, limits: Mapping[str, int],
) -> None:
    """Set some limits of a project; the others stay."""
    _set_limits(session, models.quotas, models.quotas.c.project_id, project_id, limits)


@engine.writer
def set_class_limits(
    context: Any, session: orm.Session, class_name: str, limits: Mapping[str, int],
) -> None:
    """Set some limits of a quota class; the others stay."""
    _set_limits(session, models.quota_classes, models.quota_classes.c.class_name, class_name,
                limits)


def _set_limits(
    session: orm.Session, table: sa.Table, column: sa.Column, owner: str,
    limits: Mapping[str, int],
) -> None:
    for resource in sorted(limits):
        session.execute(statements.insert_if_absent(session, table, {
            column.name: owner, 'resource': resource, 'hard_limit': limits[resource],
            'created_at': _now()}))
        session.execute(
            sa.update(table).where(column == owner, table.c.resource == resource)
            .values(hard_limit=limits[resource], updated_at=_now()))


@engine.writer
def delete_project_limits(context: Any, session: orm.Session, project_id: str) -> None:
    """Forget the limits that were set for a project; the defaults hold again."""
    session.execute(sa.delete(models.quotas).where(models.quotas.c.project_id == project_id))


@engine.reader
def audit(context: Any, session: orm.Session) -> dict[str, dict[str, tuple[int, int]]]:
    """Compare the recorded usage of backups with the backups that there are.

    :returns: project → resource → (recorded, counted), where they differ
    """
    return _differences(session, _recorded(session, lock=False))


@engine.writer
def recount(context: Any, session: orm.Session) -> dict[str, dict[str, tuple[int, int]]]:
    """Set usage to what the backups add up to; needed only after rows were changed by hand.

    :returns: what ``audit`` returned before
    """
    # Locked first: a creation that is under way ends before the rows are counted, or waits.
    differences = _differences(session, _recorded(session, lock=True))
    for project_id, resources in differences.items():
        for resource, (recorded, counted) in resources.items():
            _consume_one(session, project_id, resource, counted - recorded, UNLIMITED)
    return differences


def _recorded(session: orm.Session, lock: bool) -> dict[tuple[str, str], int]:
    table = models.quota_usages
    query = sa.select(table).where(table.c.resource.in_(('backups', 'backup_gigabytes')))
    if lock:
        query = query.order_by(table.c.resource, table.c.project_id).with_for_update()
    return {(row.project_id, row.resource): row.in_use for row in session.execute(query)}


def _differences(
    session: orm.Session, recorded: Mapping[tuple[str, str], int],
) -> dict[str, dict[str, tuple[int, int]]]:
    table = models.backups
    counted: dict[tuple[str, str], int] = {}
    for row in session.execute(
            sa.select(table.c.project_id, sa.func.count().label('number'),
                      sa.func.sum(table.c.size_gb).label('gigabytes'))
            .where(table.c.deleted == sa.false()).group_by(table.c.project_id)):
        counted[row.project_id, 'backups'] = int(row.number)
        counted[row.project_id, 'backup_gigabytes'] = int(row.gigabytes)
    differences: dict[str, dict[str, tuple[int, int]]] = {}
    for key in sorted(recorded.keys() | counted.keys()):
        pair = (recorded.get(key, 0), counted.get(key, 0))
        if pair[0] != pair[1]:
            differences.setdefault(key[0], {})[key[1]] = pair
    return differences
