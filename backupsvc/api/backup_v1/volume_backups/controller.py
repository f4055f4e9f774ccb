# SPDX-License-Identifier: Apache-2.0
"""Volume backups: list, show, create, update, delete."""

from backupsvc.api.backup_v1 import ids, listing, shapes
from backupsvc.api.backup_v1 import views as shared_views
from backupsvc.api.backup_v1.volume_backups import schemas, views
from backupsvc.orchestration import backups, progress
from backupsvc.policies import backups as policies
from backupsvc.wsgi import parameter_types, validation


@validation.query(schemas.LIST_QUERY)
@validation.response(schemas.LIST)
def list_backups(req):
    """List the backups of volumes, the newest first; 200."""
    wanted = listing.read(req, 'volume_id', 'source_id')
    filters = dict(wanted.filters)
    if 'status' in filters:
        filters['status'] = shared_views.STATUSES.get(filters['status'], filters['status'])
    page = backups.list_(req.context, backups.BackupQuery(
        limit=wanted.limit, marker=wanted.marker, filters=filters,
        all_projects=wanted.all_projects))
    doing = progress.of(req.context, page.backups)
    shows_owner = req.context.can(policies.PROJECT_ATTRIBUTE)
    items = [
        views.detail(
            backup, has_dependents=bool(page.dependents.get(backup.id)),
            progress=doing.get(backup.id), shows_owner=shows_owner)
        for backup in page.backups
    ]
    return shared_views.collection(req, 'backups', items, wanted.limit)


@validation.query(shapes.NO_QUERY)
@validation.response(schemas.SHOW)
def show_backup(req):
    """Show a backup of a volume, and how far the work on it is; 200."""
    backup = backups.get(req.context, ids.of(req, 'backup_id'))
    dependents = backups.count_dependents(req.context, [backup.id])
    return {
        'backup': views.detail(
            backup, has_dependents=bool(dependents.get(backup.id)),
            progress=progress.of(req.context, [backup]).get(backup.id),
            shows_owner=req.context.can(policies.PROJECT_ATTRIBUTE))
    }


@validation.body(schemas.CREATE)
@validation.response(schemas.ID, status=201)
def create_backup(req):
    """Start a backup of a volume or of one of its snapshots; 201 with its id."""
    wanted = req.json['backup']
    is_incremental = parameter_types.to_bool(wanted.get('incremental', False))
    backup = backups.create(req.context, backups.NewBackup(
        origin='backup_v1',
        source_id=wanted['volume_id'],
        snapshot_id=wanted.get('snapshot_id'),
        name=shared_views.stripped(wanted.get('name')),
        description=shared_views.stripped(wanted.get('description')),
        container=wanted.get('container'),
        force=parameter_types.to_bool(wanted.get('force', False)),
        parent=backups.LATEST if is_incremental else None,
        missing_parent=backups.FULL,
        metadata=wanted.get('metadata') or {},
    ))
    return shared_views.id_of('backup', backup.id)


@validation.body(shapes.UPDATE)
@validation.response(None, status=201)
def update_backup(req):
    """Change the name or the description, replace the metadata; 201."""
    wanted = req.json['update']
    backups.update(
        req.context, ids.of(req, 'backup_id'), changes=shared_views.changes(wanted),
        metadata=wanted.get('metadata'))


@validation.query(shapes.DELETE_QUERY)
@validation.response(schemas.ID, status=201)
def delete_backup(req):
    """Start to delete a backup of a volume; 201 with its id."""
    backup_id = ids.of(req, 'backup_id')
    delete = backups.force_delete if listing.is_forced(req) else backups.delete
    delete(req.context, backup_id)
    return shared_views.id_of('backup', backup_id)
