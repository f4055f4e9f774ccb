# SPDX-License-Identifier: Apache-2.0
"""Backups and their metadata.

A status changes by an UPDATE that is conditional on the status expected before. What belongs
together (record, task, metadata, quota usage) is written in one transaction. A row comes out as a
dict of its columns with ``metadata`` added.
"""

import datetime
import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from oslo_db import exception as db_exception
from sqlalchemy import orm
from sqlalchemy.sql import util as sql_util

from backupsvc import exception, states
from backupsvc.db import engine, models, quotas, statements, tasks

_table = models.backups
_pairs = models.backup_metadata

DEFAULT_SORT = (('created_at', 'desc'), ('id', 'desc'))

#: A pair of metadata that at most this many backups have drives a list that filters by it. With
#: more the list is walked in its own order, which fills a page soon when the pair is frequent.
RARE = 1000


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _visible(context: Any) -> list[sa.ColumnElement[bool]]:
    """Return the conditions under which a caller sees a row at all."""
    return [] if context.is_admin else [_table.c.project_id == context.project_id]


# Reading -----------------------------------------------------------------------------------------


@engine.reader
def get(
    context: Any, session: orm.Session, backup_id: str, read_deleted: bool = False,
    kind: str | None = None,
) -> dict[str, Any]:
    """Return a backup of the caller's project, or of any for an admin.

    :param kind: it must be of this kind; None: of any
    :raises BackupNotFound: there is none that the caller may see
    """
    return _get(context, session, backup_id, read_deleted, kind)


def _get(
    context: Any, session: orm.Session, backup_id: str, read_deleted: bool = False,
    kind: str | None = None,
) -> dict[str, Any]:
    query = sa.select(_table).where(_table.c.id == backup_id, *_visible(context))
    if not read_deleted:
        query = query.where(_table.c.deleted == sa.false())
    if kind is not None:
        query = query.where(_table.c.kind == kind)
    row = None
    if statements.is_storable(backup_id):
        row = session.execute(query).mappings().first()
    if row is None:
        raise exception.BackupNotFound(backup_id=backup_id)
    return _with_metadata(session, [row])[0]


def _with_metadata(session: orm.Session, rows: Sequence[Mapping]) -> list[dict[str, Any]]:
    """Return rows as dicts with their metadata, by one statement for all."""
    backups = [{**row, 'metadata': {}} for row in rows]
    if backups:
        by_id = {backup['id']: backup['metadata'] for backup in backups}
        for pair in session.execute(
                sa.select(_pairs.c.backup_id, _pairs.c.key, _pairs.c.value).where(
                    _pairs.c.backup_id.in_(list(by_id)), _pairs.c.deleted == sa.false())):
            by_id[pair.backup_id][pair.key] = pair.value
    return backups


@engine.reader
def list_(
    context: Any, session: orm.Session, filters: Mapping[str, Any],
    sort: Sequence[tuple[str, str]], limit: int | None, marker_id: str | None,
    offset: int | None,
) -> list[dict[str, Any]]:
    """Return one page, in at most five statements, whatever its size and its place.

    :param filters: see ``_conditions``
    :param sort: (column, 'asc' or 'desc') pairs; null is less than any value; empty: newest first
    :param marker_id: the page begins after this backup
    :raises BackupNotFound: the marker is not visible to the caller
    :raises InvalidInput: unknown sort key or direction
    """
    source, conditions = _conditions(context, session, filters)
    keys = statements.normalise_sort(source, sort or DEFAULT_SORT)
    if marker_id is not None:
        marker = _marker(context, session, marker_id, keys)
        conditions.append(statements.after(keys, marker))
    dialect = session.get_bind().dialect.name
    query = sa.select(source).where(*conditions).order_by(*statements.order_by(dialect, keys))
    index = _list_index(context, filters, keys)
    if marker_id is not None and source is _table and index and dialect in ('mysql', 'mariadb'):
        # Left to itself, MariaDB's optimiser looks up the first column alone where about half of
        # all rows lie before the marker, and reads those; a forced index it enters at the marker.
        query = query.with_hint(_table, f'FORCE INDEX ({index})', dialect)
    query = query.limit(limit)
    if offset:
        # Without a limit neither SQLite nor MariaDB takes an offset.
        query = query.limit(2**62 if limit is None else limit).offset(offset)
    return _with_metadata(session, session.execute(query).mappings().all())


def _list_index(
    context: Any, filters: Mapping[str, Any], keys: Sequence[tuple[sa.Column, bool]],
) -> str | None:
    """Return the index that has a list in its order; None where another may serve it better."""
    if keys[0][0].name != 'created_at' or filters.keys() - {'kind', 'metadata', 'project_id'}:
        return None
    is_of_a_project = _visible(context) or 'project_id' in filters
    return 'ix_backups_project_list' if is_of_a_project else 'ix_backups_list'


def _marker(
    context: Any, session: orm.Session, marker_id: str,
    keys: Sequence[tuple[sa.Column, bool]],
) -> Mapping[str, Any]:
    row = None
    if statements.is_storable(marker_id):
        # A marker that was deleted since the page before still says where that page ended.
        row = session.execute(
            sa.select(*(_table.c[column.name] for column, _ in keys))
            .where(_table.c.id == marker_id, *_visible(context))).mappings().first()
    if row is None:
        raise exception.BackupNotFound(backup_id=marker_id)
    return dict(row)


def _conditions(
    context: Any, session: orm.Session, filters: Mapping[str, Any],
) -> tuple[sa.FromClause, list[sa.ColumnElement[bool]]]:
    """Return what a list is selected from, and its conditions.

    :param filters: column → value or values it must have; column with ``~`` appended → text that
        it must contain; ``metadata`` → pairs that it must have all of, exactly. What is not a
        column matches nothing. Without ``deleted`` only live backups match
    """
    conditions = _visible(context)
    if 'deleted' not in filters:
        conditions.append(_table.c.deleted == sa.false())
    ids: list[str] | None = None
    for name, wanted in filters.items():
        if name == 'metadata':
            pairs, ids = _has_pairs(session, wanted)
            conditions.extend(pairs)
        elif name in _table.c:
            conditions.append(statements.matches(_table.c[name], wanted))
        elif name.endswith('~') and name[:-1] in _table.c:
            conditions.append(statements.contains(_table.c[name[:-1]], str(wanted)))
        else:
            conditions.append(sa.false())
    if ids is None:
        return _table, conditions
    # Behind a limit of its own, so that no optimiser walks another index in search of the few.
    few = sa.select(_table).where(_table.c.id.in_(ids)).limit(len(ids)).subquery()
    adapter = sql_util.ClauseAdapter(few)
    return few, [adapter.traverse(condition) for condition in conditions]


def _has_pairs(
    session: orm.Session, pairs: Mapping[str, str],
) -> tuple[list[sa.ColumnElement[bool]], list[str] | None]:
    """Return the conditions that a backup has all of some pairs, and which can if only few can.

    Where one of the pairs is rare, its backups are named; else the list is walked in its own order
    and each backup is looked at. Optimisers do not choose well between the two: SQLite's keeps no
    statistics of values, the others' know the commonest only.
    """
    if not isinstance(pairs, Mapping) or not all(
            statements.is_storable(str(text)) for pair in pairs.items() for text in pair):
        return [sa.false()], []
    wanted = [_has_pair(str(key), str(value)) for key, value in pairs.items()]
    if not wanted:
        return [], None
    samples = [
        sa.select(sa.literal_column(str(number)).label('number'), _pairs.c.backup_id)
        .where(has).limit(RARE + 1).subquery()
        for number, has in enumerate(wanted)]
    counts = session.execute(sa.union_all(*(
        sa.select(sample.c.number, sa.func.count()).group_by(sample.c.number)
        for sample in samples))).all()
    found = {int(number): count for number, count in counts}
    if len(found) < len(wanted):
        return [sa.false()], []
    rarest = min(found, key=lambda number: found[number])
    conditions: list[sa.ColumnElement[bool]] = [
        sa.exists().where(_pairs.c.backup_id == _table.c.id, has)
        for number, has in enumerate(wanted) if number != rarest or found[number] > RARE]
    if found[rarest] > RARE:
        return conditions, None
    ids = list(session.scalars(sa.select(_pairs.c.backup_id).where(wanted[rarest])))
    return conditions, ids


def _has_pair(key: str, value: str) -> sa.ColumnElement[bool]:
    return sa.and_(_pairs.c.key == key, _pairs.c.value == value, _pairs.c.deleted == sa.false())


@engine.reader
def count(context: Any, session: orm.Session, filters: Mapping[str, Any]) -> int:
    """Return how many backups the list of these filters has on all its pages."""
    source, conditions = _conditions(context, session, filters)
    return session.scalar(sa.select(sa.func.count()).select_from(source).where(*conditions)) or 0


@engine.reader
def dependent_counts(
    context: Any, session: orm.Session, backup_ids: Collection[str],
) -> dict[str, int]:
    """Return how many live backups were made from each backup; who has none is left out."""
    if not backup_ids:
        return {}
    rows = session.execute(
        sa.select(_table.c.parent_id, sa.func.count().label('number'))
        .where(_table.c.parent_id.in_(list(backup_ids)), _table.c.deleted == sa.false())
        .group_by(_table.c.parent_id))
    return {row.parent_id: row.number for row in rows}


@engine.reader
def of_sets(
    context: Any, session: orm.Session, set_ids: Collection[str],
) -> list[dict[str, Any]]:
    """Return the live members of sets in the order in which they were given."""
    if not set_ids:
        return []
    query = sa.select(_table).where(
        _table.c.set_id.in_(list(set_ids)), _table.c.deleted == sa.false())
    query = query.order_by(_table.c.created_at, _table.c.id)
    return _with_metadata(session, session.execute(query).mappings().all())


@engine.reader
def latest(
    context: Any, session: orm.Session, source_id: str, project_id: str,
    before: datetime.datetime | None = None,
) -> dict[str, Any] | None:
    """Return the available backup of a source and project that shows its newest state, or None.

    :param before: only states up to this time
    """
    query = sa.select(_table).where(
        _table.c.source_id == source_id, _table.c.project_id == project_id,
        _table.c.deleted == sa.false(), _table.c.status == states.AVAILABLE,
        _table.c.data_timestamp.is_not(None))
    if before is not None:
        query = query.where(_table.c.data_timestamp <= before)
    # Not by id too: the index would serve the order no more, and ties mean the same state.
    query = query.order_by(_table.c.data_timestamp.desc()).limit(1)
    row = session.execute(query).mappings().first()
    return None if row is None else _with_metadata(session, [row])[0]


@engine.reader
def has_manifest_sharers(
    context: Any, session: orm.Session, backup_id: str, manifest_id: str, repository: str | None,
    repository_project_id: str | None, container: str | None,
) -> bool:
    """Tell whether another live backup, of any project, has the same manifest of a repository."""
    return session.execute(
        sa.select(_table.c.id).where(
            _table.c.manifest_id == manifest_id, _table.c.deleted == sa.false(),
            _table.c.id != backup_id, _table.c.repository == repository,
            _table.c.repository_project_id == repository_project_id,
            _table.c.container == container).limit(1)).first() is not None


# Writing -----------------------------------------------------------------------------------------


def _amounts(row: Mapping[str, Any]) -> dict[str, int]:
    """Return what a backup uses of its project's quota."""
    return {'backups': 1, 'backup_gigabytes': row['size_gb']}


@engine.writer
def create(
    context: Any, session: orm.Session, values: Mapping[str, Any], metadata: Mapping[str, str],
    task: Mapping[str, Any] | None, limits: Mapping[str, int] | None,
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Insert a backup with its metadata and task, and count it; return both rows.

    :raises OverQuota: a limit would be passed
    :raises BackupExists: a row has this id, deleted or not
    """
    try:
        session.execute(sa.insert(_table).values({'created_at': _now(), **values}))
    except db_exception.DBDuplicateEntry as error:
        raise exception.BackupExists(backup_id=values['id']) from error
    _write_pairs(session, values['id'], metadata, {})
    task_row = None if task is None else tasks.create(context, task)
    row = _row(session, values['id'])
    quotas.consume(context, row['project_id'], _amounts(row), limits)
    return row, task_row


@engine.writer
def revive(
    context: Any, session: orm.Session, values: Mapping[str, Any], metadata: Mapping[str, str],
    task: Mapping[str, Any] | None, limits: Mapping[str, int] | None,
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Like ``create``, over a deleted row of the same id; what ``values`` lacks becomes null or 0.

    :raises BackupExists: the row is live
    :raises BackupNotFound: there is no row
    :raises OverQuota: a limit would be passed
    """
    blank = {column.name: 0 if isinstance(column.type, sa.Integer) else None
             for column in _table.c if column.name != 'id'}
    changed = statements.count_changed(
        session,
        sa.update(_table).where(_table.c.id == values['id'], _table.c.deleted == sa.true())
        .values({**blank, 'created_at': _now(), **values, 'deleted': False, 'deleted_at': None}))
    if not changed:
        known = session.scalar(sa.select(_table.c.id).where(_table.c.id == values['id']))
        raise (exception.BackupNotFound if known is None else exception.BackupExists)(
            backup_id=values['id'])
    _write_pairs(session, values['id'], metadata, _all_pairs(session, values['id']))
    task_row = None if task is None else tasks.create(context, task)
    row = _row(session, values['id'])
    quotas.consume(context, row['project_id'], _amounts(row), limits)
    return row, task_row


def _row(session: orm.Session, backup_id: str) -> dict[str, Any]:
    """Return a row that the caller has just written."""
    row = session.execute(sa.select(_table).where(_table.c.id == backup_id)).mappings().one()
    return _with_metadata(session, [row])[0]


def _swap(
    session: orm.Session, backup_id: str, expected: Collection[str], values: Mapping[str, Any],
) -> bool:
    """Change a live backup whose status is one of ``expected``; False: it is not."""
    changed = statements.count_changed(
        session,
        sa.update(_table).where(
            _table.c.id == backup_id, _table.c.deleted == sa.false(),
            _table.c.status.in_(sorted(expected)))
        .values({'updated_at': _now(), **values}))
    return changed == 1


def _raise_changed(
    context: Any, session: orm.Session, backup_id: str, expected: Collection[str],
) -> None:
    # Locked, so that MariaDB shows the committed status, not the one of this transaction's start.
    row = session.execute(
        sa.select(_table.c.status, _table.c.deleted).where(_table.c.id == backup_id)
        .with_for_update()).first()
    if row is None or row.deleted:
        raise exception.BackupNotFound(backup_id=backup_id)
    raise exception.BackupChanged(
        backup_id=backup_id, expected=sorted(expected), status=row.status)


@engine.writer
def transition(
    context: Any, session: orm.Session, backup_id: str, expected: Collection[str],
    values: Mapping[str, Any], task: Mapping[str, Any] | None = None,
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Change a backup's status if it is one of ``expected``, and insert the task that follows.

    :raises BackupChanged: the status is another one
    :raises BackupNotFound: the backup was deleted
    """
    if not _swap(session, backup_id, expected, values):
        _raise_changed(context, session, backup_id, expected)
    task_row = None if task is None else tasks.create(context, task)
    return _row(session, backup_id), task_row


@engine.writer
def end(
    context: Any, session: orm.Session, backup_id: str, expected: Collection[str],
    values: Mapping[str, Any], task: Mapping[str, Any], state: str, error: str | None,
) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """End a task and give the backup the status that follows from it.

    Where the status is not one of ``expected`` (it was reset, or a forced delete came between) it
    is left alone and the task ends all the same.

    :param task: id, owner and attempt of who holds it
    :returns: (the backup's row, or None where it was left alone; the task's row)
    :raises LeaseLost: the task is held no more; nothing was changed
    """
    task_row = tasks.end(
        context, task['id'], task['owner'], task['attempt'], state, error)
    changed = _swap(session, backup_id, expected, values)
    return (_row(session, backup_id) if changed else None), task_row


@engine.writer
def destroy(
    context: Any, session: orm.Session, backup_id: str, task: Mapping[str, Any] | None,
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Delete a backup softly with its metadata and give its quota back; once, if called again.

    :param task: id, owner and attempt of the task that ends with this
    :returns: (the backup's row, None if there is none; the task's row)
    :raises LeaseLost: the task is held no more; nothing was changed
    """
    task_row = None
    if task is not None:
        task_row = tasks.end(
            context, task['id'], task['owner'], task['attempt'], states.DONE)
    now = _now()
    changed = statements.count_changed(
        session,
        sa.update(_table).where(_table.c.id == backup_id, _table.c.deleted == sa.false())
        .values(deleted=True, deleted_at=now, updated_at=now, status=states.DELETED))
    row = session.execute(
        sa.select(_table).where(_table.c.id == backup_id)).mappings().first()
    if changed and row is not None:
        session.execute(
            sa.update(_pairs).where(
                _pairs.c.backup_id == backup_id, _pairs.c.deleted == sa.false())
            .values(deleted=True, deleted_at=now))
        quotas.consume(
            context, row['project_id'],
            {name: -amount for name, amount in _amounts(dict(row)).items()}, None)
    return (None if row is None else {**row, 'metadata': {}}), task_row


@engine.writer
def update(
    context: Any, session: orm.Session, backup_id: str, values: Mapping[str, Any],
) -> dict[str, Any]:
    """Change columns of a live backup that are neither its status nor counted by quota.

    :raises BackupNotFound: there is no live one
    """
    changed = statements.count_changed(
        session,
        sa.update(_table).where(_table.c.id == backup_id, _table.c.deleted == sa.false())
        .values({'updated_at': _now(), **values}))
    if not changed:
        raise exception.BackupNotFound(backup_id=backup_id)
    return _row(session, backup_id)


# Metadata ----------------------------------------------------------------------------------------


def version_of(metadata: Mapping[str, str]) -> str:
    """Return the version of a set of pairs: equal for equal pairs and for no others."""
    text = json.dumps(sorted(metadata.items()), separators=(',', ':'))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _all_pairs(session: orm.Session, backup_id: str) -> dict[str, Any]:
    """Return key → row, deleted ones too."""
    rows = session.execute(sa.select(_pairs).where(_pairs.c.backup_id == backup_id))
    return {row.key: row for row in rows}


def _write_pairs(
    session: orm.Session, backup_id: str, wanted: Mapping[str, str], known: Mapping[str, Any],
) -> bool:
    """Make ``wanted`` the pairs of a backup; return whether anything changed."""
    now = _now()
    new = [{'backup_id': backup_id, 'key': key, 'value': value, 'created_at': now}
           for key, value in wanted.items() if key not in known]
    if new:
        session.execute(sa.insert(_pairs), new)
    for key, value in wanted.items():
        row = known.get(key)
        if row is not None and (row.deleted or row.value != value):
            session.execute(
                sa.update(_pairs).where(_pairs.c.id == row.id)
                .values(value=value, deleted=False, deleted_at=None, updated_at=now))
            new.append({})
    gone = [row.id for key, row in known.items() if key not in wanted and not row.deleted]
    if gone:
        session.execute(
            sa.update(_pairs).where(_pairs.c.id.in_(gone)).values(deleted=True, deleted_at=now))
    return bool(new or gone)


def _lock_pairs(
    context: Any, session: orm.Session, backup_id: str, if_match: str | None,
) -> tuple[dict[str, Any], dict[str, str]]:
    """Lock a backup for a change of its metadata; return its rows by key, and its live pairs.

    :raises BackupNotFound: there is no live backup
    :raises MetadataChanged: the pairs are not those of ``if_match``
    """
    locked = session.execute(
        sa.select(_table.c.id).where(
            _table.c.id == backup_id, _table.c.deleted == sa.false(), *_visible(context))
        .with_for_update()).first()
    if locked is None:
        raise exception.BackupNotFound(backup_id=backup_id)
    known = _all_pairs(session, backup_id)
    live = {key: row.value for key, row in known.items() if not row.deleted}
    if if_match is not None and version_of(live) != if_match:
        raise exception.MetadataChanged(backup_id=backup_id)
    return known, live


@engine.writer
def set_metadata(
    context: Any, session: orm.Session, backup_id: str, pairs: Mapping[str, str], replace: bool,
    if_match: str | None, limit: int | None = None,
) -> dict[str, Any]:
    """Merge pairs into a backup's metadata, or replace all of it, and return the backup's row.

    :param limit: how many pairs there may be then, unless there are as many already
    :raises BackupNotFound: there is no live backup
    :raises MetadataChanged: the version is not ``if_match``
    :raises MetadataLimitExceeded: there would be more than ``limit``
    """
    known, live = _lock_pairs(context, session, backup_id, if_match)
    wanted = dict(pairs) if replace else {**live, **pairs}
    if limit is not None and len(wanted) > max(limit, len(live)):
        raise exception.MetadataLimitExceeded(limit=limit)
    _write_pairs(session, backup_id, wanted, known)
    return _row(session, backup_id)


@engine.writer
def delete_metadata(
    context: Any, session: orm.Session, backup_id: str, key: str, if_match: str | None,
) -> dict[str, Any]:
    """Take one pair away and return the backup's row.

    :raises BackupNotFound: there is no live backup
    :raises BackupMetadataNotFound: it has no such key
    :raises MetadataChanged: the version is not ``if_match``
    """
    known, live = _lock_pairs(context, session, backup_id, if_match)
    if key not in live:
        raise exception.BackupMetadataNotFound()
    del live[key]
    _write_pairs(session, backup_id, live, known)
    return _row(session, backup_id)
