# SPDX-License-Identifier: Apache-2.0
"""Snapshots: list, show, create, update, delete, and their two actions."""

from backupsvc import exception
from backupsvc.api.cinder_v3 import listing, shapes, versions
from backupsvc.api.cinder_v3 import views as shared_views
from backupsvc.api.cinder_v3.snapshots import schemas, views
from backupsvc.orchestration import snapshots, volumes
from backupsvc.policies import snapshots as policies
from backupsvc.wsgi import parameter_types, validation

#: Cinder's names of the attributes that lists can be sorted and filtered by.
ATTRIBUTES = {
    **dict.fromkeys(('name', 'display_name'), 'name'),
    **dict.fromkeys(('description', 'display_description'), 'description'),
    **dict.fromkeys(('size', 'volume_size'), 'size_gb'),
    **{name: name for name in (
        'id', 'status', 'project_id', 'user_id', 'volume_id', 'created_at', 'updated_at')},
}
_FILTERS = {
    **ATTRIBUTES, 'name~': 'name~', 'display_name~': 'name~', 'metadata': 'metadata',
    'tenant_id': 'project_id'}


@validation.query(shapes.LIST_QUERY)
@shapes.responses(schemas.listed, schemas.LIST_CHANGES)
def list_snapshots(req):
    """List snapshots; 200."""
    query = _query(req)
    page = snapshots.list_(req.context, query)
    items = [views.summary(req, snapshot) for snapshot in page.items]
    return shared_views.collection(req, 'snapshots', items, page.count, query.limit)


@validation.query(shapes.LIST_QUERY)
@shapes.responses(schemas.detailed, schemas.LIST_CHANGES)
def list_snapshot_details(req):
    """List snapshots with their extended attributes; 200."""
    query = _query(req)
    page = snapshots.list_(req.context, query)
    shows_extended = req.context.can(policies.EXTENDED_ATTRIBUTES)
    items = [views.detail(req, snapshot, shows_extended) for snapshot in page.items]
    return shared_views.collection(req, 'snapshots', items, page.count, query.limit)


def _query(req) -> volumes.Query:
    return volumes.Query(**listing.query(req, 'snapshot', _FILTERS, ATTRIBUTES))


@validation.query(shapes.ANY_QUERY)
@shapes.responses(schemas.shown, schemas.CHANGES)
def show_snapshot(req):
    """Show a snapshot; 200."""
    snapshot = snapshots.get(req.context, req.path_params['snapshot_id'])
    shows_extended = req.context.can(policies.EXTENDED_ATTRIBUTES)
    return {'snapshot': views.detail(req, snapshot, shows_extended)}


@validation.body(schemas.CREATE)
@shapes.responses(schemas.created, schemas.CHANGES, status=202)
def create_snapshot(req):
    """Make a snapshot; 202 with its summary."""
    wanted = req.json['snapshot']
    snapshot = snapshots.create(
        req.context, wanted['volume_id'],
        name=_text(wanted, 'name'),
        description=_text(wanted, 'description'),
        metadata=wanted.get('metadata') or {},
        force=_force(req, wanted),
    )
    return {'snapshot': views.summary(req, snapshot)}


def _force(req, wanted: dict) -> bool:
    force = wanted.get('force')
    if req.version < versions.SNAPSHOT_IN_USE:
        return parameter_types.to_bool(force or False)
    if force is not None and not parameter_types.to_bool(force):
        raise exception.InvalidInput(
            reason='Invalid value for "force": from microversion 3.66 on, snapshots of volumes in'
                   ' use are always made, and "force" may only be true.')
    return True


@validation.body(schemas.UPDATE)
@shapes.responses(schemas.created, schemas.CHANGES)
def update_snapshot(req):
    """Change name or description; 200 with the summary."""
    wanted = req.json['snapshot']
    changes = {
        name: _text(wanted, name) for name in ('name', 'description')
        if name in wanted or f'display_{name}' in wanted
    }
    snapshot = snapshots.update(req.context, req.path_params['snapshot_id'], **changes)
    return {'snapshot': views.summary(req, snapshot)}


def _text(wanted: dict, name: str) -> str | None:
    """Return a name or description, under its own key or the older one."""
    text = wanted.get(name, wanted.get(f'display_{name}'))
    return text.strip() if text else text


@validation.response(None, status=202)
def delete_snapshot(req):
    """Delete a snapshot; 202."""
    snapshots.delete(req.context, req.path_params['snapshot_id'], force=False)


@validation.body(schemas.FORCE_DELETE)
@validation.response(None, status=202)
def force_delete(req):
    """Delete a snapshot whatever its status; 202."""
    snapshots.delete(req.context, req.path_params['snapshot_id'], force=True)


@validation.body(schemas.RESET_STATUS)
@validation.response(None, status=202)
def reset_status(req):
    """Set the status by hand; 202."""
    snapshots.reset_status(
        req.context, req.path_params['snapshot_id'], req.json['os-reset_status']['status'])
