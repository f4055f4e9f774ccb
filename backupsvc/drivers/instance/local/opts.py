# SPDX-License-Identifier: Apache-2.0
"""Options of the local instance driver."""

from oslo_config import cfg

GROUP = 'instance_local'

OPTS = [
    cfg.StrOpt(
        'directory',
        default='$state_path/instances',
        help='Directory of the instances: one directory for each, with what is known of it and '
        'of its process. Made at first use, for the owner of the process only. Moving it takes '
        'the instances along, also those that run.',
    ),
    cfg.FloatOpt(
        'write_interval',
        default=0.02,
        min=0.0,
        help='Seconds between two records that a running instance writes to the same volume; 0 '
        'writes without a pause. Read when an instance starts.',
    ),
    cfg.IntOpt(
        'log_size_kb',
        default=16 * 1024,
        min=4,
        help='KiB at the beginning of each volume that records are written to, beside a header of '
        '4 KiB; two records fill one, then the oldest is overwritten. Read when a log begins: a '
        'larger one remembers more, and costs as much of each volume.',
    ),
    cfg.FloatOpt(
        'timeout',
        default=60.0,
        min=0.1,
        help='Seconds that the process of an instance may take to start, to stand still and to '
        'end. After that a start or a standstill is given up, and a process that was to end is '
        'killed.',
    ),
]
