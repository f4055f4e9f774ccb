# SPDX-License-Identifier: Apache-2.0
"""Rules of user messages; names and defaults are Cinder's."""

from oslo_policy import policy

from backupsvc.policies import base

LIST = 'message:get_all'
SHOW = 'message:get'
DELETE = 'message:delete'

RULES = [
    base.rule(LIST, base.READER, 'List user messages.'),
    base.rule(SHOW, base.READER, 'Show a user message.'),
    base.rule(DELETE, base.MEMBER, 'Delete a user message.'),
]


def list_rules() -> list[policy.RuleDefault]:
    """Return the rules of user messages."""
    return list(RULES)
