# SPDX-License-Identifier: Apache-2.0
"""Options of quotas: what a project may have when nobody has set a limit for it."""

from oslo_config import cfg

GROUP = cfg.OptGroup(
    'quota', title='Quotas',
    help='Limits of a project for which none were set; -1 is no limit.')


def _limit(name: str, default: int, what: str) -> cfg.Opt:
    return cfg.IntOpt(
        name, default=default, min=-1,
        help=f'{what} Lowering it below what a project has already refuses the next creation and '
             'takes nothing away.')


OPTS = [
    _limit('backups', 10, 'Backups that a project may have.'),
    _limit('backup_gigabytes', 1000,
           'GiB of backups that a project may have, counted by the size of the source, whatever '
           'is stored of it.'),
    _limit('volumes', 10, 'Volumes that a project may have where this service serves volumes.'),
    _limit('gigabytes', 1000,
           'GiB of volumes and snapshots that a project may have where this service serves '
           'volumes.'),
    _limit('snapshots', 10,
           'Snapshots that a project may have where this service serves volumes.'),
    _limit('per_volume_gigabytes', -1,
           'GiB that one volume may have where this service serves volumes.'),
    _limit('database_instances', 10, 'Database instances that a project may have.'),
    _limit('database_gigabytes', 40,
           'GiB that the volumes of the database instances of a project may have together.'),
]
