# SPDX-License-Identifier: Apache-2.0
"""Schemas of services."""

from backupsvc.api.cinder_v3 import shapes, versions
from backupsvc.wsgi import parameter_types
from backupsvc.wsgi.dialect import Version

LIST_QUERY = {
    'type': 'object',
    'properties': {
        'binary': parameter_types.query_string,
        'host': parameter_types.query_string,
        'service': parameter_types.query_string,
    },
    'additionalProperties': parameter_types.query_string,
}

_NAMED = {
    'binary': parameter_types.name_required,
    'service': parameter_types.name_required,
    'host': parameter_types.name_required,
}
CHANGE = shapes.closed(_NAMED, required=('host',))
DISABLE_LOG_REASON = shapes.closed(
    {**_NAMED, 'disabled_reason': parameter_types.name_required},
    required=('host', 'disabled_reason'))

_SERVICE = {
    'binary': {'type': 'string'},
    'host': {'type': 'string'},
    'zone': {'type': 'string'},
    'status': {'enum': ['enabled', 'disabled']},
    'state': {'enum': ['up', 'down']},
    'updated_at': parameter_types.timestamp_or_null,
    'disabled_reason': shapes.string_or_null,
}

CHANGES = [versions.SERVICE_CLUSTER]


def listed(version: Version) -> dict:
    """Return a list of services."""
    fields = dict(_SERVICE)
    if version >= versions.SERVICE_CLUSTER:
        fields['cluster'] = {'type': 'null'}
    return shapes.under('services', {'type': 'array', 'items': shapes.closed(fields)})


_CHANGED = {
    'host': {'type': 'string'},
    'binary': {'type': 'string'},
    'service': {'type': 'string'},
    'disabled': {'type': 'boolean'},
    'status': {'enum': ['enabled', 'disabled']},
}
DISABLED = shapes.closed(_CHANGED)
CHANGED = shapes.closed({**_CHANGED, 'disabled_reason': shapes.string_or_null})
