# SPDX-License-Identifier: Apache-2.0
"""Backups: the six calls."""

import contextlib
import dataclasses
from collections.abc import Callable

from backupsvc import conf, exception
from backupsvc.api.hp_v1_1.backups import schemas, views
from backupsvc.orchestration import aliases, backups, restores
from backupsvc.wsgi import pagination, validation

#: The oldest first, as numbers are given.
_SORT = (('created_at', 'asc'), ('id', 'asc'))


@validation.query(schemas.LIST_QUERY)
@validation.response(schemas.LIST)
def list_backups(req):
    """List backups with id and status; 200."""
    return _list(req, views.summary)


@validation.query(schemas.LIST_QUERY)
@validation.response(schemas.DETAIL)
def list_backup_details(req):
    """List backups with all their fields; 200."""
    return _list(req, views.detail)


def _list(req, view: Callable) -> dict:
    limit, marker, _ = pagination.page(req.query, conf.current().api.max_limit)
    query = backups.BackupQuery(limit=limit, sort=_SORT)
    with contextlib.ExitStack() as stack:
        if marker is not None:
            query = dataclasses.replace(query, marker=stack.enter_context(
                aliases.meant(req.context, aliases.BACKUP, marker)))
        found = backups.list_(req.context, query).backups
    names = aliases.names_of(req.context, found)
    body: dict = {'backups': [view(backup, names) for backup in found]}
    links = pagination.next_links(req, [item['id'] for item in body['backups']], limit)
    return {**body, 'backups_links': links} if links else body


@validation.query(schemas.NO_QUERY)
@validation.response(schemas.SHOW)
def show_backup(req):
    """Show a backup; 200."""
    with aliases.meant(req.context, aliases.BACKUP, req.path_params['backup_id']) as backup_id:
        backup = backups.get(req.context, backup_id)
    return {'backup': views.detail(backup, aliases.names_of(req.context, [backup]))}


@validation.body(schemas.CREATE)
@validation.response(schemas.CREATED)
def create_backup(req):
    """Start a backup of a volume that is not in use; 200 with its summary."""
    wanted = req.json['backup']
    with aliases.meant(req.context, aliases.VOLUME, str(wanted['volume_id'])) as volume_id:
        backup = backups.create(req.context, backups.NewBackup(
            origin='hp_v1_1',
            source_id=volume_id,
            name=wanted.get('display_name'),
            description=wanted.get('display_description'),
            container=wanted.get('container'),
        ))
    return {'backup': views.created(backup, aliases.names_of(req.context, [backup]))}


@validation.response(None, status=202)
def delete_backup(req):
    """Start to delete a backup; 202."""
    given = req.path_params['backup_id']
    with aliases.meant(
        req.context, aliases.BACKUP, given, missing=exception.NotFound
    ) as backup_id:
        backups.delete(req.context, backup_id)


@validation.body(schemas.RESTORE)
@validation.response(schemas.RESTORED)
def restore_backup(req):
    """Start to restore a backup into a volume, a new one unless it is named; 200 with both ids."""
    given = req.json['restore'].get('volume_id')
    with contextlib.ExitStack() as stack:
        backup_id = stack.enter_context(
            aliases.meant(req.context, aliases.BACKUP, req.path_params['backup_id']))
        volume_id = None if given is None else stack.enter_context(
            aliases.meant(req.context, aliases.VOLUME, str(given)))
        restored = restores.restore(req.context, backup_id, volume_id=volume_id)
    return {
        'restore': {
            'backup_id': aliases.name_of(req.context, aliases.BACKUP, restored.backup_id),
            'volume_id': aliases.name_of(req.context, aliases.VOLUME, restored.volume_id),
        }
    }
