# SPDX-License-Identifier: Apache-2.0
"""Health: what the service depends on."""

import orjson
import webob

from backupsvc.api.actuator_v1.health import schemas, views
from backupsvc.orchestration import health
from backupsvc.wsgi import validation


@validation.query(schemas.QUERY)
@validation.response(schemas.HEALTH)
def show_health(req):
    """Show whether what the service depends on is there; 200, or 503 where something is not."""
    found = views.health(health.check(req.context))
    if found['status'] == views.UP:
        return found
    return webob.Response(
        status=503, body=orjson.dumps(found), content_type=req.answer_type)
