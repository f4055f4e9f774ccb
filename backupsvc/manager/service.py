# SPDX-License-Identifier: Apache-2.0
"""A manager as a whole: message server, work slots and periodic work, started and stopped."""

import threading

from oslo_config import cfg
from oslo_log import log

from backupsvc import conf as service_conf
from backupsvc import objects, rpc
from backupsvc.manager import coordination, manager, periodics, recovery, tasks

LOG = log.getLogger(__name__)

#: Seconds that a part which holds no work gets to stop.
_PATIENCE = 5.0


class ManagerService:
    """One manager. Usable in the process of its own command and beside an API in one process.

    :param conf: the configuration, which must be the installed one; None takes that
    :param host: name of the manager; None takes ``[DEFAULT] host``
    """

    def __init__(self, conf: cfg.ConfigOpts | None = None, host: str | None = None):
        self._conf = conf or service_conf.current()
        self.host = host or self._conf.host
        self._is_stopping = threading.Event()
        self._is_stopped = threading.Event()
        self._runner = tasks.Runner(self.host)
        self._periodics = periodics.Periodics(self.host, self._runner.wake)
        self._is_started = False
        self._server = None
        self._listening = threading.Thread(target=self._listen, name='rpc-start', daemon=True)

    def start(self) -> None:
        """Take up what was left in flight, then claim tasks.

        Waits for the database. Does not wait for the broker: tasks are found without it.

        :raises DriverFailed: another manager of this name runs on this machine
        """
        objects.register_all()
        self._name = recovery.take_host(self.host)
        self._is_started = True
        recovery.take_back(self.host, self._is_stopping)
        self._listening.start()
        threading.Thread(target=recovery.check_drivers, name='driver-check', daemon=True).start()
        self._periodics.start()
        self._runner.start()
        LOG.info('Manager %s works on up to %d tasks at once', self.host,
                 self._conf.manager.workers)

    def stop(self, timeout_s: float | None = None) -> None:
        """Stop: running work is handed back with its progress, for any manager to go on with.

        :param timeout_s: seconds for the movers to end cleanly; None takes
            ``[manager] graceful_timeout``
        """
        if self._is_stopping.is_set():
            return
        self._is_stopping.set()
        if self._is_started:
            self._hand_back(timeout_s)
            LOG.info('Manager %s has stopped', self.host)
        self._is_stopped.set()

    def _hand_back(self, timeout_s: float | None) -> None:
        self._stop_listening()
        self._runner.stop(self._conf.manager.graceful_timeout if timeout_s is None else timeout_s)
        self._periodics.stop(_PATIENCE)
        coordination.reset()
        rpc.flush()
        self._name.close()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until it has stopped, and tell whether it has."""
        return self._is_stopped.wait(timeout_s)

    def describe_work(self) -> dict[str, str]:
        """Return what is being done now, for people: task id → what it is and how far."""
        return self._runner.describe()

    def _listen(self) -> None:
        server = rpc.server(self.host, [manager.ManagerEndpoint(self._runner)])
        server.start()  # waits for the broker
        self._server = server

    def _stop_listening(self) -> None:
        if self._server is None:
            return
        ending = threading.Thread(target=self._end_server, name='rpc-stop', daemon=True)
        ending.start()
        ending.join(_PATIENCE)  # a dead broker must not hold the work up

    def _end_server(self) -> None:
        self._server.stop()
        self._server.wait()
