# SPDX-License-Identifier: Apache-2.0
"""User messages as Cinder v3 shows them."""

from backupsvc.api.cinder_v3 import views


def detail(req, message, text: str) -> dict:
    """Return a message.

    :param text: its words for the user
    """
    return {
        'id': message.id,
        'event_id': message.event_id,
        'user_message': text,
        'message_level': message.message_level,
        'created_at': views.date(message.created_at),
        'guaranteed_until': views.date(message.expires_at),
        'request_id': message.request_id,
        'resource_type': message.resource_type,
        'resource_uuid': message.resource_id,
        'links': views.links(req, 'messages', message.id),
    }
