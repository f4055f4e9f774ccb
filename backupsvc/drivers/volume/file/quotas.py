# SPDX-License-Identifier: Apache-2.0
"""Quotas of local volumes, checked in the transaction that adds what they count."""

from collections.abc import Mapping
from sqlite3 import Connection

from backupsvc import exception
from backupsvc.drivers.volume.file import catalogue

#: In the order in which they are checked.
_ERRORS = {
    'gigabytes': exception.VolumeSizeExceedsAvailableQuota,
    'volumes': exception.VolumeLimitExceeded,
    'snapshots': exception.SnapshotLimitExceeded,
}


def check(connection: Connection, project_id: str, limits: Mapping[str, int] | None,
          volume_type: str | None, amounts: Mapping[str, int]) -> None:
    """Check that a project may have more.

    :param limits: resource, or resource and type (``volumes_<type>``) → limit; None limits nothing
    :param amounts: resource → how much more
    :raises OverQuota: the first limit that would be passed
    """
    if limits is None:
        return
    used = catalogue.usage(connection, project_id)
    for resource, error in _ERRORS.items():
        amount = amounts.get(resource, 0)
        for name in (resource, f'{resource}_{volume_type}'):
            limit = limits.get(name, -1)
            if amount > 0 and 0 <= limit < used.get(name, 0) + amount:
                raise error(resource=name, requested=amount, limit=limit,
                            in_use=used.get(name, 0))


def check_size(limits: Mapping[str, int] | None, size_gb: int) -> None:
    """Check how large one volume may be.

    :raises OverQuota: not that large
    """
    limit = (limits or {}).get('per_volume_gigabytes', -1)
    if 0 <= limit < size_gb:
        raise exception.VolumeSizeExceedsAvailableQuota(
            resource='per_volume_gigabytes', requested=size_gb, limit=limit, in_use=0)
