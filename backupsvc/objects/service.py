# SPDX-License-Identifier: Apache-2.0
"""Services: which processes there are, and whether they live."""

from collections.abc import Mapping
from typing import Any, Self

from oslo_versionedobjects import base as ovo_base
from oslo_versionedobjects import fields

from backupsvc import conf
from backupsvc.db import services as db
from backupsvc.objects import base
from backupsvc.objects.fields import UtcDateTimeField


@base.register
class Service(base.BackupsvcObject):
    # Version 1.0: initial
    VERSION = '1.0'

    fields = {
        'id': fields.IntegerField(),
        'host': fields.StringField(),
        'binary': fields.StringField(),
        'topic': fields.StringField(nullable=True),
        'availability_zone': fields.StringField(nullable=True),
        'rpc_version': fields.StringField(nullable=True),
        'object_version': fields.StringField(nullable=True),
        'report_count': fields.IntegerField(),
        'last_seen_at': UtcDateTimeField(),
        # By the clock of the database, at the time of reading.
        'seconds_since_seen': fields.FloatField(),
        'disabled': fields.BooleanField(),
        'disabled_reason': fields.StringField(nullable=True),
        'created_at': UtcDateTimeField(),
        'updated_at': UtcDateTimeField(nullable=True),
    }

    @classmethod
    def heartbeat(cls, context: Any, host: str, binary: str, **values: Any) -> Self:
        """Note that a service lives, register it when it is new, and return it.

        :param values: topic, availability_zone, rpc_version, object_version
        """
        return cls.from_row(context, db.heartbeat(context, host, binary, values))

    @property
    def is_up(self) -> bool:
        """Whether it was seen within ``[manager] service_down_time``, when it was read."""
        return self.seconds_since_seen <= conf.current().manager.service_down_time

    @property
    def is_usable(self) -> bool:
        """Whether work may be given to it."""
        return self.is_up and not self.disabled

    def save(self) -> None:
        """Write ``disabled``, ``disabled_reason`` and ``availability_zone``.

        :raises ServiceHostNotFound: it was deleted
        """
        changes = self.obj_get_changes()
        refused = sorted(set(changes) - {'disabled', 'disabled_reason', 'availability_zone'})
        if refused:
            raise ValueError(f'save() does not write {", ".join(refused)}')
        self.load_row(db.update(self._context, self.host, self.binary, changes))

    def destroy(self) -> None:
        """Forget the service; one that lives registers itself again."""
        db.delete(self._context, self.host, self.binary)


@base.register
class ServiceList(ovo_base.ObjectListBase, base.BackupsvcObject):
    # Version 1.0: initial
    VERSION = '1.0'

    fields = {'objects': fields.ListOfObjectsField('Service')}

    @classmethod
    def get_all(cls, context: Any, filters: Mapping[str, Any] | None = None) -> Self:
        """Return services by binary and host.

        :param filters: column → value or list of values
        """
        rows = db.list_(context, filters or {})
        return cls(context, objects=[Service.from_row(context, row) for row in rows])
