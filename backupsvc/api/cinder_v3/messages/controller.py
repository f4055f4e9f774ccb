# SPDX-License-Identifier: Apache-2.0
"""User messages: why something that had been accepted came to nothing."""

from backupsvc.api.cinder_v3 import listing, shapes
from backupsvc.api.cinder_v3 import views as shared_views
from backupsvc.api.cinder_v3.messages import schemas, views
from backupsvc.orchestration import messages
from backupsvc.wsgi import validation

#: Cinder's names of the attributes that lists can be sorted and filtered by.
ATTRIBUTES = {
    'resource_uuid': 'resource_id',
    'guaranteed_until': 'expires_at',
    **{name: name for name in (
        'id', 'event_id', 'resource_type', 'request_id', 'message_level', 'created_at')},
}


@validation.query(shapes.LIST_QUERY)
@validation.response(schemas.LIST)
def list_messages(req):
    """List messages; filters, sort and pages from 3.5 on; 200."""
    limit, marker, offset = listing.page(req)
    filters = {ATTRIBUTES.get(name, f'?{name}'): value
               for name, value in listing.filters(req, 'message').items()}
    found = messages.list_(
        req.context, filters=filters, sort=listing.sort(req, ATTRIBUTES), limit=limit,
        marker=marker, offset=offset)
    return shared_views.collection(
        req, 'messages', [_shown(req, message) for message in found], None, limit)


def _shown(req, message) -> dict:
    return views.detail(req, message, messages.text(message.action_id, message.detail_id))


@validation.query(shapes.ANY_QUERY)
@validation.response(schemas.SHOW)
def show_message(req):
    """Show a message; 200."""
    return {'message': _shown(req, messages.get(req.context, req.path_params['message_id']))}


@validation.response(None, status=204)
def delete_message(req):
    """Delete a message; 204."""
    messages.delete(req.context, req.path_params['message_id'])
