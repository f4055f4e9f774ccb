# SPDX-License-Identifier: Apache-2.0
"""The dialect's route table, put together from those of its resources."""

from backupsvc.api.backup_v1.instance_backups import routes as instance_backups
from backupsvc.api.backup_v1.instance_snapshots import routes as instance_snapshots
from backupsvc.api.backup_v1.volume_actions import routes as volume_actions
from backupsvc.api.backup_v1.volume_backups import routes as volume_backups
from backupsvc.api.backup_v1.volumes import routes as volumes

RESOURCES = (
    volume_backups,
    volumes,
    volume_actions,
    instance_snapshots,
    instance_backups,
)

ROUTES = [row for resource in RESOURCES for row in resource.ROUTES]
