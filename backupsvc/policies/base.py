# SPDX-License-Identifier: Apache-2.0
"""Personas that all rules are made of: reader, member and admin, with the names of Cinder."""

from oslo_policy import policy

ADMIN = 'rule:admin_api'
READER = 'rule:xena_system_admin_or_project_reader'
MEMBER = 'rule:xena_system_admin_or_project_member'
ADMIN_OR_OWNER = 'rule:admin_or_owner'

#: A token must be scoped to a project: a backup always belongs to one.
SCOPE = ('project',)

RULES = [
    policy.RuleDefault(
        'context_is_admin',
        'role:admin',
        description='Decides what is an administrator: who sees the rows of every project.',
    ),
    policy.RuleDefault(
        'admin_api',
        'is_admin:True or role:admin',
        description='Default rule of administrative calls.',
    ),
    policy.RuleDefault(
        'admin_or_owner',
        'rule:admin_api or project_id:%(project_id)s',
        description='An administrator, or anybody of the project, whatever the role.',
    ),
    policy.RuleDefault(
        'xena_system_admin_or_project_reader',
        'rule:admin_api or (role:reader and project_id:%(project_id)s)',
        description='An administrator, or a reader of the project. The name is Cinder\'s.',
    ),
    policy.RuleDefault(
        'xena_system_admin_or_project_member',
        'rule:admin_api or (role:member and project_id:%(project_id)s)',
        description='An administrator, or a member of the project. The name is Cinder\'s.',
    ),
]


def rule(name: str, check: str, description: str) -> policy.RuleDefault:
    """Return a rule of a resource.

    The methods and paths that a rule guards are not written here: they are in the route tables,
    and the policy sample takes them from there.
    """
    return policy.RuleDefault(name, check, description=description, scope_types=list(SCOPE))


def list_rules() -> list[policy.RuleDefault]:
    """Return the persona rules."""
    return list(RULES)
