# SPDX-License-Identifier: Apache-2.0
"""A manager's share of a checkpoint: its snapshots are taken together with those of the other
managers (``moments``), and then each volume is archived from its own by a task of its own.

While the volumes are stored nobody works on this task: it is looked at again when one has ended. A
partition is completed when all its volumes are; one that fails fails its partition, and the others
go on.
"""

import datetime
import posixpath
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from oslo_utils import timeutils

from backupsvc import conf as service_conf
from backupsvc import exception, rpc, states, version
from backupsvc.context import RequestContext
from backupsvc.drivers import loader
from backupsvc.manager import failures
from backupsvc.manager.flows import moments, standstill
from backupsvc.manager.work import Work
from backupsvc.objects.backup import Backup, BackupList
from backupsvc.objects.checkpoint import Checkpoint, CheckpointPartition
from backupsvc.objects.database_instance import DatabaseInstance
from backupsvc.objects.service import ServiceList
from backupsvc.objects.task import TaskList
from backupsvc.orchestration import backups, checkpoints, placement

#: Seconds between two looks at the members, where none of them tells that it has ended.
LOOK = 2.0

#: ``origin`` of the backups.
ORIGIN = 'checkpoint'

_TICK = datetime.timedelta(microseconds=1)


def run(work: Work) -> None:
    """Carry a share out."""
    record = Checkpoint.of_resource(work.context, work.task.resource_id)
    own = record.share(work.task.resource_id)
    if not any(part.is_in_progress for part in own):
        _end(work, record, own)
        return
    _note_manager(work, record, own)
    if 'storing' not in work.resume_point:
        moments.take(work, record)
        _begin_storing(work, Checkpoint.get_by_id(work.context, record.id, read_deleted=True))
    standstill.give_back(work)
    _store(work, record)
    record = Checkpoint.of_resource(work.context, work.task.resource_id)
    _end(work, record, record.share(work.task.resource_id))


def _note_manager(
    work: Work, record: Checkpoint, own: Sequence[CheckpointPartition],
) -> None:
    """Write who works on the share, where that is not whose it was."""
    host = work.task.owner.rpartition(':')[0]
    if own[0].host == host:
        return
    found = list(ServiceList.get_all(work.context, {'binary': placement.BINARY, 'host': host}))
    work.persist(lambda: record.assign(
        work.task.resource_id, host=host, broker_id=found[0].id if found else None,
        broker_version=version.version_string()))


def fail(work: Work, failure: failures.Failure) -> None:
    """Undo the share; its partitions say why, and those of other shares that wait for it, too."""
    record = Checkpoint.of_resource(work.context, work.task.resource_id)
    _give_up(work, record, failure.reason)
    work.persist(lambda: work.task.fail(failure.reason))


def cancel(work: Work) -> None:
    """Undo the share, as when it fails."""
    record = Checkpoint.of_resource(work.context, work.task.resource_id)
    _give_up(work, record, 'Cancelled.')
    work.persist(work.task.cancel)


def _give_up(work: Work, record: Checkpoint, reason: str) -> None:
    own = [part.partition_id for part in record.share(work.task.resource_id)]
    reasons = dict.fromkeys(own, reason)
    if record.phase != states.STORING:
        at_fault = work.resume_point.get('at_fault')
        reasons = checkpoints.reasons(record, own if at_fault is None else [at_fault], reason)
    standstill.give_back(work)
    work.persist(lambda: record.fail_unfinished(reasons))
    moments.wake_others(work, record)
    _undo(work)


def _undo(work: Work) -> None:
    """Have nothing stored any more, and remove the snapshots.

    :raises Postponed: some are still read
    """
    _stop_members(work)
    if _busy(work, [backup.id for backup in _members(work)]):
        raise failures.Postponed('its volumes are being given up', LOOK)
    standstill.undo(work)


# Storing -----------------------------------------------------------------------------------------


def _begin_storing(work: Work, record: Checkpoint) -> None:
    """Write a backup for each volume; its parent is that of the last completed checkpoint."""
    parents = _parents(work, record)
    now = timeutils.utcnow(with_timezone=True)
    members: dict[int, list[dict[str, Any]]] = {}
    found = []
    for part in record.share(work.task.resource_id):
        for member in part.members:
            parent = parents.get((part.partition_id, member['volume_id']))
            backup = _new_backup(work, record, part, member, parent)
            backup.created_at = now + len(found) * _TICK  # which keeps their order
            found.append(backup)
            members.setdefault(part.partition_id, []).append(
                {**member, 'backup_id': backup.id, 'parent_id': backup.parent_id})
    point = {**work.resume_point, 'storing': True}
    work.persist(lambda: record.begin_storing(work.task, point, members, found))


def _parents(work: Work, record: Checkpoint) -> Mapping[tuple[int, str], str]:
    """Return (partition id, volume id) → the backup in the last completed checkpoint."""
    previous = Checkpoint.previous(work.context, record.id)
    return {} if previous is None else {
        (part.partition_id, member['volume_id']): member['backup_id']
        for part in previous.partitions for member in part.members or []}


def _new_backup(
    work: Work, record: Checkpoint, part: CheckpointPartition, member: Mapping[str, Any],
    parent_id: str | None,
) -> Backup:
    volume = loader.volume_driver().show_volume(work.context, member['volume_id'])
    found = volume
    if part.kind == 'database':  # the volume is the service's own
        found = DatabaseInstance.get_by_id(work.context, part.source_id)
    owner = RequestContext(
        user_id=found.user_id, project_id=found.project_id, is_admin=True, overwrite=False,
        request_id=work.task.request_id)
    name = f'checkpoint-{record.id}-{part.partition_id}'
    if member['device']:
        name += f'-{posixpath.basename(member["device"])}'
    settings = service_conf.current()
    backup = backups.new_record(
        owner, backups.NewBackup(
            source_id=volume.id, origin=ORIGIN, name=name, container=settings.actuator.container,
            metadata={'checkpoint_id': str(record.id), 'partition_id': str(part.partition_id)}),
        volume, None, _parent(work, parent_id, found.project_id), size_gb=volume.size_gb,
        status=states.CREATING, host=part.host, set_id=part.share_id,
        availability_zone=settings.manager.availability_zone)
    backup.data_timestamp = record.data_timestamp
    return backup


def _parent(work: Work, backup_id: str | None, project_id: str) -> Backup | None:
    """Return a backup if it can be built on."""
    if backup_id is None:
        return None
    try:
        parent = Backup.get_by_id(work.context, backup_id)
    except exception.BackupNotFound:
        return None
    fits = parent.status == states.AVAILABLE and parent.project_id == project_id
    return parent if fits else None


def _store(work: Work, record: Checkpoint) -> None:
    """Return when every volume is stored or has failed.

    :raises Postponed: not all of them have
    """
    record = Checkpoint.get_by_id(work.context, record.id, read_deleted=True)
    own = record.share(work.task.resource_id)
    busy = _busy(work, [member['backup_id'] for part in own for member in part.members])
    found = {backup.id: backup for backup in _members(work)}
    failed = _failed(own, found)
    done = [part.partition_id for part in own if part.partition_id not in failed and all(
        found[member['backup_id']].status == states.AVAILABLE for member in part.members)]
    work.persist(lambda: record.fail_unfinished(failed))
    work.persist(lambda: record.complete(done))
    waiting = [backup for backup in found.values()
               if backup.status == states.CREATING and backup.id not in busy]
    lost = {member['backup_id'] for part in own if part.partition_id in failed
            for member in part.members}
    for backup in [each for each in waiting if each.id in lost]:
        _give_up_member(backup)
        waiting.remove(backup)
    limit = service_conf.current().actuator.concurrency or len(found)
    _queue(work, record, own, waiting[:max(0, limit - len(busy))])
    if waiting or busy:
        raise failures.Postponed('its volumes are being stored', LOOK)


def _members(work: Work) -> list[Backup]:
    share_id = work.task.resource_id
    return BackupList.of_sets(work.context, [share_id])[share_id]


def _failed(
    own: Sequence[CheckpointPartition], found: Mapping[str, Backup],
) -> dict[int, str]:
    """Return partition id → reason, of those with a volume that will not be stored."""
    failed: dict[int, str] = {}
    for part in own:
        for member in part.members:
            backup = found.get(member['backup_id'])
            if backup is None or backup.status == states.DELETING:
                failed[part.partition_id] = (
                    f'Volume {member["volume_id"]}: its backup was deleted.')
            elif backup.status == states.ERROR:
                failed[part.partition_id] = (
                    f'Volume {backup.source_id}: {backup.fail_reason}')
    return failed


def _busy(work: Work, backup_ids: Collection[str]) -> set[str]:
    """Return those of some backups that somebody makes.

    To be asked before the backups are read: one that is read as being made, though nobody was
    making it before, has not been begun. The other way round it may have ended in between.
    """
    return {task.resource_id for task in TaskList.get_all(work.context, {
        'resource_id': list(backup_ids), 'kind': states.TASK_CREATE,
        'state': states.TASK_LIVE})}


def _queue(
    work: Work, record: Checkpoint, own: Sequence[CheckpointPartition],
    chosen: Sequence[Backup],
) -> None:
    members = {member['backup_id']: member for part in own for member in part.members}
    following = []
    for backup in chosen:
        member = members[backup.id]
        arguments = {'volume_id': member['volume_id'], 'snapshot_id': member['snapshot_id'],
                     'parent_id': member['parent_id']}
        if member['instance_id']:
            arguments['attachment'] = {
                name: member[name] for name in ('instance_id', 'device', 'is_boot')}
        owner = RequestContext(
            user_id=backup.user_id, project_id=backup.project_id, is_admin=True, overwrite=False,
            request_id=work.task.request_id)
        following.append(backups.new_task(
            owner, states.TASK_CREATE, backup.id, host=work.task.host_affinity,
            arguments=arguments))
    if not following:
        return
    work.persist(lambda: record.queue(work.task, following))
    for task in following:
        rpc.manager_api().wake(work.context, task)


def _stop_members(work: Work) -> None:
    """Have no volume of the share stored any more."""
    busy = _busy(work, [backup.id for backup in _members(work)])
    for backup in _members(work):
        if backup.id in busy:
            backups.cancel_work(work.context, backup.id)
        elif backup.status == states.CREATING:
            _give_up_member(backup)


def _give_up_member(backup: Backup) -> None:
    try:
        backup.transition_to(states.ERROR, [states.CREATING],
                             fail_reason='Its checkpoint has failed.')
    except (exception.BackupChanged, exception.BackupNotFound):
        return


def _end(work: Work, record: Checkpoint, own: Sequence[CheckpointPartition]) -> None:
    """Remove the snapshots and end the task; its partitions have ended."""
    _undo(work)
    failed = [part for part in own if part.status == states.CHECKPOINT_FAILED]
    if failed:
        reason = f'Partition {failed[0].partition_id}: {failed[0].fail_reason}'
        work.persist(lambda: work.task.fail(reason))
    else:
        work.persist(work.task.finish)
