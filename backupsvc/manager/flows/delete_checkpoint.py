# SPDX-License-Identifier: Apache-2.0
"""Remove what is stored of a checkpoint whose record was deleted: its backups, by tasks of their
own, once nobody works on its shares any more.
"""

import contextlib

from backupsvc import exception, states
from backupsvc.manager import failures
from backupsvc.manager.flows import checkpoint
from backupsvc.manager.work import Work
from backupsvc.objects.backup import BackupList
from backupsvc.objects.checkpoint import Checkpoint
from backupsvc.objects.task import Task, TaskList
from backupsvc.orchestration import backups


def run(work: Work) -> None:
    """Carry a delete out."""
    record = Checkpoint.of_resource(work.context, work.task.resource_id)
    share_ids = sorted({part.share_id for part in record.partitions})
    if TaskList.get_all(work.context, {'resource_id': share_ids, 'state': states.TASK_LIVE}):
        raise failures.Postponed('it is being cancelled', checkpoint.LOOK)
    asked = work.resume_point.get('asked', [])
    found = BackupList.of_sets(work.context, share_ids)
    members = [member for known in found.values() for member in known]
    for member in members:
        if Task.live_for(work.context, member.id) and member.status == states.DELETING:
            continue
        if member.id in asked and member.status == states.ERROR:
            raise failures.MemberFailed(f'Volume {member.source_id}: {member.fail_reason}')
        with contextlib.suppress(exception.BackupNotFound, exception.InvalidBackup):
            backups.discard(work.context, member)
    if members:
        work.remember(asked=[member.id for member in members])
        raise failures.Postponed('its backups are being removed', checkpoint.LOOK)
    work.persist(work.task.finish)


def fail(work: Work, failure: failures.Failure) -> None:
    """Leave what is left; it shows in the list of backups of its project, and why."""
    work.persist(lambda: work.task.fail(failure.reason))


def cancel(work: Work) -> None:
    """Leave what is left; the backups go on by themselves."""
    work.persist(work.task.cancel)
