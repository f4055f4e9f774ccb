# SPDX-License-Identifier: Apache-2.0
"""Schemas of volume types."""

from backupsvc.api.cinder_v3 import shapes
from backupsvc.wsgi import parameter_types

_SPECS = {'type': 'object', 'additionalProperties': {'type': 'string'}}

_MADE = {
    'id': parameter_types.uuid,
    'name': {'type': 'string'},
    'description': shapes.string_or_null,
    'is_public': {'type': 'boolean'},
    'os-volume-type-access:is_public': {'type': 'boolean'},
    'extra_specs': _SPECS,
}
_TYPE = shapes.closed({**_MADE, 'qos_specs_id': {'type': 'null'}})

_WANTED_SPECS = {
    'type': 'object',
    'patternProperties': {parameter_types.METADATA_KEY: {'type': 'string', 'maxLength': 255}},
    'additionalProperties': False,
}
CREATE = shapes.under('volume_type', shapes.closed(
    {
        'name': parameter_types.name_required,
        'description': parameter_types.description,
        'extra_specs': _WANTED_SPECS,
        'os-volume-type-access:is_public': parameter_types.boolean,
    },
    required=('name',)))
UPDATE = shapes.under('volume_type', shapes.closed(
    {
        'description': parameter_types.description,
        'is_public': parameter_types.boolean,
    },
    required=()))
SET_EXTRA_SPECS = shapes.under('extra_specs', _WANTED_SPECS)

LIST = shapes.under('volume_types', {'type': 'array', 'items': _TYPE})
SHOW = shapes.under('volume_type', _TYPE)
#: Cinder tells a type's QoS only when the type is asked for, not when it is made.
MADE = shapes.under('volume_type', shapes.closed(_MADE))
EXTRA_SPECS = shapes.under('extra_specs', _SPECS)
ENCRYPTION = shapes.closed({})
