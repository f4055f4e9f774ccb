# SPDX-License-Identifier: Apache-2.0
"""Schemas of instance snapshots."""

from backupsvc.api.backup_v1 import shapes
from backupsvc.wsgi import parameter_types

LIST_QUERY = shapes.list_query('instance_id')

CREATE = shapes.under(
    'snapshot',
    shapes.closed(
        {
            'instance_id': parameter_types.uuid,
            'name': parameter_types.name,
            'description': parameter_types.description,
            'metadata': parameter_types.metadata_or_null,
        },
        required=('instance_id',),
    ),
)

_MEMBER = shapes.closed(
    {
        'id': parameter_types.uuid_or_null,
        'volume_id': parameter_types.uuid,
        'device': shapes.string_or_null,
        'size': {'type': 'integer'},
    }
)

_FIELDS = {**shapes.SET_FIELDS, 'volume_snapshots': {'type': 'array', 'items': _MEMBER}}
SNAPSHOT = shapes.closed({**_FIELDS, **shapes.OWNER}, required=tuple(_FIELDS))

LIST = shapes.collection('snapshots', SNAPSHOT)
SHOW = shapes.under('snapshot', SNAPSHOT)
ID = shapes.under('snapshot', shapes.ID)
