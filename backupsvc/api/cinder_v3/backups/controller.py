# SPDX-License-Identifier: Apache-2.0
"""Backups: list, show, create, update, delete, restore."""

from backupsvc.api.cinder_v3 import listing, versions
from backupsvc.api.cinder_v3.backups import schemas, views
from backupsvc.orchestration import backups, restores
from backupsvc.policies import backups as policies
from backupsvc.wsgi import parameter_types, validation

#: Cinder's names of the attributes that lists can be sorted and, by administrators, filtered by.
ATTRIBUTES = {
    **dict.fromkeys(('name', 'display_name'), 'name'),
    **dict.fromkeys(('description', 'display_description'), 'description'),
    'volume_id': 'source_id',
    'size': 'size_gb',
    **{name: name for name in (
        'id', 'status', 'project_id', 'user_id', 'parent_id', 'container', 'snapshot_id',
        'fail_reason', 'availability_zone', 'host', 'object_count', 'encryption_key_id',
        'created_at', 'updated_at', 'data_timestamp')},
}
_FILTERS = {**ATTRIBUTES, 'name~': 'name~', 'display_name~': 'name~', 'metadata': 'metadata'}


@validation.query(schemas.LIST_QUERY)
@validation.response(schemas.LIST, until=versions.before(versions.COUNT_IN_LISTS))
@validation.response(schemas.LIST_3_45, since=versions.COUNT_IN_LISTS)
def list_backups(req):
    """List backups with id, name and links; 200."""
    query = _query(req)
    page = backups.list_(req.context, query)
    items = [views.summary(req, backup) for backup in page.backups]
    return views.collection(req, items, page, query.limit)


@validation.query(schemas.LIST_QUERY)
@validation.response(schemas.DETAIL, until=versions.before(versions.BACKUP_PROJECT))
@validation.response(schemas.DETAIL_3_18, since=versions.BACKUP_PROJECT,
                     until=versions.before(versions.BACKUP_METADATA))
@validation.response(schemas.DETAIL_3_43, since=versions.BACKUP_METADATA,
                     until=versions.before(versions.COUNT_IN_LISTS))
@validation.response(schemas.DETAIL_3_45, since=versions.COUNT_IN_LISTS,
                     until=versions.before(versions.BACKUP_USER_ID))
@validation.response(schemas.DETAIL_3_56, since=versions.BACKUP_USER_ID,
                     until=versions.before(versions.ENCRYPTION_KEY_ID))
@validation.response(schemas.DETAIL_3_64, since=versions.ENCRYPTION_KEY_ID)
def list_backup_details(req):
    """List backups with all their fields; 200."""
    query = _query(req)
    page = backups.list_(req.context, query)
    shows_owner = req.context.can(policies.PROJECT_ATTRIBUTE)
    items = [
        views.detail(req, backup, bool(page.dependents.get(backup.id)), shows_owner)
        for backup in page.backups
    ]
    return views.collection(req, items, page, query.limit)


def _query(req) -> backups.BackupQuery:
    return backups.BackupQuery(**listing.query(req, 'backup', _FILTERS, ATTRIBUTES))


@validation.query(schemas.NO_QUERY)
@validation.response(schemas.SHOW, until=versions.before(versions.BACKUP_PROJECT))
@validation.response(schemas.SHOW_3_18, since=versions.BACKUP_PROJECT,
                     until=versions.before(versions.BACKUP_METADATA))
@validation.response(schemas.SHOW_3_43, since=versions.BACKUP_METADATA,
                     until=versions.before(versions.BACKUP_USER_ID))
@validation.response(schemas.SHOW_3_56, since=versions.BACKUP_USER_ID,
                     until=versions.before(versions.ENCRYPTION_KEY_ID))
@validation.response(schemas.SHOW_3_64, since=versions.ENCRYPTION_KEY_ID)
def show_backup(req):
    """Show a backup; 200."""
    backup = backups.get(req.context, req.path_params['backup_id'])
    dependents = backups.count_dependents(req.context, [backup.id])
    return {
        'backup': views.detail(
            req, backup, bool(dependents.get(backup.id)),
            req.context.can(policies.PROJECT_ATTRIBUTE))
    }


@validation.body(schemas.CREATE, until=versions.before(versions.BACKUP_METADATA))
@validation.body(schemas.CREATE_3_43, since=versions.BACKUP_METADATA,
                 until=versions.before(versions.BACKUP_AVAILABILITY_ZONE))
@validation.body(schemas.CREATE_3_51, since=versions.BACKUP_AVAILABILITY_ZONE)
@validation.response(schemas.SUMMARY, status=202)
def create_backup(req):
    """Start a backup of a volume or of one of its snapshots; 202 with its summary."""
    wanted = req.json['backup']
    backup = backups.create(req.context, backups.NewBackup(
        origin='cinder_v3',
        source_id=wanted['volume_id'],
        snapshot_id=wanted.get('snapshot_id'),
        name=_stripped(wanted.get('name')),
        description=_stripped(wanted.get('description')),
        container=wanted.get('container'),
        availability_zone=wanted.get('availability_zone'),
        force=parameter_types.to_bool(wanted.get('force', False)),
        parent=(
            backups.LATEST if parameter_types.to_bool(wanted.get('incremental', False)) else None),
        metadata=wanted.get('metadata') or {},
    ))
    return {'backup': views.summary(req, backup)}


@validation.body(schemas.UPDATE_3_9, until=versions.before(versions.BACKUP_METADATA))
@validation.body(schemas.UPDATE_3_43, since=versions.BACKUP_METADATA)
@validation.response(schemas.SUMMARY)
def update_backup(req):
    """Change the name or the description, replace the metadata; 200 with the summary."""
    wanted = req.json['backup']
    changes = {
        name: _stripped(wanted[name]) for name in ('name', 'description') if name in wanted
    }
    backup = backups.update(
        req.context, req.path_params['backup_id'], changes=changes,
        metadata=wanted.get('metadata'))
    return {'backup': views.summary(req, backup)}


def _stripped(text: str | None) -> str | None:
    return text.strip() if text else text


@validation.response(None, status=202)
def delete_backup(req):
    """Start to delete a backup; 202."""
    backups.delete(req.context, req.path_params['backup_id'])


@validation.body(schemas.RESTORE)
@validation.response(schemas.RESTORED, status=202)
def restore_backup(req):
    """Start to restore a backup into a new or an existing volume; 202 with the volume."""
    wanted = req.json['restore']
    restored = restores.restore(
        req.context, req.path_params['backup_id'], volume_id=wanted.get('volume_id'),
        name=_stripped(wanted.get('name')))
    return views.restore(restored)
