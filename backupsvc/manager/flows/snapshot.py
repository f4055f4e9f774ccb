# SPDX-License-Identifier: Apache-2.0
"""Take an instance snapshot: all snapshots at one moment, which are given to the user then."""

import functools
from typing import Any

from oslo_log import log

from backupsvc import exception, states
from backupsvc.drivers import loader
from backupsvc.manager import failures
from backupsvc.manager.flows import events, sets
from backupsvc.manager.work import Work
from backupsvc.objects import quota
from backupsvc.objects.instance_snapshot import InstanceSnapshot
from backupsvc.orchestration import messages

LOG = log.getLogger(__name__)


def run(work: Work) -> None:
    """Carry a snapshot out."""
    record = InstanceSnapshot.get_by_id(
        work.context, work.task.resource_id, read_deleted=True)
    if 'taken' not in work.resume_point:
        events.set_start(work, record, 'instance_snapshot.create')
        _note(work, record, sets.take(work))
    sets.give_back(work)
    work.step('keep')
    _keep(work, record)
    work.persist(lambda: record.finish(work.task, states.AVAILABLE))
    events.set_end(work, record, 'instance_snapshot.create')


def fail(work: Work, failure: failures.Failure) -> None:
    """Remove what was taken; the record says why."""
    record = InstanceSnapshot.get_by_id(
        work.context, work.task.resource_id, read_deleted=True)
    _undo(work, record)
    work.persist(lambda: record.fail(work.task, states.ERROR, failure.reason))
    events.set_failed(work, record, 'instance_snapshot.create', messages.INSTANCE_SNAPSHOT,
                      messages.INSTANCE_SNAPSHOT_CREATE)


def cancel(work: Work) -> None:
    """Remove what was taken. The record is another's by now."""
    record = InstanceSnapshot.get_by_id(
        work.context, work.task.resource_id, read_deleted=True)
    _undo(work, record)
    work.persist(lambda: record.cancel(work.task, states.ERROR, 'Cancelled.'))


def _note(work: Work, record: InstanceSnapshot, moment: sets.Moment) -> None:
    """Write which snapshots there are before any of them is the user's."""
    point: dict[str, Any] = {**work.resume_point, 'taken': moment.taken}
    work.persist(lambda: record.note_taken(
        work.task, moment.taken, point, data_timestamp=moment.at,
        is_consistent=moment.is_consistent))


def _keep(work: Work, record: InstanceSnapshot) -> None:
    driver = loader.volume_driver()
    limits = None
    if driver.serves_volumes:
        limits = work.persist(lambda: quota.limits_for(work.context, record.project_id))
    for member in record.members:
        driver.keep_snapshot(
            work.context, member.snapshot_id, holder=work.holder, name=record.name,
            description=record.description, metadata=record.metadata, limits=limits)


def _undo(work: Work, record: InstanceSnapshot) -> None:
    sets.give_back(work)
    sets.discard_surely(work)
    for member in record.members:
        if member.snapshot_id is not None:
            sets.surely('Snapshot', member.snapshot_id, functools.partial(
                _remove, work, member.snapshot_id))


def _remove(work: Work, snapshot_id: str) -> None:
    """Remove one that was kept already, unless its user began to do something with it."""
    try:
        loader.volume_driver().remove_snapshot(work.context, snapshot_id)
    except exception.InvalidSnapshot as used:
        LOG.warning('Snapshot %s is left to its user: %s', snapshot_id, used)
