# SPDX-License-Identifier: Apache-2.0
"""Transfers: offer a volume to another project, list, show, withdraw and accept."""

from backupsvc.api.cinder_v3 import listing, shapes, versions
from backupsvc.api.cinder_v3 import views as shared_views
from backupsvc.api.cinder_v3.transfers import schemas, views
from backupsvc.orchestration import transfers, volumes
from backupsvc.wsgi import parameter_types, validation

ATTRIBUTES = {name: name for name in ('id', 'name', 'volume_id', 'project_id', 'created_at')}


@validation.query(shapes.LIST_QUERY)
@validation.response(schemas.LIST)
def list_transfers(req):
    """List offers; 200."""
    return _list(req, views.summary)


@validation.query(shapes.LIST_QUERY)
@shapes.responses(schemas.detailed, schemas.CHANGES)
def list_transfer_details(req):
    """List offers with all their fields; 200."""
    return _list(req, views.detail)


def _list(req, view) -> dict:
    limit, marker, offset = listing.page(req)
    found = transfers.list_(req.context, volumes.Query(
        filters={ATTRIBUTES.get(name, f'?{name}'): value
                 for name, value in listing.filters(req, 'transfer').items()},
        sort=listing.sort(req, ATTRIBUTES), limit=limit, marker=marker, offset=offset,
        all_projects=listing.all_projects(req)))
    return shared_views.collection(
        req, 'transfers', [view(req, transfer) for transfer in found], None, limit)


@validation.query(shapes.ANY_QUERY)
@shapes.responses(schemas.shown, schemas.CHANGES)
def show_transfer(req):
    """Show an offer; 200."""
    found = transfers.get(req.context, req.path_params['transfer_id'])
    return {'transfer': views.detail(req, found)}


@validation.body(schemas.CREATE, until=versions.before(versions.TRANSFER_SNAPSHOTS))
@validation.body(schemas.CREATE_3_55, since=versions.TRANSFER_SNAPSHOTS)
@shapes.responses(schemas.created, schemas.CHANGES, status=202)
def create_transfer(req):
    """Offer a volume; 202 with the key that it is accepted with."""
    wanted = req.json['transfer']
    name = wanted.get('name')
    made = transfers.create(
        req.context, wanted['volume_id'], name=name.strip() if name else name,
        no_snapshots=parameter_types.to_bool(wanted.get('no_snapshots', False)))
    return {'transfer': {**views.detail(req, made), 'auth_key': made.auth_key}}


@validation.body(schemas.ACCEPT)
@validation.response(schemas.ACCEPTED, status=202)
def accept_transfer(req):
    """Take an offered volume over; 202."""
    taken = transfers.accept(
        req.context, req.path_params['transfer_id'], str(req.json['accept']['auth_key']))
    return {'transfer': views.summary(req, taken)}


@validation.response(None, status=202)
def delete_transfer(req):
    """Withdraw an offer; 202."""
    transfers.delete(req.context, req.path_params['transfer_id'])
