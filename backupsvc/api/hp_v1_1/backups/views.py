# SPDX-License-Identifier: Apache-2.0
"""Backups as the HP dialect shows them."""

import datetime

#: Statuses of records that the dialect has no word for.
_STATUSES = {'error_deleting': 'error'}


def summary(backup, names) -> dict:
    """Return what the short list shows."""
    return {'id': names.backups[backup.id], 'status': _status(backup)}


def created(backup, names) -> dict:
    """Return what a create shows."""
    return {
        'id': names.backups[backup.id],
        'display_name': backup.name,
        'display_description': backup.description,
        'volume_id': names.volumes[backup.volume_id],
        'container': backup.container,
        'status': _status(backup),
        'created_at': _date(backup.created_at),
    }


def detail(backup, names) -> dict:
    """Return all that the dialect knows of a backup."""
    return {
        **created(backup, names),
        'fail_reason': backup.fail_reason,
        'size': backup.size_gb,
        'object_count': backup.object_count or 0,
    }


def _status(backup) -> str:
    return _STATUSES.get(backup.status, backup.status)


def _date(value: datetime.datetime) -> str:
    """Return a time in UTC, to the second, with its zone."""
    return value.astimezone(datetime.UTC).strftime('%Y-%m-%dT%H:%M:%SZ')
