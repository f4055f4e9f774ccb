# SPDX-License-Identifier: Apache-2.0
"""Options of the repository family: where new backups are kept."""

from oslo_config import cfg

GROUP = cfg.OptGroup('repository', title='Repositories',
                     help='Where the bytes of backups are kept.')

OPTS = [
    cfg.StrOpt('driver', default='posix', help='''
Name of the repository driver for new backups, an entry point of "backupsvc.drivers.repository". A
backup remembers the driver it was made with and is restored and deleted through that one, so both
must stay configured after a change until the older backups are gone. Nothing is moved or shared
between the two: the first backup of each project after a change stores everything again.
'''),
    cfg.StrOpt('default_container', default='volumebackups', help='''
Container of a backup whose request names none. Each (project, container) is a repository of its
own and deduplicates within itself only. After a change, backups made before stay where they are
and new ones start a repository in the new container, which stores everything again once.
'''),
    cfg.BoolOpt('create_containers', default=True, help='''
Make a container that a backup names and that does not exist. With false such a backup fails, and
only containers that an operator has made are used.
'''),
]
