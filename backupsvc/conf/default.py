# SPDX-License-Identifier: Apache-2.0
"""Options of no group: what this host is called and where it keeps things."""

import socket

from oslo_config import cfg

GROUP = cfg.OptGroup('DEFAULT')

OPTS = [
    cfg.StrOpt(
        'state_path', default='/var/lib/backupsvc',
        help='Directory for what this host keeps on disk: caches, locks, the key file, the '
             'volumes of the file driver. Other options refer to it as $state_path, so a change '
             'moves them all; the files have to be moved by hand.'),
    cfg.HostAddressOpt(
        'host', default=socket.gethostname(), sample_default='<name of this host>',
        help='Name under which this host registers its services and claims tasks. Unique in a '
             'cloud. Work on volumes that only one host can reach is bound to the name: change it '
             'only when no task of this host is left.'),
]
