# SPDX-License-Identifier: Apache-2.0
"""Write a backup into a volume that is held for it, and give the volume what it carries over."""

import time
from typing import Any

from oslo_log import log

from backupsvc import conf as service_conf
from backupsvc import exception, states
from backupsvc.drivers import loader
from backupsvc.drivers.base import Volume
from backupsvc.manager import failures
from backupsvc.manager.flows import events
from backupsvc.manager.work import Work
from backupsvc.objects.backup import Backup
from backupsvc.orchestration import messages, restores

LOG = log.getLogger(__name__)

#: Seconds of one look at a volume that is being made, between looks at the cancel flag.
_LOOK = 2.0


def run(work: Work) -> None:
    """Carry a restore out."""
    backup = Backup.get_by_id(work.context, work.task.resource_id, read_deleted=True)
    events.start(work, backup, 'restore')
    if not work.resume_point.get('restored'):
        work.step('volume')
        volume = _await_volume(work)
        work.step('hold')
        loader.volume_driver().acquire_volume(
            work.context, volume.id, holder=work.holder, status='restoring-backup',
            expected=('available',))
        _check_key(backup, volume)
        work.step('restore')
        _restore(work, backup, volume.id)
        work.step('describe')
        _describe(work, backup, volume)
        # From here the volume may be the user's again: never write to it any more.
        work.remember(restored=True)
    _release(work, 'available')
    work.persist(lambda: backup.finish(work.task, states.AVAILABLE))
    events.end(work, backup, 'restore')


def fail(work: Work, failure: failures.Failure) -> None:
    """Mark the volume as not restored; the backup itself is as good as before."""
    backup = Backup.get_by_id(work.context, work.task.resource_id, read_deleted=True)
    _release(work, 'error' if work.task.arguments.get('new_volume') else 'error_restoring')
    work.persist(lambda: backup.fail(work.task, states.AVAILABLE, failure.reason))
    detail = messages.BAD_STATE if work.task.phase == 'hold' else messages.RESTORE_FAILED
    events.failed(work, backup, 'restore', failure, messages.BACKUP_RESTORE, detail)


def cancel(work: Work) -> None:
    """Mark the volume, which may be half written, as in error."""
    backup = Backup.get_by_id(work.context, work.task.resource_id, read_deleted=True)
    _release(work, 'available' if work.resume_point.get('restored') else 'error')
    work.persist(lambda: backup.cancel(work.task, states.AVAILABLE, None))


def _await_volume(work: Work) -> Volume:
    """Return the volume once it has left ``creating``."""
    driver = loader.volume_driver()
    volume_id = work.task.arguments['volume_id']
    deadline = time.monotonic() + service_conf.current().manager.volume_timeout
    while True:
        work.check()
        try:
            return driver.wait_volume(work.context, volume_id, _LOOK)
        except exception.DriverFailed:
            is_coming = driver.show_volume(work.context, volume_id).status == 'creating'
            if not is_coming or time.monotonic() >= deadline:
                raise


def _check_key(backup: Backup, volume: Volume) -> None:
    """Refuse what would make the volume unreadable: the backup of an encrypted volume is the
    ciphertext.

    :raises InvalidVolume: the volume has another key than the source had, or only one has any
    """
    if backup.encryption_key_id == volume.encryption_key_id:
        return
    if backup.encryption_key_id is None and not volume.encrypted:
        return
    raise exception.InvalidVolume(
        reason=f'The source of the backup was encrypted with the key {backup.encryption_key_id}, '
               f'volume {volume.id} is with {volume.encryption_key_id}; the bytes of one cannot '
               'be read with the key of the other.')


def _restore(work: Work, backup: Backup, volume_id: str) -> None:
    if backup.foreign_driver:
        work.move('restore_foreign', {
            'drivers': [('volume', service_conf.current().volume.driver),
                        ('foreign', backup.foreign_driver)],
            'driver': backup.foreign_driver, 'place': backup.place,
            'volume_id': volume_id, 'holder': work.holder, 'size_bytes': backup.logical_bytes})
        return
    work.move('restore', {
        'backup_id': backup.manifest_id,
        'volume_id': volume_id,
        'holder': work.holder,
        'repository': {'driver': backup.repository, 'container': backup.container,
                       'project_id': backup.repository_project_id},
    })


def _describe(work: Work, backup: Backup, volume: Volume) -> None:
    """Give the volume what Cinder carries over from the source of a backup.

    Name and description only where nobody chose them; metadata, image metadata and the bootable
    flag always; and which backup it came from.
    """
    facts: dict[str, Any] = backup.source_facts or {}
    values: dict[str, Any] = {
        'metadata': {**facts.get('metadata', volume.metadata), 'src_backup_id': backup.id}}
    is_unnamed = not volume.name or volume.name.startswith(restores.NAME_PREFIX)
    if is_unnamed and facts.get('name'):
        values['name'] = facts['name']
        values['description'] = facts.get('description')
    if facts:
        values['bootable'] = facts['bootable']
        values['image_metadata'] = facts['image_metadata']
    loader.volume_driver().update_restored(work.context, volume.id, **values)


def _release(work: Work, status: str) -> None:
    volume_id = work.task.arguments['volume_id']
    try:
        loader.volume_driver().release_volume(work.context, volume_id, holder=work.holder,
                                              status=status)
    except exception.BackupsvcError:
        LOG.exception('The volume %s was not given back; the sweep of holds does it', volume_id)
