# SPDX-License-Identifier: Apache-2.0
"""Metrics in the text format of Prometheus."""

import webob

from backupsvc.api.actuator_v1.prometheus import families
from backupsvc.orchestration import monitoring
from backupsvc.wsgi import metrics, validation

QUERY: dict = {'type': 'object', 'additionalProperties': {'type': 'string'}}


@validation.query(QUERY)
@validation.text_response('text/plain')
def show_metrics(req):
    """Show metrics of the whole service, and of the requests to this process; 200."""
    work = families.Work(monitoring.work(req.context))
    content_type, text = metrics.render(req.headers.get('Accept', ''), work)
    return webob.Response(body=text, headers={'Content-Type': content_type})
