# SPDX-License-Identifier: Apache-2.0
"""Availability zones of volumes."""

from backupsvc.api.cinder_v3 import shapes
from backupsvc.api.cinder_v3.availability_zones import schemas
from backupsvc.orchestration import types
from backupsvc.wsgi import validation


@validation.query(shapes.ANY_QUERY)
@validation.response(schemas.LIST)
def list_zones(req):
    """List availability zones; 200."""
    return {
        'availabilityZoneInfo': [
            {'zoneName': name, 'zoneState': {'available': True}}
            for name in types.list_zones(req.context)
        ]
    }
