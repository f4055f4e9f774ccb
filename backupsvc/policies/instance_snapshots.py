# SPDX-License-Identifier: Apache-2.0
"""Rules of instance snapshots."""

from oslo_policy import policy

from backupsvc.policies import base

LIST = 'instance_snapshot:get_all'
SHOW = 'instance_snapshot:get'
CREATE = 'instance_snapshot:create'
DELETE = 'instance_snapshot:delete'
FORCE_DELETE = 'instance_snapshot:force_delete'

RULES = [
    base.rule(LIST, base.READER, 'List instance snapshots.'),
    base.rule(SHOW, base.READER, 'Show an instance snapshot.'),
    base.rule(CREATE, base.MEMBER, 'Create an instance snapshot. The target is the instance.'),
    base.rule(DELETE, base.MEMBER, 'Delete an instance snapshot and the snapshots in it.'),
    base.rule(FORCE_DELETE, base.ADMIN,
              'Delete an instance snapshot in any status, cancelling its work.'),
]


def list_rules() -> list[policy.RuleDefault]:
    """Return the rules of instance snapshots."""
    return list(RULES)
