# SPDX-License-Identifier: Apache-2.0
"""Bring a volume back to one of its snapshots.

There is no record but the task: the volume's status tells how it stands. Once *began* is
remembered the volume may hold a mixture and becomes ``error`` unless the end is reached; once
*rolled_back* is, no attempt writes to it any more.
"""

from backupsvc import conf as service_conf
from backupsvc.drivers import loader
from backupsvc.drivers.base import Volume
from backupsvc.manager import failures
from backupsvc.manager.flows import events, sets
from backupsvc.manager.work import Work
from backupsvc.objects.task import Task
from backupsvc.orchestration import messages, rollbacks


def run(work: Work) -> None:
    """Carry a rollback out."""
    events.rollback(work, 'start')
    if not work.resume_point.get('rolled_back'):
        work.step('hold')
        volume = _hold(work)
        work.step('instances')
        instances = rollbacks.attached_to(volume)
        work.remember(instances=instances)
        _keep_off(work, instances)
        work.step('rollback')
        work.remember(began=True)
        _roll_back(work)
        # From here the volume may be the user's again: never write to it any more.
        work.remember(rolled_back=True)
    _give_back(work)
    work.persist(work.task.finish)
    events.rollback(work, 'end')


def fail(work: Work, failure: failures.Failure) -> None:
    """Mark the volume as what it is; the snapshot is as good as before."""
    _give_back(work)
    work.persist(lambda: work.task.fail(failure.reason))
    events.rollback(work, 'end', failure)
    events.tell_user(work, messages.VOLUME, messages.VOLUME_ROLLBACK, messages.ROLLBACK_FAILED)


def cancel(work: Work) -> None:
    """Mark the volume, which may be a mixture, as in error."""
    _give_back(work)
    work.persist(work.task.cancel)


def _hold(work: Work) -> Volume:
    """Hold both, as the use case did already unless somebody undid it."""
    driver = loader.volume_driver()
    driver.acquire_snapshot(
        work.context, work.task.arguments['snapshot_id'], holder=work.holder,
        status=rollbacks.SNAPSHOT_STATUS, expected=('available',))
    return driver.acquire_volume(
        work.context, work.task.resource_id, holder=work.holder, status=rollbacks.VOLUME_STATUS,
        expected=('available', 'in-use'))


def _keep_off(work: Work, instances: list[str]) -> None:
    """Keep the instances from being started until the end.

    :raises InvalidInstance: one runs
    """
    driver = loader.instance_driver()
    for instance_id in instances:
        rollbacks.check_off(work.context, instance_id)  # one that runs is not to be disturbed
        driver.quiesce(work.context, instance_id, holder=work.holder)
        rollbacks.check_off(work.context, instance_id)


def _roll_back(work: Work) -> None:
    volume_id, snapshot_id = work.task.resource_id, work.task.arguments['snapshot_id']
    if loader.volume_driver().revert_volume(
            work.context, volume_id, snapshot_id=snapshot_id, holder=work.holder):
        return
    work.move('rollback', {
        'drivers': [('volume', service_conf.current().volume.driver)],
        'volume_id': volume_id, 'snapshot_id': snapshot_id, 'holder': work.holder})


def _give_back(work: Work) -> None:
    driver = loader.volume_driver()
    task = work.task
    sets.surely('Snapshot', task.arguments['snapshot_id'], lambda: driver.release_snapshot(
        work.context, task.arguments['snapshot_id'], holder=work.holder, status='available'))
    sets.surely('Volume', task.resource_id, lambda: driver.release_volume(
        work.context, task.resource_id, holder=work.holder,
        status=status_after(task, driver.show_volume(work.context, task.resource_id))))
    sets.go_on(work, work.resume_point.get('instances', ()))


def status_after(task: Task, volume: Volume) -> str | None:
    """Return what a volume is once it is given back; None: what it was before."""
    point = task.resume_point or {}
    if point.get('rolled_back'):
        return 'in-use' if volume.attachments else 'available'
    return 'error' if point.get('began') else None
