# SPDX-License-Identifier: Apache-2.0
"""Use cases of services: which managers there are, and taking one out of service."""

from backupsvc import exception
from backupsvc.context import RequestContext
from backupsvc.objects.service import Service, ServiceList
from backupsvc.policies import services as policies


def list_(context: RequestContext, binary: str, host: str | None = None) -> list[Service]:
    """Return the services of a binary, those of one host if asked."""
    context.authorize(policies.LIST)
    filters = {'binary': binary} if host is None else {'binary': binary, 'host': host}
    return list(ServiceList.get_all(context, filters))


def set_disabled(context: RequestContext, binary: str, host: str, disabled: bool,
                 reason: str | None = None) -> Service:
    """Give a service no new work any more, or again.

    :raises ServiceHostNotFound: there is no such service
    """
    context.authorize(policies.UPDATE)
    for service in ServiceList.get_all(context, {'binary': binary, 'host': host}):
        service.disabled = disabled
        service.disabled_reason = reason if disabled else None
        service.save()
        return service
    raise exception.ServiceHostNotFound(binary=binary, host=host)
