# SPDX-License-Identifier: Apache-2.0
"""Backups as Cinder v3 shows them."""

from backupsvc.api.cinder_v3 import versions, views
from backupsvc.wsgi import pagination


def summary(req, backup) -> dict:
    """Return what a create, an update and the short list show."""
    return {
        'id': backup.id,
        'name': backup.name,
        'links': views.links(req, 'backups', backup.id),
    }


def detail(req, backup, has_dependents: bool, shows_owner: bool) -> dict:
    """Return all that the request's microversion knows of a backup.

    :param has_dependents: whether live backups were made from this one
    :param shows_owner: whether the caller may see the project and the user
    """
    body = {
        **summary(req, backup),
        'status': backup.status,
        'size': backup.size_gb,
        'object_count': backup.object_count or 0,
        'availability_zone': backup.availability_zone,
        'container': backup.container,
        'created_at': views.date(backup.created_at),
        'updated_at': views.date(backup.updated_at),
        'data_timestamp': views.date(backup.data_timestamp),
        'description': backup.description,
        'fail_reason': backup.fail_reason,
        'volume_id': backup.source_id,
        'is_incremental': backup.parent_id is not None,
        'has_dependent_backups': has_dependents,
        'snapshot_id': backup.snapshot_id,
    }
    if req.version >= versions.BACKUP_PROJECT and shows_owner:
        body['os-backup-project-attr:project_id'] = backup.project_id
    if req.version >= versions.BACKUP_METADATA:
        body['metadata'] = dict(backup.metadata)
    if req.version >= versions.BACKUP_USER_ID and shows_owner:
        body['user_id'] = backup.user_id
    if req.version >= versions.ENCRYPTION_KEY_ID and backup.encryption_key_id:
        body['encryption_key_id'] = backup.encryption_key_id
    return body


def collection(req, items: list[dict], page, limit: int) -> dict:
    """Return a list body: the items, the link to the next page, the count if asked for."""
    body: dict = {'backups': items}
    links = pagination.next_links(req, [item['id'] for item in items], limit)
    if links:
        body['backups_links'] = links
    if page.count is not None:
        body['count'] = page.count
    return body


def restore(restored) -> dict:
    """Return the answer to a restore: which volume the backup goes to."""
    return {
        'restore': {
            'backup_id': restored.backup_id,
            'volume_id': restored.volume_id,
            'volume_name': restored.volume_name,
        }
    }
