# SPDX-License-Identifier: Apache-2.0
"""Rules of quotas and limits, named as in Cinder."""

from oslo_policy import policy

from backupsvc.policies import base

SHOW = 'volume_extension:quotas:show'
UPDATE = 'volume_extension:quotas:update'
DELETE = 'volume_extension:quotas:delete'
CLASS_SHOW = 'volume_extension:quota_classes:get'
CLASS_UPDATE = 'volume_extension:quota_classes:update'
LIMITS = 'limits_extension:used_limits'

RULES = [
    base.rule(SHOW, base.READER, 'Show the quotas of a project. The target is the project.'),
    base.rule(UPDATE, base.ADMIN, 'Change the quotas of a project.'),
    base.rule(DELETE, base.ADMIN, 'Reset the quotas of a project.'),
    base.rule(CLASS_SHOW, base.ADMIN, 'Show the quotas of a class.'),
    base.rule(CLASS_UPDATE, base.ADMIN, 'Change the quotas of a class.'),
    base.rule(LIMITS, base.READER, 'Show how much of its quotas the own project uses.'),
]


def list_rules() -> list[policy.RuleDefault]:
    """Return the rules of quotas."""
    return list(RULES)
