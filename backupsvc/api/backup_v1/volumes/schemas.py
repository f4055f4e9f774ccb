# SPDX-License-Identifier: Apache-2.0
"""Schemas of volumes: closed where a volume is made of a backup, the volume service's own
otherwise.
"""

from backupsvc.api.backup_v1 import shapes
from backupsvc.wsgi import parameter_types

_FROM_BACKUP = shapes.closed(
    {
        'backup_id': parameter_types.uuid,
        'name': parameter_types.name,
        'description': parameter_types.description,
        'size': {'type': ['integer', 'string', 'null'], 'pattern': r'^[0-9]+\Z', 'minimum': 1,
                 'maximum': parameter_types.MAX_INT},
        'volume_type': parameter_types.name,
        'availability_zone': parameter_types.availability_zone,
    },
    required=('backup_id',),
)

CREATE = shapes.closed(
    {
        'volume': {
            'type': 'object',
            'properties': {'backup_id': {'type': ['string', 'null']}},
            'if': {'properties': {'backup_id': {'type': 'string'}}, 'required': ['backup_id']},
            'then': _FROM_BACKUP,
        },
        # Hints for the volume service's scheduler.
        'OS-SCH-HNT:scheduler_hints': {'type': ['object', 'null']},
    },
    required=('volume',),
)

VOLUME = shapes.under('volume', shapes.closed({
    'id': parameter_types.uuid,
    'name': shapes.string_or_null,
    'description': shapes.string_or_null,
    'status': {'type': 'string'},
    'size': {'type': 'integer'},
    'volume_type': shapes.string_or_null,
    'availability_zone': shapes.string_or_null,
    'backup_id': parameter_types.uuid,
}))
