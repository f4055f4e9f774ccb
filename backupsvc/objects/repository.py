# SPDX-License-Identifier: Apache-2.0
"""Repositories: where backups are or were kept, and when somebody last looked after it."""

from collections.abc import Mapping
from typing import Any, Self

from oslo_versionedobjects import base as ovo_base
from oslo_versionedobjects import fields

from backupsvc.db import repositories as db
from backupsvc.objects import base
from backupsvc.objects.fields import UtcDateTimeField


@base.register
class Repository(base.BackupsvcObject):
    """One (driver, project, container)."""

    # Version 1.0: initial
    VERSION = '1.0'

    fields = {
        'id': fields.StringField(),
        'driver': fields.StringField(),
        'project_id': fields.StringField(),
        'container': fields.StringField(),
        'deleted_backups': fields.IntegerField(),
        'last_deleted_at': UtcDateTimeField(nullable=True),
        'last_pruned_at': UtcDateTimeField(nullable=True),
        'last_verified_at': UtcDateTimeField(nullable=True),
        'created_at': UtcDateTimeField(),
        'updated_at': UtcDateTimeField(nullable=True),
    }

    @classmethod
    def get_or_create(cls, context: Any, driver: str, project_id: str, container: str) -> Self:
        """Return the record of a repository, made when it is the first mention."""
        return cls.from_row(context, db.get_or_create(context, driver, project_id, container))

    @classmethod
    def mark_deleted_backup(
        cls, context: Any, driver: str, project_id: str, container: str,
    ) -> Self:
        """Note that a backup was deleted, so that a prune has something to win."""
        return cls.from_row(
            context, db.mark_deleted_backup(context, driver, project_id, container))

    @classmethod
    def due_for_prune(cls, context: Any, interval_s: float) -> list[Self]:
        """Return those with deletions whose last prune is ``interval_s`` or more ago."""
        return [cls.from_row(context, row) for row in db.due_for_prune(context, interval_s)]

    @classmethod
    def due_for_verify(cls, context: Any, interval_s: float) -> list[Self]:
        """Return those with backups, made and last verified ``interval_s`` or more ago."""
        return [cls.from_row(context, row) for row in db.due_for_verify(context, interval_s)]

    def mark_pruned(self) -> None:
        """Note that a prune ended; deletions since this object was read stay due."""
        self.load_row(db.mark_pruned(self._context, self.id, self.deleted_backups))

    def mark_verified(self) -> None:
        """Note that a verify ended."""
        self.load_row(db.mark_verified(self._context, self.id))


@base.register
class RepositoryList(ovo_base.ObjectListBase, base.BackupsvcObject):
    # Version 1.0: initial
    VERSION = '1.0'

    fields = {'objects': fields.ListOfObjectsField('Repository')}

    @classmethod
    def get_all(cls, context: Any, filters: Mapping[str, Any] | None = None) -> Self:
        """Return repositories by creation time.

        :param filters: column → value or list of values
        """
        rows = db.list_(context, filters or {})
        return cls(context, objects=[Repository.from_row(context, row) for row in rows])
