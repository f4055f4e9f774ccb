# SPDX-License-Identifier: Apache-2.0
"""Instance snapshots: list, show, create, delete."""

from backupsvc.api.backup_v1 import ids, listing, shapes
from backupsvc.api.backup_v1 import views as shared_views
from backupsvc.api.backup_v1.instance_snapshots import schemas, views
from backupsvc.orchestration import instance_snapshots, sets
from backupsvc.policies import backups as backup_policies
from backupsvc.wsgi import validation


@validation.query(schemas.LIST_QUERY)
@validation.response(schemas.LIST)
def list_snapshots(req):
    """List the snapshots of instances, the newest first; 200."""
    wanted = listing.read(req, 'instance_id', 'instance_id')
    page = instance_snapshots.list_(req.context, sets.SetQuery(
        limit=wanted.limit, marker=wanted.marker, filters=wanted.filters,
        all_projects=wanted.all_projects))
    shows_owner = req.context.can(backup_policies.PROJECT_ATTRIBUTE)
    items = [views.detail(snapshot, shows_owner=shows_owner) for snapshot in page.items]
    return shared_views.collection(req, 'snapshots', items, wanted.limit)


@validation.query(shapes.NO_QUERY)
@validation.response(schemas.SHOW)
def show_snapshot(req):
    """Show a snapshot of an instance, and the snapshots of its volumes; 200."""
    snapshot = instance_snapshots.get(req.context, ids.of(req, 'instance_snapshot_id'))
    shows_owner = req.context.can(backup_policies.PROJECT_ATTRIBUTE)
    return {'snapshot': views.detail(snapshot, shows_owner=shows_owner)}


@validation.body(schemas.CREATE)
@validation.response(schemas.ID, status=201)
def create_snapshot(req):
    """Start a snapshot of all volumes of an instance at one moment; 201 with its id."""
    wanted = req.json['snapshot']
    snapshot = instance_snapshots.create(req.context, instance_snapshots.NewInstanceSnapshot(
        origin='backup_v1',
        instance_id=wanted['instance_id'],
        name=shared_views.stripped(wanted.get('name')),
        description=shared_views.stripped(wanted.get('description')),
        metadata=wanted.get('metadata') or {},
    ))
    return shared_views.id_of('snapshot', snapshot.record.id)


@validation.query(shapes.DELETE_QUERY)
@validation.response(schemas.ID, status=201)
def delete_snapshot(req):
    """Start to delete a snapshot of an instance with those of its volumes; 201 with its id."""
    snapshot_id = ids.of(req, 'instance_snapshot_id')
    instance_snapshots.delete(req.context, snapshot_id, force=listing.is_forced(req))
    return shared_views.id_of('snapshot', snapshot_id)
