# SPDX-License-Identifier: Apache-2.0
"""From Cinder's JSON to volumes and snapshots."""

import datetime
from collections.abc import Mapping
from typing import Any

from backupsvc.drivers.base import Snapshot, Volume

#: Where Cinder says whose a volume is.
PROJECT = 'os-vol-tenant-attr:tenant_id'
_SNAPSHOT_PROJECT = 'os-extended-snapshot-attributes:project_id'

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)

#: Key under which a snapshot of ours says which task it was made for.
TASK = 'backupsvc_task'
#: Key of what it is for, and the values.
USE = 'backupsvc_use'
TEMPORARY = 'temporary'
TAKEN = 'taken'
KEPT = 'kept'
#: Key of which deployment of the service it is of: others share the cloud, and maybe its user.
DEPLOYMENT = 'backupsvc_deployment'
#: Key of the volume that a temporary volume is a copy of.
ORIGIN = 'backupsvc_volume'


def volume(shown: Mapping[str, Any], **values: Any) -> Volume:
    """Return a volume; ``values`` replace what Cinder says."""
    return Volume(**{
        'id': shown['id'],
        'project_id': owner_of(shown),
        'user_id': shown.get('user_id'),
        'name': shown.get('name'),
        'description': shown.get('description'),
        'status': shown['status'],
        'size_gb': shown['size'],
        'created_at': time_of(shown.get('created_at')) or _EPOCH,
        'updated_at': time_of(shown.get('updated_at')),
        'availability_zone': shown.get('availability_zone'),
        'volume_type': shown.get('volume_type'),
        'bootable': str(shown.get('bootable')).lower() == 'true',
        'multiattach': bool(shown.get('multiattach')),
        'encrypted': bool(shown.get('encrypted')),
        'encryption_key_id': shown.get('encryption_key_id'),
        'snapshot_id': shown.get('snapshot_id'),
        'source_volid': shown.get('source_volid'),
        'host': shown.get('os-vol-host-attr:host'),
        'metadata': dict(shown.get('metadata') or {}),
        'image_metadata': dict(shown.get('volume_image_metadata') or {}),
        'attachments': tuple(shown.get('attachments') or ()),
        **values})


def snapshot(shown: Mapping[str, Any], **values: Any) -> Snapshot:
    """Return a snapshot; our own marks are no metadata of the user's."""
    return Snapshot(**{
        'id': shown['id'],
        'volume_id': shown['volume_id'],
        'project_id': owner_of(shown),
        'user_id': shown.get('user_id'),
        'name': shown.get('name'),
        'description': shown.get('description'),
        'status': shown['status'],
        'size_gb': shown['size'],
        'created_at': time_of(shown.get('created_at')) or _EPOCH,
        'updated_at': time_of(shown.get('updated_at')),
        'metadata': {key: value for key, value in (shown.get('metadata') or {}).items()
                     if key not in (TASK, USE, DEPLOYMENT, ORIGIN)},
        **values})


def owner_of(shown: Mapping[str, Any]) -> str:
    """Return the project of a volume or snapshot; only administrators are told."""
    return shown.get(PROJECT) or shown.get(_SNAPSHOT_PROJECT) or ''


def use_of(shown: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return what a snapshot or volume of ours is for, and for which task."""
    metadata = shown.get('metadata') or {}
    return metadata.get(USE), metadata.get(TASK)


def time_of(text: str | None) -> datetime.datetime | None:
    """Return a time of Cinder's, which is UTC without saying so."""
    if text is None:
        return None
    found = datetime.datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=datetime.UTC)
