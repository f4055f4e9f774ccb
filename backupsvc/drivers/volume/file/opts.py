# SPDX-License-Identifier: Apache-2.0
"""Options of the file volume driver."""

from oslo_config import cfg

GROUP = 'volume_file'

OPTS = [
    cfg.StrOpt(
        'directory',
        default='$state_path/volumes',
        help='Directory of the volumes: one raw file for each volume and snapshot, and the '
        'catalogue (SQLite). Made at first use, for the owner of the process only. On XFS or '
        'Btrfs snapshots and clones share blocks with their origin; elsewhere they are sparse '
        'copies.',
    ),
    cfg.StrOpt(
        'availability_zone',
        default='nova',
        help='The availability zone that volumes are in; the only one that is accepted.',
    ),
    cfg.ListOpt(
        'volume_types',
        default=['__DEFAULT__'],
        help='Names of the volume types on offer; the first is the default. They differ in '
        'nothing but their name.',
    ),
    cfg.IntOpt(
        'max_volume_gb',
        default=64 * 1024,
        min=1,
        help='The largest volume, in GiB, that can be made; the file system may allow less.',
    ),
]
