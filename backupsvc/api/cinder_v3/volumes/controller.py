# SPDX-License-Identifier: Apache-2.0
"""Volumes: list, show, create, update, delete, summary."""

from backupsvc import exception
from backupsvc.api.cinder_v3 import listing, shapes, versions
from backupsvc.api.cinder_v3 import views as shared_views
from backupsvc.api.cinder_v3.volumes import schemas, views
from backupsvc.orchestration import restores, types, volumes
from backupsvc.orchestration.volumes import NewVolume
from backupsvc.policies import volumes as policies
from backupsvc.wsgi import parameter_types, validation

#: Cinder's names of the attributes that lists can be sorted and filtered by.
ATTRIBUTES = {
    **dict.fromkeys(('name', 'display_name'), 'name'),
    **dict.fromkeys(('description', 'display_description'), 'description'),
    'size': 'size_gb',
    **{name: name for name in (
        'id', 'status', 'project_id', 'user_id', 'availability_zone', 'host', 'bootable',
        'snapshot_id', 'source_volid', 'created_at', 'updated_at')},
}
_FILTERS = {
    **ATTRIBUTES, 'name~': 'name~', 'display_name~': 'name~', 'metadata': 'metadata',
    'volume_type': 'volume_type', 'tenant_id': 'project_id'}


@validation.query(shapes.LIST_QUERY)
@shapes.responses(schemas.listed, [versions.COUNT_IN_LISTS])
def list_volumes(req):
    """List volumes with id, name and links; 200."""
    query = _query(req)
    page = volumes.list_(req.context, query)
    return shared_views.collection(
        req, 'volumes', [views.summary(req, volume) for volume in page.items], page.count,
        query.limit)


@validation.query(shapes.LIST_QUERY)
@shapes.responses(schemas.detailed, schemas.LIST_CHANGES)
def list_volume_details(req):
    """List volumes with all their fields; 200."""
    query = _query(req)
    page = volumes.list_(req.context, query)
    visible, type_ids = _visible(req), types.ids()
    items = [
        {**views.detail(req, volume, type_ids), **views.extensions(volume, visible)}
        for volume in page.items
    ]
    return shared_views.collection(req, 'volumes', items, page.count, query.limit)


def _query(req) -> volumes.Query:
    query = listing.query(req, 'volume', _FILTERS, ATTRIBUTES)
    if 'bootable' in query['filters']:
        query['filters']['bootable'] = _flag('bootable', query['filters']['bootable'])
    return volumes.Query(**query)


def _flag(name: str, text: str) -> bool:
    try:
        return parameter_types.to_bool(text)
    except ValueError:
        raise exception.InvalidInput(reason=f'{name}={text} is no boolean') from None


def _visible(req) -> dict[str, bool]:
    return {
        'host': req.context.can(policies.HOST_ATTRIBUTE),
        'project': req.context.can(policies.TENANT_ATTRIBUTE),
        'migration': req.context.can(policies.MIGRATION_ATTRIBUTE),
        'image': req.context.can(policies.IMAGE_METADATA_SHOW),
    }


@validation.query(shapes.ANY_QUERY)
@shapes.responses(schemas.shown, schemas.CHANGES)
def show_volume(req):
    """Show a volume; 200."""
    volume = volumes.get(req.context, req.path_params['volume_id'])
    return {
        'volume': {
            **views.detail(req, volume, types.ids()),
            **views.extensions(volume, _visible(req)),
        }
    }


@validation.body(schemas.CREATE, until=versions.before(versions.GROUPS))
@validation.body(schemas.CREATE_3_13, since=versions.GROUPS,
                 until=versions.before(versions.VOLUME_FROM_BACKUP))
@validation.body(schemas.CREATE_3_46, since=versions.VOLUME_FROM_BACKUP)
@shapes.responses(schemas.created, schemas.CHANGES, status=202)
def create_volume(req):
    """Make a volume: empty, of a snapshot, of a volume, or of a backup; 202 with its details."""
    wanted = req.json['volume']
    for key in ('imageRef', 'image_id', 'consistencygroup_id', 'group_id'):
        if wanted.get(key):
            raise exception.InvalidInput(reason=f'{key}: there are no images and groups here.')
    if wanted.get('backup_id') and req.version < versions.VOLUME_FROM_BACKUP:
        # Cinder overlooks it and makes an empty volume, which nobody can have meant.
        raise exception.InvalidInput(reason='backup_id needs microversion 3.46 or later.')
    if sum(bool(wanted.get(key)) for key in ('snapshot_id', 'source_volid', 'backup_id')) > 1:
        raise exception.InvalidInput(
            reason='Only one of snapshot_id, source_volid and backup_id may be given.')
    new = NewVolume(
        size_gb=int(wanted.get('size') or 0),
        name=_text(wanted, 'name'),
        description=_text(wanted, 'description'),
        volume_type=wanted.get('volume_type') or None,
        availability_zone=wanted.get('availability_zone'),
        snapshot_id=wanted.get('snapshot_id'),
        source_volid=wanted.get('source_volid'),
        multiattach=parameter_types.to_bool(wanted.get('multiattach', False)),
        metadata=wanted.get('metadata') or {},
    )
    if wanted.get('backup_id'):
        volume = restores.create_volume_from_backup(
            req.context, wanted['backup_id'], new)
    else:
        volume = volumes.create_volume(
            req.context, new, has_size=wanted.get('size') is not None)
    return {'volume': views.detail(req, volume, types.ids())}


@validation.body(schemas.UPDATE)
@shapes.responses(schemas.created, schemas.CHANGES)
def update_volume(req):
    """Change name, description or metadata; 200 with the details."""
    wanted = req.json['volume']
    changes: dict = {
        name: _text(wanted, name) for name in ('name', 'description')
        if name in wanted or f'display_{name}' in wanted
    }
    if wanted.get('metadata') is not None:
        changes['metadata'] = wanted['metadata']
    volume = volumes.update(req.context, req.path_params['volume_id'], **changes)
    return {'volume': views.detail(req, volume, types.ids())}


def _text(wanted: dict, name: str) -> str | None:
    """Return a name or description, under its own key or the older one."""
    text = wanted.get(name, wanted.get(f'display_{name}'))
    return text.strip() if text else text


@validation.query(schemas.DELETE_QUERY)
@validation.response(None, status=202)
def delete_volume(req):
    """Delete a volume, with its snapshots if ``cascade``, in any status if ``force``; 202."""
    force = req.version >= versions.FORCE_IN_DELETE and parameter_types.to_bool(
        req.query.get('force', False))
    volumes.delete(
        req.context, req.path_params['volume_id'],
        cascade=parameter_types.to_bool(req.query.get('cascade', False)), force=force)


@validation.query(shapes.LIST_QUERY)
@shapes.responses(schemas.summarised, [versions.SUMMARY_METADATA])
def show_summary(req):
    """Count volumes and their size; 200."""
    total = volumes.summarise(req.context, all_projects=listing.all_projects(req))
    body: dict = {'total_count': total.count, 'total_size': total.size_gb}
    if req.version >= versions.SUMMARY_METADATA:
        body['metadata'] = total.metadata
    return {'volume-summary': body}
