# SPDX-License-Identifier: Apache-2.0
"""User messages: why a request that had been accepted came to nothing."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

from oslo_utils import uuidutils
from oslo_versionedobjects import base as ovo_base
from oslo_versionedobjects import fields

from backupsvc.db import messages as db
from backupsvc.objects import base
from backupsvc.objects.fields import UtcDateTimeField


@base.register
class Message(base.BackupsvcObject):
    # Version 1.0: initial
    VERSION = '1.0'

    fields = {
        'id': fields.StringField(),
        'project_id': fields.StringField(),
        'request_id': fields.StringField(nullable=True),
        'resource_type': fields.StringField(nullable=True),
        'resource_id': fields.StringField(nullable=True),
        'event_id': fields.StringField(),
        'action_id': fields.StringField(nullable=True),
        'detail_id': fields.StringField(nullable=True),
        'message_level': fields.StringField(),
        'expires_at': UtcDateTimeField(nullable=True),
        'created_at': UtcDateTimeField(),
        'updated_at': UtcDateTimeField(nullable=True),
    }

    def create(self) -> None:
        """Write the message; its id is made where it has none."""
        if not self.obj_attr_is_set('id'):
            self.id = uuidutils.generate_uuid()
        self.load_row(db.create(self._context, self.set_values()))

    @classmethod
    def get_by_id(cls, context: Any, message_id: str) -> Self:
        """Return a message of the caller's project, or of any for an admin.

        :raises MessageNotFound: there is none, or it has expired
        """
        return cls.from_row(context, db.get(context, message_id))

    def destroy(self) -> None:
        """Delete the message.

        :raises MessageNotFound: somebody else did
        """
        db.delete(self._context, self.id)


@base.register
class MessageList(ovo_base.ObjectListBase, base.BackupsvcObject):
    # Version 1.0: initial
    VERSION = '1.0'

    fields = {'objects': fields.ListOfObjectsField('Message')}

    @classmethod
    def get_all(
        cls, context: Any, filters: Mapping[str, Any] | None = None,
        sort: Sequence[tuple[str, str]] | None = None, limit: int | None = None,
        marker_id: str | None = None, offset: int | None = None,
    ) -> Self:
        """Return one page; arguments as ``BackupList.get_all``.

        :raises MessageNotFound: the marker is not there for this caller
        :raises InvalidInput: unknown sort key or direction
        """
        rows = db.list_(context, filters or {}, sort or (), limit, marker_id, offset)
        return cls(context, objects=[Message.from_row(context, row) for row in rows])
