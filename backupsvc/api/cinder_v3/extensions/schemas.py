# SPDX-License-Identifier: Apache-2.0
"""Schemas of extensions."""

from backupsvc.api.cinder_v3 import shapes
from backupsvc.wsgi import parameter_types

LIST = shapes.under('extensions', {
    'type': 'array',
    'items': shapes.closed({
        'name': {'type': 'string'},
        'alias': {'type': 'string'},
        'description': {'type': 'string'},
        'updated': {'type': 'string'},
        'links': parameter_types.links,
    }),
})
