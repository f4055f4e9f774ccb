# SPDX-License-Identifier: Apache-2.0
"""Use cases of backups: create, look up, change, delete. The work is a task for a manager."""

import contextlib
import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from oslo_utils import timeutils, uuidutils

from backupsvc import conf, exception, rpc, states
from backupsvc.context import RequestContext
from backupsvc.drivers import loader
from backupsvc.drivers.base import Snapshot, Volume
from backupsvc.objects.backup import Backup, BackupList
from backupsvc.objects.backup_set import BackupSet
from backupsvc.objects.checkpoint import Checkpoint
from backupsvc.objects.service import Service
from backupsvc.objects.task import Task
from backupsvc.orchestration import messages, placement, quota, trusts
from backupsvc.policies import backups as policies
from backupsvc.rpc import notifications

if TYPE_CHECKING:
    from backupsvc.drivers.volume.base import VolumeDriver

#: The kind of backups that these use cases are about; those of databases have their own.
VOLUME = 'volume'

LATEST = 'latest'
REFUSE = 'refuse'
FULL = 'full'

NO_SERVICE = 'Service not found for creating backup.'

#: Resolution of times in records.
_TICK = datetime.timedelta(microseconds=1)

#: Kinds of task that a reset or a forced deletion cancels.
_CANCELLED = (states.TASK_CREATE, states.TASK_IMPORT, states.TASK_RESTORE, states.TASK_VERIFY,
              states.TASK_CREATE_SET, states.TASK_SNAPSHOT, states.TASK_CHECKPOINT)

#: Attributes that lists can be filtered and sorted by, and the type of their values.
ATTRIBUTES: Mapping[str, type] = {
    **dict.fromkeys(
        ('id', 'project_id', 'user_id', 'source_id', 'parent_id', 'name', 'description', 'status',
         'fail_reason', 'container', 'snapshot_id', 'availability_zone', 'host',
         'encryption_key_id'), str),
    **dict.fromkeys(('size_gb', 'object_count'), int),
    **dict.fromkeys(('created_at', 'updated_at', 'data_timestamp'), datetime.datetime),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class NewBackup:
    """What a caller wants backed up, and how.

    :ivar force: back up a volume although it is in use
    :ivar parent: build on this backup: an id, or ``LATEST`` for the newest that fits; None is full
    :ivar missing_parent: what to do when ``LATEST`` finds nothing: ``REFUSE`` or make it ``FULL``
    :ivar origin: name of the dialect that asks
    """

    source_id: str
    origin: str
    name: str | None = None
    description: str | None = None
    container: str | None = None
    snapshot_id: str | None = None
    force: bool = False
    parent: str | None = None
    missing_parent: str = REFUSE
    availability_zone: str | None = None
    metadata: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BackupQuery:
    """Which backups a list shows.

    :ivar filters: attribute to value, all must hold; ``name~`` holds where the name contains the
        text; ``metadata`` is a mapping of pairs that must all be there; a list of texts holds
        where the attribute is one of them; an unknown attribute holds for no backup
    :ivar sort: (attribute, ``asc`` or ``desc``) pairs; the id decides what they leave open
    :ivar limit: items of a page
    :ivar marker: id of the backup that the page comes after
    :ivar all_projects: for administrators: not only the caller's own project
    :ivar with_count: count all backups that match, too
    """

    limit: int
    filters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    sort: Sequence[tuple[str, str]] = (('created_at', 'desc'), ('id', 'desc'))
    marker: str | None = None
    offset: int = 0
    all_projects: bool = False
    with_count: bool = False


@dataclasses.dataclass(frozen=True)
class Page:
    """One page of a list.

    :ivar dependents: for the ids that have any, the number of live backups made from them
    :ivar count: all backups that match; None unless asked for
    """

    backups: Sequence[Backup]
    dependents: Mapping[str, int]
    count: int | None


def create(context: RequestContext, new: NewBackup) -> Backup:
    """Record a backup and have a manager make it.

    The source is held from here until the work has ended. Without a live manager the record is
    made all the same, in status error.

    :raises VolumeNotFound, SnapshotNotFound: there is none, for this caller
    :raises PolicyNotAuthorized: the caller may not back this source up
    :raises InvalidVolume, InvalidSnapshot: their state does not allow it
    :raises OverQuota: of number or size
    :raises InvalidBackup: there is nothing to build an incremental on
    """
    driver = loader.volume_driver()
    volume = driver.show_volume(context, new.source_id)
    context.authorize(policies.CREATE, volume)
    snapshot = _checked_snapshot(context, driver, volume, new)
    size_gb = snapshot.size_gb if snapshot else volume.size_gb
    limits = quota.check(context, quota.wanted(size_gb))
    quota.check_metadata(new.metadata)
    parent = _parent(context, volume, snapshot, new)
    host = volume.host if driver.is_host_local else None
    service = placement.pick(new.availability_zone, host)
    backup = new_record(
        context, new, volume, snapshot, parent, size_gb=size_gb, **_placed(new, service))
    if service is None:
        with quota.named_errors():
            backup.create(None, limits)
        messages.create(context, messages.BACKUP_CREATE, messages.NO_SERVICE, backup.id)
        return backup
    task = new_task(context, states.TASK_CREATE, backup.id, host=host, arguments={
        'volume_id': volume.id, 'snapshot_id': new.snapshot_id, 'parent_id': backup.parent_id})
    _hold(context, driver, new, task)
    try:
        with quota.named_errors():
            backup.create(task, limits)
    except BaseException:
        _let_go(context, driver, new, task)
        raise
    rpc.manager_api().wake(context, task)
    return backup


def _checked_snapshot(
    context: RequestContext, driver: 'VolumeDriver', volume: Volume, new: NewBackup
) -> Snapshot | None:
    """Return the snapshot that is to be read, if any, after it or the volume was checked."""
    if new.snapshot_id is None:
        if volume.status not in ('available', 'in-use'):
            raise exception.SourceVolumeNotReady(
                reason='Volume to be backed up must be available or in-use, but the current '
                       f'status is "{volume.status}".')
        if volume.status == 'in-use' and not new.force:
            raise exception.SourceVolumeNotReady(
                reason='Backing up an in-use volume must use the force flag.')
        return None
    snapshot = driver.show_snapshot(context, new.snapshot_id)
    if snapshot.volume_id != volume.id:
        raise exception.InvalidVolume(
            reason=f'Volume {volume.id} does not match with snapshot.volume_id '
                   f'{snapshot.volume_id}.')
    if snapshot.status != 'available':
        raise exception.InvalidSnapshot(
            reason='Snapshot to be backed up must be available, but the current status is '
                   f'"{snapshot.status}".')
    return snapshot


def _parent(
    context: RequestContext, volume: Volume, snapshot: Snapshot | None, new: NewBackup
) -> Backup | None:
    """Return the backup to build on: of the same project, older than the snapshot read."""
    if new.parent is None:
        return None
    # Strictly older, as in Cinder: another backup of the same snapshot is no parent.
    before = snapshot.created_at - _TICK if snapshot else None
    if new.parent == LATEST:
        parent = Backup.latest_parent(context, volume.id, before=before)
        if parent is None and new.missing_parent == REFUSE:
            raise exception.InvalidBackup(
                reason='No backups available to do an incremental backup.')
        return parent
    parent = Backup.get_by_id(context, new.parent, kind=VOLUME)
    fits = (
        parent.source_id == volume.id
        and parent.project_id == context.project_id
        and parent.status == states.AVAILABLE
        and (before is None or parent.data_timestamp <= before)
    )
    if not fits:
        raise exception.InvalidBackup(
            reason=f'Backup {parent.id} cannot be the parent of a backup of this source.')
    return parent


def _placed(new: NewBackup, service: Service | None) -> dict[str, Any]:
    """Return what a record says of the manager that is to make it, or of there being none."""
    if service is None:
        return {'status': states.ERROR, 'fail_reason': NO_SERVICE,
                'availability_zone': new.availability_zone}
    return {'status': states.CREATING, 'host': service.host,
            'availability_zone': new.availability_zone or service.availability_zone}


def new_record(
    context: RequestContext, new: NewBackup, volume: Volume, snapshot: Snapshot | None,
    parent: Backup | None, *, now: datetime.datetime | None = None, **values: Any
) -> Backup:
    """Return the record of a backup, not stored yet.

    :param now: when it is made, if not now
    :param values: its status, size and place
    """
    settings = conf.current().repository
    backup_id = uuidutils.generate_uuid()
    now = now or timeutils.utcnow(with_timezone=True)
    return Backup(
        context,
        id=backup_id,
        project_id=context.project_id,
        user_id=context.user_id,
        kind=VOLUME,
        source_id=volume.id,
        parent_id=parent.id if parent else None,
        name=new.name,
        description=new.description,
        container=new.container or settings.default_container,
        repository=settings.driver,
        repository_project_id=context.project_id,
        snapshot_id=new.snapshot_id,
        created_at=now,
        data_timestamp=snapshot.created_at if snapshot else now,
        encryption_key_id=volume.encryption_key_id,
        origin=new.origin,
        metadata=dict(new.metadata),
        **values,
    )


def _hold(context: RequestContext, driver: 'VolumeDriver', new: NewBackup, task: Task) -> None:
    if new.snapshot_id:
        driver.acquire_snapshot(
            context, new.snapshot_id, holder=task.id, status='backing-up',
            expected=('available',))
    else:
        try:
            driver.acquire_volume(
                context, new.source_id, holder=task.id, status='backing-up',
                expected=('available', 'in-use') if new.force else ('available',))
        except exception.InvalidVolume as err:
            raise exception.SourceVolumeNotReady(err.message) from err


def _let_go(context: RequestContext, driver: 'VolumeDriver', new: NewBackup, task: Task) -> None:
    if new.snapshot_id:
        driver.release_snapshot(context, new.snapshot_id, holder=task.id)
    else:
        driver.release_volume(context, new.source_id, holder=task.id)


def new_task(
    context: RequestContext, kind: str, backup_id: str, *, arguments: dict[str, Any],
    host: str | None = None, task_id: str | None = None
) -> Task:
    """Return a task of a backup, not stored yet.

    :param host: the only host that can do it; None if any can
    :param task_id: its id, where something is held for it already
    """
    return Task(
        context,
        id=task_id or uuidutils.generate_uuid(),
        kind=kind,
        resource_id=backup_id,
        project_id=context.project_id,
        user_id=context.user_id,
        request_id=context.request_id,
        host_affinity=host,
        arguments=trusts.carried(context, kind, arguments),
    )


def get(context: RequestContext, backup_id: str) -> Backup:
    """Return a backup.

    :raises BackupNotFound: it does not exist, or is another project's
    """
    backup = Backup.get_by_id(context, backup_id, kind=VOLUME)
    context.authorize(policies.SHOW, backup)
    return backup


def count_dependents(context: RequestContext, backup_ids: Sequence[str]) -> Mapping[str, int]:
    """Return how many live backups were made from each; ids without any may be missing."""
    return BackupList.dependent_counts(context, list(backup_ids))


def list_(context: RequestContext, query: BackupQuery) -> Page:
    """Return a page of backups, of the caller's project unless an administrator wants all.

    :raises BackupNotFound: the marker is not a backup that the caller may see
    :raises InvalidInput: a sort key is no attribute
    """
    context.authorize(policies.LIST)
    unknown = [key for key, _ in query.sort if key not in ATTRIBUTES]
    if unknown:
        raise exception.InvalidInput(reason='Invalid sort key')
    filters = _typed(query.filters)
    nothing = Page((), {}, 0 if query.with_count else None)
    if filters is None:
        return nothing
    if not (query.all_projects and context.is_admin):
        own = context.project_id
        if filters.setdefault('project_id', own) != own:
            return nothing
    filters['kind'] = VOLUME
    found = BackupList.get_all(
        context, filters, sort=query.sort, limit=query.limit, marker_id=query.marker,
        offset=query.offset)
    count = BackupList.count(context, filters) if query.with_count else None
    dependents = count_dependents(context, [backup.id for backup in found]) if found else {}
    return Page(list(found), dependents, count)


def _typed(filters: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the filters with values of their attributes' types; None when no backup can match."""
    typed: dict[str, Any] = {}
    for name, value in filters.items():
        kind = ATTRIBUTES.get(name)
        if name in ('metadata', 'name~') or (kind is str and isinstance(value, list)):
            typed[name] = value
            continue
        try:
            if kind is None:
                return None
            elif kind is datetime.datetime:
                typed[name] = _moment(value)
            else:
                typed[name] = kind(value)
        except ValueError:
            return None
        if kind is int and not -2**31 <= typed[name] < 2**31:
            return None
    return typed


def _moment(text: str) -> datetime.datetime:
    value = datetime.datetime.fromisoformat(text)
    return value if value.tzinfo else value.replace(tzinfo=datetime.UTC)


def update(
    context: RequestContext, backup_id: str, *, changes: Mapping[str, Any],
    metadata: Mapping[str, str] | None = None
) -> Backup:
    """Change the name or the description, and replace the metadata unless it is None.

    :param changes: ``name`` and ``description``, those that are to change
    :raises BackupNotFound: there is none, for this caller
    :raises MetadataLimitExceeded: more pairs than a backup may have
    """
    backup = Backup.get_by_id(context, backup_id, kind=VOLUME)
    context.authorize(policies.UPDATE, backup)
    quota.check_metadata(metadata or {})
    for name in ('name', 'description'):
        if name in changes:
            setattr(backup, name, changes[name])
    if changes:
        backup.save()
    if metadata is not None:
        backup.set_metadata(dict(metadata), replace=True)
    return backup


def delete(context: RequestContext, backup_id: str) -> None:
    """Have a manager remove a backup that nothing is being done with.

    Others that were made from it stay restorable: no backup needs another one.

    :raises BackupNotFound: there is none, for this caller
    :raises InvalidBackup: its status does not allow it
    :raises BackupInSet: it goes with its set only
    """
    backup = Backup.get_by_id(context, backup_id, kind=VOLUME)
    context.authorize(policies.DELETE, backup)
    if _set(context, backup) is not None:
        raise exception.BackupInSet(backup_id=backup.id, set_id=backup.set_id)
    checkpoint = _checkpoint(context, backup)
    if checkpoint is not None:
        raise exception.BackupInCheckpoint(backup_id=backup.id, checkpoint_id=checkpoint.id)
    _begin_delete(context, backup, (states.AVAILABLE, states.ERROR), force=False)


def force_delete(context: RequestContext, backup_id: str) -> None:
    """Have a manager remove a backup whatever its status; what is being done with it is cancelled.

    A set that it belongs to is in error from then on, and a partition of a checkpoint has failed.

    :raises BackupNotFound: there is none
    """
    backup = Backup.get_by_id(context, backup_id, kind=VOLUME)
    context.authorize(policies.FORCE_DELETE, backup)
    discard(context, backup)
    found = _set(context, backup)
    if found is not None:
        with contextlib.suppress(exception.SetChanged, exception.InstanceBackupNotFound):
            found.transition_to(states.ERROR, [states.AVAILABLE], fail_reason=(
                f'The backup {backup.id} of volume {backup.source_id} was deleted.'))
    checkpoint = _checkpoint(context, backup)
    if checkpoint is not None:
        checkpoint.fail({part.partition_id: f'Volume {backup.source_id}: its backup was deleted.'
                         for part in checkpoint.partitions if any(
                             member.get('backup_id') == backup.id
                             for member in part.members or [])})


def discard(context: RequestContext, backup: Backup) -> None:
    """Have a manager remove a backup whatever its status, for who was allowed to cause that.

    :raises InvalidBackup: it is being removed already
    """
    _begin_delete(context, backup, states.BACKUP, force=True)


def _set(context: RequestContext, backup: Backup) -> BackupSet | None:
    """Return the set that a backup belongs to, None where that is gone or there is none."""
    if backup.set_id is None:
        return None
    try:
        return BackupSet.get_by_id(context, backup.set_id)
    except exception.InstanceBackupNotFound:
        return None


def _checkpoint(context: RequestContext, backup: Backup) -> Checkpoint | None:
    """Return the checkpoint that a backup belongs to, None where that is gone or there is none."""
    if backup.set_id is None:
        return None
    try:
        found = Checkpoint.of_resource(context, backup.set_id)
    except exception.CheckpointNotFound:
        return None
    return None if found.deleted else found


def _begin_delete(
    context: RequestContext, backup: Backup, expected: Sequence[str], *, force: bool
) -> None:
    if backup.status not in expected:
        raise _not_deletable()
    task = new_task(context, states.TASK_DELETE, backup.id, arguments={'force': force})
    try:
        backup.begin(task, expected, states.DELETING)
    except exception.BackupChanged as err:
        raise _not_deletable() from err
    if force:
        cancel_work(context, backup.id)
    rpc.manager_api().wake(context, task)


def _not_deletable() -> exception.InvalidBackup:
    return exception.InvalidBackup(reason='Backup status must be available or error')


def reset_status(context: RequestContext, backup_id: str, status: str) -> None:
    """Set the status by hand; what is being done with the backup is cancelled.

    :param status: ``available`` or ``error``
    :raises InvalidBackup: another status, or the backup is being deleted and its data may be gone
    """
    allowed = [states.AVAILABLE, states.ERROR]
    if status not in allowed:
        raise exception.InvalidBackup(
            f'Backup status: {status} is invalid, valid statuses are: {allowed}.')
    backup = Backup.get_by_id(context, backup_id, kind=VOLUME)
    context.authorize(policies.RESET_STATUS, backup)
    notify(context, 'backup.reset_status.start', backup)
    cancel_work(context, backup.id)
    if backup.status != status:
        try:
            backup.transition_to(status)
        except exception.BackupChanged as err:
            raise exception.InvalidBackup(
                reason=f'Backup status {backup.status} cannot be reset to {status}.') from err
    notify(context, 'backup.reset_status.end', backup)


def cancel_work(context: RequestContext, resource_id: str) -> None:
    """Ask whoever makes, restores or checks a backup or a set to stop."""
    for task in Task.request_cancel(context, resource_id, _CANCELLED):
        rpc.manager_api().cancel(context, task.id)


def notify(context: RequestContext, event_type: str, backup: Backup, **extra: Any) -> None:
    """Tell the outside of something that was done with a backup."""
    dependents = count_dependents(context, [backup.id]).get(backup.id, 0)
    notifications.notify(context, event_type, notifications.backup_payload(
        backup, num_dependent_backups=dependents, **extra))
