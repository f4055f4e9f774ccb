# SPDX-License-Identifier: Apache-2.0
"""The way back from a checkpoint: every volume of every partition into a new volume."""

import dataclasses
import posixpath

from backupsvc import exception, states
from backupsvc.context import RequestContext
from backupsvc.objects.backup import Backup
from backupsvc.objects.checkpoint import Checkpoint
from backupsvc.orchestration import checkpoints, restores
from backupsvc.policies import checkpoints as policies


@dataclasses.dataclass(frozen=True)
class RestoredVolume:
    """A volume of a partition, and the new one that a manager fills with its data.

    :ivar kind: of the partition
    :ivar source_id: what the partition is: a volume, instance or database instance
    :ivar volume_id: that was backed up
    :ivar device: where its instance had it; None where it was attached to none
    """

    partition_id: int
    kind: str
    source_id: str
    volume_id: str
    device: str | None
    is_boot: bool
    project_id: str
    backup_id: str
    new_volume_id: str
    new_name: str


def restore(
    context: RequestContext, checkpoint_id: int, name: str, *, partitions: int | None = None
) -> list[RestoredVolume]:
    """Have managers restore every partition of a completed checkpoint, and return its volumes.

    :param name: what the names of the new volumes begin with
    :param partitions: how many partitions there have to be; None takes what is configured
    :raises CheckpointNotFound: there is none
    :raises InvalidCheckpoint: it is not completed, has another number of partitions, or lacks a
        backup; nothing was restored
    :raises OverQuota: the volume service makes no further volume; those before are being restored
    """
    context.authorize(policies.SHOW)
    record = Checkpoint.get_by_id(context, checkpoint_id)
    _check(record, partitions)
    found = [(part, member, _backup(context, record, member['backup_id']))
             for part in record.partitions for member in part.members]
    restored = []
    for part, member, backup in found:
        owner = RequestContext(
            user_id=backup.user_id, project_id=backup.project_id, is_admin=True, overwrite=False,
            request_id=context.request_id)
        new_name = f'{name}-{part.partition_id}'
        if member['device']:
            new_name += f'-{posixpath.basename(member["device"])}'
        made = restores.restore(owner, backup.id, None, new_name)
        restored.append(RestoredVolume(
            part.partition_id, part.kind, part.source_id, backup.source_id, member['device'],
            member['is_boot'], backup.project_id, backup.id, made.volume_id, new_name))
    return restored


def _check(record: Checkpoint, partitions: int | None) -> None:
    if record.status != states.CHECKPOINT_COMPLETED:
        raise exception.InvalidCheckpoint(
            id=record.id, reason=f'it is {record.status} and not {states.CHECKPOINT_COMPLETED}')
    if partitions is None:
        partitions = len(checkpoints.cluster().partitions)
    if partitions != len(record.partitions):
        raise exception.InvalidCheckpoint(
            id=record.id,
            reason=f'it has {len(record.partitions)} partitions, where {partitions} are expected')


def _backup(context: RequestContext, record: Checkpoint, backup_id: str) -> Backup:
    try:
        backup = Backup.get_by_id(context, backup_id)
    except exception.BackupNotFound:
        raise exception.InvalidCheckpoint(
            id=record.id, reason=f'its backup {backup_id} is gone') from None
    if backup.status != states.AVAILABLE:
        raise exception.InvalidCheckpoint(
            id=record.id, reason=f'its backup {backup_id} is {backup.status}')
    return backup
