# SPDX-License-Identifier: Apache-2.0
"""Limits as Cinder v3 shows them."""

#: Resource → its limit's and its usage's name.
_NAMES = {
    'volumes': ('maxTotalVolumes', 'totalVolumesUsed'),
    'snapshots': ('maxTotalSnapshots', 'totalSnapshotsUsed'),
    'gigabytes': ('maxTotalVolumeGigabytes', 'totalGigabytesUsed'),
    'backups': ('maxTotalBackups', 'totalBackupsUsed'),
    'backup_gigabytes': ('maxTotalBackupGigabytes', 'totalBackupGigabytesUsed'),
}


def absolute(usages: dict) -> dict[str, int]:
    """Return limit and usage of every resource of ``usages`` that limits have a name for."""
    body = {}
    for resource, usage in usages.items():
        if resource in _NAMES:
            limit_name, used_name = _NAMES[resource]
            body[limit_name] = usage.limit
            body[used_name] = usage.in_use
    return body
