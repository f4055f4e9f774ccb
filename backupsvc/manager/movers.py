# SPDX-License-Identifier: Apache-2.0
"""The manager's side of its movers: start one, if need be ahead of its job, follow it, stop it."""

import collections
import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from typing import IO, Any

from oslo_config import cfg
from oslo_log import log

from backupsvc import conf as service_conf
from backupsvc.context import RequestContext
from backupsvc.manager import failures, mover

LOG = log.getLogger(__name__)

#: Levels that the mover's log lines begin with.
_LEVELS = {name: getattr(logging, name)
           for name in ('DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL')}

Process = subprocess.Popen[str]

#: Seconds that a start of a process may take at the most when the manager stops.
_PATIENCE = 10.0


def _start(drivers: Sequence[tuple[str, str]] = ()) -> Process:
    """Start a process and greet it.

    :param drivers: (family, name) of those to load before the job comes
    """
    process = subprocess.Popen(
        [sys.executable, '-W', 'ignore', '-m', mover.__name__], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding='utf-8',
        errors='replace')
    _write(process, {'manager_pid': os.getpid(), 'drivers': drivers})
    return process


def _write(process: Process, line: dict[str, Any]) -> bool:
    """Write a line to a process; False where it has ended."""
    try:
        process.stdin.write(json.dumps(line) + '\n')
        process.stdin.flush()
    except BrokenPipeError:
        return False
    return True


def _close(stream: IO[str]) -> None:
    with contextlib.suppress(BrokenPipeError):  # what the process never read
        stream.close()


class Spares:
    """Processes that are started ahead of their jobs: starting Python and importing what a job
    needs takes longer than many a job.

    One thread starts them all. It lives until ``stop``: the kernel kills a mover together with the
    *thread* that started it. A new one is started when a mover has ended, not when one is taken,
    so that it does not compete with the job.

    :param count: how many are kept; 0 starts every mover when its job has come
    """

    def __init__(self, count: int):
        self._count = count
        self._idle: collections.deque[Process] = collections.deque()
        self._wanted = threading.Event()
        self._is_over = False
        self._thread = threading.Thread(target=self._keep, name='mover-spares', daemon=True)

    def start(self) -> None:
        """Begin to keep them."""
        if self._count:
            self._wanted.set()
            self._thread.start()

    def stop(self) -> None:
        """End those that wait; none is in use any more."""
        self._is_over = True
        self._wanted.set()
        if self._thread.is_alive():
            self._thread.join(_PATIENCE)
        while self._idle:
            self._discard(self._idle.popleft())

    def take(self) -> Process:
        """Return a process that waits for its job."""
        while True:
            try:
                process = self._idle.popleft()
            except IndexError:
                return _start()
            if process.poll() is None:
                return process
            LOG.warning('Mover %d ended before it had a job (%s)', process.pid,
                        _how(process.returncode))
            self._discard(process)

    def refill(self) -> None:
        """Make up for what was taken."""
        self._wanted.set()

    def _keep(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            if self._is_over:
                return
            try:
                while len(self._idle) < self._count:
                    self._idle.append(_start(_usual_drivers()))
            except OSError as error:  # no memory, no process: not now
                LOG.warning('No mover could be started ahead: %s', error)

    @staticmethod
    def _discard(process: Process) -> None:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            _close(stream)


class Mover:
    """One child process, from the job to the end.

    :param job: what the verb wants; ``drivers`` in it are the (family, name) that it uses, else
        those of volumes and of its repository
    :param lease_until: it changes nothing after this, by ``fencing.now``, unless ``extend`` comes
    """

    def __init__(self, context: RequestContext, verb: str, job: dict[str, Any], spares: Spares,
                 lease_until: float):
        conf = service_conf.current()
        self._context = context
        self._job = {
            'verb': verb, 'debug': getattr(conf, 'debug', False), 'context': _plain(context),
            **_configuration(conf, job.get('drivers') or _drivers(
                conf, job['repository']['driver'])), **job}
        self._process = spares.take()
        self._is_asked = False
        self._lease_lock = threading.Lock()
        self._lease_until = lease_until
        self._has_job = False

    @property
    def pid(self) -> int:
        """The process id, for logs and tests."""
        return self._process.pid

    def run(self, progress: Callable[[dict[str, int]], None]) -> dict[str, Any]:
        """Wait for the end and return the result.

        :param progress: called with the counters, in this thread, each time that they come
        :raises MoverFailed: it reported a failure
        :raises Cancelled: it stopped because ``terminate`` asked it to
        :raises Fenced: it noticed that its lease had run out
        :raises MoverDied: it ended in another way
        """
        logs = threading.Thread(target=self._relay_log, name=f'mover-{self.pid}', daemon=True)
        logs.start()
        try:
            outcome = self._converse(progress)
        finally:
            self.kill()
            status = self._process.wait()
            logs.join()
            self._process.stdout.close()
        if 'result' in outcome:
            return outcome['result']
        if 'error' in outcome:
            raise failures.MoverFailed(failures.Failure(**outcome['error']))
        if status == mover.EXIT_CANCELLED or (self._is_asked and status == -signal.SIGTERM):
            raise failures.Cancelled()
        if status == mover.EXIT_FENCED:
            raise failures.Fenced()
        raise failures.MoverDied(_how(status))

    def extend(self, lease_until: float) -> None:
        """Tell it that its lease was renewed; never waits for it."""
        self._lease_until = lease_until
        if not self._lease_lock.acquire(blocking=False):
            return  # the job is on its way, or the end has come
        try:
            if self._has_job:
                line = json.dumps({'lease_until': lease_until}) + '\n'
                with contextlib.suppress(OSError):  # it stands still, or has ended
                    os.write(self._process.stdin.fileno(), line.encode())
        finally:
            self._lease_lock.release()

    def terminate(self) -> None:
        """Ask it to stop cleanly."""
        self._is_asked = True
        self._process.terminate()

    def kill(self) -> None:
        """End it now, if it has not ended."""
        self._process.kill()

    def _converse(self, progress: Callable[[dict[str, int]], None]) -> dict[str, Any]:
        with self._lease_lock:
            if not _write(self._process, {**self._job, 'lease_until': self._lease_until}):
                LOG.warning('Mover %d ended before it took its job', self.pid)
            os.set_blocking(self._process.stdin.fileno(), False)
            self._has_job = True
        outcome: dict[str, Any] = {}
        for line in self._process.stdout:
            message = json.loads(line)
            if 'progress' in message:
                progress(message['progress'])
            else:
                outcome = message
        self._process.wait()  # with standard input open, or it would take itself for an orphan
        with self._lease_lock:
            self._has_job = False
            _close(self._process.stdin)
        return outcome

    def _relay_log(self) -> None:
        self._context.update_store()
        level = logging.INFO
        with self._process.stderr as stream:
            for line in stream:
                word, _, rest = line.partition(' ')
                if word in _LEVELS:  # or else the line goes on with what the last one said
                    level, line = _LEVELS[word], rest
                LOG.log(level, 'mover %d: %s', self.pid, line.rstrip('\n'))


def _plain(context: RequestContext) -> dict[str, Any]:
    """Return the context's values without the caller's token, which no mover needs."""
    secrets = ('auth_token', 'service_token', 'service_catalog')
    return {key: value for key, value in context.to_dict().items() if key not in secrets}


def _drivers(conf: cfg.ConfigOpts, repository: str) -> list[tuple[str, str]]:
    """Return (family, name) of the drivers that a job uses."""
    return [('volume', conf.volume.driver), ('repository', repository)]


def _usual_drivers() -> list[tuple[str, str]]:
    conf = service_conf.current()
    return _drivers(conf, conf.repository.driver)


def _configuration(conf: cfg.ConfigOpts, drivers: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Return what gives the child this process's configuration.

    The files have the options of libraries (keystone sessions, key managers). Our own go by value,
    so that a file edited since, or a value set by the program, makes no difference.
    """
    options: dict[str, dict[str, Any]] = {}
    for group, opts in mover.option_groups(drivers):
        values = conf if group == 'DEFAULT' else conf[group]
        # A driver's required options are not registered before it is used in this process.
        options.setdefault(group, {}).update(
            {opt.dest: values[opt.dest] for opt in opts if opt.dest in values})
    return {'drivers': drivers, 'options': options,
            'config_files': list(conf.config_file or []), 'config_dirs': _dirs(conf)}


def _dirs(conf: cfg.ConfigOpts) -> list[str]:
    return [str(path) for path in conf.config_dir or []]


def _how(status: int) -> str:
    if status < 0:
        return signal.Signals(-status).name
    return f'status {status}'
