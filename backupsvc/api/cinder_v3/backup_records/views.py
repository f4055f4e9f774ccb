# SPDX-License-Identifier: Apache-2.0
"""Backup records, and what an import made, as bodies."""

from backupsvc.api.cinder_v3 import views


def record(exported) -> dict:
    """Return an exported record."""
    return {
        'backup-record': {'backup_service': exported.service, 'backup_url': exported.url}
    }


def imported(req, backup) -> dict:
    """Return the summary of an imported backup."""
    return {
        'backup': {
            'id': backup.id,
            'name': backup.name,
            'links': views.links(req, 'backups', backup.id),
        }
    }
