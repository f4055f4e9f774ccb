# SPDX-License-Identifier: Apache-2.0
"""Options of the posix repository driver."""

from oslo_config import cfg

GROUP = 'repository_posix'

OPTS = [
    cfg.StrOpt('path', default='$state_path/repositories', help='''
Directory that holds the repositories, one directory per project and container below it. It must
exist: an unmounted file system then stops backups instead of filling the disk below the mount
point. Every manager and mover needs the same files there, so more than one host needs a shared
file system. To move it, stop the managers, copy the whole tree, and change this.
'''),
]
