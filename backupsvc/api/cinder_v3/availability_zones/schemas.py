# SPDX-License-Identifier: Apache-2.0
"""Schemas of availability zones."""

from backupsvc.api.cinder_v3 import shapes

LIST = shapes.under('availabilityZoneInfo', {
    'type': 'array',
    'items': shapes.closed({
        'zoneName': {'type': 'string'},
        'zoneState': shapes.closed({'available': {'type': 'boolean'}}),
    }),
})
