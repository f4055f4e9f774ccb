# SPDX-License-Identifier: Apache-2.0
"""Remove a backup set: its record goes when the last of its members has gone.

The members have tasks of their own, queued together with this one. One that cannot be removed
leaves the set in error with the reason, and the deletion can be asked for again.
"""

import contextlib

from backupsvc import exception, states
from backupsvc.manager import failures
from backupsvc.manager.flows import create_set, events
from backupsvc.manager.work import Work
from backupsvc.objects.backup_set import BackupSet
from backupsvc.objects.task import Task
from backupsvc.orchestration import backups, messages


def run(work: Work) -> None:
    """Carry a delete out."""
    record = BackupSet.get_by_id(work.context, work.task.resource_id, read_deleted=True)
    events.set_start(work, record, 'instance_backup.delete')
    if work.task.phase is None:
        work.step('members')
    members = record.members()
    for member in members:
        if Task.live_for(work.context, member.id):
            continue
        if member.status == states.ERROR:
            raise failures.MemberFailed(f'Volume {member.source_id}: {member.fail_reason}')
        with contextlib.suppress(exception.BackupNotFound):
            backups.discard(work.context, member)  # it was reset by hand
    if members:
        raise failures.Postponed('its members are being removed', create_set.LOOK)
    work.persist(lambda: record.destroy(work.task))
    events.set_end(work, record, 'instance_backup.delete')


def fail(work: Work, failure: failures.Failure) -> None:
    """Say why; the delete may be asked for again."""
    record = BackupSet.get_by_id(work.context, work.task.resource_id, read_deleted=True)
    work.persist(lambda: record.fail(work.task, states.ERROR, failure.reason))
    events.set_failed(work, record, 'instance_backup.delete', messages.INSTANCE_BACKUP,
                      messages.INSTANCE_BACKUP_DELETE)


def cancel(work: Work) -> None:
    """Leave what is left; the members go on by themselves."""
    record = BackupSet.get_by_id(work.context, work.task.resource_id, read_deleted=True)
    work.persist(lambda: record.cancel(work.task, states.ERROR, 'Deletion was cancelled.'))
