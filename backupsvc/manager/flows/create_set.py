# SPDX-License-Identifier: Apache-2.0
"""Make a backup set: take all snapshots at one moment, then have each member archived from its own
by a task of its own, and be complete when every member is.

While the members are stored nobody works on this task: it is looked at again when one has ended.
The first member that fails ends it: the others are removed, the record says which it was and why,
and the one that failed stays, in error.
"""

import contextlib
from typing import Any

from backupsvc import exception, rpc, states
from backupsvc.manager import failures
from backupsvc.manager.flows import events, sets
from backupsvc.manager.work import Work
from backupsvc.objects.backup import Backup
from backupsvc.objects.backup_set import BackupSet
from backupsvc.objects.task import Task
from backupsvc.orchestration import backups, messages

#: Seconds between two looks at the members, where none of them tells that it has ended.
LOOK = 2.0


def run(work: Work) -> None:
    """Carry a create out."""
    record = BackupSet.get_by_id(work.context, work.task.resource_id, read_deleted=True)
    if 'failure' in work.resume_point:
        _end_failed(work, record)
        return
    if 'taken' not in work.resume_point:
        events.set_start(work, record, 'instance_backup.create')
        _begin_members(work, record, sets.take(work))
    sets.give_back(work)
    _await_members(work, record)
    sets.discard_surely(work)
    work.persist(lambda: record.finish(work.task, states.AVAILABLE))
    events.set_end(work, record, 'instance_backup.create')


def fail(work: Work, failure: failures.Failure) -> None:
    """Undo the set; the record says why."""
    record = BackupSet.get_by_id(work.context, work.task.resource_id, read_deleted=True)
    if 'failure' not in work.resume_point:
        work.remember(failure=failure.reason)
    _end_failed(work, record)


def cancel(work: Work) -> None:
    """Undo the set. The record is another's by now."""
    record = BackupSet.get_by_id(work.context, work.task.resource_id, read_deleted=True)
    _undo(work, record)
    work.persist(lambda: record.cancel(work.task, states.ERROR, 'Cancelled.'))


def _begin_members(work: Work, record: BackupSet, moment: sets.Moment) -> None:
    """Queue a task for each member, all at once and only once."""
    tasks = {}
    for member in work.task.arguments['members']:
        volume_id = member['volume_id']
        tasks[member['backup_id']] = backups.new_task(
            work.context, states.TASK_CREATE, member['backup_id'],
            host=work.task.host_affinity, arguments={
                'volume_id': volume_id, 'snapshot_id': moment.taken[volume_id],
                'parent_id': member['parent_id'],
                'attachment': {name: member[name]
                               for name in ('instance_id', 'device', 'is_boot')}})
    point: dict[str, Any] = {**work.resume_point, 'taken': moment.taken}
    work.persist(lambda: record.begin_members(
        work.task, tasks, point, data_timestamp=moment.at, is_consistent=moment.is_consistent))
    for task in tasks.values():
        rpc.manager_api().wake(work.context, task)


def _await_members(work: Work, record: BackupSet) -> None:
    """Return when every member is complete.

    :raises MemberFailed: one of them will not be
    :raises Postponed: not all of them are
    """
    found = {member.id: member for member in record.members()}
    for wanted in work.task.arguments['members']:
        member = found.get(wanted['backup_id'])
        if member is None or member.status == states.DELETING:
            raise failures.MemberFailed(
                f'Volume {wanted["volume_id"]}: its backup {wanted["backup_id"]} was deleted.')
        if member.status == states.ERROR:
            raise failures.MemberFailed(f'Volume {member.source_id}: {member.fail_reason}')
    if any(member.status == states.CREATING for member in found.values()):
        raise failures.Postponed('its members are being stored', LOOK)


def _end_failed(work: Work, record: BackupSet) -> None:
    reason = work.resume_point['failure']
    _undo(work, record)
    work.persist(lambda: record.fail(work.task, states.ERROR, reason))
    events.set_failed(work, record, 'instance_backup.create', messages.INSTANCE_BACKUP,
                      messages.INSTANCE_BACKUP_CREATE)


def _undo(work: Work, record: BackupSet) -> None:
    """Give everything back and remove every member but those that failed.

    :raises Postponed: they are being removed
    """
    sets.give_back(work)
    left = [member for member in record.members() if _is_to_go(work, member)]
    for member in left:
        if member.status != states.DELETING:
            with contextlib.suppress(exception.BackupNotFound):
                backups.discard(work.context, member)
    if left:
        raise failures.Postponed('its members are being removed', LOOK)
    sets.discard_surely(work)


def _is_to_go(work: Work, member: Backup) -> bool:
    """Tell whether a member is to be removed, or somebody works on it still."""
    return member.status != states.ERROR or bool(Task.live_for(work.context, member.id))
