# SPDX-License-Identifier: Apache-2.0
"""Use cases of instance snapshots: a snapshot of each volume of an instance, as of one moment.

The members are snapshots of the volume driver, like those that a user makes of one volume, and
count in its quotas.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from oslo_utils import timeutils, uuidutils

from backupsvc import exception, rpc, states
from backupsvc.context import RequestContext
from backupsvc.drivers import loader
from backupsvc.drivers.base import Volume
from backupsvc.objects import quota
from backupsvc.objects.instance_snapshot import InstanceSnapshot as Record
from backupsvc.objects.instance_snapshot import SnapshotMember
from backupsvc.orchestration import backups, placement, sets, volumes
from backupsvc.orchestration import quota as backup_quota
from backupsvc.policies import instance_snapshots as policies

#: Statuses of the driver's snapshots that do not stand in the way of the deletion.
_FREE = ('available', 'error')


@dataclasses.dataclass(frozen=True, kw_only=True)
class NewInstanceSnapshot:
    """What a caller wants a snapshot of.

    :ivar metadata: of the instance snapshot and of each volume's
    :ivar origin: name of the dialect that asks
    """

    instance_id: str
    origin: str
    name: str | None = None
    description: str | None = None
    metadata: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class InstanceSnapshot:
    """An instance snapshot with its members in the order of their devices."""

    record: Record
    members: Sequence[SnapshotMember]


def create(context: RequestContext, new: NewInstanceSnapshot) -> InstanceSnapshot:
    """Record an instance snapshot and have a manager take it.

    The volumes are held until it is taken.

    :raises InstanceNotFound: there is none, for this caller
    :raises PolicyNotAuthorized: the caller may not do this with it
    :raises InvalidInstance: its status does not allow it, or it has no volumes
    :raises InvalidVolume: something is being done with one of its volumes
    :raises OverQuota: all snapshots have to fit; or of metadata
    :raises ServiceNotFound: no manager is alive that could take it
    """
    instance, found = sets.find(context, policies.CREATE, new.instance_id)
    backup_quota.check_metadata(new.metadata)
    _check_quota(context, found)
    host = sets.host_of([instance], found)
    service = placement.pick(None, host)
    if service is None:
        raise exception.ServiceNotFound(service=placement.BINARY)
    record = Record(
        context,
        id=uuidutils.generate_uuid(),
        project_id=context.project_id,
        user_id=context.user_id,
        kind=sets.INSTANCE,
        source_id=instance.id,
        name=new.name,
        description=new.description,
        status=states.CREATING,
        size_gb=sum(volume.size_gb for volume in found),
        availability_zone=service.availability_zone,
        host=service.host,
        origin=new.origin,
        created_at=timeutils.utcnow(with_timezone=True),
        metadata=dict(new.metadata),
    )
    members = [
        SnapshotMember(context, volume_id=volume.id, position=position, size_gb=volume.size_gb,
                       device=instance.volumes[position].device)
        for position, volume in enumerate(found)]
    task = sets.new_task(
        context, states.TASK_SNAPSHOT, record.id, host=host,
        arguments={'members': [{'volume_id': volume.id, 'instance_id': instance.id}
                               for volume in found]})
    volume_ids = [volume.id for volume in found]
    sets.hold(context, volume_ids, task.id)
    try:
        record.create(members, task)
    except BaseException:
        sets.let_go(context, volume_ids, task.id)
        raise
    rpc.manager_api().wake(context, task)
    return InstanceSnapshot(record, record.members)


def _check_quota(context: RequestContext, found: Sequence[Volume]) -> None:
    """Refuse early what the volume driver would refuse at the end; others have their own quotas.

    :raises OverQuota: the snapshots do not fit
    """
    if not loader.volume_driver().serves_volumes:
        return
    project_id = volumes.own_project(context)
    limits = quota.limits_for(context, project_id)
    used = volumes.local().usage(project_id)
    wanted = {'snapshots': (len(found), exception.SnapshotLimitExceeded),
              'gigabytes': (sum(volume.size_gb for volume in found),
                            exception.VolumeSizeExceedsAvailableQuota)}
    for resource, (amount, error) in wanted.items():
        if 0 <= limits[resource] < used[resource] + amount:
            raise error(resource=resource, requested=amount, limit=limits[resource],
                        in_use=used[resource])


def get(context: RequestContext, snapshot_id: str) -> InstanceSnapshot:
    """Return an instance snapshot.

    :raises InstanceSnapshotNotFound: it does not exist, or is another project's
    """
    record = Record.get_by_id(context, snapshot_id)
    context.authorize(policies.SHOW, record)
    return InstanceSnapshot(record, record.members)


def list_(context: RequestContext, query: sets.SetQuery) -> sets.Page:
    """Return a page of instance snapshots, of the caller's project unless an administrator wants
    all.

    :raises InstanceSnapshotNotFound: the marker is none that the caller may see
    :raises InvalidInput: a sort key is no attribute
    """
    context.authorize(policies.LIST)
    records, count = sets.page(context, Record, query)
    return sets.Page([InstanceSnapshot(record, record.members) for record in records], count)


def delete(context: RequestContext, snapshot_id: str, *, force: bool = False) -> None:
    """Have a manager remove an instance snapshot with the snapshots in it.

    :param force: whatever its status is; the taking of it is cancelled
    :raises InstanceSnapshotNotFound: there is none, for this caller
    :raises InvalidSnapshot: its status, or that of a snapshot in it, does not allow it
    """
    record = Record.get_by_id(context, snapshot_id)
    context.authorize(policies.FORCE_DELETE if force else policies.DELETE, record)
    if not force:
        _check_members(context, record)
    host = _host(context, record)
    task = sets.new_task(context, states.TASK_DELETE_SNAPSHOT, record.id, host=host, arguments={})
    expected = states.SET if force else (states.AVAILABLE, states.ERROR)
    try:
        record.begin(task, expected, states.DELETING)
    except exception.SetChanged as err:
        raise exception.InvalidSnapshot(
            reason='Instance snapshot status must be available or error, but it is '
                   f'{err.details["status"]}.') from err
    if force:
        backups.cancel_work(context, record.id)
    rpc.manager_api().wake(context, task)


def _check_members(context: RequestContext, record: Record) -> None:
    driver = loader.volume_driver()
    for member in record.members:
        if member.snapshot_id is None:
            continue
        try:
            found = driver.show_snapshot(context, member.snapshot_id)
        except exception.SnapshotNotFound:
            continue  # its user was quicker
        if found.status not in _FREE:
            raise exception.InvalidSnapshot(
                reason=f'Snapshot {found.id} of volume {member.volume_id} is in status '
                       f'"{found.status}".')


def _host(context: RequestContext, record: Record) -> str | None:
    """Return the only host that reaches the snapshots; None if any does."""
    return record.host if loader.volume_driver().is_host_local else None
