# SPDX-License-Identifier: Apache-2.0
"""Options of the database: those of oslo.db, with our default of where it is."""

import copy

from oslo_config import cfg
from oslo_db import options

GROUP = cfg.OptGroup('database', title='Database', help='Where records and tasks are kept.')


def _options() -> list[cfg.Opt]:
    ours = []
    for opt in options.database_opts:
        opt = copy.deepcopy(opt)
        if opt.dest == 'connection':
            opt.default = 'sqlite:///$state_path/backupsvc.sqlite'
        ours.append(opt)
    return ours


OPTS = _options()
