# SPDX-License-Identifier: Apache-2.0
"""Flavors of instances."""

from backupsvc.api.database_v1 import forms, shapes, views
from backupsvc.api.database_v1.flavors import schemas
from backupsvc.orchestration import flavors
from backupsvc.wsgi import validation


def _view(req, flavor) -> dict:
    number = int(flavor.id) if flavor.id.isascii() and flavor.id.isdigit() else None
    body = {
        'id': number,
        'links': views.links(req, 'flavors', flavor.id),
        'name': flavor.name,
        'ram': flavor.ram_mb,
    }
    if forms.is_specified(req):
        return {**body, 'id': flavor.id if number is None else number}
    return {**body, 'vcpus': flavor.vcpus, 'disk': 0, 'ephemeral': 0, 'str_id': flavor.id}


@validation.query(shapes.ANY_QUERY)
@forms.answer(schemas.LIST, specified=schemas.SPECIFIED_LIST)
def list_flavors(req):
    """List flavors; 200."""
    return views.page(
        req, 'flavors', [_view(req, flavor) for flavor in flavors.list_(req.context)], None)


@validation.query(shapes.ANY_QUERY)
@forms.answer(schemas.SHOW, specified=schemas.SPECIFIED_SHOW)
def show_flavor(req):
    """Show a flavor; 200."""
    return {'flavor': _view(req, flavors.get(req.context, req.path_params['flavor_id']))}
