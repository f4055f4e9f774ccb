# SPDX-License-Identifier: Apache-2.0
"""The policy rules with the calls that each of them guards, for oslo.policy's sample and docs.

A rule is written once in ``policies/`` and a call once in a route table; the pairs are made here.
"""

from oslo_policy import policy

from backupsvc import policies
from backupsvc.wsgi import openapi, root


def operations() -> dict[str, list[dict[str, str]]]:
    """Return the calls of every installed dialect by rule: ``{'method': …, 'path': …}``."""
    found: dict[str, list[dict[str, str]]] = {}
    for _, point in sorted(root.installed_dialects().items()):
        dialect = point.load()
        mount = min(dialect.mounts, key=len)
        for row in dialect.routes:
            path = openapi.plain_path(mount + row.path)
            if row.action is not None:
                path += f' ({row.action})'
            operation = {'method': row.method, 'path': path}
            for rule in row.policies:
                calls = found.setdefault(rule, [])
                if operation not in calls:
                    calls.append(operation)
    return found


def list_rules() -> list[policy.RuleDefault]:
    """Return all rules; those that guard calls name them."""
    calls = operations()
    return [
        policy.DocumentedRuleDefault(
            rule.name,
            rule.check_str,
            rule.description,
            calls[rule.name],
            scope_types=rule.scope_types,
        )
        if rule.name in calls
        else rule
        for rule in policies.list_rules()
    ]
