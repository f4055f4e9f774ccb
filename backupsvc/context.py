# SPDX-License-Identifier: Apache-2.0
"""Who asks: the request context that every use case, record and driver call is given.

oslo.policy is imported where it is asked: a mover has a context and no policy, and starts sooner.
"""

from collections.abc import Mapping
from typing import Any

from oslo_context import context

from backupsvc import exception


class RequestContext(context.RequestContext):
    """oslo.context's request context with our policy and the caller's service catalog.

    :param is_admin: None asks rule ``context_is_admin``; True adds the admin role, so that
        policies and rows agree
    :param service_catalog: the token's catalog as Keystone wrote it, a list
    :param trust_id: lets work that goes on after the request act for the user, where a driver
        needs that
    :param task_id: of the task that a manager works on; for logs
    """

    def __init__(
        self,
        is_admin: bool | None = None,
        service_catalog: list[dict] | None = None,
        trust_id: str | None = None,
        task_id: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(is_admin=bool(is_admin), **kwargs)
        self.service_catalog = service_catalog or []
        self.trust_id = trust_id
        self.task_id = task_id
        if is_admin is None:
            from backupsvc import policy
            self.is_admin = policy.is_admin(self.to_policy_values())
        elif is_admin and 'admin' not in self.roles:
            self.roles = [*self.roles, 'admin']

    def to_policy_values(self) -> Any:
        """Return the credentials that rules look at."""
        values = super().to_policy_values()
        values['is_admin'] = self.is_admin
        return values

    def to_dict(self) -> dict[str, Any]:
        """Return plain values from which ``from_dict`` makes an equal context anywhere."""
        values = super().to_dict()
        values['is_admin'] = self.is_admin
        values['service_catalog'] = self.service_catalog
        values['trust_id'] = self.trust_id
        values['task_id'] = self.task_id
        return values

    def get_logging_values(self) -> dict[str, Any]:
        """Return what lines of the log are marked with."""
        return {**super().get_logging_values(), 'task_id': self.task_id}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], **kwargs: Any) -> 'RequestContext':
        """Return the context that ``to_dict`` described; not made the thread's current one."""
        kwargs.setdefault('is_admin', values.get('is_admin', False))
        kwargs.setdefault('service_catalog', values.get('service_catalog'))
        kwargs.setdefault('trust_id', values.get('trust_id'))
        kwargs.setdefault('task_id', values.get('task_id'))
        kwargs.setdefault('overwrite', False)
        return super().from_dict(dict(values), **kwargs)

    def elevated(self) -> 'RequestContext':
        """Return a copy that sees every project, for work on the service's own account."""
        values = self.to_dict()
        values['is_admin'] = True
        return self.from_dict(values)

    def _target(self, target: Any) -> Mapping[str, Any]:
        if target is None:
            return {'project_id': self.project_id, 'user_id': self.user_id}
        if isinstance(target, Mapping):
            return target
        return {'project_id': target.project_id, 'user_id': getattr(target, 'user_id', None)}

    def authorize(self, rule: str, target: Any = None) -> None:
        """Check a policy rule.

        :param target: what the rule is about: a mapping, or anything with ``project_id`` (a
            record, a volume); None is the caller's own project
        :raises PolicyNotAuthorized: the rule refuses
        """
        from backupsvc import policy
        policy.authorize(self.to_policy_values(), rule, self._target(target))

    def can(self, rule: str, target: Any = None) -> bool:
        """Tell whether ``authorize`` would pass."""
        try:
            self.authorize(rule, target)
        except exception.PolicyNotAuthorized:
            return False
        return True


def get_admin_context() -> RequestContext:
    """Return a context of the service itself, which sees every project."""
    return RequestContext(is_admin=True, overwrite=False)
