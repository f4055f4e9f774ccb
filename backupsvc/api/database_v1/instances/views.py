# SPDX-License-Identifier: Apache-2.0
"""Instances as the Database API shows them."""

from backupsvc.api.database_v1 import forms, statuses, views

_GIB = 1 << 30


def summary(req, instance) -> dict:
    """Return what a list shows in the form of the specification."""
    return {
        'id': instance.id,
        'name': instance.name,
        'status': statuses.INSTANCE[instance.status],
        'links': views.links(req, 'instances', instance.id),
        'flavor': {
            'id': instance.flavor_id, 'links': views.links(req, 'flavors', instance.flavor_id)},
        'volume': {'size': instance.volume_gb},
    }


def item(req, instance) -> dict:
    """Return what a list shows in the form of the request."""
    return summary(req, instance) if forms.is_specified(req) else detail(req, instance)


def detail(req, instance, used_bytes: int | None = None) -> dict:
    """Return all that is known of an instance.

    :param used_bytes: of its volume, None when not known
    """
    zone = 'Z' if forms.is_specified(req) else ''
    body = {
        **summary(req, instance),
        'created': views.date(instance.created_at) + zone,
        'updated': views.date(instance.updated_at or instance.created_at) + zone,
    }
    if instance.address is not None:
        body['hostname'] = instance.address
        body['port'] = instance.port
    if used_bytes is not None:
        body['volume']['used'] = round(used_bytes / _GIB, 15)
    return body if forms.is_specified(req) else {**body, **_of_clients(req, instance)}


def _of_clients(req, instance) -> dict:
    """Return what only the clients know."""
    updated = views.date(instance.updated_at or instance.created_at)
    body: dict = {
        'operating_status': 'HEALTHY' if instance.status in ('active', 'backing-up') else '',
        'datastore': {
            'type': instance.datastore, 'version': instance.datastore_version,
            'version_number': instance.datastore_version},
        'region': instance.availability_zone or '',
        'access': {'is_public': False},
        'service_status_updated': updated,
    }
    if instance.fail_reason:
        body['fault'] = {'message': instance.fail_reason, 'created': updated, 'details': ''}
    if req.context.is_admin:
        body['tenant_id'] = instance.project_id
    return body
