# SPDX-License-Identifier: Apache-2.0
"""Use cases of snapshots where the volume driver is the cloud's volume service."""

from collections.abc import Mapping
from typing import Any

from backupsvc import exception
from backupsvc.context import RequestContext
from backupsvc.drivers import loader
from backupsvc.drivers.base import Snapshot
from backupsvc.objects import quota
from backupsvc.orchestration import volumes
from backupsvc.policies import snapshots as policies

RESET_STATUSES = ('available', 'creating', 'deleting', 'error', 'error_deleting')


def create(context: RequestContext, volume_id: str, *, name: str | None, description: str | None,
           metadata: Mapping[str, str], force: bool) -> Snapshot:
    """Begin to make a snapshot.

    :param force: of a volume in use, too
    :raises VolumeNotFound: there is no such volume
    :raises InvalidVolume: its status does not allow it
    :raises OverQuota: the project may hold no more
    """
    volume = volumes.get(context, volume_id, policies.CREATE)
    limits = quota.limits_for(context, volume.project_id)
    return volumes.local().create_snapshot(
        context, volume_id, name=name, description=description, metadata=metadata, force=force,
        limits=limits)


def list_(context: RequestContext, query: volumes.Query) -> volumes.Page:
    """Return one page of snapshots.

    :raises SnapshotNotFound: the marker is not visible
    """
    context.authorize(policies.LIST)
    listing = query.visible(context)
    driver = volumes.local()
    items = driver.list_snapshots(context, listing)
    count = driver.count_snapshots(context, listing.filters) if query.with_count else None
    return volumes.Page(items, count)


def get(context: RequestContext, snapshot_id: str, rule: str = policies.SHOW) -> Snapshot:
    """Return a snapshot that the caller may do ``rule`` with.

    :raises SnapshotNotFound: it does not exist or is another project's
    """
    snapshot = loader.volume_driver().show_snapshot(context, snapshot_id)
    context.authorize(rule, snapshot)
    return snapshot


def update(context: RequestContext, snapshot_id: str, **changes: Any) -> Snapshot:
    """Change name or description."""
    get(context, snapshot_id, policies.UPDATE)
    return volumes.local().update_snapshot(context, snapshot_id, **changes)


def delete(context: RequestContext, snapshot_id: str, *, force: bool) -> None:
    """Delete a snapshot.

    :raises InvalidSnapshot: it may not be deleted now
    """
    get(context, snapshot_id, policies.FORCE_DELETE if force else policies.DELETE)
    volumes.local().delete_snapshot(context, snapshot_id, force=force)


def reset_status(context: RequestContext, snapshot_id: str, status: str) -> None:
    """Force a status on a snapshot.

    :raises InvalidInput: it is none that a snapshot can have
    """
    get(context, snapshot_id, policies.RESET_STATUS)
    if status.lower() not in RESET_STATUSES:
        raise exception.InvalidInput(reason=f'Must specify a valid status, not {status!r}.')
    volumes.local().reset_snapshot(context, snapshot_id, status.lower())


def set_metadata(context: RequestContext, snapshot_id: str, pairs: Mapping[str, str], *,
                 replace: bool) -> dict[str, str]:
    """Add or replace metadata; return all of it."""
    get(context, snapshot_id, policies.METADATA_UPDATE)
    return volumes.local().set_snapshot_metadata(context, snapshot_id, pairs, replace=replace)


def delete_metadata(context: RequestContext, snapshot_id: str, key: str) -> None:
    """Remove one pair.

    :raises SnapshotMetadataNotFound: there is none of that key
    """
    get(context, snapshot_id, policies.METADATA_DELETE)
    volumes.local().delete_snapshot_metadata(context, snapshot_id, key)
