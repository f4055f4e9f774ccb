# SPDX-License-Identifier: Apache-2.0
"""Repositories that hold or held backups, and which of them it is time to prune or verify."""

import datetime
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from oslo_utils import uuidutils
from sqlalchemy import orm

from backupsvc import states
from backupsvc.db import engine, models, statements, types

_table = models.repositories


def _is(driver: str, project_id: str, container: str) -> sa.ColumnElement[bool]:
    return sa.and_(_table.c.driver == driver, _table.c.project_id == project_id,
                   _table.c.container == container)


@engine.writer
def get_or_create(
    context: Any, session: orm.Session, driver: str, project_id: str, container: str,
) -> dict[str, Any]:
    """Return the row of a repository, made when it is the first mention."""
    query = sa.select(_table).where(_is(driver, project_id, container))
    row = session.execute(query).mappings().first()
    if row is None:
        session.execute(statements.insert_if_absent(session, _table, {
            'id': uuidutils.generate_uuid(), 'driver': driver, 'project_id': project_id,
            'container': container, 'created_at': datetime.datetime.now(datetime.UTC)}))
        # Locked, so that MariaDB shows the row of whoever was faster.
        row = session.execute(query.with_for_update()).mappings().one()
    return dict(row)


@engine.writer
def mark_deleted_backup(
    context: Any, session: orm.Session, driver: str, project_id: str, container: str,
) -> dict[str, Any]:
    """Note that a backup of a repository was deleted, and return the repository's row."""
    repository = get_or_create(context, driver, project_id, container)
    return _change(session, repository['id'], {
        'deleted_backups': _table.c.deleted_backups + 1, 'last_deleted_at': types.utc_now()})


def _change(
    session: orm.Session, repository_id: str, values: Mapping[str, Any],
) -> dict[str, Any]:
    session.execute(
        sa.update(_table).where(_table.c.id == repository_id)
        .values({**values, 'updated_at': types.utc_now()}))
    return dict(session.execute(
        sa.select(_table).where(_table.c.id == repository_id)).mappings().one())


@engine.writer
def mark_pruned(
    context: Any, session: orm.Session, repository_id: str, covered: int,
) -> dict[str, Any]:
    """Note that a prune ended.

    :param covered: ``deleted_backups`` as it was when the prune began: what was deleted since then
        stays due
    """
    remaining = sa.case(
        (_table.c.deleted_backups > covered, _table.c.deleted_backups - covered), else_=0)
    return _change(session, repository_id, {
        'deleted_backups': remaining, 'last_pruned_at': types.utc_now()})


@engine.writer
def mark_verified(context: Any, session: orm.Session, repository_id: str) -> dict[str, Any]:
    """Note that a verify ended."""
    return _change(session, repository_id, {'last_verified_at': types.utc_now()})


@engine.reader
def list_(
    context: Any, session: orm.Session, filters: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Return rows by creation time.

    :param filters: column → value or values
    """
    query = sa.select(_table).where(
        *(statements.matches(_table.c[name], wanted) for name, wanted in filters.items()))
    query = query.order_by(_table.c.created_at, _table.c.id)
    return [dict(row) for row in session.execute(query).mappings()]


@engine.reader
def due_for_prune(
    context: Any, session: orm.Session, interval_s: float,
) -> list[dict[str, Any]]:
    """Return repositories with deletions whose last prune is ``interval_s`` or more ago."""
    query = sa.select(_table).where(
        _table.c.deleted_backups > 0,
        sa.or_(_table.c.last_pruned_at.is_(None),
               _table.c.last_pruned_at <= types.utc_now(-interval_s)))
    query = query.order_by(_table.c.last_deleted_at, _table.c.id)
    return [dict(row) for row in session.execute(query).mappings()]


@engine.reader
def due_for_verify(
    context: Any, session: orm.Session, interval_s: float,
) -> list[dict[str, Any]]:
    """Return repositories that were made and last verified ``interval_s`` or more ago and hold
    backups of their own project.
    """
    backups = models.backups
    before = types.utc_now(-interval_s)
    holds_some = sa.exists().where(
        backups.c.project_id == _table.c.project_id, backups.c.deleted == sa.false(),
        backups.c.repository == _table.c.driver, backups.c.container == _table.c.container,
        backups.c.status == states.AVAILABLE)
    query = sa.select(_table).where(
        _table.c.created_at <= before,
        sa.or_(_table.c.last_verified_at.is_(None), _table.c.last_verified_at <= before),
        holds_some)
    query = query.order_by(_table.c.last_verified_at, _table.c.id)
    return [dict(row) for row in session.execute(query).mappings()]
