# SPDX-License-Identifier: Apache-2.0
"""What the flows of sets share: taking the snapshots of several volumes at one moment, giving back
whatever was taken for that, and word from the members to their set.
"""

import contextlib
import dataclasses
import datetime
import functools
import time
from collections.abc import Callable, Iterator, Sequence

from oslo_log import log
from oslo_utils import timeutils

from backupsvc import conf as service_conf
from backupsvc import exception, rpc
from backupsvc.drivers import loader
from backupsvc.manager.work import Work
from backupsvc.objects.backup import Backup
from backupsvc.objects.task import Task
from backupsvc.orchestration import sets

LOG = log.getLogger(__name__)

#: Seconds of one look at a snapshot that is being taken, between looks at the cancel flag.
_LOOK = 2.0


@dataclasses.dataclass(frozen=True)
class Moment:
    """The snapshots of one moment.

    :ivar taken: volume id → snapshot id
    :ivar at: nothing that was written later is in any of them
    :ivar is_consistent: nothing wrote while they were taken, so that all that was written earlier
        is in them
    """

    taken: dict[str, str]
    at: datetime.datetime
    is_consistent: bool


def sources(work: Work) -> tuple[list[str], list[str]]:
    """Return the ids of the instances and of the volumes that a task is about."""
    members = work.task.arguments['members']
    instances = dict.fromkeys(member['instance_id'] for member in members)
    return list(instances), [member['volume_id'] for member in members]


def take(work: Work) -> Moment:
    """Take the snapshots of all volumes while none of their instances writes.

    What an earlier attempt took is of another moment: it is removed first. The instances go on
    before this returns or raises; only what a lost lease has given to another manager is that
    one's.

    :raises InvalidInstance: an instance is not what it was when the task was made
    :raises DriverFailed: a snapshot could not be taken, or not in time
    """
    instance_ids, volume_ids = sources(work)
    discard(work, volume_ids)
    work.step('hold')
    sets.hold(work.context, volume_ids, work.holder)
    work.step('quiesce')
    # Nothing between here and the end of the standstill waits for the database.
    deadline = time.monotonic() + service_conf.current().manager.quiesce_timeout
    try:
        is_consistent = _quiesce(work, instance_ids, volume_ids)
        moment = timeutils.utcnow(with_timezone=True)
        taken = _take(work, volume_ids, deadline)
    except exception.LeaseLost:
        raise
    except BaseException:
        go_on(work, instance_ids)
        raise
    go_on(work, instance_ids)
    return Moment(taken, moment, is_consistent)


def _quiesce(work: Work, instance_ids: Sequence[str], volume_ids: Sequence[str]) -> bool:
    driver = loader.instance_driver()
    is_consistent = True
    attached = []
    for instance_id in instance_ids:
        work.check()
        if not driver.quiesce(work.context, instance_id, holder=work.holder):
            LOG.warning('Nothing keeps instance %s from writing; its volumes are of different '
                        'moments', instance_id)
            is_consistent = False
        instance = driver.show_instance(work.context, instance_id)
        sets.check(instance)
        attached += [volume.volume_id for volume in instance.volumes]
    if sorted(attached) != sorted(volume_ids):
        raise exception.InvalidInstance(
            reason='Other volumes are attached than when this was asked for.', status=None)
    return is_consistent


def _take(work: Work, volume_ids: Sequence[str], deadline: float) -> dict[str, str]:
    taken = {volume_id: begin_snapshot(work, volume_id) for volume_id in volume_ids}
    for volume_id, snapshot_id in taken.items():
        await_snapshot(work, volume_id, snapshot_id, deadline)
    return taken


def begin_snapshot(work: Work, volume_id: str) -> str:
    """Begin to take a snapshot of a held volume, and return its id.

    :raises DriverFailed, InvalidVolume: it cannot be taken; names the volume
    """
    work.check()
    with _naming(volume_id):
        return loader.volume_driver().take_snapshot(
            work.context, volume_id, holder=work.holder).id


def await_snapshot(work: Work, volume_id: str, snapshot_id: str, deadline: float) -> None:
    """Return when a snapshot of a volume is there.

    :param deadline: of the monotonic clock
    :raises DriverFailed, InvalidVolume: it has failed, or is not there in time; names the volume
    """
    with _naming(volume_id):
        _await(work, snapshot_id, deadline)


def _await(work: Work, snapshot_id: str, deadline: float) -> None:
    driver = loader.volume_driver()
    while True:
        work.check()
        left = deadline - time.monotonic()
        try:
            driver.wait_snapshot(work.context, snapshot_id, max(0.0, min(_LOOK, left)))
            return
        except exception.DriverFailed:
            is_coming = driver.show_snapshot(work.context, snapshot_id).status == 'creating'
            if not is_coming or left <= 0:
                raise


@contextlib.contextmanager
def _naming(volume_id: str) -> Iterator[None]:
    """Have an error say which volume it is about, and stay passing or not."""
    try:
        yield
    except exception.Unavailable as error:
        raise exception.DriverFailed(reason=f'Volume {volume_id}: {error}') from error
    except (exception.NotFound, exception.Invalid) as error:
        raise exception.InvalidVolume(reason=f'{volume_id}: {error}') from error


def go_on(work: Work, instance_ids: Sequence[str]) -> None:
    """End the standstill of the instances, if there is one."""
    driver = loader.instance_driver()
    for instance_id in instance_ids:
        surely('Instance', instance_id, functools.partial(
            driver.unquiesce, work.context, instance_id, holder=work.holder))


def give_back(work: Work) -> None:
    """Let instances go on and volumes go, whichever of them the task has."""
    instance_ids, volume_ids = sources(work)
    go_on(work, instance_ids)
    release(work, volume_ids)


def release(work: Work, volume_ids: Sequence[str]) -> None:
    """Let volumes go, whichever of them the task has."""
    driver = loader.volume_driver()
    for volume_id in volume_ids:
        surely('Volume', volume_id, functools.partial(
            driver.release_volume, work.context, volume_id, holder=work.holder))


def discard(work: Work, volume_ids: Sequence[str]) -> None:
    """Remove what was taken for the task and not kept."""
    driver = loader.volume_driver()
    for volume_id in volume_ids:
        driver.remove_taken(work.context, volume_id, holder=work.holder)


def discard_surely(work: Work, volume_ids: Sequence[str] | None = None) -> None:
    """``discard`` at the end of a task, where a failure is left to the sweep.

    :param volume_ids: None takes those that the task is about
    """
    for volume_id in sources(work)[1] if volume_ids is None else volume_ids:
        surely('Volume', volume_id, functools.partial(discard, work, [volume_id]))


def surely(what: str, resource_id: str, undo: Callable[[], None]) -> None:
    """Undo a step at the end of a task, where a failure is left to the sweep."""
    try:
        undo()
    except exception.BackupsvcError:
        LOG.exception('%s %s was not given back; the sweep of holds does it', what, resource_id)


def tell(work: Work, backup: Backup) -> None:
    """Have the set of a backup look at it now, not only at its next look."""
    if backup.set_id is None:
        return
    try:
        if Task.hasten(work.context, backup.set_id):
            for task in Task.live_for(work.context, backup.set_id):
                rpc.manager_api().wake(work.context, task)
    except Exception:  # it looks by itself soon
        LOG.exception('The set of backup %s was not told', backup.id)
