# SPDX-License-Identifier: Apache-2.0
"""Schemas of volume backups."""

from backupsvc.api.backup_v1 import shapes
from backupsvc.wsgi import parameter_types

LIST_QUERY = shapes.list_query('volume_id')

CREATE = shapes.under(
    'backup',
    shapes.closed(
        {
            'volume_id': parameter_types.uuid,
            'name': parameter_types.name,
            'description': parameter_types.description,
            'metadata': parameter_types.metadata_or_null,
            'container': parameter_types.container,
            'incremental': parameter_types.boolean,
            'force': parameter_types.boolean,
            'snapshot_id': parameter_types.uuid_or_null,
        },
        required=('volume_id',),
    ),
)

_FIELDS = {
    'id': parameter_types.uuid,
    'name': shapes.string_or_null,
    'description': shapes.string_or_null,
    'status': {'type': 'string'},
    'fail_reason': shapes.string_or_null,
    'volume_id': parameter_types.uuid,
    'snapshot_id': parameter_types.uuid_or_null,
    'set_id': parameter_types.uuid_or_null,
    'parent_id': parameter_types.uuid_or_null,
    'is_incremental': {'type': 'boolean'},
    'has_dependents': {'type': 'boolean'},
    'container': shapes.string_or_null,
    'availability_zone': shapes.string_or_null,
    'metadata': parameter_types.metadata,
    'size': {'type': 'integer'},
    'logical_bytes': {'type': 'integer'},
    'stored_bytes': {'type': 'integer'},
    'object_count': {'type': 'integer'},
    'data_timestamp': shapes.timestamp_or_null,
    'created_at': shapes.timestamp_or_null,
    'updated_at': shapes.timestamp_or_null,
    'progress': shapes.PROGRESS,
}
BACKUP = shapes.closed({**_FIELDS, **shapes.OWNER}, required=tuple(_FIELDS))

LIST = shapes.collection('backups', BACKUP)
SHOW = shapes.under('backup', BACKUP)
ID = shapes.under('backup', shapes.ID)
