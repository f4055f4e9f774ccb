# SPDX-License-Identifier: Apache-2.0
"""Backups as the Database API shows them."""

from backupsvc.api.database_v1 import forms, statuses, views

_GIB = 1 << 30


def detail(req, backup, phase: str | None, location: str | None) -> dict:
    """Return all that is known of a backup.

    :param phase: how far it is, of one that is being made
    :param location: URL of its object, once it is complete
    """
    body = {
        'id': backup.id,
        'name': backup.name,
        'description': backup.description,
        'instance_id': backup.source_id,
        'locationRef': location,
        'status': statuses.PHASE[phase] if phase else statuses.BACKUP[backup.status],
        'created': views.date(backup.created_at),
        'updated': views.date(backup.updated_at or backup.created_at),
    }
    return body if forms.is_specified(req) else {**body, **_of_clients(backup)}


def _of_clients(backup) -> dict:
    """Return what only the clients know."""
    facts = backup.source_facts or {}
    version = facts.get('datastore_version', '')
    return {
        'size': round(backup.logical_bytes / _GIB, 2) if backup.logical_bytes else None,
        'parent_id': backup.parent_id,
        'project_id': backup.project_id,
        'datastore': {
            'type': facts.get('datastore', ''), 'version': version, 'version_id': version},
    }
