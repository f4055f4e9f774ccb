# SPDX-License-Identifier: Apache-2.0
"""Schemas of quota classes."""

from backupsvc.api.cinder_v3 import shapes
from backupsvc.wsgi import parameter_types

_LIMIT = {'type': ['integer', 'string'], 'pattern': r'^-?[0-9]+\Z', 'minimum': -1,
          'maximum': parameter_types.MAX_INT}
_INTEGER = {'type': 'integer'}
_RESOURCES = ('volumes', 'snapshots', 'gigabytes', 'per_volume_gigabytes', 'backups',
              'backup_gigabytes', 'groups')

UPDATE = shapes.under('quota_class_set', {
    'type': 'object',
    'properties': {'class_name': {'type': 'string'}},
    'additionalProperties': _LIMIT,
})
#: Beside those named there are some for each volume type.
SHOW = shapes.under('quota_class_set', {
    **shapes.closed({'id': {'type': 'string'}, **dict.fromkeys(_RESOURCES, _INTEGER)}),
    'additionalProperties': _INTEGER})
UPDATED = shapes.under('quota_class_set', {
    **shapes.closed(dict.fromkeys(_RESOURCES, _INTEGER)), 'additionalProperties': _INTEGER})
