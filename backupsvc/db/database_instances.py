# SPDX-License-Identifier: Apache-2.0
"""Database instances, their security groups and what ties their backups to them.

As in ``backups``: a status changes by an UPDATE that is conditional on the status expected before,
and what belongs together is written in one transaction.
"""

import datetime
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from oslo_db import exception as db_exception
from oslo_utils import uuidutils
from sqlalchemy import orm

from backupsvc import exception, states
from backupsvc.db import backups, engine, models, quotas, statements, tasks

_table = models.db_instances
_groups = models.security_groups
_rules = models.security_group_rules
_backups = models.backups

#: What an instance takes of its project's quota.
INSTANCES = 'database_instances'
GIGABYTES = 'database_gigabytes'


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _visible(context: Any, table: sa.Table = _table) -> list[sa.ColumnElement[bool]]:
    return [] if context.is_admin else [table.c.project_id == context.project_id]


def _amounts(volume_gb: int) -> dict[str, int]:
    return {INSTANCES: 1, GIGABYTES: volume_gb}


# Instances ---------------------------------------------------------------------------------------


@engine.reader
def get(
    context: Any, session: orm.Session, instance_id: str, read_deleted: bool = False,
) -> dict[str, Any]:
    """Return an instance of the caller's project, or of any for an admin.

    :raises DatabaseInstanceNotFound: there is none that the caller may see
    """
    row = None
    if statements.is_storable(instance_id):
        query = sa.select(_table).where(_table.c.id == instance_id, *_visible(context))
        if not read_deleted:
            query = query.where(_table.c.deleted == sa.false())
        row = session.execute(query).mappings().first()
    if row is None:
        raise exception.DatabaseInstanceNotFound(instance_id=instance_id)
    return dict(row)


@engine.reader
def list_(
    context: Any, session: orm.Session, filters: Mapping[str, Any], limit: int | None,
    marker: str | None,
) -> list[dict[str, Any]]:
    """Return live instances by id.

    :param filters: column → value or values
    :param marker: only ids after this; there need be no such instance
    """
    query = sa.select(_table).where(
        _table.c.deleted == sa.false(), *_visible(context),
        *(statements.matches(_table.c[name], wanted) for name, wanted in filters.items()))
    if marker is not None:
        if not statements.is_storable(marker):
            return []
        query = query.where(_table.c.id > marker)
    query = query.order_by(_table.c.id).limit(limit)
    return [dict(row) for row in session.execute(query).mappings()]


@engine.writer
def create(
    context: Any, session: orm.Session, values: Mapping[str, Any], group: Mapping[str, Any],
    rules: Sequence[Mapping[str, Any]], task: Mapping[str, Any],
    limits: Mapping[str, int] | None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Insert an instance with its security group, rules and task, and count it; return both rows.

    :raises OverQuota: a limit would be passed
    """
    now = _now()
    session.execute(sa.insert(_table).values({'created_at': now, 'updated_at': now, **values}))
    session.execute(sa.insert(_groups).values({'created_at': now, 'updated_at': now, **group}))
    for rule in rules:
        session.execute(sa.insert(_rules).values({'created_at': now, **rule}))
    task_row = tasks.create(context, task)
    quotas.consume(context, values['project_id'], _amounts(values['volume_gb']), limits)
    return _row(session, values['id']), task_row


def _row(session: orm.Session, instance_id: str) -> dict[str, Any]:
    return dict(
        session.execute(sa.select(_table).where(_table.c.id == instance_id)).mappings().one())


def _swap(
    session: orm.Session, instance_id: str, expected: Collection[str], values: Mapping[str, Any],
    holder: str | None = None,
) -> bool:
    """Change a live instance whose status is one of ``expected`` (and that ``holder`` holds)."""
    query = sa.update(_table).where(
        _table.c.id == instance_id, _table.c.deleted == sa.false(),
        _table.c.status.in_(sorted(expected)))
    if holder is not None:
        query = query.where(_table.c.holder == holder)
    return statements.count_changed(
        session, query.values({'updated_at': _now(), **values})) == 1


def _raise_busy(session: orm.Session, instance_id: str) -> None:
    row = session.execute(
        sa.select(_table.c.status, _table.c.deleted).where(_table.c.id == instance_id)
        .with_for_update()).first()
    if row is None or row.deleted:
        raise exception.DatabaseInstanceNotFound(instance_id=instance_id)
    raise exception.DatabaseInstanceBusy(instance_id=instance_id, status=row.status)


@engine.writer
def begin(
    context: Any, session: orm.Session, instance_id: str, expected: Collection[str],
    values: Mapping[str, Any], task: Mapping[str, Any], gigabytes: int = 0,
    limits: Mapping[str, int] | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Change an instance's status if it is one of ``expected``, and insert the task that follows.

    :param gigabytes: how much larger its volume is to become, counted at once
    :raises DatabaseInstanceBusy: the status is another one
    :raises DatabaseInstanceNotFound: it was deleted
    :raises OverQuota: a limit would be passed
    """
    if not _swap(session, instance_id, expected, {**values, 'fail_reason': None}):
        _raise_busy(session, instance_id)
    task_row = tasks.create(context, task)
    row = _row(session, instance_id)
    if gigabytes:
        quotas.consume(context, row['project_id'], {GIGABYTES: gigabytes}, limits)
    return row, task_row


@engine.writer
def transition(
    context: Any, session: orm.Session, instance_id: str, expected: Collection[str],
    values: Mapping[str, Any], holder: str | None = None,
) -> dict[str, Any] | None:
    """Change an instance if its status is one of ``expected``; None: it is not.

    :param holder: it must be held by this task
    """
    if not _swap(session, instance_id, expected, values, holder):
        return None
    return _row(session, instance_id)


@engine.writer
def end(
    context: Any, session: orm.Session, instance_id: str, expected: Collection[str],
    values: Mapping[str, Any], task: Mapping[str, Any], state: str, error: str | None,
    gigabytes: int = 0,
) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """End a task, whose arguments are forgotten, and give the instance what follows from it.

    :param gigabytes: change of what its volume counts for
    :returns: (the instance's row, or None where its status is not one of ``expected``; the task's)
    :raises LeaseLost: the task is held no more; nothing was changed
    """
    # The arguments may have hashes of passwords, which nobody needs from here on.
    tasks.update_held(
        context, task['id'], task['owner'], task['attempt'], {'arguments': None})
    task_row = tasks.end(context, task['id'], task['owner'], task['attempt'], state, error)
    if not _swap(session, instance_id, expected, values):
        return None, task_row
    row = _row(session, instance_id)
    if gigabytes:
        quotas.consume(context, row['project_id'], {GIGABYTES: gigabytes}, None)
    return row, task_row


@engine.writer
def destroy(
    context: Any, session: orm.Session, instance_id: str, task: Mapping[str, Any],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Delete an instance softly, its group and rules for good, and give its quota back.

    :raises LeaseLost: the task is held no more; nothing was changed
    """
    task_row = tasks.end(
        context, task['id'], task['owner'], task['attempt'], states.DONE)
    now = _now()
    changed = statements.count_changed(
        session,
        sa.update(_table).where(_table.c.id == instance_id, _table.c.deleted == sa.false())
        .values(deleted=True, deleted_at=now, updated_at=now, status=states.DELETED))
    row = _row(session, instance_id)
    if changed:
        mine = sa.select(_groups.c.id).where(_groups.c.instance_id == instance_id)
        session.execute(sa.delete(_rules).where(_rules.c.group_id.in_(mine)))
        session.execute(sa.delete(_groups).where(_groups.c.instance_id == instance_id))
        quotas.consume(
            context, row['project_id'],
            {name: -amount for name, amount in _amounts(row['volume_gb']).items()}, None)
    return row, task_row


@engine.writer
def update(
    context: Any, session: orm.Session, instance_id: str, values: Mapping[str, Any],
) -> dict[str, Any]:
    """Change columns of a live instance.

    :raises DatabaseInstanceNotFound: it was deleted
    """
    changed = statements.count_changed(
        session,
        sa.update(_table).where(_table.c.id == instance_id, _table.c.deleted == sa.false())
        .values({'updated_at': _now(), **values}))
    if not changed:
        raise exception.DatabaseInstanceNotFound(instance_id=instance_id)
    return _row(session, instance_id)


# Backups -----------------------------------------------------------------------------------------


@engine.writer
def begin_backup(
    context: Any, session: orm.Session, instance_id: str, values: Mapping[str, Any],
    task: Mapping[str, Any], limits: Mapping[str, int] | None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Hold an active instance for the task, and insert the backup and the task.

    :raises DatabaseInstanceBusy: it is not active
    :raises DatabaseBackupBusy: the parent is not available any more
    :raises OverQuota: a limit would be passed
    """
    if not _swap(session, instance_id, {states.ACTIVE},
                 {'status': states.BACKING_UP, 'holder': task['id']}):
        _raise_busy(session, instance_id)
    parent_id = values.get('parent_id')
    if parent_id is not None:
        # Locked, so that no deletion of the chain passes this by.
        status = session.scalar(
            sa.select(_backups.c.status).where(
                _backups.c.id == parent_id, _backups.c.deleted == sa.false()).with_for_update())
        if status != states.AVAILABLE:
            raise exception.DatabaseBackupBusy(
                backup_id=parent_id, status=status or states.DELETED)
    row, task_row = backups.create(context, {'updated_at': _now(), **values}, {}, task, limits)
    assert task_row is not None  # it was given one
    return row, task_row


@engine.writer
def begin_delete_backups(
    context: Any, session: orm.Session, backup_id: str, task: Mapping[str, Any],
    expected: Collection[str], made_before: datetime.datetime,
) -> list[dict[str, Any]]:
    """Make a backup and all that were made from it ``deleting``, each with a task.

    :param task: values of the tasks, which are completed with an id and a resource
    :param expected: statuses in which they may be deleted
    :param made_before: one that is still being made may be deleted if it was begun before this
    :returns: the rows of the tasks, those of the last increments first
    :raises DatabaseBackupBusy: one of them has another status; nothing was changed
    """
    family: list[str] = []
    found = [backup_id]
    while found:
        family += found
        rows = session.execute(
            sa.select(_backups.c.id, _backups.c.status, _backups.c.created_at).where(
                _backups.c.id.in_(found), _backups.c.deleted == sa.false())
            .order_by(_backups.c.id).with_for_update()).all()
        for row in rows:
            is_stuck = row.status == states.CREATING and row.created_at < made_before
            if row.status not in expected and not is_stuck:
                raise exception.DatabaseBackupBusy(backup_id=row.id, status=row.status)
        found = list(session.scalars(
            sa.select(_backups.c.id).where(
                _backups.c.parent_id.in_(found), _backups.c.deleted == sa.false())
            .order_by(_backups.c.id)))
    written = []
    for each in reversed(family):
        _, task_row = backups.transition(
            context, each, (*expected, states.CREATING),
            {'status': states.DELETING, 'fail_reason': None},
            {**task, 'id': uuidutils.generate_uuid(), 'resource_id': each})
        assert task_row is not None  # it was given one
        written.append(task_row)
    return written


# Security groups ---------------------------------------------------------------------------------


def _with_rules(session: orm.Session, rows: Sequence[Mapping]) -> list[dict[str, Any]]:
    groups = [{**row, 'rules': []} for row in rows]
    by_id = {group['id']: group['rules'] for group in groups}
    if groups:
        for rule in session.execute(
                sa.select(_rules).where(_rules.c.group_id.in_(list(by_id)))
                .order_by(_rules.c.created_at, _rules.c.id)).mappings():
            by_id[rule['group_id']].append(dict(rule))
    return groups


@engine.reader
def list_groups(
    context: Any, session: orm.Session, filters: Mapping[str, Any], limit: int | None,
    marker: str | None,
) -> list[dict[str, Any]]:
    """Return security groups by id, each with its ``rules``; see ``list_``."""
    query = sa.select(_groups).where(
        *_visible(context, _groups),
        *(statements.matches(_groups.c[name], wanted) for name, wanted in filters.items()))
    if marker is not None:
        if not statements.is_storable(marker):
            return []
        query = query.where(_groups.c.id > marker)
    query = query.order_by(_groups.c.id).limit(limit)
    return _with_rules(session, session.execute(query).mappings().all())


@engine.writer
def create_rule(
    context: Any, session: orm.Session, values: Mapping[str, Any], task: Mapping[str, Any],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Insert a rule and the task that applies it; return both rows.

    :raises SecurityGroupRuleExists: the group has a rule for this network
    """
    now = _now()
    try:
        session.execute(sa.insert(_rules).values({'created_at': now, **values}))
    except db_exception.DBDuplicateEntry as error:
        raise exception.SecurityGroupRuleExists(cidr=values['cidr']) from error
    _touch(session, values['group_id'], now)
    row = session.execute(sa.select(_rules).where(_rules.c.id == values['id'])).mappings().one()
    return dict(row), tasks.create(context, task)


@engine.reader
def get_rule(context: Any, session: orm.Session, rule_id: str) -> dict[str, Any]:
    """Return a rule.

    :raises SecurityGroupRuleNotFound: there is none that the caller may see
    """
    row = None
    if statements.is_storable(rule_id):
        row = session.execute(
            sa.select(_rules).join(_groups, _groups.c.id == _rules.c.group_id)
            .where(_rules.c.id == rule_id, *_visible(context, _groups))).mappings().first()
    if row is None:
        raise exception.SecurityGroupRuleNotFound(rule_id=rule_id)
    return dict(row)


@engine.writer
def delete_rule(
    context: Any, session: orm.Session, rule_id: str, task: Mapping[str, Any],
) -> dict[str, Any]:
    """Remove a rule and insert the task that applies what is left.

    :raises SecurityGroupRuleNotFound: somebody else did
    """
    row = get_rule(context, rule_id)
    if not statements.count_changed(session, sa.delete(_rules).where(_rules.c.id == rule_id)):
        raise exception.SecurityGroupRuleNotFound(rule_id=rule_id)
    _touch(session, row['group_id'], _now())
    return tasks.create(context, task)


def _touch(session: orm.Session, group_id: str, now: datetime.datetime) -> None:
    session.execute(sa.update(_groups).where(_groups.c.id == group_id).values(updated_at=now))
