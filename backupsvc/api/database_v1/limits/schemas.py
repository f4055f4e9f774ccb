# SPDX-License-Identifier: Apache-2.0
"""Schemas of limits."""

from backupsvc.api.database_v1 import shapes

_INTEGER = {'type': 'integer'}
_ABSOLUTE = shapes.closed({
    'verb': {'enum': ['ABSOLUTE']},
    'max_instances': _INTEGER,
    'max_volumes': _INTEGER,
    'max_backups': _INTEGER,
})
_RATE = shapes.closed({
    'verb': shapes.string,
    'uri': shapes.string,
    'regex': shapes.string,
    'value': _INTEGER,
    'remaining': _INTEGER,
    'unit': shapes.string,
    'nextAvailable': shapes.time,
})
SHOW = shapes.under('limits', shapes.array({'anyOf': [_ABSOLUTE, _RATE]}))
