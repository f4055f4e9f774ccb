# SPDX-License-Identifier: Apache-2.0
"""Options of the database family: what serves the databases of users."""

from oslo_config import cfg

GROUP = cfg.OptGroup('database_instances', title='Database instances',
                     help='What serves the databases of users. The database of the service itself '
                          'is [database].')

OPTS = [
    cfg.StrOpt('driver', default='mariadb', help='''
Name of the database driver, an entry point of "backupsvc.drivers.database". Every API, manager and
mover process uses it. Change it only while there is no database instance: a driver does not find
the servers that another one made. Backups stay listed after a change and are loaded only by a
driver that knows their format.
'''),
    cfg.ListOpt('default_cidrs', default=['0.0.0.0/0'], help='''
Networks that may connect to a new database instance, as rules of its security group, which its
owner may change. With an empty list nobody can connect until a rule was added.
'''),
    cfg.IntOpt('call_timeout', default=60, min=1, help='''
Seconds that a request about databases, users or root waits for the manager on whose host the
server is; then its client gets 503, though the manager may still carry it out.
'''),
    cfg.IntOpt('running_backup_expiry', default=3 * 24 * 3600, min=0, help='''
Seconds after which a backup of a database instance that is still being made may be deleted, by
which it is given up and its instance let go. Before that a deletion is answered with 422. 0 lets
every backup be deleted that is being made.
'''),
    cfg.FloatOpt('check_interval', default=15.0, min=0.0, help='''
Seconds between two looks of a manager for database servers of its host that should run and do not,
which it starts again: the longest time that a server which died is down. 0 leaves them as they
are.
'''),
]
