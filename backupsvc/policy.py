# SPDX-License-Identifier: Apache-2.0
"""The policy enforcer of this process, built at first use with the rules of ``policies/``."""

import threading
from collections.abc import Mapping
from typing import Any

from oslo_config import cfg
from oslo_policy import policy

from backupsvc import conf, exception, policies

_lock = threading.Lock()
_enforcer: policy.Enforcer | None = None


def _configuration() -> cfg.ConfigOpts:
    try:
        return conf.current()
    except RuntimeError:
        # oslo.policy's own tools (sample, checker, upgrade) come through the entry point,
        # where nobody has read our files.
        config = conf.new_config()
        config([], project='backupsvc')
        return config


def get_enforcer() -> policy.Enforcer:
    """Return the enforcer; rule files are read again by it when they change."""
    global _enforcer
    with _lock:
        if _enforcer is None:
            enforcer = policy.Enforcer(_configuration())
            enforcer.register_defaults(policies.list_rules())
            _enforcer = enforcer
        return _enforcer


def reset() -> None:
    """Forget the enforcer; the next use builds one from the configuration of that moment."""
    global _enforcer
    with _lock:
        if _enforcer is not None:
            _enforcer.clear()
        _enforcer = None


def authorize(credentials: Any, action: str, target: Mapping[str, Any]) -> None:
    """Check a rule for a request context.

    :param credentials: the context, or its policy values
    :raises PolicyNotAuthorized: the rule, or the scope of the token, refuses
    """
    try:
        get_enforcer().authorize(
            action,
            dict(target),
            credentials,
            do_raise=True,
            exc=exception.PolicyNotAuthorized,
            action=action,
        )
    except policy.InvalidScope as err:
        raise exception.PolicyNotAuthorized(action=action) from err


def is_admin(credentials: Any) -> bool:
    """Tell whether rule ``context_is_admin`` holds: the caller sees every project."""
    return bool(get_enforcer().authorize('context_is_admin', {}, credentials, do_raise=False))
