# SPDX-License-Identifier: Apache-2.0
"""Tasks: one long operation each, from the request until it has ended, whoever works on it."""

from collections.abc import Collection, Mapping
from typing import Any, Self

from oslo_utils import uuidutils
from oslo_versionedobjects import base as ovo_base
from oslo_versionedobjects import fields

from backupsvc import exception, states
from backupsvc.db import tasks as db
from backupsvc.objects import base
from backupsvc.objects.fields import JsonField, UtcDateTimeField

#: What ``Task.progress`` may set.
PROGRESS = ('phase', 'resume_point', 'bytes_total', 'bytes_done', 'bytes_read', 'bytes_new',
            'bytes_stored')


@base.register
class Task(base.BackupsvcObject):
    """A row of work.

    A manager that claimed a task holds it by the pair (owner, attempt). Methods marked *fenced*
    change the row only while this object's pair holds it, and raise LeaseLost otherwise.
    """

    # Version 1.0: initial
    VERSION = '1.0'

    fields = {
        'id': fields.StringField(),
        'kind': fields.StringField(),
        'resource_id': fields.StringField(),
        'project_id': fields.StringField(nullable=True),
        'user_id': fields.StringField(nullable=True),
        'request_id': fields.StringField(nullable=True),
        'state': fields.StringField(),
        'phase': fields.StringField(nullable=True),
        'host_affinity': fields.StringField(nullable=True),
        'owner': fields.StringField(nullable=True),
        'lease_expires_at': UtcDateTimeField(nullable=True),
        'attempt': fields.IntegerField(),
        'run_after': UtcDateTimeField(),
        'arguments': JsonField(nullable=True),
        'resume_point': JsonField(nullable=True),
        'bytes_total': fields.IntegerField(),
        'bytes_done': fields.IntegerField(),
        'bytes_read': fields.IntegerField(),
        'bytes_new': fields.IntegerField(),
        'bytes_stored': fields.IntegerField(),
        'cancel_requested': fields.BooleanField(),
        'error': fields.StringField(nullable=True),
        'started_at': UtcDateTimeField(nullable=True),
        'finished_at': UtcDateTimeField(nullable=True),
        'created_at': UtcDateTimeField(),
        'updated_at': UtcDateTimeField(nullable=True),
    }

    #: Whether ``claim_next`` took it from a manager that had let its lease run out. Not a field:
    #: it is true of the claim, not of the row.
    is_taken_over = False

    @property
    def is_live(self) -> bool:
        """Whether there is still work in the task."""
        return self.state in states.TASK_LIVE

    def values_to_insert(self, resource_id: str | None = None) -> dict[str, Any]:
        """Return the columns of a new row; the id is made and the resource set where missing."""
        if not self.obj_attr_is_set('id'):
            self.id = uuidutils.generate_uuid()
        if resource_id is not None and not self.obj_attr_is_set('resource_id'):
            self.resource_id = resource_id
        return self.set_values()

    def holder(self) -> dict[str, Any]:
        """Return what fences: id, owner and attempt."""
        return {'id': self.id, 'owner': self.owner, 'attempt': self.attempt}

    def create(self) -> None:
        """Insert a task that no record is written with; due at once unless set otherwise."""
        self.load_row(db.create(self._context, self.values_to_insert()))

    @classmethod
    def get_by_id(cls, context: Any, task_id: str) -> Self:
        """Return a task.

        :raises TaskNotFound: there is none
        """
        return cls.from_row(context, db.get(context, task_id))

    @classmethod
    def live_for(cls, context: Any, resource_id: str) -> list[Self]:
        """Return the tasks of a resource that have not ended, the oldest first."""
        rows = db.list_(context, {'resource_id': resource_id, 'state': states.TASK_LIVE})
        return [cls.from_row(context, row) for row in rows]

    @classmethod
    def claim_next(
        cls, context: Any, owner: str, host: str, lease_s: float,
        kinds: Collection[str] | None = None,
    ) -> Self | None:
        """Take the task that has been due longest, or None when there is nothing to do.

        Due is: queued and its time has come, or running and its lease ran out. Tasks that are
        bound to another host, and tasks behind an older one of the same resource, are not taken.

        :param owner: unique per process, so that one that comes back does not meet its own leases
        :param lease_s: seconds until others may take the task unless it is renewed
        """
        for task_id, attempt, state in db.due(context, host, kinds):
            row = db.claim(context, task_id, attempt, owner, lease_s)
            if row is not None:
                task = cls.from_row(context, row)
                task.is_taken_over = state == states.RUNNING
                return task
        return None

    @classmethod
    def claim(
        cls, context: Any, task_id: str, owner: str, host: str, lease_s: float,
    ) -> Self | None:
        """Take one task, or None when it is not ``host``'s to take now."""
        row = db.claim_one(context, task_id, owner, host, lease_s)
        return None if row is None else cls.from_row(context, row)

    def renew(self, lease_s: float) -> bool:
        """Extend the lease, and see whether cancelling was asked for; fenced.

        :returns: True
        :raises LeaseLost: stop working, and change nothing any more
        """
        self.load_row(db.update_held(self._context, **self._held(), values={}, lease_s=lease_s))
        return True

    def progress(self, lease_s: float | None = None, **values: Any) -> None:
        """Write how far the work is, and see whether cancelling was asked for; fenced.

        :param lease_s: renew the lease too
        :param values: of ``PROGRESS``; others are a TypeError
        :raises LeaseLost: stop working, and change nothing any more
        """
        unknown = set(values) - set(PROGRESS)
        if unknown:
            raise TypeError(f'not part of progress: {sorted(unknown)}')
        self.load_row(
            db.update_held(self._context, **self._held(), values=values, lease_s=lease_s))

    def _held(self) -> dict[str, Any]:
        return {'task_id': self.id, 'owner': self.owner, 'attempt': self.attempt}

    def release(
        self, delay_s: float = 0.0, keep_attempt: bool = False, error: str | None = None,
    ) -> None:
        """Put the task back into the queue for anybody; fenced.

        :param delay_s: seconds until it may be claimed, by the database's clock
        :param keep_attempt: do not count the attempt that ends here: a hand-over, not a failure
        :param error: why it did not work out this time
        """
        self.load_row(db.release(self._context, **self._held(), delay_s=delay_s,
                                 keep_attempt=keep_attempt, error=error))

    def finish(self) -> None:
        """End a task that succeeded and has no record to be written with; fenced."""
        self._end(states.DONE)

    def fail(self, error: str) -> None:
        """End a task that failed; fenced."""
        self._end(states.FAILED, error)

    def cancel(self) -> None:
        """End a task whose cancelling was asked for; fenced."""
        self._end(states.CANCELLED)

    def _end(self, state: str, error: str | None = None) -> None:
        self.load_row(db.end(self._context, **self._held(), state=state, error=error))

    @staticmethod
    def cancel_idle(context: Any, task_id: str) -> bool:
        """End a task that nobody works on (queued, or its lease ran out). False: somebody does."""
        return db.cancel_idle(context, task_id)

    @staticmethod
    def hasten(context: Any, resource_id: str) -> bool:
        """Make the queued tasks of a resource due now: what they wait for may have happened.

        :returns: whether there are any
        """
        return bool(db.hasten(context, resource_id))

    @classmethod
    def request_cancel(
        cls, context: Any, resource_id: str, kinds: Collection[str] | None = None,
    ) -> list[Self]:
        """Ask whoever works on a resource to stop; return the tasks that were asked.

        A queued task stays queued and becomes due: a manager undoes what was prepared for it.
        """
        rows = db.request_cancel(context, resource_id, kinds)
        return [cls.from_row(context, row) for row in rows]

    @staticmethod
    def longest_due(context: Any, host: str) -> float:
        """Return for how many seconds the task has been due that ``host`` may claim and that has
        waited longest; 0 where none waits.
        """
        return db.longest_due(context, host)

    @staticmethod
    def move(context: Any, resource_id: str) -> int:
        """Let any host work on the live tasks of a resource; return how many there are."""
        return db.move(context, resource_id)

    @staticmethod
    def release_owned(context: Any, owner_prefix: str) -> int:
        """Put running tasks whose owner's name begins so back into the queue; return how many."""
        return db.release_owned(context, owner_prefix)

    @classmethod
    def exists_live(cls, context: Any, task_id: str) -> bool:
        """Tell whether a task is there and has not ended."""
        try:
            return cls.get_by_id(context, task_id).is_live
        except exception.TaskNotFound:
            return False


@base.register
class TaskList(ovo_base.ObjectListBase, base.BackupsvcObject):
    # Version 1.0: initial
    VERSION = '1.0'

    fields = {'objects': fields.ListOfObjectsField('Task')}

    @classmethod
    def get_all(
        cls, context: Any, filters: Mapping[str, Any] | None = None, limit: int | None = None,
    ) -> Self:
        """Return tasks by creation time, the oldest first.

        :param filters: column → value or list of values
        """
        rows = db.list_(context, filters or {}, limit)
        return cls(context, objects=[Task.from_row(context, row) for row in rows])
