# SPDX-License-Identifier: Apache-2.0
"""Security groups: from where clients may connect to a database instance."""

from collections.abc import Mapping
from typing import Any, Self

from oslo_versionedobjects import base as ovo_base
from oslo_versionedobjects import fields

from backupsvc import exception
from backupsvc.db import database_instances as db
from backupsvc.objects import base
from backupsvc.objects.fields import UtcDateTimeField
from backupsvc.objects.task import Task


@base.register
class SecurityGroupRule(base.BackupsvcObject):
    # Version 1.0: initial
    VERSION = '1.0'

    fields = {
        'id': fields.StringField(),
        'group_id': fields.StringField(),
        'protocol': fields.StringField(),
        'from_port': fields.IntegerField(),
        'to_port': fields.IntegerField(),
        'cidr': fields.StringField(),
        'created_at': UtcDateTimeField(),
        'updated_at': UtcDateTimeField(nullable=True),
    }

    @classmethod
    def get_by_id(cls, context: Any, rule_id: str) -> Self:
        """Return a rule of a group of the caller's project, or of any for an admin.

        :raises SecurityGroupRuleNotFound: there is none that the caller may see
        """
        return cls.from_row(context, db.get_rule(context, rule_id))

    def create(self, task: Task) -> None:
        """Write the rule and the task that applies it.

        :raises SecurityGroupRuleExists: the group has a rule for this network
        """
        row, task_row = db.create_rule(self._context, self.set_values(), task.values_to_insert())
        self.load_row(row)
        task.load_row(task_row)

    def destroy(self, task: Task) -> None:
        """Remove the rule and write the task that applies what is left.

        :raises SecurityGroupRuleNotFound: somebody else did
        """
        task.load_row(db.delete_rule(self._context, self.id, task.values_to_insert()))


@base.register
class SecurityGroup(base.BackupsvcObject):
    # Version 1.0: initial
    VERSION = '1.0'

    fields = {
        'id': fields.StringField(),
        'project_id': fields.StringField(),
        'user_id': fields.StringField(nullable=True),
        'name': fields.StringField(),
        'description': fields.StringField(nullable=True),
        'instance_id': fields.StringField(),
        'rules': fields.ListOfObjectsField('SecurityGroupRule'),
        'created_at': UtcDateTimeField(),
        'updated_at': UtcDateTimeField(nullable=True),
    }

    @classmethod
    def from_row(cls, context: Any, row: Mapping[str, Any]) -> Self:
        """Return the group that a row with its rules describes."""
        rules = [SecurityGroupRule.from_row(context, rule) for rule in row['rules']]
        return super().from_row(context, {**row, 'rules': rules})

    @classmethod
    def get_by_id(cls, context: Any, group_id: str) -> Self:
        """Return a group of the caller's project, or of any for an admin.

        :raises SecurityGroupNotFound: there is none that the caller may see
        """
        return cls._get(context, {'id': group_id}, group_id)

    @classmethod
    def get_by_instance(cls, context: Any, instance_id: str) -> Self:
        """Return the group of an instance.

        :raises SecurityGroupNotFound: the instance is gone
        """
        return cls._get(context, {'instance_id': instance_id}, instance_id)

    @classmethod
    def _get(cls, context: Any, filters: Mapping[str, Any], name: str) -> Self:
        rows = db.list_groups(context, filters, 1, None)
        if not rows:
            raise exception.SecurityGroupNotFound(group_id=name)
        return cls.from_row(context, rows[0])

    @property
    def cidrs(self) -> list[str]:
        """The networks that its rules let in."""
        return [rule.cidr for rule in self.rules]


@base.register
class SecurityGroupList(ovo_base.ObjectListBase, base.BackupsvcObject):
    # Version 1.0: initial
    VERSION = '1.0'

    fields = {'objects': fields.ListOfObjectsField('SecurityGroup')}

    @classmethod
    def get_all(
        cls, context: Any, filters: Mapping[str, Any] | None = None, limit: int | None = None,
        marker: str | None = None,
    ) -> Self:
        """Return groups of the caller's project, or of all for an admin, by id."""
        rows = db.list_groups(context, filters or {}, limit, marker)
        return cls(context, objects=[SecurityGroup.from_row(context, row) for row in rows])
