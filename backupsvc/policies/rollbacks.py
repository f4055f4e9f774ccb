# SPDX-License-Identifier: Apache-2.0
"""The rule of rollbacks."""

from oslo_policy import policy

from backupsvc.policies import base

ROLLBACK = 'volume:rollback'

RULES = [
    base.rule(ROLLBACK, base.MEMBER,
              'Bring a volume back to one of its snapshots. The target is the volume.'),
]


def list_rules() -> list[policy.RuleDefault]:
    """Return the rule of rollbacks."""
    return list(RULES)
