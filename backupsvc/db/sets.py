# SPDX-License-Identifier: Apache-2.0
"""Backup sets and instance snapshots: what is made of several volumes at one moment.

Both are rows of the same shape in tables of their own (``Family``). The members of a backup set
are backups, written and counted by quota in the transaction that writes the set; the set itself
counts for nothing. The members of an instance snapshot are rows of ``snapshot_members``. A row
comes out as a dict of its columns with ``metadata`` added, and ``members`` to a snapshot's.
"""

import dataclasses
import datetime
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from backupsvc import exception, states
from backupsvc.db import backups, engine, models, statements, tasks

DEFAULT_SORT = (('created_at', 'desc'), ('id', 'desc'))

_members = models.snapshot_members


@dataclasses.dataclass(frozen=True)
class Family:
    """Where sets of one sort are kept, and what is raised when one is not there."""

    table: sa.Table
    pairs: sa.Table
    missing: type[exception.NotFound]


BACKUPS = Family(
    models.backup_sets, models.backup_set_metadata, exception.InstanceBackupNotFound)
SNAPSHOTS = Family(
    models.snapshots, models.snapshot_metadata, exception.InstanceSnapshotNotFound)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _visible(context: Any, family: Family) -> list[sa.ColumnElement[bool]]:
    """Return the conditions under which a caller sees a row at all."""
    return [] if context.is_admin else [family.table.c.project_id == context.project_id]


# Reading -----------------------------------------------------------------------------------------


@engine.reader
def get(
    context: Any, session: orm.Session, family: Family, set_id: str, read_deleted: bool = False,
) -> dict[str, Any]:
    """Return a set of the caller's project, or of any for an admin.

    :raises NotFound: ``family.missing``: there is none that the caller may see
    """
    table = family.table
    query = sa.select(table).where(table.c.id == set_id, *_visible(context, family))
    if not read_deleted:
        query = query.where(table.c.deleted == sa.false())
    row = None
    if statements.is_storable(set_id):
        row = session.execute(query).mappings().first()
    if row is None:
        raise family.missing(id=set_id)
    return _whole(session, family, [row])[0]


def _whole(
    session: orm.Session, family: Family, rows: Sequence[Mapping],
) -> list[dict[str, Any]]:
    """Return rows as dicts with what belongs to them, by one statement for each sort of it."""
    found = [{**row, 'metadata': {}} for row in rows]
    by_id = {row['id']: row for row in found}
    if not found:
        return found
    for pair in session.execute(
            sa.select(family.pairs).where(family.pairs.c.set_id.in_(list(by_id)))):
        by_id[pair.set_id]['metadata'][pair.key] = pair.value
    if family is SNAPSHOTS:
        for row in found:
            row['members'] = []
        query = sa.select(_members).where(_members.c.set_id.in_(list(by_id)))
        for member in session.execute(query.order_by(_members.c.position)).mappings():
            by_id[member['set_id']]['members'].append(dict(member))
    return found


@engine.reader
def list_(
    context: Any, session: orm.Session, family: Family, filters: Mapping[str, Any],
    sort: Sequence[tuple[str, str]], limit: int | None, marker_id: str | None,
    offset: int | None,
) -> list[dict[str, Any]]:
    """Return one page, in at most four statements, whatever its size and its place.

    :param filters: as in ``db.backups``: column → value or values, column with ``~`` appended →
        text that it contains, ``metadata`` → pairs that it must have all of
    :param sort: (column, 'asc' or 'desc') pairs; empty: newest first
    :param marker_id: the page begins after this set
    :raises NotFound: ``family.missing``: the marker is not visible to the caller
    :raises InvalidInput: unknown sort key or direction
    """
    table = family.table
    conditions = _conditions(context, family, filters)
    keys = statements.normalise_sort(table, sort or DEFAULT_SORT)
    dialect = session.get_bind().dialect.name
    query = sa.select(table)
    if marker_id is not None:
        conditions.append(statements.after(keys, _marker(context, session, family, marker_id)))
        plain = keys[0][0].name == 'created_at' and not filters.keys() - {'project_id'}
        if plain and dialect in ('mysql', 'mariadb'):
            # See db.backups: the optimiser would read every row before the marker.
            is_of_a_project = bool(_visible(context, family)) or 'project_id' in filters
            index = f'ix_{table.name}_{"project_list" if is_of_a_project else "list"}'
            query = query.with_hint(table, f'FORCE INDEX ({index})', dialect)
    query = query.where(*conditions).order_by(*statements.order_by(dialect, keys)).limit(limit)
    if offset:
        query = query.limit(2**62 if limit is None else limit).offset(offset)
    return _whole(session, family, session.execute(query).mappings().all())


def _marker(
    context: Any, session: orm.Session, family: Family, marker_id: str,
) -> Mapping[str, Any]:
    table = family.table
    row = None
    if statements.is_storable(marker_id):
        # One that was deleted since the page before still says where that page ended.
        row = session.execute(sa.select(table).where(
            table.c.id == marker_id, *_visible(context, family))).mappings().first()
    if row is None:
        raise family.missing(id=marker_id)
    return dict(row)


def _conditions(
    context: Any, family: Family, filters: Mapping[str, Any],
) -> list[sa.ColumnElement[bool]]:
    table, pairs = family.table, family.pairs
    conditions = _visible(context, family)
    if 'deleted' not in filters:
        conditions.append(table.c.deleted == sa.false())
    for name, wanted in filters.items():
        if name == 'metadata':
            conditions += [
                sa.exists().where(pairs.c.set_id == table.c.id, pairs.c.key == str(key),
                                  pairs.c.value == str(value))
                if statements.is_storable(f'{key}{value}') else sa.false()
                for key, value in wanted.items()]
        elif name in table.c:
            conditions.append(statements.matches(table.c[name], wanted))
        elif name.endswith('~') and name[:-1] in table.c:
            conditions.append(statements.contains(table.c[name[:-1]], str(wanted)))
        else:
            conditions.append(sa.false())
    return conditions


@engine.reader
def count(
    context: Any, session: orm.Session, family: Family, filters: Mapping[str, Any],
) -> int:
    """Return how many sets the list of these filters has on all its pages."""
    return session.scalar(
        sa.select(sa.func.count()).select_from(family.table)
        .where(*_conditions(context, family, filters))) or 0


# Writing -----------------------------------------------------------------------------------------


@engine.writer
def create(
    context: Any, session: orm.Session, family: Family, values: Mapping[str, Any],
    metadata: Mapping[str, str], members: Sequence[Mapping[str, Any]], task: Mapping[str, Any],
    limits: Mapping[str, int] | None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Insert a set with its members, metadata and task, and count the members; return both rows.

    :param members: of a backup set: columns of backups, with ``metadata``; of a snapshot: of
        ``snapshot_members``
    :raises OverQuota: a limit would be passed; nothing was written
    """
    session.execute(sa.insert(family.table).values({'created_at': _now(), **values}))
    _insert_pairs(session, family, values['id'], metadata)
    for member in members:
        if family is SNAPSHOTS:
            session.execute(sa.insert(_members).values({**member, 'set_id': values['id']}))
        else:
            columns = dict(member)
            pairs = columns.pop('metadata', {})
            backups.create(context, {**columns, 'set_id': values['id']}, pairs, None, limits)
    task_row = tasks.create(context, task)
    return _row(session, family, values['id']), task_row


def _insert_pairs(
    session: orm.Session, family: Family, set_id: str, metadata: Mapping[str, str],
) -> None:
    if metadata:
        session.execute(sa.insert(family.pairs), [
            {'set_id': set_id, 'key': key, 'value': value} for key, value in metadata.items()])


def _row(session: orm.Session, family: Family, set_id: str) -> dict[str, Any]:
    row = session.execute(
        sa.select(family.table).where(family.table.c.id == set_id)).mappings().one()
    return _whole(session, family, [row])[0]


def _swap(
    session: orm.Session, family: Family, set_id: str, expected: Collection[str],
    values: Mapping[str, Any],
) -> bool:
    """Change a live set whose status is one of ``expected``; False: it is not."""
    table = family.table
    return statements.count_changed(
        session,
        sa.update(table).where(
            table.c.id == set_id, table.c.deleted == sa.false(),
            table.c.status.in_(sorted(expected)))
        .values({'updated_at': _now(), **values})) == 1


@engine.writer
def transition(
    context: Any, session: orm.Session, family: Family, set_id: str, expected: Collection[str],
    values: Mapping[str, Any], task: Mapping[str, Any] | None = None,
    members: Mapping[str, tuple[Collection[str], Mapping[str, Any], Mapping[str, Any]]]
    | None = None,
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Change a set's status if it is one of ``expected``, insert the task that follows, and do
    the same to its members, all or nothing.

    :param members: backup id → (expected statuses, values, task); those deleted since are passed
        over
    :raises SetChanged: the status is another one
    :raises BackupChanged: a member's is
    :raises NotFound: ``family.missing``: it was deleted
    """
    if not _swap(session, family, set_id, expected, values):
        _raise_changed(session, family, set_id, expected)
    for backup_id, (allowed, changes, follow) in (members or {}).items():
        try:
            backups.transition(context, backup_id, allowed, changes, follow)
        except exception.BackupNotFound:
            continue
    task_row = None if task is None else tasks.create(context, task)
    return _row(session, family, set_id), task_row


def _raise_changed(
    session: orm.Session, family: Family, set_id: str, expected: Collection[str],
) -> None:
    table = family.table
    # Locked, so that MariaDB shows the committed status, not the one of this transaction's start.
    row = session.execute(
        sa.select(table.c.status, table.c.deleted).where(table.c.id == set_id)
        .with_for_update()).first()
    if row is None or row.deleted:
        raise family.missing(id=set_id)
    raise exception.SetChanged(id=set_id, expected=sorted(expected), status=row.status)


@engine.writer
def begin_members(
    context: Any, session: orm.Session, family: Family, set_id: str, values: Mapping[str, Any],
    task: Mapping[str, Any], resume_point: Mapping[str, Any],
    members: Sequence[Mapping[str, Any]],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Write that the snapshots are taken, once: the set's ``values``, the task's resume point, and
    what follows for each member. The backups of a set are of its moment from then on.

    :param task: id, owner and attempt of who holds it
    :param members: of a backup set: tasks to insert; of a snapshot: ``volume_id`` and
        ``snapshot_id``
    :returns: (the set's row, the task's row)
    :raises LeaseLost: the task is held no more; nothing was changed
    """
    task_row = tasks.update_held(
        context, task['id'], task['owner'], task['attempt'], {'resume_point': resume_point})
    session.execute(
        sa.update(family.table).where(family.table.c.id == set_id)
        .values({'updated_at': _now(), **values}))
    if family is BACKUPS and 'data_timestamp' in values:
        session.execute(
            sa.update(models.backups).where(models.backups.c.set_id == set_id)
            .values(data_timestamp=values['data_timestamp']))
    for member in members:
        if family is BACKUPS:
            tasks.create(context, member)
        else:
            session.execute(
                sa.update(_members).where(
                    _members.c.set_id == set_id, _members.c.volume_id == member['volume_id'])
                .values(snapshot_id=member['snapshot_id']))
    return _row(session, family, set_id), task_row


@engine.writer
def end(
    context: Any, session: orm.Session, family: Family, set_id: str, expected: Collection[str],
    values: Mapping[str, Any], task: Mapping[str, Any], state: str, error: str | None,
) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """End a task and give the set the status that follows from it.

    Where the status is not one of ``expected`` (a forced delete came between) it is left alone and
    the task ends all the same.

    :param task: id, owner and attempt of who holds it
    :returns: (the set's row, or None where it was left alone; the task's row)
    :raises LeaseLost: the task is held no more; nothing was changed
    """
    task_row = tasks.end(context, task['id'], task['owner'], task['attempt'], state, error)
    changed = _swap(session, family, set_id, expected, values)
    return (_row(session, family, set_id) if changed else None), task_row


@engine.writer
def destroy(
    context: Any, session: orm.Session, family: Family, set_id: str, task: Mapping[str, Any],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Delete a set softly and end the task; its members are gone by then.

    :param task: id, owner and attempt of the task that ends with this
    :returns: (the set's row, the task's row)
    :raises LeaseLost: the task is held no more; nothing was changed
    """
    table = family.table
    task_row = tasks.end(context, task['id'], task['owner'], task['attempt'], states.DONE)
    now = _now()
    session.execute(
        sa.update(table).where(table.c.id == set_id, table.c.deleted == sa.false())
        .values(deleted=True, deleted_at=now, updated_at=now, status=states.DELETED))
    return _row(session, family, set_id), task_row


@engine.writer
def update(
    context: Any, session: orm.Session, family: Family, set_id: str, values: Mapping[str, Any],
    metadata: Mapping[str, str] | None,
) -> dict[str, Any]:
    """Change columns of a live set that are not its status, and replace its metadata if given.

    :raises NotFound: ``family.missing``: there is no live one
    """
    table = family.table
    changed = statements.count_changed(
        session,
        sa.update(table).where(table.c.id == set_id, table.c.deleted == sa.false())
        .values({'updated_at': _now(), **values}))
    if not changed:
        raise family.missing(id=set_id)
    if metadata is not None:
        session.execute(sa.delete(family.pairs).where(family.pairs.c.set_id == set_id))
        _insert_pairs(session, family, set_id, metadata)
    return _row(session, family, set_id)
