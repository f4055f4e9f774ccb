# SPDX-License-Identifier: Apache-2.0
"""Backups: the user's record. Its status changes here, by compare-and-swap, and nowhere else."""

import datetime
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Self

from oslo_utils import uuidutils
from oslo_versionedobjects import base as ovo_base
from oslo_versionedobjects import fields

from backupsvc import states
from backupsvc.db import backups as db
from backupsvc.objects import base
from backupsvc.objects.fields import JsonField, UtcDateTimeField
from backupsvc.objects.task import Task

#: Begins the ``repository`` of a backup that another service made; its driver's name follows.
_FOREIGN = 'foreign:'

#: Characters that ``fail_reason`` holds.
FAIL_REASON_LENGTH = 255

#: Kind of task → the status that a backup has while it runs; who ends the task changes no other.
IN_FLIGHT = {
    states.TASK_CREATE: states.CREATING,
    states.TASK_IMPORT: states.CREATING,
    states.TASK_RESTORE: states.RESTORING,
    states.TASK_DELETE: states.DELETING,
    states.TASK_BACK_UP_DATABASE: states.CREATING,
    states.TASK_DELETE_DATABASE_BACKUP: states.DELETING,
}

#: What ``save`` never writes: identity, what is changed by compare-and-swap, what quota counts.
_NOT_SAVED = frozenset({
    'id', 'project_id', 'status', 'size_gb', 'created_at', 'updated_at', 'deleted', 'deleted_at',
    'metadata'})

Sort = Sequence[tuple[str, str]]


def sources(status: str, expected: Collection[str] | None) -> frozenset[str]:
    """Return the statuses from which ``status`` may be reached.

    :param expected: only these; naming ``status`` itself allows it to stay
    """
    allowed = frozenset(
        source for source, targets in states.BACKUP_TRANSITIONS.items() if status in targets)
    if expected is None:
        return allowed
    return (allowed | {status}) & frozenset(expected)


def foreign_repository(driver: str) -> str:
    """Return the ``repository`` of backups that a foreign driver reads."""
    return _FOREIGN + driver


@base.register
class Backup(base.BackupsvcObject):
    # Version 1.0: initial
    VERSION = '1.0'

    fields = {
        'id': fields.StringField(),
        'project_id': fields.StringField(),
        'user_id': fields.StringField(nullable=True),
        'kind': fields.StringField(),
        'source_id': fields.StringField(),
        'parent_id': fields.StringField(nullable=True),
        'set_id': fields.StringField(nullable=True),
        'name': fields.StringField(nullable=True),
        'description': fields.StringField(nullable=True),
        'status': fields.StringField(),
        'fail_reason': fields.StringField(nullable=True),
        'container': fields.StringField(nullable=True),
        'repository': fields.StringField(nullable=True),
        'repository_project_id': fields.StringField(nullable=True),
        'manifest_id': fields.StringField(nullable=True),
        'size_gb': fields.IntegerField(),
        'logical_bytes': fields.IntegerField(),
        'read_bytes': fields.IntegerField(),
        'new_bytes': fields.IntegerField(),
        'stored_bytes': fields.IntegerField(),
        'object_count': fields.IntegerField(),
        'snapshot_id': fields.StringField(nullable=True),
        'data_timestamp': UtcDateTimeField(nullable=True),
        'availability_zone': fields.StringField(nullable=True),
        'host': fields.StringField(nullable=True),
        'encryption_key_id': fields.StringField(nullable=True),
        'origin': fields.StringField(nullable=True),
        'source_facts': JsonField(nullable=True),
        'change_token': fields.StringField(nullable=True),
        'created_at': UtcDateTimeField(),
        'updated_at': UtcDateTimeField(nullable=True),
        'deleted_at': UtcDateTimeField(nullable=True),
        'deleted': fields.BooleanField(),
        'metadata': fields.DictOfStringsField(),
    }

    @property
    def volume_id(self) -> str:
        """The source, under the name that it has for a volume."""
        return self.source_id

    @property
    def is_incremental(self) -> bool:
        """Whether it was made from another backup, live or not."""
        return self.parent_id is not None

    @property
    def foreign_driver(self) -> str | None:
        """Name of the driver that reads the data where another service keeps it, None for ours."""
        name = self.repository or ''
        return name.removeprefix(_FOREIGN) if name.startswith(_FOREIGN) else None

    @property
    def place(self) -> dict[str, Any] | None:
        """Where the data of another service's backup lies, as its driver found it."""
        return (self.source_facts or {}).get('place') if self.foreign_driver else None

    @property
    def metadata_version(self) -> str:
        """The version of the metadata, for ``if_match``: equal for equal pairs."""
        return db.version_of(self.metadata)

    # Reading -------------------------------------------------------------------------------------

    @classmethod
    def get_by_id(
        cls, context: Any, backup_id: str, read_deleted: bool = False, kind: str | None = None,
    ) -> Self:
        """Return a backup of the caller's project, or of any project for an admin.

        :param kind: it must be of this kind; None: of any
        :raises BackupNotFound: there is none that the caller may see
        """
        return cls.from_row(context, db.get(context, backup_id, read_deleted, kind))

    @classmethod
    def latest_parent(
        cls, context: Any, source_id: str, before: datetime.datetime | None = None,
        project_id: str | None = None,
    ) -> Self | None:
        """Return the available backup with the newest data of a source, or None.

        :param before: only data up to this time
        :param project_id: whose backup it must be; the caller's where it is not given
        """
        row = db.latest(context, source_id, project_id or context.project_id, before)
        return None if row is None else cls.from_row(context, row)

    def has_manifest_sharers(self) -> bool:
        """Tell whether another live backup, of any project, refers to the same manifest."""
        if self.manifest_id is None:
            return False
        return db.has_manifest_sharers(
            self._context, self.id, self.manifest_id, self.repository,
            self.repository_project_id, self.container)

    # The life of a record ------------------------------------------------------------------------

    def _values_to_insert(self) -> tuple[dict[str, Any], dict[str, str]]:
        if not self.obj_attr_is_set('id'):
            self.id = uuidutils.generate_uuid()
        values = self.set_values()
        return values, values.pop('metadata', {})

    def _load(self, row: Mapping[str, Any], task: Task | None, task_row: Mapping | None) -> None:
        self.load_row(row)
        if task is not None and task_row is not None:
            task.load_row(task_row)

    def create(self, task: Task | None, quota: Mapping[str, int] | None = None) -> None:
        """Write the record, its metadata, its task and its quota usage, all or nothing.

        :param task: a new one; its resource is this backup where it names none
        :param quota: resource → limit, as ``objects.quota.limits_for`` returns it; None: no limit
        :raises OverQuota: details resource, requested, limit, in_use
        :raises BackupExists: the id is taken, by a deleted backup perhaps: see ``revive``
        """
        self._insert(db.create, task, quota)

    def revive(self, task: Task | None, quota: Mapping[str, int] | None = None) -> None:
        """``create`` over a deleted backup of the same id, of which nothing stays.

        :raises BackupNotFound: there is no such record at all
        :raises BackupExists: it is not deleted
        :raises OverQuota: as ``create``
        """
        self._insert(db.revive, task, quota)

    def _insert(self, insert: Any, task: Task | None, quota: Mapping[str, int] | None) -> None:
        values, metadata = self._values_to_insert()
        task_values = None if task is None else task.values_to_insert(self.id)
        row, task_row = insert(self._context, values, metadata, task_values, quota)
        self._load(row, task, task_row)

    def begin(self, task: Task, expected: Collection[str], status: str) -> None:
        """Change the status, clear ``fail_reason`` and write the task that follows, or nothing.

        :param expected: statuses to change from, as far as the transition table allows; naming
            ``status`` itself allows it to stay
        :raises BackupChanged: it has another status
        :raises BackupNotFound: it was deleted
        """
        row, task_row = db.transition(
            self._context, self.id, sources(status, expected),
            {'status': status, 'fail_reason': None}, task.values_to_insert(self.id))
        self._load(row, task, task_row)

    def transition_to(
        self, status: str, expected: Collection[str] | None = None, **values: Any,
    ) -> None:
        """Change the status, and columns with it.

        :param expected: as in ``begin``; None: every status that the transition table allows
        :raises BackupChanged: it has another status
        :raises BackupNotFound: it was deleted
        """
        row, _ = db.transition(
            self._context, self.id, sources(status, expected), {**values, 'status': status})
        self.load_row(row)

    def finish(self, task: Task, status: str, **values: Any) -> bool:
        """End a task that succeeded and change the status and columns with it; fenced by the task.

        :returns: False where the backup no longer has the status of this kind of task (it was
            reset, or is being deleted): the backup is left alone, the task has ended
        :raises LeaseLost: somebody else works on the task now; nothing was changed
        """
        return self._end(task, status, states.DONE, None, values)

    def fail(self, task: Task, status: str, fail_reason: str, **values: Any) -> bool:
        """End a task that failed; otherwise as ``finish``.

        :param fail_reason: for the user; cut to what the column holds, whole in the task
        """
        values['fail_reason'] = fail_reason[:FAIL_REASON_LENGTH]
        return self._end(task, status, states.FAILED, fail_reason, values)

    def cancel(self, task: Task, status: str, fail_reason: str | None = None) -> bool:
        """End a task whose cancelling was asked for; otherwise as ``finish``."""
        return self._end(task, status, states.CANCELLED, None, {'fail_reason': fail_reason})

    def _end(
        self, task: Task, status: str, state: str, error: str | None, values: Mapping[str, Any],
    ) -> bool:
        in_flight = IN_FLIGHT.get(task.kind)
        expected = None if in_flight is None else {in_flight}
        row, task_row = db.end(
            self._context, self.id, sources(status, expected), {**values, 'status': status},
            task.holder(), state, error)
        task.load_row(task_row)
        if row is None:
            return False
        self.load_row(row)
        return True

    def destroy(self, task: Task | None = None) -> None:
        """Delete the record softly with its metadata and give its quota back; idempotent.

        :param task: ends with it; fenced
        :raises LeaseLost: somebody else works on the task now; nothing was changed
        """
        row, task_row = db.destroy(
            self._context, self.id, None if task is None else task.holder())
        if row is not None:
            self._load(row, task, task_row)

    def save(self) -> None:
        """Write changed columns; status, size, owner and metadata have methods of their own.

        :raises BackupNotFound: it was deleted
        """
        changes = self.obj_get_changes()
        refused = sorted(_NOT_SAVED & set(changes))
        if refused:
            raise ValueError(f'save() does not write {", ".join(refused)}')
        if changes:
            self.load_row(db.update(self._context, self.id, changes))

    # Metadata ------------------------------------------------------------------------------------

    def set_metadata(
        self, pairs: Mapping[str, str], replace: bool = False, if_match: str | None = None,
        limit: int | None = None,
    ) -> None:
        """Merge pairs into the metadata, or replace all of it.

        :param if_match: the ``metadata_version`` that the change was made against
        :param limit: how many pairs there may be then, unless it has as many already
        :raises BackupNotFound: it was deleted
        :raises MetadataChanged: the metadata has another version
        :raises MetadataLimitExceeded: there would be more than ``limit``
        """
        self.load_row(db.set_metadata(self._context, self.id, pairs, replace, if_match, limit))

    def delete_metadata(self, key: str, if_match: str | None = None) -> None:
        """Take one pair away.

        :raises BackupMetadataNotFound: there is no such key
        :raises BackupNotFound: it was deleted
        :raises MetadataChanged: the metadata has another version
        """
        self.load_row(db.delete_metadata(self._context, self.id, key, if_match))


@base.register
class BackupList(ovo_base.ObjectListBase, base.BackupsvcObject):
    # Version 1.0: initial
    VERSION = '1.0'

    fields = {'objects': fields.ListOfObjectsField('Backup')}

    @classmethod
    def get_all(
        cls, context: Any, filters: Mapping[str, Any] | None = None, sort: Sort | None = None,
        limit: int | None = None, marker_id: str | None = None, offset: int | None = None,
    ) -> Self:
        """Return one page of the caller's project, or of all projects for an admin.

        :param filters: column → value or list; ``<column>~`` → text that it contains;
            ``metadata`` → pairs, of which all must match exactly. What is no column matches
            nothing
        :param sort: (column, 'asc' or 'desc') pairs; null comes before any value in ascending
            order; newest first where it is not given
        :param marker_id: the page begins behind this backup
        :raises BackupNotFound: the marker is not there for this caller
        :raises InvalidInput: unknown sort key or direction
        """
        rows = db.list_(context, filters or {}, sort or (), limit, marker_id, offset)
        return cls(context, objects=[Backup.from_row(context, row) for row in rows])

    @staticmethod
    def count(context: Any, filters: Mapping[str, Any] | None = None) -> int:
        """Return how many backups all pages of ``get_all`` hold together."""
        return db.count(context, filters or {})

    @staticmethod
    def dependent_counts(context: Any, ids: Collection[str]) -> dict[str, int]:
        """Return id → how many live backups were made from it, 0 included."""
        found = db.dependent_counts(context, ids)
        return {backup_id: found.get(backup_id, 0) for backup_id in ids}

    @staticmethod
    def of_sets(context: Any, set_ids: Collection[str]) -> dict[str, list[Backup]]:
        """Return id of a set → its members that are not deleted, in their order."""
        found: dict[str, list[Backup]] = {set_id: [] for set_id in set_ids}
        for row in db.of_sets(context, set_ids):
            found[row['set_id']].append(Backup.from_row(context, row))
        return found
