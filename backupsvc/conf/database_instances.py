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
]
