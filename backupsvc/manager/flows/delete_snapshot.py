# SPDX-License-Identifier: Apache-2.0
"""Remove an instance snapshot with the snapshots in it."""

from backupsvc import states
from backupsvc.drivers import loader
from backupsvc.manager import failures
from backupsvc.manager.flows import events
from backupsvc.manager.work import Work
from backupsvc.objects.instance_snapshot import InstanceSnapshot
from backupsvc.orchestration import messages


def run(work: Work) -> None:
    """Carry a delete out."""
    record = InstanceSnapshot.get_by_id(
        work.context, work.task.resource_id, read_deleted=True)
    events.set_start(work, record, 'instance_snapshot.delete')
    work.step('snapshots')
    for member in record.members:
        if member.snapshot_id is not None:
            loader.volume_driver().remove_snapshot(work.context, member.snapshot_id)
    work.persist(lambda: record.destroy(work.task))
    events.set_end(work, record, 'instance_snapshot.delete')


def fail(work: Work, failure: failures.Failure) -> None:
    """Say why; the delete may be asked for again."""
    record = InstanceSnapshot.get_by_id(
        work.context, work.task.resource_id, read_deleted=True)
    work.persist(lambda: record.fail(work.task, states.ERROR, failure.reason))
    events.set_failed(work, record, 'instance_snapshot.delete', messages.INSTANCE_SNAPSHOT,
                      messages.INSTANCE_SNAPSHOT_DELETE)


def cancel(work: Work) -> None:
    """Leave what is left."""
    record = InstanceSnapshot.get_by_id(
        work.context, work.task.resource_id, read_deleted=True)
    work.persist(lambda: record.cancel(work.task, states.ERROR, 'Deletion was cancelled.'))
