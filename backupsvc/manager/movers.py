# SPDX-License-Identifier: Apache-2.0
"""The manager's side of its movers: start one, follow it, stop it."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

from oslo_config import cfg
from oslo_log import log

from backupsvc import conf as service_conf
from backupsvc.conf import default
from backupsvc.context import RequestContext
from backupsvc.drivers import loader
from backupsvc.manager import failures, mover

LOG = log.getLogger(__name__)

#: Levels that the mover's log lines begin with.
_LEVELS = {name: getattr(logging, name)
           for name in ('DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL')}


#: Groups of options that a mover has no business with.
_WITHHELD = frozenset({'api', 'database', 'quota'})


class Mover:
    """One child process, from start to end."""

    def __init__(self, context: RequestContext, verb: str, job: dict[str, Any]):
        conf = service_conf.current()
        self._context = context
        self._job = {
            'verb': verb, 'manager_pid': os.getpid(), 'debug': getattr(conf, 'debug', False),
            'context': _plain(context), **_configuration(conf), **job}
        self._process = subprocess.Popen(
            [sys.executable, '-W', 'ignore', '-m', mover.__name__], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding='utf-8',
            errors='replace')
        self._is_asked = False

    @property
    def pid(self) -> int:
        """The process id, for logs and tests."""
        return self._process.pid

    def run(self, progress: Callable[[dict[str, int]], None]) -> dict[str, Any]:
        """Wait for the end and return the result.

        :param progress: called with the counters, in this thread, each time that they come
        :raises MoverFailed: it reported a failure
        :raises Cancelled: it stopped because ``terminate`` asked it to
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
        raise failures.MoverDied(_how(status))

    def terminate(self) -> None:
        """Ask it to stop cleanly."""
        self._is_asked = True
        self._process.terminate()

    def kill(self) -> None:
        """End it now, if it has not ended."""
        self._process.kill()

    def _converse(self, progress: Callable[[dict[str, int]], None]) -> dict[str, Any]:
        stdin = self._process.stdin
        try:
            stdin.write(json.dumps(self._job) + '\n')
            stdin.flush()
        except BrokenPipeError:
            LOG.warning('Mover %d ended before it took its job', self.pid)
        outcome: dict[str, Any] = {}
        for line in self._process.stdout:
            message = json.loads(line)
            if 'progress' in message:
                progress(message['progress'])
            else:
                outcome = message
        self._process.wait()  # with standard input open, or it would take itself for an orphan
        try:
            stdin.close()
        except BrokenPipeError:
            pass  # what it never read
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


def _configuration(conf: cfg.ConfigOpts) -> dict[str, Any]:
    """Return what gives the child this process's configuration.

    The files have the options of libraries (keystone sessions, key managers). Our own go by value,
    so that a file edited since, or a value set by the program, makes no difference.
    """
    options = {'DEFAULT': {opt.dest: conf[opt.dest] for opt in default.OPTS}}
    for group, _ in [*service_conf.groups(), *loader.list_opts()]:
        name = getattr(group, 'name', group)
        if name in conf and name not in _WITHHELD:
            options[name] = dict(conf[name].items())
    return {'config_files': list(conf.config_file or []), 'config_dirs': _dirs(conf),
            'options': options}


def _dirs(conf: cfg.ConfigOpts) -> list[str]:
    return [str(path) for path in conf.config_dir or []]


def _how(status: int) -> str:
    if status < 0:
        return signal.Signals(-status).name
    return f'status {status}'
