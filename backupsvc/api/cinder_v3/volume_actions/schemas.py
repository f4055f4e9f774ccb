# SPDX-License-Identifier: Apache-2.0
"""Schemas of actions on volumes."""

from backupsvc.api.cinder_v3 import shapes
from backupsvc.wsgi import parameter_types

#: Clients send null, an empty object, or whatever they like.
ANYTHING: dict = {}

_MODE = {'enum': ['rw', 'ro']}

EXTEND = shapes.under(
    'os-extend', shapes.closed({'new_size': parameter_types.positive_integer}))
RESET_STATUS = shapes.under('os-reset_status', shapes.closed(
    {
        'status': shapes.string_or_null,
        'attach_status': {'enum': ['attached', 'detached', None]},
        'migration_status': {'type': ['string', 'null']},
    },
    required=()))
SET_BOOTABLE = shapes.under(
    'os-set_bootable', shapes.closed({'bootable': parameter_types.boolean}))
UPDATE_READONLY = shapes.under(
    'os-update_readonly_flag', shapes.closed({'readonly': parameter_types.boolean}))
RETYPE = shapes.under('os-retype', shapes.closed(
    {
        'new_type': parameter_types.name_required,
        'migration_policy': {'enum': ['on-demand', 'never', None]},
    },
    required=('new_type',)))
ATTACH = shapes.under('os-attach', shapes.closed(
    {
        'instance_uuid': parameter_types.uuid_or_null,
        'host_name': {'type': ['string', 'null'], 'maxLength': 255},
        'mountpoint': {'type': 'string', 'minLength': 1, 'maxLength': 255},
        'mode': _MODE,
    },
    required=('mountpoint',)))
_DETACHED = {'type': ['object', 'null'],
             'properties': {'attachment_id': parameter_types.uuid_or_null,
                            'connector': {'type': ['object', 'null']}},
             'additionalProperties': False}
DETACH = shapes.under('os-detach', _DETACHED)
FORCE_DETACH = shapes.under('os-force_detach', _DETACHED)

_PAIRS = {'type': 'object', 'additionalProperties': {'type': 'string'}}
IMAGE_METADATA = shapes.under('metadata', _PAIRS)
SET_IMAGE_METADATA = shapes.under('os-set_image_metadata', shapes.closed(
    {'metadata': parameter_types.metadata}))
UNSET_IMAGE_METADATA = shapes.under('os-unset_image_metadata', shapes.closed(
    {'key': {'type': 'string', 'minLength': 1, 'maxLength': 255}}))
