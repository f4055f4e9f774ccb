# SPDX-License-Identifier: Apache-2.0
"""Volumes made of backups as this dialect shows them."""


def of_backup(volume, backup_id: str) -> dict:
    """Return what the making of a volume answers; the volume may still be on its way."""
    return {
        'volume': {
            'id': volume.id,
            'name': volume.name,
            'description': volume.description,
            'status': volume.status,
            'size': volume.size_gb,
            'volume_type': volume.volume_type,
            'availability_zone': volume.availability_zone,
            'backup_id': backup_id,
        }
    }
