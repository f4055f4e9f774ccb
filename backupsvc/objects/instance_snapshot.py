# SPDX-License-Identifier: Apache-2.0
"""Snapshots of instances, whose members are the volume driver's snapshots."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Self

from oslo_versionedobjects import fields

from backupsvc.db import sets as db
from backupsvc.objects import base
from backupsvc.objects.sets import SetObject
from backupsvc.objects.task import Task


@base.register
class SnapshotMember(base.BackupsvcObject):
    """A volume of the instance, and its snapshot once that is taken."""

    # Version 1.0: initial
    VERSION = '1.0'

    fields = {
        'volume_id': fields.StringField(),
        'position': fields.IntegerField(),
        'device': fields.StringField(nullable=True),
        'size_gb': fields.IntegerField(),
        'snapshot_id': fields.StringField(nullable=True),
    }


@base.register
class InstanceSnapshot(SetObject):
    # Version 1.0: initial
    VERSION = '1.0'

    FAMILY = db.SNAPSHOTS

    fields = {'members': fields.ListOfObjectsField('SnapshotMember')}

    def load_row(self, row: Mapping[str, Any]) -> Self:
        members = [SnapshotMember.from_row(self._context, member) for member in row['members']]
        return super().load_row({**row, 'members': members})

    def create(self, members: Sequence[SnapshotMember], task: Task) -> None:
        """Write the record, its members and its task, all or nothing."""
        self._insert([member.set_values() for member in members], task, None)

    def begin(self, task: Task, expected: Collection[str], status: str) -> None:
        """Change the status and write the task that follows, or nothing.

        :raises SetChanged: it has another status
        :raises InstanceSnapshotNotFound: it was deleted
        """
        self._begin(task, expected, status)

    def note_taken(
        self, task: Task, taken: Mapping[str, str], resume_point: Mapping[str, Any],
        **values: Any,
    ) -> None:
        """Write that the snapshots are taken; fenced.

        :param taken: volume id → the driver's snapshot
        :param values: columns of the record
        :raises LeaseLost: somebody else works on the task now; nothing was changed
        """
        self._begin_members(task, resume_point, [
            {'volume_id': volume_id, 'snapshot_id': snapshot_id}
            for volume_id, snapshot_id in taken.items()], values)
