# SPDX-License-Identifier: Apache-2.0
"""Rules of instance backups."""

from oslo_policy import policy

from backupsvc.policies import base

LIST = 'instance_backup:get_all'
SHOW = 'instance_backup:get'
CREATE = 'instance_backup:create'
UPDATE = 'instance_backup:update'
DELETE = 'instance_backup:delete'
FORCE_DELETE = 'instance_backup:force_delete'

RULES = [
    base.rule(LIST, base.READER, 'List instance backups.'),
    base.rule(SHOW, base.READER, 'Show an instance backup.'),
    base.rule(CREATE, base.MEMBER, 'Create an instance backup. The target is the instance.'),
    base.rule(UPDATE, base.MEMBER,
              'Change the name, description or metadata of an instance backup.'),
    base.rule(DELETE, base.MEMBER, 'Delete an instance backup and the backups in it.'),
    base.rule(FORCE_DELETE, base.ADMIN,
              'Delete an instance backup in any status, cancelling its work.'),
]


def list_rules() -> list[policy.RuleDefault]:
    """Return the rules of instance backups."""
    return list(RULES)
