# SPDX-License-Identifier: Apache-2.0
"""What a manager does at its start about work that an earlier one of its host left behind."""

import fcntl
import os
import threading
from typing import TextIO

from oslo_db import exception as db_exception
from oslo_log import log

from backupsvc import conf as service_conf
from backupsvc import context as request_context
from backupsvc import exception
from backupsvc.drivers import loader
from backupsvc.manager import failures
from backupsvc.objects.task import Task

LOG = log.getLogger(__name__)

#: Seconds between two attempts to reach the database.
_INTERVAL = 1.0


def take_host(host: str) -> TextIO:
    """Make sure that no other manager of this name runs here; the lock ends with the process.

    Two of one name would take each other's work for that of a dead one.

    :returns: the open lock file; closing it gives the name up
    :raises DriverFailed: another manager has the name
    """
    directory = os.path.join(service_conf.current().state_path, 'locks')
    os.makedirs(directory, exist_ok=True)
    stream = open(os.path.join(directory, f'manager-{host}'), 'w', encoding='utf-8')  # noqa: SIM115
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        stream.close()
        raise exception.DriverFailed(
            reason=f'A manager of the name {host} is running already.') from None
    return stream


def check_drivers() -> None:
    """Have each configured driver look whether it can work, and clear up after crashes; log what
    is to be mended.

    Nothing stops for it: a store may be away for a while, and an installation may use one family
    only.
    """
    for driver in (loader.volume_driver, loader.repository_driver, loader.instance_driver,
                   loader.database_driver):
        try:
            driver().check_setup()
        except Exception as error:
            LOG.error('A driver cannot work: %s', error,
                      exc_info=None if failures.is_explained(error) else error)


def take_back(host: str, is_stopping: threading.Event) -> None:
    """Put the tasks of an earlier manager of this host back into the queue.

    Its movers died with it, so nobody works on them and there is no lease to wait for. Waits for
    the database if that is away.
    """
    while not is_stopping.is_set():
        try:
            count = Task.release_owned(request_context.get_admin_context(), f'{host}:')
        except db_exception.DBConnectionError as away:
            LOG.warning('The database is away: %s', away)
            is_stopping.wait(_INTERVAL)
            continue
        if count:
            LOG.warning('%d tasks were left in flight by an earlier manager of this host', count)
        return
