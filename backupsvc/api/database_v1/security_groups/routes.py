# SPDX-License-Identifier: Apache-2.0
"""Rows of security groups and their rules, in both spellings that clients know."""

from backupsvc.api.database_v1.security_groups import controller
from backupsvc.policies import databases as policies
from backupsvc.wsgi.dialect import Route

ROUTES = [row for groups, rules in (
    ('/security-groups', '/security-group-rules'), ('/security_groups', '/security_group_rules'),
) for row in (
    Route('GET', groups, controller.list_security_groups, policies=(policies.GROUPS_LIST,),
          errors=(413,)),
    Route('GET', groups + '/{group_id}', controller.show_security_group,
          policies=(policies.GROUPS_SHOW,), errors=(413,)),
    Route('POST', rules, controller.create_security_group_rule,
          policies=(policies.RULES_CREATE,), errors=(404,)),
    Route('DELETE', rules + '/{rule_id}', controller.delete_security_group_rule,
          policies=(policies.RULES_DELETE,), errors=(413,)),
)]
