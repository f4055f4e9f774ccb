# SPDX-License-Identifier: Apache-2.0
"""Schemas of snapshots: requests closed, by microversion; answers as strict as Tempest's."""

from backupsvc.api.cinder_v3 import shapes, versions
from backupsvc.wsgi import parameter_types
from backupsvc.wsgi.dialect import Version

CREATE = shapes.under('snapshot', shapes.closed(
    {
        'volume_id': parameter_types.uuid,
        'name': parameter_types.name,
        'display_name': parameter_types.name,
        'description': parameter_types.description,
        'display_description': parameter_types.description,
        'force': {**parameter_types.boolean, 'type': ['boolean', 'string', 'null'],
                  'enum': [*parameter_types.boolean['enum'], None]},
        'metadata': parameter_types.metadata_or_null,
    },
    required=('volume_id',)))

UPDATE = shapes.under('snapshot', shapes.closed(
    {
        'name': parameter_types.name,
        'display_name': parameter_types.name,
        'description': parameter_types.description,
        'display_description': parameter_types.description,
    },
    required=()))

RESET_STATUS = shapes.under('os-reset_status', shapes.closed({'status': {'type': 'string'}}))
FORCE_DELETE: dict = {}

_FIELDS = {
    'id': parameter_types.uuid,
    'volume_id': parameter_types.uuid,
    'name': shapes.string_or_null,
    'description': shapes.string_or_null,
    'status': {'type': 'string'},
    'size': {'type': 'integer'},
    'created_at': parameter_types.timestamp_or_null,
    'updated_at': parameter_types.timestamp_or_null,
    'metadata': {'type': 'object', 'additionalProperties': {'type': 'string'}},
}
_LATER = {
    'group_snapshot_id': (versions.GROUP_SNAPSHOTS, {'type': 'null'}),
    'user_id': (versions.SNAPSHOT_USER_ID, shapes.string_or_null),
    'consumes_quota': (versions.CONSUMES_QUOTA, {'type': 'boolean'}),
}
_EXTENSIONS = {
    'os-extended-snapshot-attributes:progress': {'type': 'string'},
    'os-extended-snapshot-attributes:project_id': {'type': 'string'},
}

CHANGES = sorted(since for since, _ in _LATER.values())
LIST_CHANGES = sorted({*CHANGES, versions.COUNT_IN_LISTS})


def _snapshot(version: Version, extensions: dict) -> dict:
    later = {name: schema for name, (since, schema) in _LATER.items() if version >= since}
    fields = {**_FIELDS, **later}
    return shapes.closed({**fields, **extensions}, list(fields))


def created(version: Version) -> dict:
    """Return the answer to a create or an update."""
    return shapes.under('snapshot', _snapshot(version, {}))


def shown(version: Version) -> dict:
    """Return the answer to a show."""
    return shapes.under('snapshot', _snapshot(version, _EXTENSIONS))


def listed(version: Version) -> dict:
    """Return a list."""
    return shapes.collection(
        'snapshots', _snapshot(version, {}), counted=version >= versions.COUNT_IN_LISTS)


def detailed(version: Version) -> dict:
    """Return a list with the extended attributes."""
    return shapes.collection(
        'snapshots', _snapshot(version, _EXTENSIONS), counted=version >= versions.COUNT_IN_LISTS)
