# SPDX-License-Identifier: Apache-2.0
"""Policy rules, one module per resource; every module that has ``list_rules`` is registered."""

import importlib
import pkgutil

from oslo_policy import policy


def list_rules() -> list[policy.RuleDefault]:
    """Return the rules of every module of this package, in the order of the module names."""
    rules = []
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f'{__name__}.{info.name}')
        if hasattr(module, 'list_rules'):
            rules.extend(module.list_rules())
    return rules
