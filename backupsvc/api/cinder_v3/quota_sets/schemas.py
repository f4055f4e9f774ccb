# SPDX-License-Identifier: Apache-2.0
"""Schemas of quota sets."""

from backupsvc.api.cinder_v3 import shapes
from backupsvc.wsgi import parameter_types

LIMIT = {'type': ['integer', 'string'], 'pattern': r'^-?[0-9]+\Z', 'minimum': -1,
         'maximum': parameter_types.MAX_INT}

#: Which names there are is the use case's to say, so that it can list the bad ones.
UPDATE = shapes.under('quota_set', {
    'type': 'object',
    'properties': {
        # Clients of Nova's and Cinder's older days send them along; they change nothing.
        'tenant_id': {'type': 'string'},
        'force': parameter_types.boolean,
    },
    'additionalProperties': LIMIT,
})

QUERY = {
    'type': 'object',
    'properties': {'usage': parameter_types.boolean},
    'additionalProperties': parameter_types.query_string,
}

_INTEGER = {'type': 'integer'}
_USAGE = shapes.closed({'limit': _INTEGER, 'in_use': _INTEGER, 'reserved': _INTEGER})
RESOURCES = ('volumes', 'snapshots', 'gigabytes', 'per_volume_gigabytes', 'backups',
             'backup_gigabytes', 'groups')

#: Beside those named there are some for each volume type.
_PLAIN = {**shapes.closed({'id': {'type': 'string'}, **dict.fromkeys(RESOURCES, _INTEGER)}),
          'additionalProperties': _INTEGER}
_WITH_USAGE = {**shapes.closed({'id': {'type': 'string'}, **dict.fromkeys(RESOURCES, _USAGE)}),
               'additionalProperties': _USAGE}

SHOW = shapes.under('quota_set', {'anyOf': [_PLAIN, _WITH_USAGE]})
DEFAULTS = shapes.under('quota_set', _PLAIN)
UPDATED = shapes.under('quota_set', {
    **shapes.closed(dict.fromkeys(RESOURCES, _INTEGER)), 'additionalProperties': _INTEGER})
