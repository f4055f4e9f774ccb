# SPDX-License-Identifier: Apache-2.0
"""Use cases of instance backups: all volumes of an instance, backed up as of one moment.

An instance backup is a set. Its members are ordinary backups, each of which can be restored by
itself; they are counted by quota, and it is not.
"""

import dataclasses
import datetime
import posixpath
from collections.abc import Mapping, Sequence
from typing import Any

from oslo_utils import timeutils, uuidutils

from backupsvc import exception, rpc, states
from backupsvc.context import RequestContext
from backupsvc.drivers.base import Instance, Volume
from backupsvc.objects.backup import Backup, BackupList
from backupsvc.objects.backup_set import BackupSet
from backupsvc.objects.task import Task
from backupsvc.orchestration import backups, placement, progress, quota, sets
from backupsvc.policies import instance_backups as policies

_TICK = datetime.timedelta(microseconds=1)
_NAME_LENGTH = 255

#: Statuses of members that do not stand in the way of the set's deletion.
_FREE = (states.AVAILABLE, states.ERROR)


@dataclasses.dataclass(frozen=True, kw_only=True)
class NewInstanceBackup:
    """What a caller wants backed up, and how.

    :ivar incremental: build each member on the latest backup of its volume; where there is none
        it is made full
    :ivar metadata: of the set and of each member
    :ivar origin: name of the dialect that asks
    """

    instance_id: str
    origin: str
    name: str | None = None
    description: str | None = None
    container: str | None = None
    incremental: bool = False
    availability_zone: str | None = None
    metadata: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class InstanceBackup:
    """A set with its members.

    :ivar members: those that are not deleted, in the order of their devices
    :ivar progress: of all members as one; None when nothing is being done
    """

    record: BackupSet
    members: Sequence[Backup]
    progress: progress.Progress | None


def create(context: RequestContext, new: NewInstanceBackup) -> InstanceBackup:
    """Record an instance backup and have a manager make it.

    The volumes are held from here until their snapshots are taken.

    :raises InstanceNotFound: there is none, for this caller
    :raises PolicyNotAuthorized: the caller may not back it up
    :raises InvalidInstance: its status does not allow it, or it has no volumes
    :raises InvalidVolume: something is being done with one of its volumes
    :raises OverQuota: of number or size; all members have to fit; or of metadata
    :raises ServiceNotFound: no manager is alive that could make it
    """
    instance, volumes = sets.find(context, policies.CREATE, new.instance_id)
    quota.check_metadata(new.metadata)
    limits = quota.check(context, {
        'backups': len(volumes), 'backup_gigabytes': sum(each.size_gb for each in volumes)})
    host = sets.host_of([instance], volumes)
    service = placement.pick(new.availability_zone, host)
    if service is None:
        raise exception.ServiceNotFound(service=placement.BINARY)
    place = {'host': service.host,
             'availability_zone': new.availability_zone or service.availability_zone}
    members = _members(context, new, instance, volumes, place)
    record = _record(context, new, volumes, members, place)
    task = sets.new_task(
        context, states.TASK_CREATE_SET, record.id, host=host,
        arguments=_arguments(instance, members))
    volume_ids = [volume.id for volume in volumes]
    sets.hold(context, volume_ids, task.id)
    try:
        with quota.named_errors():
            record.create(members, task, limits)
    except BaseException:
        sets.let_go(context, volume_ids, task.id)
        raise
    rpc.manager_api().wake(context, task)
    return _whole(context, record)


def _members(
    context: RequestContext, new: NewInstanceBackup, instance: Instance,
    volumes: Sequence[Volume], place: Mapping[str, Any]
) -> list[Backup]:
    members = []
    now = timeutils.utcnow(with_timezone=True)
    for position, volume in enumerate(volumes):
        parent = Backup.latest_parent(context, volume.id) if new.incremental else None
        members.append(backups.new_record(
            context, backups.NewBackup(
                source_id=volume.id, origin=new.origin, description=new.description,
                name=_member_name(new.name, instance.volumes[position].device),
                container=new.container, metadata=new.metadata),
            volume, None, parent, size_gb=volume.size_gb, status=states.CREATING,
            now=now + position * _TICK,  # which keeps their order
            **place))
    return members


def _member_name(name: str | None, device: str) -> str | None:
    """Return the set's name with the device added, as far as a name is long."""
    if name is None:
        return None
    suffix = f'-{posixpath.basename(device)}'
    return name[:_NAME_LENGTH - len(suffix)] + suffix


def _record(
    context: RequestContext, new: NewInstanceBackup, volumes: Sequence[Volume],
    members: Sequence[Backup], place: Mapping[str, Any]
) -> BackupSet:
    return BackupSet(
        context,
        id=uuidutils.generate_uuid(),
        project_id=context.project_id,
        user_id=context.user_id,
        kind=sets.INSTANCE,
        source_id=new.instance_id,
        name=new.name,
        description=new.description,
        status=states.CREATING,
        size_gb=sum(volume.size_gb for volume in volumes),
        container=members[0].container,
        is_incremental=any(member.is_incremental for member in members),
        origin=new.origin,
        created_at=timeutils.utcnow(with_timezone=True),
        metadata=dict(new.metadata),
        **place,
    )


def _arguments(instance: Instance, members: Sequence[Backup]) -> dict[str, Any]:
    """Return what a manager has to know of the members; they may be of several instances."""
    return {'members': [
        {'backup_id': member.id, 'volume_id': volume.volume_id, 'parent_id': member.parent_id,
         'instance_id': instance.id, 'device': volume.device, 'is_boot': volume.is_boot}
        for member, volume in zip(members, instance.volumes, strict=True)]}


def _whole(context: RequestContext, record: BackupSet) -> InstanceBackup:
    members = record.members()
    return InstanceBackup(record, members, progress.together(context, members))


def get(context: RequestContext, set_id: str) -> InstanceBackup:
    """Return an instance backup.

    :raises InstanceBackupNotFound: it does not exist, or is another project's
    """
    record = BackupSet.get_by_id(context, set_id)
    context.authorize(policies.SHOW, record)
    return _whole(context, record)


def list_(context: RequestContext, query: sets.SetQuery) -> sets.Page:
    """Return a page of instance backups, of the caller's project unless an administrator wants
    all.

    :raises InstanceBackupNotFound: the marker is none that the caller may see
    :raises InvalidInput: a sort key is no attribute
    """
    context.authorize(policies.LIST)
    records, count = sets.page(context, BackupSet, query)
    members = BackupList.of_sets(context, [record.id for record in records])
    parts = progress.of(context, [each for found in members.values() for each in found])
    return sets.Page([
        InstanceBackup(record, members[record.id], progress.sum_up(members[record.id], parts))
        for record in records], count)


def update(
    context: RequestContext, set_id: str, *, changes: Mapping[str, Any],
    metadata: Mapping[str, str] | None = None
) -> InstanceBackup:
    """Change the name or the description, and replace the metadata unless it is None; the members
    keep theirs.

    :param changes: ``name`` and ``description``, those that are to change
    :raises InstanceBackupNotFound: there is none, for this caller
    :raises MetadataLimitExceeded: there are too many pairs
    """
    record = BackupSet.get_by_id(context, set_id)
    context.authorize(policies.UPDATE, record)
    quota.check_metadata(metadata or {})
    record.change(changes, metadata)
    return _whole(context, record)


def delete(context: RequestContext, set_id: str, *, force: bool = False) -> None:
    """Have a manager remove an instance backup with all its members.

    :param force: whatever its status is; what is being done with it or them is cancelled
    :raises InstanceBackupNotFound: there is none, for this caller
    :raises InvalidBackup: its status, or that of a member, does not allow it
    """
    record = BackupSet.get_by_id(context, set_id)
    context.authorize(policies.FORCE_DELETE if force else policies.DELETE, record)
    members = [member for member in record.members() if member.status != states.DELETING]
    expected = states.SET if force else _FREE
    task = sets.new_task(context, states.TASK_DELETE_SET, record.id, arguments={'force': force})
    follow: dict[str, Task] = {
        member.id: backups.new_task(
            context, states.TASK_DELETE, member.id, arguments={'force': force})
        for member in members}
    try:
        record.begin(task, expected, states.DELETING, {
            member.id: (follow[member.id], states.BACKUP if force else _FREE, states.DELETING)
            for member in members})
    except exception.SetChanged as err:
        raise exception.InvalidBackup(
            reason='Instance backup status must be available or error, but it is '
                   f'{err.details["status"]}.') from err
    except exception.BackupChanged as err:
        raise exception.InvalidBackup(
            reason=f'The member {err.details["backup_id"]} of the instance backup is '
                   f'{err.details["status"]}.') from err
    if force:
        backups.cancel_work(context, record.id)
        for member in members:
            backups.cancel_work(context, member.id)
    for each in (task, *follow.values()):
        rpc.manager_api().wake(context, each)
