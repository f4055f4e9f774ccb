# SPDX-License-Identifier: Apache-2.0
"""Schemas of user messages."""

from backupsvc.api.cinder_v3 import shapes
from backupsvc.wsgi import parameter_types

_MESSAGE = shapes.closed({
    'id': parameter_types.uuid,
    'event_id': {'type': 'string'},
    'user_message': {'type': 'string'},
    'message_level': {'type': 'string'},
    'created_at': parameter_types.timestamp_or_null,
    'guaranteed_until': parameter_types.timestamp_or_null,
    'request_id': shapes.string_or_null,
    'resource_type': shapes.string_or_null,
    'resource_uuid': shapes.string_or_null,
    'links': parameter_types.links,
})

LIST = shapes.collection('messages', _MESSAGE, counted=False)
SHOW = shapes.under('message', _MESSAGE)
