# SPDX-License-Identifier: Apache-2.0
"""Quotas of backups: the early check, and the errors that name the resource.

What counts is decided once, in the transaction that writes the record; the check here comes first
only so that a caller over quota is told so before anything else is looked at.
"""

import contextlib
from collections.abc import Iterator, Mapping

from backupsvc import conf, exception
from backupsvc.context import RequestContext
from backupsvc.objects import quota

_ERRORS = {
    'backups': exception.BackupLimitExceeded,
    'backup_gigabytes': exception.VolumeBackupSizeExceedsAvailableQuota,
}


def wanted(size_gb: int) -> dict[str, int]:
    """Return what one backup of a source of ``size_gb`` GiB takes, whatever is stored of it."""
    return {'backups': 1, 'backup_gigabytes': size_gb}


def check(context: RequestContext, amounts: Mapping[str, int]) -> dict[str, int]:
    """Return the limits of the caller's project.

    :raises BackupLimitExceeded: ``amounts`` does not fit, by number
    :raises VolumeBackupSizeExceedsAvailableQuota: by size
    """
    assert context.project_id is not None  # no rule lets a token without a project come here
    limits = quota.limits_for(context, context.project_id)
    used = quota.usages(context, context.project_id)
    for resource, amount in amounts.items():
        limit, in_use = limits[resource], used.get(resource, 0)
        if 0 <= limit < in_use + amount:
            raise _ERRORS[resource](
                resource=resource, requested=amount, limit=limit, in_use=in_use)
    return limits


def metadata_limit() -> int:
    """Return how many pairs of metadata a record may have."""
    return conf.current().api.max_metadata_items


def check_metadata(pairs: Mapping[str, str]) -> None:
    """Check that a record may have these pairs of metadata and no others.

    :raises MetadataLimitExceeded: they are too many
    """
    limit = metadata_limit()
    if len(pairs) > limit:
        raise exception.MetadataLimitExceeded(limit=limit)


@contextlib.contextmanager
def named_errors() -> Iterator[None]:
    """Turn the OverQuota of a record into the error of the resource that ran out."""
    try:
        yield
    except exception.OverQuota as err:
        raise _ERRORS[err.details['resource']](**err.details) from err
