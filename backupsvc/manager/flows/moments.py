# SPDX-License-Identifier: Apache-2.0
"""The snapshots of all shares of a checkpoint, taken at one moment by several managers.

Each manager works on a task of its own. They meet in the row of the checkpoint, in rounds:

1. *gathering*: each holds its volumes and joins. Nothing stands still yet, so who has to wait for
   the others for long leaves again and frees its worker.
2. *quiescing*: all have joined; each has everything stand still.
3. *taking*: everything stands still everywhere, and that is the moment. Each takes its snapshots,
   and lets go on what is its own.
4. *storing*: all snapshots are there.

Whoever cannot go on begins a new round, and the others follow. What somebody takes counts for the
round only if everything of his stood still from the second step to the end of the third; so a
manager that dies, sleeps or is cut off from the database can spoil a round and nothing else.
"""

import contextlib
import datetime
import time
from collections.abc import Iterator

from oslo_db import exception as db_exception
from oslo_log import log
from oslo_utils import timeutils

from backupsvc import conf as service_conf
from backupsvc import exception, rpc, states
from backupsvc.manager import failures
from backupsvc.manager.flows import sets, standstill
from backupsvc.manager.work import Work
from backupsvc.objects.checkpoint import Checkpoint
from backupsvc.objects.task import Task

LOG = log.getLogger(__name__)

#: Seconds between two looks whether somebody else has come as far, where nobody tells.
LOOK = 1.0

#: Seconds that a share waits for the others to join before it leaves again.
_JOIN_S = 10.0

#: Seconds between two looks while it waits in its worker.
_POLL_S = 0.02


def take(work: Work, record: Checkpoint) -> None:
    """Return when the snapshots of all shares are there, those of this one among them.

    :raises Postponed: it is to be looked at again
    :raises BackupsvcError: of a partition, which ``work.resume_point['at_fault']`` names then
    :raises MemberFailed: the managers do not come together
    """
    if record.phase == states.STORING and work.resume_point.get('taken') == record.round:
        standstill.give_back(work)
        return
    _check_time(record)
    if work.resume_point.get('taken') == record.round:
        standstill.give_back(work)
        raise failures.Postponed('other managers take their snapshots', LOOK)
    own = record.share(work.task.resource_id)
    if any(part.step is not None and part.step_round == record.round for part in own):
        # An earlier attempt died in this round: what it had standing still may have gone on.
        begin_anew(work, record)
        raise failures.Postponed('its round is begun anew', 0)
    standstill.begin_anew(work)
    earlier = record.awaits()
    if earlier is not None:
        raise failures.Postponed(f'checkpoint {earlier} is taken first', LOOK)
    _join_and_take(work, record)
    wake_others(work, record)
    if record.phase != states.STORING:
        raise failures.Postponed('other managers take their snapshots', LOOK)


def _check_time(record: Checkpoint) -> None:
    limit_s = service_conf.current().actuator.gather_timeout
    age = timeutils.utcnow(with_timezone=True) - record.created_at
    if age.total_seconds() > limit_s:
        raise failures.MemberFailed(
            f'The managers of all partitions have not taken their snapshots within {limit_s} s.')


def _join_and_take(work: Work, record: Checkpoint) -> None:
    """Go through one round; whatever happens, nothing is held or stands still afterwards."""
    try:
        _in_round(work, record)
    except (exception.LeaseLost, failures.Postponed):
        raise
    except exception.CheckpointChanged:
        standstill.undo(work)
        raise failures.Postponed('its round is begun anew', 0) from None
    except BaseException as error:
        standstill.undo(work)
        begin_anew(work, record)
        work.remember(at_fault=getattr(error, 'details', {}).get('partition_id'))
        raise
    standstill.give_back(work)


def _in_round(work: Work, record: Checkpoint) -> None:
    share_id = work.task.resource_id
    planned = _plan(work, record)
    work.step('hold')
    for part in record.share(share_id):
        with _blamed(part.partition_id):
            standstill.hold(work, planned, part.partition_id)
    work.persist(lambda: record.report(share_id, states.JOINED, work.task))
    _await_all(work, record)
    work.step('quiesce')
    still = standstill.Standstill(work, planned)
    try:
        still.begin(_blamed)
        at = timeutils.utcnow(with_timezone=True)
        if record.has_others(share_id):
            _await_standstill(work, record, still, at)
        taken = _take(work, planned, still)
        still.end()
    except exception.LeaseLost:
        still.abandon()
        raise
    except BaseException:
        still.give_up()
        raise
    point = {**work.resume_point, 'taken': record.round}
    work.persist(lambda: record.report(
        share_id, states.TAKEN, work.task, resume_point=point, members=taken, at=at))


def _plan(work: Work, record: Checkpoint) -> standstill.Plan:
    """Look at what there is to take, and remember it: whoever undoes this needs it."""
    members: list[dict] = []
    instances: dict[int, list[str]] = {}
    databases: dict[int, str] = {}
    for part in record.share(work.task.resource_id):
        with _blamed(part.partition_id):
            found = standstill.plan(work, part)
            for member in found.members:
                if any(other['volume_id'] == member['volume_id'] for other in members):
                    raise exception.InvalidVolume(
                        reason=f'Volume {member["volume_id"]} belongs to two partitions.')
                members.append(member)
            instances |= found.instances
            databases |= found.databases
    planned = standstill.Plan(members, instances, databases)
    work.remember(plan=planned.to_point())
    return planned


@contextlib.contextmanager
def _blamed(partition_id: int) -> Iterator[None]:
    """Have an error be that of a partition, for ``fail`` to see."""
    try:
        yield
    except exception.BackupsvcError as error:
        error.details['partition_id'] = partition_id
        raise


def _await_all(work: Work, record: Checkpoint) -> None:
    """Return when all shares have joined.

    :raises Postponed: they have not for long; this one has left
    :raises CheckpointChanged: the round is over
    """
    give_up_at = time.monotonic() + _JOIN_S
    while not _has_come(work, record, states.GATHERING):
        if time.monotonic() >= give_up_at:
            if work.persist(lambda: record.leave(work.task.resource_id)):
                standstill.give_back(work)
                raise failures.Postponed('other managers are awaited', LOOK)
            give_up_at = time.monotonic() + _JOIN_S  # the last one has joined just now
        work.wait(_POLL_S)


def _await_standstill(
    work: Work, record: Checkpoint, still: standstill.Standstill, at: datetime.datetime,
) -> None:
    """Return when everything stands still everywhere.

    :raises DriverFailed: not in time; everything of this share has gone on
    :raises CheckpointChanged: the round is over
    """
    work.persist(lambda: record.report(work.task.resource_id, states.STILL, work.task, at=at))
    while not _has_come(work, record, states.QUIESCING):
        still.check()
        work.wait(_POLL_S)


def _has_come(work: Work, record: Checkpoint, phase: str) -> bool:
    """Tell whether the checkpoint is beyond a phase of this round.

    :raises CheckpointChanged: it is in another round, or has ended
    """
    before = record.round
    try:
        record.look()
    except db_exception.DBConnectionError as away:
        LOG.warning('The database is away, task %s waits: %s', work.task.id, away)
        return False
    if (record.round != before or record.deleted
            or record.status != states.CHECKPOINT_IN_PROGRESS):
        raise exception.CheckpointChanged(id=record.id)
    return record.phase != phase


def _take(
    work: Work, planned: standstill.Plan, still: standstill.Standstill,
) -> dict[int, list[dict]]:
    """Take all snapshots and return partition id → members with them."""
    taken: dict[int, list[dict]] = {}
    for member in planned.members:
        with _blamed(member['partition_id']):
            snapshot_id = sets.begin_snapshot(work, member['volume_id'])
        taken.setdefault(member['partition_id'], []).append(
            {**member, 'snapshot_id': snapshot_id})
    for partition_id, members in taken.items():
        with _blamed(partition_id):
            for member in members:
                sets.await_snapshot(
                    work, member['volume_id'], member['snapshot_id'], still.deadline)
    return taken


def begin_anew(work: Work, record: Checkpoint) -> None:
    """Begin a new round, and have the others know."""
    if work.persist(record.begin_round):
        wake_others(work, record)


def wake_others(work: Work, record: Checkpoint) -> None:
    """Have the other shares look at the checkpoint now."""
    for share_id in {part.share_id for part in record.partitions} - {work.task.resource_id}:
        try:
            if Task.hasten(work.context, share_id):
                for task in Task.live_for(work.context, share_id):
                    rpc.manager_api().wake(work.context, task)
        except Exception:  # it looks by itself soon
            LOG.exception('Share %s of checkpoint %d was not told', share_id, record.id)
