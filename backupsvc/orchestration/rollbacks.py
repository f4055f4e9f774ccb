# SPDX-License-Identifier: Apache-2.0
"""Use case of rollbacks: a volume holds again what one of its snapshots does.

Unlike the volume service's own revert it takes volumes of an instance that is powered off, those
that it boots from included.
"""

from backupsvc import exception, rpc, states
from backupsvc.context import RequestContext
from backupsvc.drivers import loader
from backupsvc.drivers.base import Snapshot, Volume
from backupsvc.objects.task import TaskList
from backupsvc.orchestration import sets
from backupsvc.policies import rollbacks as policies

#: Statuses of the volume and of the snapshot meanwhile.
VOLUME_STATUS = 'reverting'
SNAPSHOT_STATUS = 'restoring'

#: The status of an instance in which its volumes may be written by others.
OFF = 'SHUTOFF'


def rollback(context: RequestContext, volume_id: str, snapshot_id: str) -> None:
    """Have a manager bring a volume back to a snapshot of it.

    The volume shows ``reverting`` until it is in use or available again; or ``error`` when it may
    hold a mixture. Then the snapshot is as good as before and a rollback may be asked for again.

    :raises VolumeNotFound, SnapshotNotFound: there is none, for this caller
    :raises PolicyNotAuthorized: the caller may not do this
    :raises InvalidVolume, InvalidSnapshot: their state does not allow it, or the snapshot is
        another volume's
    :raises InvalidInstance: the volume is attached to an instance that is not powered off
    """
    driver = loader.volume_driver()
    volume = driver.show_volume(context, volume_id)
    context.authorize(policies.ROLLBACK, volume)
    snapshot = driver.show_snapshot(context, snapshot_id)
    _check(context, volume, snapshot)
    for instance_id in attached_to(volume):
        check_off(context, instance_id)
    task = sets.new_task(
        context, states.TASK_ROLLBACK, volume.id,
        host=volume.host if driver.is_host_local else None,
        arguments={'snapshot_id': snapshot.id})
    driver.acquire_volume(context, volume.id, holder=task.id, status=VOLUME_STATUS,
                          expected=(volume.status,))
    try:
        driver.acquire_snapshot(context, snapshot.id, holder=task.id, status=SNAPSHOT_STATUS,
                                expected=('available',))
        task.create()
    except BaseException:
        driver.release_snapshot(context, snapshot.id, holder=task.id)
        driver.release_volume(context, volume.id, holder=task.id)
        raise
    rpc.manager_api().wake(context, task)


def _check(context: RequestContext, volume: Volume, snapshot: Snapshot) -> None:
    if snapshot.volume_id != volume.id:
        raise exception.InvalidSnapshot(
            reason=f'Snapshot {snapshot.id} is not of volume {volume.id}.')
    if snapshot.status != 'available':
        raise exception.InvalidSnapshot(
            reason=f'Snapshot {snapshot.id} must be available, but its current status is '
                   f'"{snapshot.status}".')
    is_leftover = volume.status == 'error' and _has_left(context, volume.id)
    if volume.status not in ('available', 'in-use') and not is_leftover:
        raise exception.InvalidVolume(
            reason=f'Volume {volume.id} to be rolled back must be available or in-use, but its '
                   f'current status is "{volume.status}".')


def _has_left(context: RequestContext, volume_id: str) -> bool:
    """Tell whether the last rollback of a volume did not come to its end."""
    found = list(TaskList.get_all(
        context, {'resource_id': volume_id, 'kind': states.TASK_ROLLBACK}))
    return bool(found) and found[-1].state in (states.FAILED, states.CANCELLED)


def attached_to(volume: Volume) -> list[str]:
    """Return the ids of the instances that a volume is attached to.

    :raises InvalidVolume: it is attached to something that is no instance
    """
    for attachment in volume.attachments:
        if not attachment.get('server_id'):
            raise exception.InvalidVolume(
                reason=f'Volume {volume.id} is attached to host {attachment.get("host_name")}, '
                       'not to an instance.')
    return [attachment['server_id'] for attachment in volume.attachments]


def check_off(context: RequestContext, instance_id: str) -> None:
    """Refuse an instance that may write to its volumes.

    :raises InvalidInstance: it is not powered off, or nobody knows
    """
    try:
        instance = loader.instance_driver().show_instance(context, instance_id)
    except exception.InstanceNotFound as err:
        raise exception.InvalidInstance(
            reason=f'The volume is attached to instance {instance_id}, which could not be found.',
            status=None) from err
    if instance.status != OFF:
        raise exception.InvalidInstance(
            reason=f'Instance {instance_id} must be {OFF} for its volume to be rolled back, but '
                   f'its current status is {instance.status}.', status=instance.status)
