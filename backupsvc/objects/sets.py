# SPDX-License-Identifier: Apache-2.0
"""What is made of several volumes at one moment: the life of its record, by compare-and-swap."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, Self

from oslo_versionedobjects import fields

from backupsvc import states
from backupsvc.db import sets as db
from backupsvc.objects import base
from backupsvc.objects.backup import FAIL_REASON_LENGTH
from backupsvc.objects.fields import UtcDateTimeField
from backupsvc.objects.task import Task

#: Kind of task → the status that a set has while it runs.
IN_FLIGHT = {
    states.TASK_CREATE_SET: states.CREATING,
    states.TASK_DELETE_SET: states.DELETING,
    states.TASK_SNAPSHOT: states.CREATING,
    states.TASK_DELETE_SNAPSHOT: states.DELETING,
}

Sort = Sequence[tuple[str, str]]


def _sources(status: str, expected: Collection[str] | None) -> frozenset[str]:
    allowed = frozenset(
        source for source, targets in states.SET_TRANSITIONS.items() if status in targets)
    return allowed if expected is None else allowed & frozenset(expected)


class SetObject(base.BackupsvcObject):
    """Base of the two sorts of sets; each says in which tables it is kept."""

    FAMILY: ClassVar[db.Family]

    fields = {
        'id': fields.StringField(),
        'project_id': fields.StringField(),
        'user_id': fields.StringField(nullable=True),
        'kind': fields.StringField(),
        'source_id': fields.StringField(),
        'name': fields.StringField(nullable=True),
        'description': fields.StringField(nullable=True),
        'status': fields.StringField(),
        'fail_reason': fields.StringField(nullable=True),
        'size_gb': fields.IntegerField(),
        'data_timestamp': UtcDateTimeField(nullable=True),
        'is_consistent': fields.BooleanField(nullable=True),
        'availability_zone': fields.StringField(nullable=True),
        'host': fields.StringField(nullable=True),
        'origin': fields.StringField(nullable=True),
        'created_at': UtcDateTimeField(),
        'updated_at': UtcDateTimeField(nullable=True),
        'deleted_at': UtcDateTimeField(nullable=True),
        'deleted': fields.BooleanField(),
        'metadata': fields.DictOfStringsField(),
    }

    @property
    def instance_id(self) -> str:
        """The source, under the name that it has for an instance."""
        return self.source_id

    @classmethod
    def get_by_id(cls, context: Any, set_id: str, read_deleted: bool = False) -> Self:
        """Return a set of the caller's project, or of any project for an admin.

        :raises NotFound: there is none that the caller may see
        """
        return cls.from_row(context, db.get(context, cls.FAMILY, set_id, read_deleted))

    @classmethod
    def get_all(
        cls, context: Any, filters: Mapping[str, Any] | None = None, sort: Sort | None = None,
        limit: int | None = None, marker_id: str | None = None, offset: int | None = None,
    ) -> list[Self]:
        """Return one page; the arguments are those of ``BackupList.get_all``.

        :raises NotFound: the marker is not there for this caller
        :raises InvalidInput: unknown sort key or direction
        """
        rows = db.list_(
            context, cls.FAMILY, filters or {}, sort or (), limit, marker_id, offset)
        return [cls.from_row(context, row) for row in rows]

    @classmethod
    def count(cls, context: Any, filters: Mapping[str, Any] | None = None) -> int:
        """Return how many sets all pages of ``get_all`` hold together."""
        return db.count(context, cls.FAMILY, filters or {})

    def _insert(
        self, members: Sequence[Mapping[str, Any]], task: Task,
        quota: Mapping[str, int] | None,
    ) -> None:
        values = self.set_values(name for name in self.fields if name != 'members')
        metadata = values.pop('metadata', {})
        row, task_row = db.create(
            self._context, self.FAMILY, values, metadata, members,
            task.values_to_insert(self.id), quota)
        self.load_row(row)
        task.load_row(task_row)

    def _begin(
        self, task: Task, expected: Collection[str], status: str,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        row, task_row = db.transition(
            self._context, self.FAMILY, self.id, _sources(status, expected),
            {'status': status, 'fail_reason': None}, task.values_to_insert(self.id), members)
        self.load_row(row)
        if task_row is not None:
            task.load_row(task_row)

    def _begin_members(
        self, task: Task, resume_point: Mapping[str, Any],
        members: Sequence[Mapping[str, Any]], values: Mapping[str, Any],
    ) -> None:
        row, task_row = db.begin_members(
            self._context, self.FAMILY, self.id, values, task.holder(), resume_point, members)
        self.load_row(row)
        task.load_row(task_row)

    def transition_to(self, status: str, expected: Collection[str], **values: Any) -> None:
        """Change the status, and columns with it.

        :raises SetChanged: it has none of the expected statuses
        :raises NotFound: it was deleted
        """
        row, _ = db.transition(
            self._context, self.FAMILY, self.id, _sources(status, expected),
            {**values, 'status': status})
        self.load_row(row)

    def finish(self, task: Task, status: str, **values: Any) -> bool:
        """End a task that succeeded and change the status and columns with it; fenced by the task.

        :returns: False where the set no longer has the status of this kind of task: it is left
            alone, the task has ended
        :raises LeaseLost: somebody else works on the task now; nothing was changed
        """
        return self._end(task, status, states.DONE, None, values)

    def fail(self, task: Task, status: str, fail_reason: str) -> bool:
        """End a task that failed; otherwise as ``finish``."""
        return self._end(task, status, states.FAILED, fail_reason,
                         {'fail_reason': fail_reason[:FAIL_REASON_LENGTH]})

    def cancel(self, task: Task, status: str, fail_reason: str) -> bool:
        """End a task whose cancelling was asked for; otherwise as ``finish``."""
        return self._end(task, status, states.CANCELLED, None, {'fail_reason': fail_reason})

    def _end(
        self, task: Task, status: str, state: str, error: str | None, values: Mapping[str, Any],
    ) -> bool:
        row, task_row = db.end(
            self._context, self.FAMILY, self.id, _sources(status, {IN_FLIGHT[task.kind]}),
            {**values, 'status': status}, task.holder(), state, error)
        task.load_row(task_row)
        if row is None:
            return False
        self.load_row(row)
        return True

    def destroy(self, task: Task) -> None:
        """Delete the record softly; ends the task, fenced.

        :raises LeaseLost: somebody else works on the task now; nothing was changed
        """
        row, task_row = db.destroy(self._context, self.FAMILY, self.id, task.holder())
        self.load_row(row)
        task.load_row(task_row)

    def change(
        self, changes: Mapping[str, Any], metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Write ``name`` and ``description``, as far as they are given, and replace the metadata
        unless it is None.

        :raises NotFound: it was deleted
        """
        self.load_row(db.update(self._context, self.FAMILY, self.id, {
            name: changes[name] for name in ('name', 'description') if name in changes}, metadata))
