# SPDX-License-Identifier: Apache-2.0
"""The dialect's route table, put together from those of its resources.

A resource is a folder with ``routes.py``; it is added by its import and its name here. Of two rows
that fit a request the first one serves it.
"""

from backupsvc.api.cinder_v3.availability_zones import routes as availability_zones
from backupsvc.api.cinder_v3.backup_actions import routes as backup_actions
from backupsvc.api.cinder_v3.backup_metadata import routes as backup_metadata
from backupsvc.api.cinder_v3.backup_records import routes as backup_records
from backupsvc.api.cinder_v3.backups import routes as backups
from backupsvc.api.cinder_v3.extensions import routes as extensions
from backupsvc.api.cinder_v3.limits import routes as limits
from backupsvc.api.cinder_v3.merged import routes as merged
from backupsvc.api.cinder_v3.messages import routes as messages
from backupsvc.api.cinder_v3.quota_class_sets import routes as quota_class_sets
from backupsvc.api.cinder_v3.quota_sets import routes as quota_sets
from backupsvc.api.cinder_v3.resource_filters import routes as resource_filters
from backupsvc.api.cinder_v3.services import routes as services
from backupsvc.api.cinder_v3.snapshot_metadata import routes as snapshot_metadata
from backupsvc.api.cinder_v3.snapshots import routes as snapshots
from backupsvc.api.cinder_v3.transfers import routes as transfers
from backupsvc.api.cinder_v3.types import routes as types
from backupsvc.api.cinder_v3.volume_actions import routes as volume_actions
from backupsvc.api.cinder_v3.volume_metadata import routes as volume_metadata
from backupsvc.api.cinder_v3.volumes import routes as volumes

RESOURCES = (
    backups,
    backup_records,
    backup_actions,
    backup_metadata,
    resource_filters,
    volumes,
    volume_metadata,
    volume_actions,
    snapshots,
    snapshot_metadata,
    types,
    transfers,
    availability_zones,
    limits,
    quota_sets,
    quota_class_sets,
    services,
    messages,
    extensions,
    merged,
)

ROUTES = [row for resource in RESOURCES for row in resource.ROUTES]
