# SPDX-License-Identifier: Apache-2.0
"""Use cases of security groups: which networks may connect to a database instance.

The rules in the records are what holds; the manager of the instance's host applies them.
"""

import ipaddress
from collections.abc import Callable, Sequence

from oslo_utils import uuidutils

from backupsvc import exception, rpc, states
from backupsvc.context import RequestContext
from backupsvc.objects.database_instance import DatabaseInstance
from backupsvc.objects.security_group import SecurityGroup, SecurityGroupList, SecurityGroupRule
from backupsvc.objects.task import Task
from backupsvc.orchestration import database_instances
from backupsvc.policies import databases as policies


def list_(
    context: RequestContext, limit: int | None = None, marker: str | None = None
) -> Sequence[SecurityGroup]:
    """Return a page of the security groups of the caller's project, by id."""
    context.authorize(policies.GROUPS_LIST)
    return list(SecurityGroupList.get_all(
        context, {'project_id': context.project_id}, limit, marker))


def get(context: RequestContext, group_id: str) -> SecurityGroup:
    """Return a security group.

    :raises SecurityGroupNotFound: there is none, for this caller
    """
    group = SecurityGroup.get_by_id(context, group_id)
    context.authorize(policies.GROUPS_SHOW, group)
    return group


def create_rule(context: RequestContext, group_id: str, cidr: str) -> SecurityGroupRule:
    """Let a network connect to the instance of a group.

    :raises SecurityGroupNotFound: there is none, for this caller
    :raises InvalidInput: the text is no network
    :raises SecurityGroupRuleExists: the group has a rule for it
    """
    group = SecurityGroup.get_by_id(context, group_id)
    context.authorize(policies.RULES_CREATE, group)
    rule = SecurityGroupRule(
        context, id=uuidutils.generate_uuid(), group_id=group.id, protocol='tcp',
        from_port=database_instances.PORT, to_port=database_instances.PORT, cidr=_network(cidr))
    _apply(context, group, rule.create)
    return rule


def _network(text: str) -> str:
    """Return a network in the one form that it is compared in."""
    try:
        return str(ipaddress.ip_network(text.strip(), strict=False))
    except ValueError:
        raise exception.InvalidInput(reason=f'{text} is not a valid CIDR.') from None


def delete_rule(context: RequestContext, rule_id: str) -> None:
    """Let a network connect no more.

    :raises SecurityGroupRuleNotFound: there is none, for this caller
    """
    rule = SecurityGroupRule.get_by_id(context, rule_id)
    group = SecurityGroup.get_by_id(context, rule.group_id)
    context.authorize(policies.RULES_DELETE, group)
    _apply(context, group, rule.destroy)


def _apply(
    context: RequestContext, group: SecurityGroup, write: Callable[[Task], None]
) -> None:
    """Write a change together with the task that applies it."""
    instance = DatabaseInstance.get_by_id(context, group.instance_id)
    task = database_instances.new_task(context, states.TASK_APPLY_RULES, instance)
    write(task)
    rpc.manager_api().wake(context, task)
