# SPDX-License-Identifier: Apache-2.0
"""Instance backups as this dialect shows them."""

from backupsvc.api.backup_v1 import views


def detail(backup, *, shows_owner: bool) -> dict:
    """Return all there is to know of an instance backup, its members in short.

    :param backup: an ``orchestration.instance_backups.InstanceBackup``
    :param shows_owner: whether the caller may see the project and the user
    """
    body = {
        **views.set_fields(backup.record),
        'container': backup.record.container,
        'is_incremental': backup.record.is_incremental,
        'logical_bytes': sum(member.logical_bytes for member in backup.members),
        'stored_bytes': sum(member.stored_bytes for member in backup.members),
        'volume_backups': [_member(member) for member in backup.members],
        'progress': views.progress(backup.progress),
    }
    if shows_owner:
        body.update(views.owner(backup.record))
    return body


def _member(member) -> dict:
    return {
        'id': member.id,
        'volume_id': member.source_id,
        'status': views.status(member),
        'fail_reason': member.fail_reason,
        'size': member.size_gb,
        'stored_bytes': member.stored_bytes,
    }
