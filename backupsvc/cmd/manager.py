# SPDX-License-Identifier: Apache-2.0
"""``backupsvc-manager``: the process that carries tasks out, until SIGTERM or SIGINT."""

import signal
import sys
import threading

from backupsvc import cmd, exception


def main() -> int:
    """Run a manager; return the exit status."""
    conf = cmd.load_config(sys.argv[1:], 'backupsvc-manager')
    from backupsvc.manager import service  # after the configuration: a bad one is told quickly

    is_asked_to_stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: is_asked_to_stop.set())
    manager = service.ManagerService(conf)
    try:
        manager.start()
    except exception.BackupsvcError as error:
        print(f'backupsvc-manager: {error}', file=sys.stderr)
        return 1
    is_asked_to_stop.wait()
    manager.stop()
    return 0


if __name__ == '__main__':
    sys.exit(main())
