# SPDX-License-Identifier: Apache-2.0
"""Volume types: those of the configuration, and those that administrators add."""

from backupsvc.api.cinder_v3 import shapes
from backupsvc.api.cinder_v3.types import schemas, views
from backupsvc.orchestration import types
from backupsvc.wsgi import parameter_types, validation


@validation.query(shapes.ANY_QUERY)
@validation.response(schemas.LIST)
def list_types(req):
    """List volume types; 200."""
    return {'volume_types': [views.detail(found) for found in types.list_(req.context)]}


@validation.query(shapes.ANY_QUERY)
@validation.response(schemas.SHOW)
def show_type(req):
    """Show a volume type, or the default one; 200."""
    return {'volume_type': views.detail(_type(req))}


def _type(req):
    return types.get(req.context, req.path_params['type_id'])


@validation.query(shapes.ANY_QUERY)
@validation.response(schemas.EXTRA_SPECS)
def show_extra_specs(req):
    """Show the extra specs of a type; 200."""
    return {'extra_specs': views.detail(_type(req))['extra_specs']}


@validation.query(shapes.ANY_QUERY)
@validation.response(schemas.ENCRYPTION)
def show_encryption(req):
    """Show how volumes of a type are encrypted, which they are not; 200."""
    _type(req)
    return {}


@validation.body(schemas.CREATE)
@validation.response(schemas.MADE)
def create_type(req):
    """Add a volume type; 200."""
    wanted = req.json['volume_type']
    made = types.create(
        req.context, wanted['name'].strip(),
        description=wanted.get('description'),
        is_public=parameter_types.to_bool(wanted.get('os-volume-type-access:is_public', True)),
        extra_specs=wanted.get('extra_specs') or {})
    return {'volume_type': views.made(made)}


@validation.body(schemas.UPDATE)
@validation.response(schemas.SHOW)
def update_type(req):
    """Change description or visibility of a type that was added; 200."""
    changes = dict(req.json['volume_type'])
    if 'is_public' in changes:
        changes['is_public'] = parameter_types.to_bool(changes['is_public'])
    return {
        'volume_type': views.detail(
            types.update(req.context, req.path_params['type_id'], **changes))
    }


@validation.response(None, status=202)
def delete_type(req):
    """Remove a type that was added; 202."""
    types.delete(req.context, req.path_params['type_id'])


@validation.body(schemas.SET_EXTRA_SPECS)
@validation.response(schemas.EXTRA_SPECS)
def set_extra_specs(req):
    """Add extra specs to a type that was added; 200 with those that were sent."""
    wanted = req.json['extra_specs']
    types.update(req.context, req.path_params['type_id'],
                 extra_specs={**_type(req).extra_specs, **wanted})
    return {'extra_specs': wanted}
