# SPDX-License-Identifier: Apache-2.0
"""Managers as Cinder v3 shows its backup services."""

from backupsvc.api.cinder_v3 import versions, views

#: The name under which clients look for whoever makes backups.
BINARY = 'cinder-backup'


def detail(req, service) -> dict:
    """Return a row of the list."""
    body = {
        'binary': BINARY,
        'host': service.host,
        'zone': service.availability_zone or '',
        'status': 'disabled' if service.disabled else 'enabled',
        'state': 'up' if service.is_up else 'down',
        'updated_at': views.date(service.last_seen_at),
        'disabled_reason': service.disabled_reason,
    }
    if req.version >= versions.SERVICE_CLUSTER:
        body['cluster'] = None
    return body


def changed(service, named: dict) -> dict:
    """Return the answer to enabling and disabling."""
    return {
        'host': service.host,
        'binary': named.get('binary', ''),
        'service': named.get('service', ''),
        'disabled': service.disabled,
        'status': 'disabled' if service.disabled else 'enabled',
    }
