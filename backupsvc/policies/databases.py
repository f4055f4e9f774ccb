# SPDX-License-Identifier: Apache-2.0
"""Rules of database instances, what is in them, their backups and who may connect to them."""

from oslo_policy import policy

from backupsvc.policies import base

LIST = 'database:instance:index'
SHOW = 'database:instance:show'
CREATE = 'database:instance:create'
UPDATE = 'database:instance:update'
DELETE = 'database:instance:delete'
RESTART = 'database:instance:restart'
RESIZE = 'database:instance:resize'
DATABASES_LIST = 'database:instance:databases:index'
DATABASES_CREATE = 'database:instance:databases:create'
DATABASES_DELETE = 'database:instance:databases:delete'
USERS_LIST = 'database:instance:users:index'
USERS_SHOW = 'database:instance:users:show'
USERS_CREATE = 'database:instance:users:create'
USERS_UPDATE = 'database:instance:users:update'
USERS_DELETE = 'database:instance:users:delete'
ROOT_SHOW = 'database:instance:root:show'
ROOT_ENABLE = 'database:instance:root:enable'
ROOT_DISABLE = 'database:instance:root:disable'
BACKUPS_LIST = 'database:backup:index'
BACKUPS_LIST_ALL = 'database:backup:index:all_projects'
BACKUPS_SHOW = 'database:backup:show'
BACKUPS_CREATE = 'database:backup:create'
BACKUPS_DELETE = 'database:backup:delete'
BACKUPS_RESTORE = 'database:backup:restore'
GROUPS_LIST = 'database:security_group:index'
GROUPS_SHOW = 'database:security_group:show'
RULES_CREATE = 'database:security_group_rule:create'
RULES_DELETE = 'database:security_group_rule:delete'
FLAVORS = 'database:flavor:show'
LIMITS = 'database:limits:index'

RULES = [
    base.rule(LIST, base.READER, 'List database instances.'),
    base.rule(SHOW, base.READER, 'Show a database instance.'),
    base.rule(CREATE, base.MEMBER, 'Create a database instance.'),
    base.rule(UPDATE, base.MEMBER, 'Change the name of a database instance.'),
    base.rule(DELETE, base.MEMBER, 'Delete a database instance with all that it holds.'),
    base.rule(RESTART, base.MEMBER, 'Restart the server of a database instance.'),
    base.rule(RESIZE, base.MEMBER, 'Change the flavor or the volume of a database instance.'),
    base.rule(DATABASES_LIST, base.READER, 'List the databases of an instance.'),
    base.rule(DATABASES_CREATE, base.MEMBER, 'Create databases in an instance.'),
    base.rule(DATABASES_DELETE, base.MEMBER, 'Delete a database of an instance.'),
    base.rule(USERS_LIST, base.READER, 'List the users of an instance.'),
    base.rule(USERS_SHOW, base.READER, 'Show a user of an instance and what it may use.'),
    base.rule(USERS_CREATE, base.MEMBER, 'Create users in an instance.'),
    base.rule(
        USERS_UPDATE, base.MEMBER,
        'Change passwords, names and grants of the users of an instance.'),
    base.rule(USERS_DELETE, base.MEMBER, 'Delete a user of an instance.'),
    base.rule(ROOT_SHOW, base.READER, 'See whether root may log in to an instance.'),
    base.rule(ROOT_ENABLE, base.MEMBER, 'Let root log in to an instance, with a new password.'),
    base.rule(ROOT_DISABLE, base.MEMBER, 'Let root log in to an instance no more.'),
    base.rule(BACKUPS_LIST, base.READER, 'List the backups of database instances.'),
    base.rule(
        BACKUPS_LIST_ALL, base.ADMIN,
        'List the backups of database instances of other projects.'),
    base.rule(BACKUPS_SHOW, base.READER, 'Show a backup of a database instance.'),
    base.rule(BACKUPS_CREATE, base.MEMBER, 'Back up a database instance.'),
    base.rule(
        BACKUPS_DELETE, base.MEMBER,
        'Delete a backup of a database instance and all that were made from it.'),
    base.rule(BACKUPS_RESTORE, base.MEMBER, 'Create a database instance from a backup.'),
    base.rule(GROUPS_LIST, base.READER, 'List the security groups of database instances.'),
    base.rule(GROUPS_SHOW, base.READER, 'Show the security group of a database instance.'),
    base.rule(RULES_CREATE, base.MEMBER, 'Let a network connect to a database instance.'),
    base.rule(RULES_DELETE, base.MEMBER, 'Let a network connect to an instance no more.'),
    base.rule(FLAVORS, base.READER, 'List and show the flavors of database instances.'),
    base.rule(LIMITS, base.READER, 'Show the limits of the own project for databases.'),
]


def list_rules() -> list[policy.RuleDefault]:
    """Return the rules of databases."""
    return list(RULES)
