# SPDX-License-Identifier: Apache-2.0
"""``backupsvc-manager``: the process that carries tasks out, until SIGTERM or SIGINT."""

import sys

from backupsvc import cmd, exception
from backupsvc.cmd import reports, stopping

#: Seconds beyond the graceful timeout after which a stop counts as hanging.
_MARGIN_S = 30


def main() -> int:
    """Run a manager; return the exit status."""
    conf = cmd.load_config(sys.argv[1:], 'backupsvc-manager')
    from backupsvc.manager import service  # after the configuration: a bad one is told quickly

    stop = stopping.StopRequest()
    manager = service.ManagerService(conf)
    reports.set_up(conf, 'backupsvc-manager', manager.describe_work)
    try:
        manager.start()
    except exception.BackupsvcError as error:
        print(f'backupsvc-manager: {error}', file=sys.stderr)
        return 1
    stop.wait()
    stopping.expect_end(conf.manager.graceful_timeout + _MARGIN_S)
    manager.stop()
    return 0


if __name__ == '__main__':
    sys.exit(main())
