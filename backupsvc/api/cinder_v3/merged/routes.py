# SPDX-License-Identifier: Apache-2.0
"""Rows of merged answers, for when the volumes are another service's."""

from collections.abc import Callable

from backupsvc.api.cinder_v3 import versions
from backupsvc.api.cinder_v3.merged import controller
from backupsvc.orchestration.volumes import are_elsewhere
from backupsvc.policies import backups, messages, quotas, services, volumes
from backupsvc.wsgi.dialect import Route

_QUOTAS = '/os-quota-sets/{target_id}'
_CLASS = '/os-quota-class-sets/{class_name}'


def _row(method: str, path: str, handler: Callable, *policies: str, **kwargs) -> Route:
    """Return a row; over and above our own errors it hands on whatever the other service says."""
    return Route(method, path, handler, policies=policies, served=are_elsewhere,
                 errors=(400, 404, 413, 415, 502, 503, 504), **kwargs)


ROUTES = [
    _row('POST', '/volumes', controller.create_volume, volumes.CREATE, backups.RESTORE),
    _row('GET', '/limits', controller.show_limits, quotas.LIMITS),
    _row('GET', _QUOTAS, controller.show_quotas, quotas.SHOW),
    _row('GET', f'{_QUOTAS}/defaults', controller.show_default_quotas, quotas.SHOW),
    _row('PUT', _QUOTAS, controller.update_quotas, quotas.UPDATE),
    _row('DELETE', _QUOTAS, controller.delete_quotas, quotas.DELETE),
    _row('GET', _CLASS, controller.show_quota_class, quotas.CLASS_SHOW),
    _row('PUT', _CLASS, controller.update_quota_class, quotas.CLASS_UPDATE),
    _row('GET', '/os-services', controller.list_services, services.LIST),
    _row('PUT', '/os-services/enable', controller.enable_service, services.UPDATE),
    _row('PUT', '/os-services/disable', controller.disable_service, services.UPDATE),
    _row('PUT', '/os-services/disable-log-reason', controller.disable_service_log_reason,
         services.UPDATE),
    _row('GET', '/messages', controller.list_messages, messages.LIST,
         min_version=versions.USER_MESSAGES),
    _row('GET', '/messages/{message_id}', controller.show_message, messages.SHOW,
         min_version=versions.USER_MESSAGES),
    _row('DELETE', '/messages/{message_id}', controller.delete_message, messages.DELETE,
         min_version=versions.USER_MESSAGES),
    _row('GET', '/resource_filters', controller.list_resource_filters,
         min_version=versions.RESOURCE_FILTERS),
]
