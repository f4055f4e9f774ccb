# SPDX-License-Identifier: Apache-2.0
"""Quotas of projects: show with or without usage, defaults, update, delete."""

from backupsvc.api.cinder_v3 import shapes
from backupsvc.api.cinder_v3.quota_sets import schemas, views
from backupsvc.orchestration import quotas
from backupsvc.wsgi import parameter_types, validation

_IGNORED = ('tenant_id', 'force', *views.ABSENT)


def _project(req) -> str:
    return req.path_params['target_id']


@validation.query(schemas.QUERY)
@validation.response(schemas.SHOW)
def show_quotas(req):
    """Show the limits of a project, with ``usage=True`` what is used of them; 200."""
    found = quotas.show(req.context, _project(req))
    if parameter_types.to_bool(req.query.get('usage', False)):
        shown = views.usage(found)
    else:
        shown = views.limits({name: quota.limit for name, quota in found.items()})
    return {'quota_set': {'id': _project(req), **shown}}


@validation.query(shapes.ANY_QUERY)
@validation.response(schemas.DEFAULTS)
def show_defaults(req):
    """Show the limits of a project for which none were set; 200."""
    found = quotas.show_defaults(req.context, _project(req))
    return {'quota_set': {'id': _project(req), **views.limits(found)}}


@validation.body(schemas.UPDATE)
@validation.response(schemas.UPDATED)
def update_quotas(req):
    """Set limits of a project; 200 with all of them."""
    wanted = {
        name: int(limit) for name, limit in req.json['quota_set'].items() if name not in _IGNORED
    }
    return {'quota_set': views.limits(quotas.update(req.context, _project(req), wanted))}


@validation.response(None)
def delete_quotas(req):
    """Put a project back on the defaults; 200."""
    quotas.delete(req.context, _project(req))
