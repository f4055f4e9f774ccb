# SPDX-License-Identifier: Apache-2.0
"""Rules of checkpoints, which are an operator's and of no project."""

from oslo_policy import policy

from backupsvc.policies import base

LIST = 'checkpoint:get_all'
SHOW = 'checkpoint:get'
CREATE = 'checkpoint:create'
DELETE = 'checkpoint:delete'

RULES = [
    base.rule(LIST, base.ADMIN, 'List checkpoints, and show the state of the cluster.'),
    base.rule(SHOW, base.ADMIN, 'Show a checkpoint.'),
    base.rule(CREATE, base.ADMIN, 'Take a checkpoint.'),
    base.rule(DELETE, base.ADMIN, 'Delete a checkpoint and the backups in it.'),
]


def list_rules() -> list[policy.RuleDefault]:
    """Return the rules of checkpoints."""
    return list(RULES)
