# SPDX-License-Identifier: Apache-2.0
"""Limits of the caller's project."""

from backupsvc.api.cinder_v3 import shapes
from backupsvc.api.cinder_v3.limits import schemas, views
from backupsvc.orchestration import quotas
from backupsvc.wsgi import validation


@validation.query(shapes.ANY_QUERY)
@validation.response(schemas.SHOW)
def show_limits(req):
    """Show limits and usage; 200."""
    return {'limits': {'rate': [], 'absolute': views.absolute(quotas.limits(req.context))}}
