# SPDX-License-Identifier: Apache-2.0
"""Quotas by class: ``default`` is what holds for projects for which none were set."""

from backupsvc.api.cinder_v3 import shapes
from backupsvc.api.cinder_v3.quota_class_sets import schemas
from backupsvc.orchestration import quotas
from backupsvc.wsgi import validation

_IGNORED = ('class_name', 'groups')


def _shown(limits: dict[str, int]) -> dict:
    return {**limits, 'groups': 0}


@validation.query(shapes.ANY_QUERY)
@validation.response(schemas.SHOW)
def show_class(req):
    """Show the limits of a class; 200."""
    name = req.path_params['class_name']
    return {'quota_class_set': {'id': name, **_shown(quotas.show_class(req.context, name))}}


@validation.body(schemas.UPDATE)
@validation.response(schemas.UPDATED)
def update_class(req):
    """Set limits of a class; 200 with all of them."""
    wanted = {
        name: int(limit) for name, limit in req.json['quota_class_set'].items()
        if name not in _IGNORED
    }
    limits = quotas.update_class(req.context, req.path_params['class_name'], wanted)
    return {'quota_class_set': _shown(limits)}
