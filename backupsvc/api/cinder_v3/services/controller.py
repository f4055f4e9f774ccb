# SPDX-License-Identifier: Apache-2.0
"""Services: the managers, under the name of Cinder's backup service."""

from backupsvc import exception
from backupsvc.api.cinder_v3 import shapes
from backupsvc.api.cinder_v3.services import schemas, views
from backupsvc.orchestration import placement, services
from backupsvc.wsgi import validation


@validation.query(schemas.LIST_QUERY)
@shapes.responses(schemas.listed, schemas.CHANGES)
def list_services(req):
    """List services; 200."""
    found = services.list_(req.context, placement.BINARY, req.query.get('host'))
    binary = req.query.get('binary', req.query.get('service', views.BINARY))
    if binary != views.BINARY:
        found = []
    return {'services': [views.detail(req, service) for service in found]}


@validation.body(schemas.CHANGE)
@validation.response(schemas.CHANGED)
def enable(req):
    """Let a manager have new work again; 200."""
    service = _set_disabled(req, False)
    return {**views.changed(service, req.json), 'disabled_reason': service.disabled_reason}


@validation.body(schemas.CHANGE)
@validation.response(schemas.DISABLED)
def disable(req):
    """Give a manager no new work; 200."""
    return views.changed(_set_disabled(req, True), req.json)


@validation.body(schemas.DISABLE_LOG_REASON)
@validation.response(schemas.CHANGED)
def disable_log_reason(req):
    """Give a manager no new work, and say why; 200."""
    service = _set_disabled(req, True, req.json['disabled_reason'])
    return {**views.changed(service, req.json), 'disabled_reason': service.disabled_reason}


def _set_disabled(req, disabled: bool, reason: str | None = None):
    binary = req.json.get('binary') or req.json.get('service')
    if binary is None:
        raise exception.InvalidInput(reason="Missing required element 'binary' in request body.")
    if binary != views.BINARY:
        raise exception.ServiceHostNotFound(binary=binary, host=req.json['host'])
    return services.set_disabled(
        req.context, placement.BINARY, req.json['host'], disabled, reason)
