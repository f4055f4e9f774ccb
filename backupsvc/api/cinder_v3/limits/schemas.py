# SPDX-License-Identifier: Apache-2.0
"""Schemas of limits."""

from backupsvc.api.cinder_v3 import shapes

_INTEGER = {'type': 'integer'}

SHOW = shapes.under('limits', shapes.closed({
    'rate': {'type': 'array', 'maxItems': 0},
    'absolute': shapes.closed({
        'maxTotalVolumes': _INTEGER,
        'maxTotalSnapshots': _INTEGER,
        'maxTotalVolumeGigabytes': _INTEGER,
        'maxTotalBackups': _INTEGER,
        'maxTotalBackupGigabytes': _INTEGER,
        'totalVolumesUsed': _INTEGER,
        'totalSnapshotsUsed': _INTEGER,
        'totalGigabytesUsed': _INTEGER,
        'totalBackupsUsed': _INTEGER,
        'totalBackupGigabytesUsed': _INTEGER,
    }),
}))
