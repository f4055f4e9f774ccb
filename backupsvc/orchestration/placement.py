# SPDX-License-Identifier: Apache-2.0
"""Which manager may take new work, from liveness, zone and host."""

from backupsvc import context
from backupsvc.objects.service import Service, ServiceList

BINARY = 'backupsvc-manager'


def pick(availability_zone: str | None = None, host: str | None = None) -> Service | None:
    """Return a live, enabled manager, None when there is none.

    :param availability_zone: it must be in this zone
    :param host: it must run on this host, because only that one reaches the source
    """
    for service in ServiceList.get_all(context.get_admin_context(), {'binary': BINARY}):
        if not service.is_usable:
            continue
        if availability_zone and service.availability_zone != availability_zone:
            continue
        if host and service.host != host:
            continue
        return service
    return None
