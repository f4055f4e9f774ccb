# SPDX-License-Identifier: Apache-2.0
"""Options of the volume family: which volumes are backed up."""

from oslo_config import cfg

GROUP = cfg.OptGroup('volume', title='Volumes',
                     help='Where the volumes to back up and to restore into come from.')

OPTS = [
    cfg.StrOpt('driver', default='file', help='''
Name of the volume driver, an entry point of "backupsvc.drivers.volume". Every API, manager and
mover process uses it. Backups made through another driver stay listed after a change and restore
only into volumes of the new driver; incremental backups find their parent by volume id, so the
first backup of each volume after a change reads the whole volume.
'''),
]
