# SPDX-License-Identifier: Apache-2.0
"""Schemas of instance backups."""

from backupsvc.api.backup_v1 import shapes
from backupsvc.wsgi import parameter_types

LIST_QUERY = shapes.list_query('instance_id')

CREATE = shapes.under(
    'backup',
    shapes.closed(
        {
            'instance_id': parameter_types.uuid,
            'name': parameter_types.name,
            'description': parameter_types.description,
            'metadata': parameter_types.metadata_or_null,
            'container': parameter_types.container,
            'incremental': parameter_types.boolean,
        },
        required=('instance_id',),
    ),
)

_MEMBER = shapes.closed(
    {
        'id': parameter_types.uuid,
        'volume_id': parameter_types.uuid,
        'status': {'type': 'string'},
        'fail_reason': shapes.string_or_null,
        'size': {'type': 'integer'},
        'stored_bytes': {'type': 'integer'},
    }
)

_FIELDS = {
    **shapes.SET_FIELDS,
    'container': shapes.string_or_null,
    'is_incremental': {'type': 'boolean'},
    'logical_bytes': {'type': 'integer'},
    'stored_bytes': {'type': 'integer'},
    'volume_backups': {'type': 'array', 'items': _MEMBER},
    'progress': shapes.PROGRESS,
}
BACKUP = shapes.closed({**_FIELDS, **shapes.OWNER}, required=tuple(_FIELDS))

LIST = shapes.collection('backups', BACKUP)
SHOW = shapes.under('backup', BACKUP)
ID = shapes.under('backup', shapes.ID)
