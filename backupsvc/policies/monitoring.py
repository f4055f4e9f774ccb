# SPDX-License-Identifier: Apache-2.0
"""Rules of what operators watch the service with."""

from oslo_policy import policy

from backupsvc.policies import base

HEALTH = 'monitoring:health'
METRICS = 'monitoring:metrics'

RULES = [
    base.rule(HEALTH, base.ADMIN, 'Show what the service depends on, and whether it is there.'),
    base.rule(METRICS, base.ADMIN, 'Show metrics of the whole service.'),
]


def list_rules() -> list[policy.RuleDefault]:
    """Return the rules of monitoring."""
    return list(RULES)
