# SPDX-License-Identifier: Apache-2.0
"""Backups of instances: list, show, create, delete."""

import urllib.parse

from oslo_utils import strutils

from backupsvc import exception
from backupsvc.api.database_v1 import forms, listing, references, shapes
from backupsvc.api.database_v1 import views as common
from backupsvc.api.database_v1.backups import schemas, views
from backupsvc.orchestration import database_backups, database_instances
from backupsvc.wsgi import validation


def _views(req, backups) -> list[dict]:
    phases = database_backups.phases(req.context, backups)
    return [views.detail(req, backup, phases.get(backup.id),
                         database_backups.location(req.context, backup)) for backup in backups]


def _page(req, **filters) -> dict:
    limit, offset = listing.limit(req), listing.offset(req)
    found = database_backups.list_(req.context, limit=limit, offset=offset, **filters)
    before = None
    if offset:
        pairs = [(k, v) for k, v in req.query_pairs() if k != 'marker']
        before = urllib.parse.urlencode([*pairs, ('marker', max(0, offset - limit))])
    return common.page(req, 'backups', _views(req, found), listing.next_marker(
        found, limit, lambda last: str(offset + len(found))), before)


@validation.query(shapes.LIST_QUERY)
@forms.answer(schemas.LIST, specified=schemas.SPECIFIED_LIST)
def list_backups(req):
    """List backups, those that changed last first; 200. The marker is a number."""
    return _page(
        req, instance_id=req.query.get('instance_id'), datastore=req.query.get('datastore'),
        project_id=req.query.get('project_id'),
        all_projects=strutils.bool_from_string(req.query.get('all_projects', '')))


@validation.query(shapes.LIST_QUERY)
@forms.answer(schemas.LIST, specified=schemas.SPECIFIED_LIST)
def list_instance_backups(req):
    """List the backups of an instance; 200."""
    instance = database_instances.get(req.context, req.path_params['instance_id'])
    return _page(req, instance_id=instance.id)


@validation.query(shapes.ANY_QUERY)
@forms.answer(schemas.SHOW, specified=schemas.SPECIFIED_SHOW)
def show_backup(req):
    """Show a backup; 200."""
    backup = database_backups.get(req.context, req.path_params['backup_id'])
    return {'backup': _views(req, [backup])[0]}


@validation.body(schemas.CREATE)
@forms.answer(schemas.SHOW, 202, specified=schemas.SPECIFIED_SHOW, specified_status=201)
def create_backup(req):
    """Start to back an instance up; 202, or 201 in the form of the specification."""
    wanted = req.json['backup']
    if wanted.get('restore_from'):
        raise exception.Unsupported()
    if not wanted.get('instance'):
        raise exception.Invalid('instance is missing.')
    parent = wanted.get('parent_id')
    backup = database_backups.create(req.context, database_backups.NewDatabaseBackup(
        origin='database_v1',
        instance_id=references.last_segment(wanted['instance']),
        name=wanted['name'],
        description=wanted.get('description'),
        parent_id=references.last_segment(parent) if parent else None,
        incremental=strutils.bool_from_string(wanted.get('incremental', False)),
        container=wanted.get('swift_container'),
    ))
    return {'backup': views.detail(req, backup, database_backups.NEW, None)}


@forms.answer(None, 202)
def delete_backup(req):
    """Start to delete a backup and all that were made from it; 202."""
    database_backups.delete(req.context, req.path_params['backup_id'])
