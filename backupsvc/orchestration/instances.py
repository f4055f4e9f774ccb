# SPDX-License-Identifier: Apache-2.0
"""Use cases of instances where the instance driver runs them itself.

They are an operator's, reached by command and by no dialect, so no policy rule guards them. Here
the two families meet: an attachment is noted by the volume driver, which keeps everybody else off
the volume, and by the instance driver. The volume's note comes first and goes last, so what a
crash leaves is a volume too many in use; the same call again mends it.
"""

import datetime
import string
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

from oslo_utils import uuidutils

from backupsvc import exception
from backupsvc.context import RequestContext
from backupsvc.drivers import loader
from backupsvc.drivers.base import Instance, Volume
from backupsvc.orchestration import volumes

if TYPE_CHECKING:
    from backupsvc.drivers.instance.base import LocalInstances, RecordsCheck

_DEVICES = [f'/dev/vd{letter}' for letter in string.ascii_lowercase]


def local() -> 'LocalInstances':
    """Return the wider port of the instance driver.

    :raises Unsupported: the instances are another service's
    """
    driver = loader.instance_driver()
    if not driver.serves_instances:
        raise exception.Unsupported(
            f'The instance driver {driver.name} does not run instances itself.')
    return cast('LocalInstances', driver)


def attach(context: RequestContext, instance_id: str, volume_id: str, *,
           device: str | None = None, is_boot: bool = False) -> Instance:
    """Attach a volume to an instance of its project that is powered off.

    :param device: None takes the first free one, or the one of an attachment left half done
    :raises InstanceNotFound, VolumeNotFound: one is not there, or they are of two projects
    :raises InvalidInstance: it runs, the device is taken, or it boots from a volume already
    :raises InvalidVolume: the volume is not available
    """
    instance = loader.instance_driver().show_instance(context, instance_id)
    volume = loader.volume_driver().show_volume(context, volume_id)
    if volume.project_id != instance.project_id:
        raise exception.VolumeNotFound(volume_id=volume_id)
    attachment = _attachment(volume, instance_id)
    if attachment is None:
        device = device or _free_device(instance)
        volumes.local().attach_volume(context, volume_id, instance_id=instance_id, host=None,
                                      mountpoint=device, mode='rw')
    else:
        device = attachment['device']
    try:
        return local().attach_volume(context, instance_id, volume_id, device=device,
                                     is_boot=is_boot)
    except exception.BackupsvcError:
        if attachment is None:
            _note_detached(context, instance_id, volume_id)
        raise


def detach(context: RequestContext, instance_id: str, volume_id: str) -> Instance:
    """Detach a volume from an instance that is powered off; one that is not attached to it is no
    error.

    :raises InstanceNotFound: it is not there
    :raises InvalidInstance: it runs
    """
    instance = local().detach_volume(context, instance_id, volume_id)
    _note_detached(context, instance_id, volume_id)
    return instance


def start(context: RequestContext, instance_id: str, *, new_log: bool = False) -> Instance:
    """Start an instance that is powered off.

    :param new_log: forget what was written to the volumes before
    :raises InvalidInstance: it is in another status, one of its volumes is not its own to write
        to now, or what they hold is not of one point in time
    """
    return local().start_instance(
        context, instance_id, _finder(context, instance_id), new_log=new_log)


def resume(context: RequestContext, instance_id: str) -> Instance:
    """Let a paused or suspended instance go on.

    :raises InvalidInstance: as ``start``; or the volumes are not as it left them
    """
    return local().resume_instance(context, instance_id, _finder(context, instance_id))


def delete(context: RequestContext, instance_id: str) -> None:
    """Power an instance off, detach its volumes and remove it.

    :raises InstanceNotFound: it is not there
    :raises InvalidInstance: it is quiesced
    """
    driver = local()
    instance = driver.stop_instance(context, instance_id)
    for volume in instance.volumes:
        detach(context, instance_id, volume.volume_id)
    driver.delete_instance(context, instance_id)


def check(context: RequestContext, volume_ids: Sequence[str], *,
          not_after: datetime.datetime | None = None) -> 'RecordsCheck':
    """Tell whether volumes that an instance wrote to, or copies of them, are of one point in time.

    Instances that write to them now stand still meanwhile.

    :param not_after: that point in time, if known: a newer record is a problem
    :raises VolumeNotFound: one is not there
    """
    driver = loader.instance_driver()
    found = [loader.volume_driver().show_volume(context, volume_id) for volume_id in volume_ids]
    users = {attachment['server_id'] for volume in found for attachment in volume.attachments}
    holder = uuidutils.generate_uuid()
    try:
        for instance_id in sorted(filter(None, users)):
            try:
                driver.quiesce(context, instance_id, holder=holder)
            except exception.InstanceNotFound:
                continue  # attached by a client of the volume API to something of its own
        paths = {volume.id: volumes.local().raw_path(context, volume.id) for volume in found}
        return local().check_volumes(paths, not_after=not_after)
    finally:
        for instance_id in filter(None, users):
            driver.unquiesce(context, instance_id, holder=holder)


def _finder(context: RequestContext, instance_id: str) -> Callable[[str], str]:
    """Return what tells a driver the path of a volume, if it is the instance's to write to."""
    def find(volume_id: str) -> str:
        volume = loader.volume_driver().show_volume(context, volume_id)
        if volume.status != 'in-use' or _attachment(volume, instance_id) is None:
            raise exception.InvalidInstance(
                reason=f'Volume {volume_id} must be in-use by instance {instance_id}, but its'
                       f' status is "{volume.status}".', status=volume.status)
        return volumes.local().raw_path(context, volume_id)
    return find


def _attachment(volume: Volume, instance_id: str) -> dict | None:
    for attachment in volume.attachments:
        if attachment['server_id'] == instance_id:
            return attachment
    return None


def _free_device(instance: Instance) -> str:
    taken = {volume.device for volume in instance.volumes}
    for device in _DEVICES:
        if device not in taken:
            return device
    raise exception.InvalidInstance(reason=f'Instance {instance.id} has no device left.')


def _note_detached(context: RequestContext, instance_id: str, volume_id: str) -> None:
    """Let the volume driver forget an attachment; none is no error, nor is a volume that is gone.
    """
    try:
        volume = loader.volume_driver().show_volume(context, volume_id)
    except exception.VolumeNotFound:
        return
    attachment = _attachment(volume, instance_id)
    if attachment is not None:
        volumes.local().detach_volume(
            context, volume_id, attachment_id=attachment['attachment_id'])
