# SPDX-License-Identifier: Apache-2.0
"""Options of the manager: how much it works at once, and how its peers tell that it is alive."""

from oslo_config import cfg

GROUP = cfg.OptGroup('manager', title='Manager', help='The process that carries tasks out.')

OPTS = [
    cfg.StrOpt(
        'availability_zone',
        default='nova',
        help='Availability zone that this manager serves, and that a backup without one of its '
             'own is shown in.'),
    cfg.IntOpt(
        'workers',
        default=2, min=1, max=256,
        help='Tasks carried out at the same time. Each archive and restore is a process of its '
             'own that uses up to 200 MiB of memory.'),
    cfg.IntOpt(
        'spare_movers',
        default=1, min=0, max=16,
        help='Processes for archives and restores that are started ahead and wait for work. Each '
             'saves its task the third of a second that a start takes, and holds some 50 MiB of '
             'memory meanwhile; with 0 every process is started when its work has come.'),
    cfg.IntOpt(
        'lease_duration',
        default=60, min=1,
        help='Seconds until a task whose manager has died may be claimed by another one. The '
             'lease is renewed every third of this time; a manager that cannot reach the '
             'database for longer stops its work.'),
    cfg.FloatOpt(
        'sweep_interval',
        default=10.0, min=0.1,
        help='Seconds between two looks for tasks that no message announced: the longest time '
             'that a lost message or a dead broker can delay a task.'),
    cfg.FloatOpt(
        'heartbeat_interval',
        default=10.0, min=0.1,
        help='Seconds between two heartbeats of the service record.'),
    cfg.IntOpt(
        'service_down_time',
        default=60, min=1,
        help='Seconds since its last heartbeat after which a service counts as down.'),
    cfg.IntOpt(
        'max_attempts',
        default=5, min=1,
        help='How many times a task is started before it fails for good. A start that ended '
             'because the manager was asked to stop does not count.'),
    cfg.FloatOpt(
        'retry_interval',
        default=10.0, min=0.0,
        help='Seconds before the second attempt of a task that failed for a passing reason; '
             'doubled for each further attempt, up to ten minutes.'),
    cfg.FloatOpt(
        'graceful_timeout',
        default=60.0, min=1.0,
        help='Seconds that a manager which was asked to stop lets its movers end cleanly before '
             'it kills them. Nothing is lost either way: the tasks are handed back.'),
    cfg.IntOpt(
        'volume_timeout',
        default=600, min=1,
        help='Seconds to wait for a volume that a restore makes to become usable.'),
    cfg.IntOpt(
        'quiesce_timeout',
        default=120, min=1,
        help='Seconds that an instance may be kept from writing while the snapshots of its '
             'volumes are taken. When they are not there by then the instance goes on, and its '
             'backup or snapshot is tried again or fails. Where the storage copies instead of '
             'sharing blocks this limits how much data an instance may have.'),
    cfg.IntOpt(
        'hold_grace',
        default=300, min=0,
        help='Seconds after which a volume that is held for a task that never came to be is '
             'given back. One whose task has ended is given back at the next look.'),
    cfg.FloatOpt(
        'hold_sweep_interval',
        default=60.0, min=0.1,
        help='Seconds between two looks for such volumes.'),
    cfg.IntOpt(
        'prune_interval',
        default=3600, min=0,
        help='Seconds between two looks for repositories in which backups were deleted since '
             'their last prune; 0 turns pruning by the manager off.'),
    cfg.IntOpt(
        'prune_grace',
        default=86400, min=0,
        help='Seconds that packs which nothing refers to are kept. Must be longer than an '
             'archive may be without contact to its store.'),
    cfg.IntOpt(
        'verify_interval',
        default=604800, min=0,
        help='Seconds after which a repository is verified again by a manager: that every object '
             'which its backups refer to is there and has the right size. What is found is logged '
             'as an error and kept with the task ("backupsvc-manage task show"). 0 turns this '
             'off.'),
    cfg.IntOpt(
        'progress_notification_step',
        default=10, min=1, max=100,
        help='A backup.createprogress notification is sent each time that a backup has advanced '
             'by this many per cent.'),
]
