# SPDX-License-Identifier: Apache-2.0
"""Options of the instance family: whose volumes are taken together."""

from oslo_config import cfg

GROUP = cfg.OptGroup('instance', title='Instances',
                     help='Where the instances come from whose volumes are backed up together.')

OPTS = [
    cfg.StrOpt('driver', default='local', help='''
Name of the instance driver, an entry point of "backupsvc.drivers.instance". Every API and manager
process uses it. Backups and snapshots of instances made through another driver stay listed after a
change, and their volumes can be restored; new ones are made only of instances of the new driver.
'''),
]
