# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: a backup of every partition of the cluster as of one moment.

Their statuses change here, by compare-and-swap, and nowhere else.
"""

import datetime
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Self

from oslo_utils import uuidutils
from oslo_versionedobjects import fields

from backupsvc import states
from backupsvc.db import checkpoints as db
from backupsvc.objects import base
from backupsvc.objects.backup import FAIL_REASON_LENGTH, Backup
from backupsvc.objects.fields import JsonField, UtcDateTimeField
from backupsvc.objects.task import Task

#: The highest id.
ID_MAX = db.ID_MAX

#: Why a partition in progress has failed whose checkpoint is deleted.
GOES_AWAY = 'The backup is going to be deleted.'


def _ended(
    status: str, fail_reason: str | None = None,
) -> tuple[Collection[str], dict[str, Any]]:
    """Return from where a partition may come to a status, and its columns then."""
    expected = frozenset(source for source, targets in states.CHECKPOINT_TRANSITIONS.items()
                         if status in targets)
    return expected, {
        'status': status, 'fail_reason': fail_reason and fail_reason[:FAIL_REASON_LENGTH]}


@base.register
class CheckpointPartition(base.BackupsvcObject):
    # Version 1.0: initial
    VERSION = '1.0'

    fields = {
        'checkpoint_id': fields.IntegerField(),
        'partition_id': fields.IntegerField(),
        'kind': fields.StringField(),
        'source_id': fields.StringField(),
        'share_id': fields.StringField(),
        'host': fields.StringField(),
        'broker_id': fields.IntegerField(nullable=True),
        'broker_version': fields.StringField(nullable=True),
        'status': fields.StringField(),
        'fail_reason': fields.StringField(nullable=True),
        'step': fields.StringField(nullable=True),
        'step_round': fields.IntegerField(nullable=True),
        # Of each volume: volume_id, snapshot_id, instance_id, device, is_boot; backup_id and
        # parent_id once it is being stored.
        'members': JsonField(nullable=True),
        'created_at': UtcDateTimeField(),
        'updated_at': UtcDateTimeField(nullable=True),
    }

    @property
    def is_in_progress(self) -> bool:
        """Whether it has not ended."""
        return self.status == states.CHECKPOINT_IN_PROGRESS


@base.register
class Checkpoint(base.BackupsvcObject):
    # Version 1.0: initial
    VERSION = '1.0'

    fields = {
        'id': fields.IntegerField(),
        'uuid': fields.StringField(),
        'status': fields.StringField(),
        'phase': fields.StringField(),
        'round': fields.IntegerField(),
        'position': fields.IntegerField(nullable=True),
        'data_timestamp': UtcDateTimeField(nullable=True),
        'is_scheduled': fields.BooleanField(),
        'created_at': UtcDateTimeField(),
        'updated_at': UtcDateTimeField(nullable=True),
        'deleted_at': UtcDateTimeField(nullable=True),
        'deleted': fields.BooleanField(),
        'partitions': fields.ListOfObjectsField('CheckpointPartition'),
    }

    def load_row(self, row: Mapping[str, Any]) -> Self:
        """As the base, with partitions made objects."""
        values = dict(row)
        if 'partitions' in values:
            values['partitions'] = [CheckpointPartition.from_row(self._context, part)
                                    for part in values['partitions']]
        return super().load_row(values)

    # Reading -------------------------------------------------------------------------------------

    @classmethod
    def get_by_id(cls, context: Any, checkpoint_id: int, read_deleted: bool = False) -> Self:
        """Return a checkpoint with its partitions.

        :raises CheckpointNotFound: there is none
        """
        return cls.from_row(context, db.get(context, checkpoint_id, read_deleted))

    @classmethod
    def of_resource(cls, context: Any, resource_id: str) -> Self:
        """Return the checkpoint that a task of it, or of one of its shares, is about; deleted or
        not.

        :raises CheckpointNotFound: there is none
        """
        return cls.get_by_id(context, db.id_of(context, resource_id), read_deleted=True)

    @classmethod
    def get_all(cls, context: Any, prefix: str = '', status: str | None = None) -> list[Self]:
        """Return checkpoints, the highest id first; their partitions lack ``members``.

        :param prefix: digits that the ids begin with
        """
        return [cls.from_row(context, row) for row in db.list_(context, prefix, status)]

    @classmethod
    def previous(cls, context: Any, checkpoint_id: int) -> Self | None:
        """Return the last completed checkpoint before another one, or None."""
        row = db.previous(context, checkpoint_id)
        return None if row is None else cls.from_row(context, row)

    def awaits(self) -> int | None:
        """Return the id of an earlier checkpoint whose snapshots come first, or None."""
        return db.earlier_to_be_taken(self._context, self.id)

    def look(self) -> None:
        """Read its own columns again, and not its partitions."""
        self.load_row(db.look(self._context, self.id))

    @staticmethod
    def last_id(context: Any) -> int:
        """Return the last id that was spent, 0 for none."""
        return db.last_id(context)

    @staticmethod
    def last_scheduled_at(context: Any) -> datetime.datetime | None:
        """Return when the last scheduled checkpoint was begun; None where there was none."""
        return db.last_scheduled_at(context)

    def share(self, share_id: str) -> list[CheckpointPartition]:
        """Return the partitions of a share."""
        return [part for part in self.partitions if part.share_id == share_id]

    def has_others(self, share_id: str) -> bool:
        """Tell whether there are other shares."""
        return any(part.share_id != share_id for part in self.partitions)

    # The life of a record ------------------------------------------------------------------------

    def create(
        self, checkpoint_id: int | None, at_least: int,
        partitions: Sequence[CheckpointPartition], tasks: Sequence[Task],
    ) -> None:
        """Spend an id, and write the record with its partitions and the tasks of their shares.

        :param checkpoint_id: None takes the next one, or ``at_least`` where that is higher
        :raises CheckpointIdTaken: it is not above the last one; nothing was written
        """
        self.uuid = uuidutils.generate_uuid()
        values = {
            'uuid': self.uuid, 'status': states.CHECKPOINT_IN_PROGRESS, 'phase': states.GATHERING,
            'round': 0, 'is_scheduled': self.is_scheduled}
        self.load_row(db.create(
            self._context, checkpoint_id, at_least, values,
            [{**part.set_values(), 'status': states.CHECKPOINT_IN_PROGRESS}
             for part in partitions],
            [task.values_to_insert() for task in tasks]))

    def report(
        self, share_id: str, step: str, task: Task, *,
        resume_point: Mapping[str, Any] | None = None,
        members: Mapping[int, Sequence[Mapping[str, Any]]] | None = None,
        at: datetime.datetime | None = None,
    ) -> None:
        """Write that a share has made a step of this object's round; see ``db.report``.

        :raises CheckpointChanged: that round is over, or has not come so far
        :raises LeaseLost: somebody else works on the share now; nothing was changed
        """
        self.load_row(db.report(
            self._context, self.id, share_id, self.round, step, task.holder(),
            resume_point, members, at))
        if resume_point is not None:
            task.load_row({'resume_point': dict(resume_point)})

    def leave(self, share_id: str) -> bool:
        """Take back that a share has joined. False: others rely on it by now."""
        return db.leave(self._context, self.id, share_id, self.round)

    def begin_round(self) -> bool:
        """Have all shares begin anew. False: they have already, or all is taken, or it ended."""
        return db.begin_round(self._context, self.id, self.round)

    def begin_storing(
        self, task: Task, resume_point: Mapping[str, Any],
        members: Mapping[int, Sequence[Mapping[str, Any]]], backups: Sequence[Backup],
    ) -> None:
        """Write the backups of a share, once; fenced.

        :param members: partition id → its members
        :raises LeaseLost: somebody else works on the share now; nothing was changed
        """
        records = []
        for backup in backups:
            values = backup.set_values()
            records.append((values, values.pop('metadata', {})))
        task.load_row(db.begin_storing(
            self._context, task.holder(), resume_point,
            {(self.id, partition_id): known for partition_id, known in members.items()},
            records))

    def queue(self, task: Task, following: Sequence[Task]) -> None:
        """Write tasks of a share's members; fenced by the share's.

        :raises LeaseLost: somebody else works on the share now; nothing was changed
        """
        rows = db.queue(self._context, task.holder(),
                        [each.values_to_insert() for each in following])
        for each, row in zip(following, rows, strict=True):
            each.load_row(row)

    def complete(self, partition_ids: Collection[int]) -> None:
        """End partitions whose backups are there; those that have ended are left alone."""
        self._end(dict.fromkeys(partition_ids, _ended(states.CHECKPOINT_COMPLETED)))

    def fail(self, reasons: Mapping[int, str]) -> None:
        """End partitions that have failed, completed ones too: partition id → reason."""
        self._end({partition_id: _ended(states.CHECKPOINT_FAILED, reason)
                   for partition_id, reason in reasons.items()})

    def fail_unfinished(self, reasons: Mapping[int, str]) -> None:
        """End those of some partitions that have not ended: partition id → reason."""
        self._end({
            partition_id: ({states.CHECKPOINT_IN_PROGRESS},
                           _ended(states.CHECKPOINT_FAILED, reason)[1])
            for partition_id, reason in reasons.items()})

    def _end(self, ends: Mapping[int, tuple[Collection[str], Mapping[str, Any]]]) -> None:
        if ends:
            self.load_row(db.end_partitions(self._context, self.id, ends))

    def assign(self, share_id: str, **values: Any) -> None:
        """Write ``host``, ``broker_id`` and ``broker_version`` of the partitions of a share."""
        unknown = set(values) - {'host', 'broker_id', 'broker_version'}
        if unknown:
            raise TypeError(f'not of who works on a share: {sorted(unknown)}')
        db.update_partition(self._context, share_id, values)

    @classmethod
    def destroy(cls, context: Any, checkpoint_id: int, task: Task) -> Self | None:
        """Delete a checkpoint softly, ending its partitions in progress, and write the task that
        removes what is stored.

        :returns: None where there is none (any more)
        """
        row = db.delete(
            context, checkpoint_id,
            ({states.CHECKPOINT_IN_PROGRESS}, _ended(states.CHECKPOINT_FAILED, GOES_AWAY)[1]),
            task.values_to_insert())
        return None if row is None else cls.from_row(context, row)
