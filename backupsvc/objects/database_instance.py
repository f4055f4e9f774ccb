# SPDX-License-Identifier: Apache-2.0
"""Database instances: the record of a server that users keep databases on, with its backups.

Its status changes here, by compare-and-swap, and nowhere else.
"""

import datetime
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Self

from oslo_versionedobjects import base as ovo_base
from oslo_versionedobjects import fields

from backupsvc import states
from backupsvc.db import database_instances as db
from backupsvc.objects import base
from backupsvc.objects.backup import FAIL_REASON_LENGTH, Backup
from backupsvc.objects.fields import UtcDateTimeField
from backupsvc.objects.task import Task

#: The resources that quotas of instances have.
INSTANCES = db.INSTANCES
GIGABYTES = db.GIGABYTES

#: Statuses in which an action may begin.
READY = (states.ACTIVE, states.SHUTDOWN, states.ERROR)


def _sources(status: str, expected: Collection[str] | None = None) -> frozenset[str]:
    """Return the statuses from which ``status`` may be reached, of ``expected`` or of all."""
    allowed = frozenset(
        source for source, targets in states.DATABASE_INSTANCE_TRANSITIONS.items()
        if status in targets)
    return allowed if expected is None else allowed & frozenset(expected)


@base.register
class DatabaseInstance(base.BackupsvcObject):
    # Version 1.0: initial
    VERSION = '1.0'

    fields = {
        'id': fields.StringField(),
        'project_id': fields.StringField(),
        'user_id': fields.StringField(nullable=True),
        'name': fields.StringField(),
        'status': fields.StringField(),
        'holder': fields.StringField(nullable=True),
        'fail_reason': fields.StringField(nullable=True),
        'driver': fields.StringField(),
        'datastore': fields.StringField(),
        'datastore_version': fields.StringField(),
        'flavor_id': fields.StringField(),
        'volume_gb': fields.IntegerField(),
        'volume_id': fields.StringField(nullable=True),
        'availability_zone': fields.StringField(nullable=True),
        'host': fields.StringField(),
        'address': fields.StringField(nullable=True),
        'port': fields.IntegerField(nullable=True),
        'restored_from_id': fields.StringField(nullable=True),
        'created_at': UtcDateTimeField(),
        'updated_at': UtcDateTimeField(nullable=True),
        'deleted_at': UtcDateTimeField(nullable=True),
        'deleted': fields.BooleanField(),
    }

    @classmethod
    def get_by_id(cls, context: Any, instance_id: str, read_deleted: bool = False) -> Self:
        """Return an instance of the caller's project, or of any project for an admin.

        :raises DatabaseInstanceNotFound: there is none that the caller may see
        """
        return cls.from_row(context, db.get(context, instance_id, read_deleted))

    def create(
        self, group: Mapping[str, Any], rules: Sequence[Mapping[str, Any]], task: Task,
        quota: Mapping[str, int] | None,
    ) -> None:
        """Write the record, its security group with rules, its task and its quota usage.

        :param group: columns of the group, and ``rules`` of each rule
        :raises OverQuota: details resource, requested, limit, in_use
        """
        row, task_row = db.create(
            self._context, self.set_values(), group, rules, task.values_to_insert(self.id), quota)
        self.load_row(row)
        task.load_row(task_row)

    def begin(
        self, task: Task, status: str, expected: Collection[str] | None = None,
        gigabytes: int = 0, quota: Mapping[str, int] | None = None,
    ) -> None:
        """Change the status and write the task that follows, or nothing.

        :param expected: statuses to change from, as far as the transition table allows
        :param gigabytes: how much larger the volume is to become
        :raises DatabaseInstanceBusy: it has another status
        :raises DatabaseInstanceNotFound: it was deleted
        :raises OverQuota: of gigabytes
        """
        row, task_row = db.begin(
            self._context, self.id, _sources(status, expected), {'status': status},
            task.values_to_insert(self.id), gigabytes, quota)
        self.load_row(row)
        task.load_row(task_row)

    def transition_to(
        self, status: str, expected: Collection[str] | None = None, **values: Any,
    ) -> bool:
        """Change the status if it may change so, and columns with it; False: it may not."""
        row = db.transition(
            self._context, self.id, _sources(status, expected), {**values, 'status': status})
        if row is not None:
            self.load_row(row)
        return row is not None

    def release(self, holder: str) -> None:
        """End the hold of a backup's task; not held by it: nothing happens."""
        row = db.transition(
            self._context, self.id, {states.BACKING_UP},
            {'status': states.ACTIVE, 'holder': None}, holder)
        if row is not None:
            self.load_row(row)

    def finish(self, task: Task, gigabytes: int = 0, **values: Any) -> None:
        """End a task that succeeded: the instance is active; fenced.

        :param gigabytes: change of what the volume counts for
        :raises LeaseLost: somebody else works on the task now; nothing was changed
        """
        self._end(task, states.ACTIVE, states.DONE, None, {'fail_reason': None, **values},
                  gigabytes)

    def fail(self, task: Task, status: str, fail_reason: str, gigabytes: int = 0,
             **values: Any) -> None:
        """End a task that failed; otherwise as ``finish``.

        :param fail_reason: for the user; cut to what the column holds, whole in the task
        """
        values['fail_reason'] = fail_reason[:FAIL_REASON_LENGTH]
        self._end(task, status, states.FAILED, fail_reason, values, gigabytes)

    def _end(self, task: Task, status: str, state: str, error: str | None,
             values: Mapping[str, Any], gigabytes: int) -> None:
        row, task_row = db.end(
            self._context, self.id, _sources(status), {**values, 'status': status},
            task.holder(), state, error, gigabytes)
        task.load_row(task_row)
        if row is not None:
            self.load_row(row)

    def destroy(self, task: Task) -> None:
        """Delete the record softly with its security group and give its quota back; fenced."""
        row, task_row = db.destroy(self._context, self.id, task.holder())
        self.load_row(row)
        task.load_row(task_row)

    def save(self, **values: Any) -> None:
        """Write columns other than the status.

        :raises DatabaseInstanceNotFound: it was deleted
        """
        if 'status' in values:
            raise ValueError('the status has methods of its own')
        self.load_row(db.update(self._context, self.id, values))

    def begin_backup(self, backup: Backup, task: Task, quota: Mapping[str, int] | None) -> None:
        """Hold the instance, and write the backup and its task; all or nothing.

        :raises DatabaseInstanceBusy: it is not active
        :raises DatabaseBackupBusy: the parent is no longer available
        :raises OverQuota: of backups
        """
        values = {name: value for name, value in backup.set_values().items() if name != 'metadata'}
        row, task_row = db.begin_backup(
            self._context, self.id, values, task.values_to_insert(backup.id), quota)
        backup.load_row(row)
        task.load_row(task_row)


@base.register
class DatabaseInstanceList(ovo_base.ObjectListBase, base.BackupsvcObject):
    # Version 1.0: initial
    VERSION = '1.0'

    fields = {'objects': fields.ListOfObjectsField('DatabaseInstance')}

    @classmethod
    def get_all(
        cls, context: Any, filters: Mapping[str, Any] | None = None, limit: int | None = None,
        marker: str | None = None,
    ) -> Self:
        """Return live instances of the caller's project, or of all for an admin, by id."""
        rows = db.list_(context, filters or {}, limit, marker)
        return cls(context, objects=[DatabaseInstance.from_row(context, row) for row in rows])


def begin_delete_backups(
    context: Any, backup: Backup, task: Task, made_before: datetime.datetime,
) -> list[Task]:
    """Make a backup and all that were made from it ``deleting``, and return their tasks.

    :param task: what the tasks have in common
    :param made_before: one that is still being made may go if it was begun before this
    :raises DatabaseBackupBusy: one of them is being worked on; nothing was changed
    """
    values = task.set_values()
    rows = db.begin_delete_backups(
        context, backup.id, values, (states.AVAILABLE, states.ERROR, states.ERROR_DELETING),
        made_before)
    return [Task.from_row(context, row) for row in rows]
