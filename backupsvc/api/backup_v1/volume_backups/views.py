# SPDX-License-Identifier: Apache-2.0
"""Volume backups as this dialect shows them."""

from backupsvc.api.backup_v1 import views


def detail(backup, *, has_dependents: bool, progress, shows_owner: bool) -> dict:
    """Return all there is to know of a backup.

    :param has_dependents: whether live backups were made from this one
    :param progress: of what is being done with it; None when nothing is
    :param shows_owner: whether the caller may see the project and the user
    """
    body = {
        'id': backup.id,
        'name': backup.name,
        'description': backup.description,
        'status': views.status(backup),
        'fail_reason': backup.fail_reason,
        'volume_id': backup.source_id,
        'snapshot_id': backup.snapshot_id,
        'set_id': backup.set_id,
        'parent_id': backup.parent_id,
        'is_incremental': backup.is_incremental,
        'has_dependents': has_dependents,
        'container': backup.container,
        'availability_zone': backup.availability_zone,
        'metadata': dict(backup.metadata),
        'size': backup.size_gb,
        'logical_bytes': backup.logical_bytes,
        'stored_bytes': backup.stored_bytes,
        'object_count': backup.object_count,
        'data_timestamp': views.date(backup.data_timestamp),
        'created_at': views.date(backup.created_at),
        'updated_at': views.date(backup.updated_at),
        'progress': views.progress(progress),
    }
    if shows_owner:
        body.update(views.owner(backup))
    return body
