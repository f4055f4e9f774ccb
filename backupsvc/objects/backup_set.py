# SPDX-License-Identifier: Apache-2.0
"""Backup sets: an instance's backup, whose members are backups of volumes."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from oslo_versionedobjects import fields

from backupsvc.db import sets as db
from backupsvc.objects import backup as backups
from backupsvc.objects import base
from backupsvc.objects.backup import Backup, BackupList
from backupsvc.objects.sets import SetObject
from backupsvc.objects.task import Task


@base.register
class BackupSet(SetObject):
    # Version 1.0: initial
    VERSION = '1.0'

    FAMILY = db.BACKUPS

    fields = {
        'container': fields.StringField(nullable=True),
        'is_incremental': fields.BooleanField(),
    }

    def members(self) -> list[Backup]:
        """Return the members that are not deleted, in the order in which they were given."""
        return BackupList.of_sets(self._context, [self.id])[self.id]

    def create(
        self, members: Sequence[Backup], task: Task, quota: Mapping[str, int] | None = None,
    ) -> None:
        """Write the record, its members, its task and their quota usage, all or nothing.

        :param members: new ones, which nothing is done with until ``begin_members``
        :raises OverQuota: details resource, requested, limit, in_use
        """
        self._insert([member.set_values() for member in members], task, quota)

    def begin_members(
        self, task: Task, tasks: Mapping[str, Task], resume_point: Mapping[str, Any],
        **values: Any,
    ) -> None:
        """Write that the snapshots are taken and queue a task for each member, once; fenced.

        :param task: that of the set, which goes on from ``resume_point``
        :param tasks: backup id → its task
        :param values: columns of the set
        :raises LeaseLost: somebody else works on the set now; nothing was changed
        """
        rows = [each.values_to_insert(backup_id) for backup_id, each in tasks.items()]
        self._begin_members(task, resume_point, rows, values)

    def begin(
        self, task: Task, expected: Collection[str], status: str,
        members: Mapping[str, tuple[Task, Collection[str], str]],
    ) -> None:
        """Change the status and write the task that follows, and the same for each member, or
        nothing.

        :param members: backup id → (task, statuses to change from as far as the transition table
            allows, new status)
        :raises SetChanged: the set has another status
        :raises BackupChanged: a member has
        :raises InstanceBackupNotFound: it was deleted
        """
        self._begin(task, expected, status, {
            backup_id: (backups.sources(wanted, allowed),
                        {'status': wanted, 'fail_reason': None},
                        follow.values_to_insert(backup_id))
            for backup_id, (follow, allowed, wanted) in members.items()})
