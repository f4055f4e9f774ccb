# SPDX-License-Identifier: Apache-2.0
"""``application``: the public API for uwsgi, gunicorn and mod_wsgi.

These servers pass no arguments on, so the configuration is named in the environment:
``BACKUPSVC_CONFIG_FILE`` lists files and ``BACKUPSVC_CONFIG_DIR`` directories, separated by
colons; without either the usual places (``/etc/backupsvc/backupsvc.conf`` …) are read. Import this
module in each worker, not before they are forked: connections and threads do not survive a fork.
"""

import os
from collections.abc import Callable

from backupsvc import cmd
from backupsvc.wsgi import paste


def build_application() -> Callable:
    """Read the configuration and build the public application."""
    argv = []
    for option, name in (
        ('--config-file', 'BACKUPSVC_CONFIG_FILE'),
        ('--config-dir', 'BACKUPSVC_CONFIG_DIR'),
    ):
        for path in filter(None, os.environ.get(name, '').split(os.pathsep)):
            argv += [option, path]
    return paste.loadapp(cmd.load_config(argv, 'backupsvc-api'))


application = build_application()
