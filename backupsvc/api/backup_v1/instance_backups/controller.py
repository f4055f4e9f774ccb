# SPDX-License-Identifier: Apache-2.0
"""Instance backups: list, show, create, update, delete."""

from backupsvc.api.backup_v1 import ids, listing, shapes
from backupsvc.api.backup_v1 import views as shared_views
from backupsvc.api.backup_v1.instance_backups import schemas, views
from backupsvc.orchestration import instance_backups, sets
from backupsvc.policies import backups as backup_policies
from backupsvc.wsgi import parameter_types, validation


@validation.query(schemas.LIST_QUERY)
@validation.response(schemas.LIST)
def list_backups(req):
    """List the backups of instances, the newest first; 200."""
    wanted = listing.read(req, 'instance_id', 'instance_id')
    page = instance_backups.list_(req.context, sets.SetQuery(
        limit=wanted.limit, marker=wanted.marker, filters=wanted.filters,
        all_projects=wanted.all_projects))
    shows_owner = req.context.can(backup_policies.PROJECT_ATTRIBUTE)
    items = [views.detail(backup, shows_owner=shows_owner) for backup in page.items]
    return shared_views.collection(req, 'backups', items, wanted.limit)


@validation.query(shapes.NO_QUERY)
@validation.response(schemas.SHOW)
def show_backup(req):
    """Show a backup of an instance, its volume backups, and how far the work on it is; 200."""
    backup = instance_backups.get(req.context, ids.of(req, 'instance_backup_id'))
    shows_owner = req.context.can(backup_policies.PROJECT_ATTRIBUTE)
    return {'backup': views.detail(backup, shows_owner=shows_owner)}


@validation.body(schemas.CREATE)
@validation.response(schemas.ID, status=201)
def create_backup(req):
    """Start a backup of all volumes of an instance at one moment; 201 with its id."""
    wanted = req.json['backup']
    backup = instance_backups.create(req.context, instance_backups.NewInstanceBackup(
        origin='backup_v1',
        instance_id=wanted['instance_id'],
        name=shared_views.stripped(wanted.get('name')),
        description=shared_views.stripped(wanted.get('description')),
        container=wanted.get('container'),
        incremental=parameter_types.to_bool(wanted.get('incremental', False)),
        metadata=wanted.get('metadata') or {},
    ))
    return shared_views.id_of('backup', backup.record.id)


@validation.body(shapes.UPDATE)
@validation.response(None, status=201)
def update_backup(req):
    """Change the name or the description, replace the metadata; 201."""
    wanted = req.json['update']
    instance_backups.update(
        req.context, ids.of(req, 'instance_backup_id'), changes=shared_views.changes(wanted),
        metadata=wanted.get('metadata'))


@validation.query(shapes.DELETE_QUERY)
@validation.response(schemas.ID, status=201)
def delete_backup(req):
    """Start to delete a backup of an instance with its volume backups; 201 with its id."""
    backup_id = ids.of(req, 'instance_backup_id')
    instance_backups.delete(req.context, backup_id, force=listing.is_forced(req))
    return shared_views.id_of('backup', backup_id)
