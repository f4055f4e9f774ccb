# SPDX-License-Identifier: Apache-2.0
"""Use cases of restores: write a backup into a new or an existing volume."""

import dataclasses
from typing import TYPE_CHECKING

from oslo_utils import uuidutils

from backupsvc import exception, rpc, states
from backupsvc.context import RequestContext
from backupsvc.drivers import loader
from backupsvc.drivers.base import NewVolume, Volume
from backupsvc.objects.backup import Backup
from backupsvc.objects.task import Task
from backupsvc.orchestration import backups, volumes
from backupsvc.policies import backups as policies
from backupsvc.policies import volumes as volume_policies

if TYPE_CHECKING:
    from backupsvc.drivers.volume.base import VolumeDriver

#: Prefix of the name of a volume that a restore makes and nobody named; the work gives such a
#: volume the source's name in the end.
NAME_PREFIX = 'restore_backup_'
DESCRIPTION = 'auto-created_from_restore_from_backup'


@dataclasses.dataclass(frozen=True)
class Restore:
    """Which backup goes to which volume; the work goes on after this is known."""

    backup_id: str
    volume_id: str
    volume_name: str | None


def restore(
    context: RequestContext, backup_id: str, volume_id: str | None = None,
    name: str | None = None
) -> Restore:
    """Have a manager write a backup into a volume.

    Returns as soon as the volume is known, which may still be ``creating``.

    :param volume_id: None makes a new volume of the backup's size
    :param name: of a new volume
    :raises BackupNotFound, VolumeNotFound: there is none, for this caller
    :raises InvalidBackup, InvalidVolume: their state, or the volume's size, does not allow it
    :raises OverQuota: the volume service makes no further volume
    """
    backup = Backup.get_by_id(context, backup_id, kind=backups.VOLUME)
    context.authorize(policies.RESTORE, backup)
    if backup.status != states.AVAILABLE:
        raise _not_available()
    if not backup.size_gb:
        raise exception.InvalidBackup(reason='Backup to be restored has invalid size')
    driver = loader.volume_driver()
    if volume_id is None:
        volume = _restore_to_new(context, driver, backup, NewVolume(
            size_gb=backup.size_gb,
            name=name or f'{NAME_PREFIX}{backup.id}',
            description=DESCRIPTION,
            volume_type=(backup.source_facts or {}).get('volume_type')), is_type_wished=False)
    else:
        volume = _restore_to_existing(context, driver, backup, volume_id)
    return Restore(backup.id, volume.id, volume.name)


def create_volume_from_backup(
    context: RequestContext, backup_id: str, new: NewVolume
) -> Volume:
    """Make a volume as ``new`` says and have a manager fill it from a backup.

    Several may be asked for of one backup at once; they are filled one after another.

    :param new: its ``size_gb`` may be 0: the backup's size; its ``holder`` is not looked at
    :raises BackupNotFound: there is none, for this caller
    :raises InvalidBackup: its status does not allow it
    :raises InvalidInput: the volume would be smaller than the backup
    :raises OverQuota: the volume service makes no further volume
    """
    backup = Backup.get_by_id(context, backup_id, kind=backups.VOLUME)
    context.authorize(policies.RESTORE, backup)
    context.authorize(volume_policies.CREATE)
    if backup.status not in (states.AVAILABLE, states.RESTORING):
        raise exception.InvalidBackup(
            reason=f"Originating backup status must be one of ['{states.AVAILABLE}'] values")
    size_gb = new.size_gb or backup.size_gb
    if size_gb < backup.size_gb:
        raise exception.InvalidInput(
            reason=f'Volume size {size_gb} GB cannot be smaller than the backup size '
                   f'{backup.size_gb} GB. It must be >= backup size {backup.size_gb} GB.')
    return _restore_to_new(
        context, loader.volume_driver(), backup, dataclasses.replace(new, size_gb=size_gb),
        expected=(states.AVAILABLE, states.RESTORING))


def _not_available() -> exception.InvalidBackup:
    return exception.InvalidBackup(reason='Backup status must be available')


def _task(
    context: RequestContext, backup: Backup, driver: 'VolumeDriver', volume: Volume, *,
    task_id: str, is_new: bool
) -> Task:
    return backups.new_task(
        context, states.TASK_RESTORE, backup.id, task_id=task_id,
        host=volume.host if driver.is_host_local else None,
        arguments={'volume_id': volume.id, 'new_volume': is_new})


def _begin(
    context: RequestContext, backup: Backup, task: Task,
    expected: tuple[str, ...] = (states.AVAILABLE,)
) -> None:
    try:
        backup.begin(task, expected, states.RESTORING)
    except exception.BackupChanged as err:
        raise _not_available() from err
    rpc.manager_api().wake(context, task)


def _restore_to_new(
    context: RequestContext, driver: 'VolumeDriver', backup: Backup, new: NewVolume,
    expected: tuple[str, ...] = (states.AVAILABLE,), is_type_wished: bool = True
) -> Volume:
    holder = uuidutils.generate_uuid()
    new = dataclasses.replace(new, holder=holder)
    volume = (volumes.create if is_type_wished else _made)(context, new)
    try:
        task = _task(context, backup, driver, volume, task_id=holder, is_new=True)
        _begin(context, backup, task, expected)
    except BaseException:
        driver.delete_volume(context, volume.id, holder=holder)
        raise
    return volume


def _made(context: RequestContext, new: NewVolume) -> Volume:
    """Make a volume; of the default type where the type of the source is no more."""
    try:
        return volumes.create(context, new)
    except (exception.Invalid, exception.NotFound):
        if new.volume_type is None:
            raise
        return volumes.create(context, dataclasses.replace(new, volume_type=None))


def _restore_to_existing(
    context: RequestContext, driver: 'VolumeDriver', backup: Backup, volume_id: str
) -> Volume:
    volume = driver.show_volume(context, volume_id)
    if volume.status != 'available':
        raise _volume_not_available()
    if volume.size_gb < backup.size_gb:
        raise exception.TargetVolumeTooSmall(
            reason=f'volume size {volume.size_gb} is too small to restore backup of size '
                   f'{backup.size_gb}.')
    task = _task(
        context, backup, driver, volume, task_id=uuidutils.generate_uuid(), is_new=False)
    try:
        driver.acquire_volume(
            context, volume_id, holder=task.id, status='restoring-backup',
            expected=('available',))
    except exception.InvalidVolume as err:
        raise _volume_not_available() from err
    try:
        _begin(context, backup, task)
    except BaseException:
        driver.release_volume(context, volume_id, holder=task.id)
        raise
    return volume


def _volume_not_available() -> exception.InvalidVolume:
    return exception.InvalidVolume(reason='Volume to be restored to must be available')
