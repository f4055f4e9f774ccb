# SPDX-License-Identifier: Apache-2.0
"""The dialect's route table, put together from those of its resources."""

from backupsvc.api.backup_v1.volume_backups import routes as volume_backups
from backupsvc.api.backup_v1.volumes import routes as volumes

RESOURCES = (
    volume_backups,
    volumes,
)

ROUTES = [row for resource in RESOURCES for row in resource.ROUTES]
