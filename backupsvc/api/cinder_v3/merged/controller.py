# SPDX-License-Identifier: Apache-2.0
"""Rows that both know something of: the volume service is asked, and our part put into its answer.

What the two disagree on is ours to say as far as it is about backups: the volume service has
counters, quotas, filters and services of a backup service of its own that nobody uses.
"""

from typing import Any

from backupsvc import exception
from backupsvc.api.cinder_v3 import forwarding, listing, shapes
from backupsvc.api.cinder_v3.limits import views as limit_views
from backupsvc.api.cinder_v3.merged import schemas
from backupsvc.api.cinder_v3.messages import controller as messages
from backupsvc.api.cinder_v3.services import controller as services
from backupsvc.api.cinder_v3.services import views as service_views
from backupsvc.api.cinder_v3.volumes import controller as volumes
from backupsvc.orchestration import messages as message_cases
from backupsvc.orchestration import quotas
from backupsvc.wsgi import validation


def _asks_for(req, *keys: str) -> Any:
    """Return what a JSON body has under nested keys, None when it has not or is none at all."""
    _, value = req.parsed_body()
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


@validation.response(schemas.ANYTHING, status=202)
def create_volume(req):
    """Make a volume: of a backup here, any other there; 202."""
    if not _asks_for(req, 'volume', 'backup_id'):
        return forwarding.answer(req)
    rule = validation.select(validation.rules_of(volumes.create_volume).body, req.version)
    present, req.json = req.parsed_body()
    validation.check_body(rule.schema, present, req.json)
    return volumes.create_volume(req)


@validation.query(shapes.ANY_QUERY)
@validation.response(schemas.ANYTHING)
def show_limits(req):
    """Show the limits of the volume service, those of backups from here; 200."""
    found = forwarding.answer(req)
    body = forwarding.body(found)
    if body is None:
        return found
    absolute = body.setdefault('limits', {}).setdefault('absolute', {})
    absolute.update(limit_views.absolute(quotas.limits(req.context)))
    return forwarding.with_body(found, body)


@validation.query(shapes.ANY_QUERY)
@validation.response(schemas.ANYTHING)
def show_quotas(req):
    """Show the quotas of the volume service, those of backups from here; 200."""
    found = forwarding.answer(req)
    body = forwarding.body(found)
    if body is None:
        return found
    ours = quotas.show(req.context, req.path_params['target_id'])
    with_usage = any(isinstance(value, dict) for value in body.get('quota_set', {}).values())
    for name, quota in ours.items():
        body['quota_set'][name] = (
            {'limit': quota.limit, 'in_use': quota.in_use, 'reserved': 0} if with_usage
            else quota.limit)
    return forwarding.with_body(found, body)


@validation.query(shapes.ANY_QUERY)
@validation.response(schemas.ANYTHING)
def show_default_quotas(req):
    """Show the default quotas of the volume service, those of backups from here; 200."""
    found = forwarding.answer(req)
    body = forwarding.body(found)
    if body is None:
        return found
    body['quota_set'].update(quotas.show_defaults(req.context, req.path_params['target_id']))
    return forwarding.with_body(found, body)


@validation.response(schemas.ANYTHING)
def update_quotas(req):
    """Set quotas: there as they are sent, those of backups here as well; 200."""
    found = forwarding.answer(req)
    body = forwarding.body(found)
    if body is None:
        return found
    project = req.path_params['target_id']
    limits = quotas.update(req.context, project, _backup_quotas(req, 'quota_set'))
    body['quota_set'].update(limits)
    return forwarding.with_body(found, body)


def _backup_quotas(req, key: str) -> dict[str, int]:
    """Return the limits of backups in a body that the volume service has accepted."""
    wanted = _asks_for(req, key)
    return {name: int(wanted[name]) for name in quotas.BACKUP_RESOURCES if name in wanted}


@validation.response(schemas.ANYTHING)
def delete_quotas(req):
    """Put a project back on the defaults, there and here; 200."""
    found = forwarding.answer(req)
    if found.status_int < 300:
        quotas.delete(req.context, req.path_params['target_id'])
    return found


@validation.query(shapes.ANY_QUERY)
@validation.response(schemas.ANYTHING)
def show_quota_class(req):
    """Show a quota class of the volume service, with backups from here; 200."""
    found = forwarding.answer(req)
    body = forwarding.body(found)
    if body is None:
        return found
    body['quota_class_set'].update(
        quotas.show_class(req.context, req.path_params['class_name']))
    return forwarding.with_body(found, body)


@validation.response(schemas.ANYTHING)
def update_quota_class(req):
    """Set a quota class: there as it is sent, with backups here as well; 200."""
    found = forwarding.answer(req)
    body = forwarding.body(found)
    if body is None:
        return found
    body['quota_class_set'].update(quotas.update_class(
        req.context, req.path_params['class_name'], _backup_quotas(req, 'quota_class_set')))
    return forwarding.with_body(found, body)


@validation.query(shapes.ANY_QUERY)
@validation.response(schemas.ANYTHING)
def list_services(req):
    """List the services there, and the managers here as its backup services; 200."""
    ours = services.list_services(req)
    if req.query.get('binary') == service_views.BINARY:
        return ours
    found = forwarding.answer(req)
    body = forwarding.body(found)
    if body is None:
        return found
    body['services'] = [
        service for service in body.get('services', ())
        if service.get('binary') != service_views.BINARY] + ours['services']
    return forwarding.with_body(found, body)


def _is_ours(req) -> bool:
    return service_views.BINARY in (_asks_for(req, 'binary'), _asks_for(req, 'service'))


@validation.response(schemas.ANYTHING)
def enable_service(req):
    """Enable a service, wherever it is; 200."""
    return _change(req, services.enable)


@validation.response(schemas.ANYTHING)
def disable_service(req):
    """Disable a service, wherever it is; 200."""
    return _change(req, services.disable)


@validation.response(schemas.ANYTHING)
def disable_service_log_reason(req):
    """Disable a service and say why, wherever it is; 200."""
    return _change(req, services.disable_log_reason)


def _change(req, handler):
    if not _is_ours(req):
        return forwarding.answer(req)
    rule = validation.select(validation.rules_of(handler).body, req.version)
    present, req.json = req.parsed_body()
    validation.check_body(rule.schema, present, req.json)
    return handler(req)


@validation.query(shapes.LIST_QUERY)
@validation.response(schemas.ANYTHING)
def list_messages(req):
    """List messages: of backups from here if only they are asked for, else those there; 200."""
    if req.query.get('resource_type') == message_cases.BACKUP:
        return messages.list_messages(req)
    return forwarding.answer(req)


@validation.query(shapes.ANY_QUERY)
@validation.response(schemas.ANYTHING)
def show_message(req):
    """Show a message from here, or else from there; 200."""
    try:
        return messages.show_message(req)
    except exception.MessageNotFound:
        return forwarding.answer(req)


@validation.response(schemas.ANYTHING, status=204)
def delete_message(req):
    """Delete a message here, or else there; 204."""
    try:
        return messages.delete_message(req)
    except exception.MessageNotFound:
        return forwarding.answer(req)


@validation.query(shapes.ANY_QUERY)
@validation.response(schemas.ANYTHING)
def list_resource_filters(req):
    """List the filters of the volume service, those of backups from here; 200."""
    found = forwarding.answer(req)
    body = forwarding.body(found)
    if body is None:
        return found
    wanted = req.query.get('resource')
    filters = [one for one in body.get('resource_filters', ()) if one.get('resource') != 'backup']
    if wanted in (None, 'backup'):
        filters.append({'resource': 'backup', 'filters': list(listing.FILTERS['backup'])})
    return forwarding.with_body(found, {**body, 'resource_filters': filters})
