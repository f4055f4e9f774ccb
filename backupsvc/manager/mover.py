# SPDX-License-Identifier: Apache-2.0
"""The child process of a manager that carries bytes: one archive, restore, verify or prune.

``python -m backupsvc.manager.mover`` reads two lines of JSON from standard input: a greeting,
which names the manager's process and the drivers to load ahead, and the job, which may be long in
coming. It writes lines of JSON to standard output: ``{"progress": {…}}`` some times a second, then
one ``{"result": {…}}`` or ``{"error": {"kind", "message", "is_transient"}}``. What it logs goes to
standard error. SIGTERM asks it to stop cleanly. Behind the job come lines ``{"lease_until"}``,
each time that the lease of its task is renewed: without a lease it changes nothing. It never
outlives its manager: its input stays open as long as that lives.

It imports little and knows neither records nor messages; the keys come from its configuration.
"""

import contextlib
import ctypes
import dataclasses
import gc
import importlib
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TextIO

from oslo_config import cfg

from backupsvc import conf as service_conf
from backupsvc.conf import (
    coordination,
    database_instances,
    default,
    engine,
    keys,
    repository,
    volume,
)
from backupsvc.context import RequestContext
from backupsvc.drivers import loader
from backupsvc.engine import errors
from backupsvc.manager import failures, fencing, foreign, repositories, reverting

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_CANCELLED = 2
EXIT_BAD_JOB = 3
EXIT_ORPHANED = 4
EXIT_FENCED = 5

#: What the kernel calls this process while it waits for a job; ``mover archive`` and so on later.
IDLE = 'mover idle'

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15

LOG = logging.getLogger(__name__)

#: The groups of options that carrying bytes needs; the others cost start-up time.
_OPTIONS = (coordination, database_instances, default, engine, keys, repository, volume)

#: What most jobs import when they begin.
_LOADED_AHEAD = ('backupsvc.engine.archiver', 'backupsvc.engine.maps', 'backupsvc.engine.packer',
                 'backupsvc.engine.restorer')

Report = Callable[[Any], None]


class Channel:
    """The lines to the manager; several threads write them."""

    def __init__(self, stream: TextIO):
        self._stream = stream
        self._lock = threading.Lock()

    def send(self, **message: Any) -> None:
        """Write one message."""
        line = json.dumps(message) + '\n'
        with self._lock:
            self._stream.write(line)
            self._stream.flush()

    def progress(self, progress: Any) -> None:
        """Write the counters of an engine's ``Progress``."""
        self.send(progress=dataclasses.asdict(progress))


def _archive(context: RequestContext, job: dict[str, Any], report: Report,
             cancelled: threading.Event) -> Any:
    with contextlib.ExitStack() as stack:
        opened = stack.enter_context(_repository(context, job, create=True))
        source = stack.enter_context(contextlib.closing(loader.volume_driver().open_source(
            context, job['volume_id'], snapshot_id=job['snapshot_id'], holder=job['holder'])))
        return opened.archive(
            source, job['backup_id'], parent_id=job['parent_id'], facts=job['facts'],
            progress=report, cancelled=cancelled.is_set)


def _restore(context: RequestContext, job: dict[str, Any], report: Report,
             cancelled: threading.Event) -> Any:
    with contextlib.ExitStack() as stack:
        opened = stack.enter_context(_repository(context, job))
        target = stack.enter_context(_target(context, job))
        return opened.restore(job['backup_id'], target, progress=report,
                              cancelled=cancelled.is_set)


def _restore_foreign(context: RequestContext, job: dict[str, Any], report: Report,
                     cancelled: threading.Event) -> Any:
    with _target(context, job) as target:
        return foreign.restore(context, job, target, report, cancelled.is_set)


def _verify(context: RequestContext, job: dict[str, Any], report: Report,
            cancelled: threading.Event) -> Any:
    with _repository(context, job) as opened:
        return opened.verify(job['backup_ids'], full=job['full'], progress=report,
                             cancelled=cancelled.is_set)


def _prune(context: RequestContext, job: dict[str, Any], report: Report,
           cancelled: threading.Event) -> Any:
    with _repository(context, job) as opened:
        return opened.prune(grace_s=job['grace_s'], owner=job['owner'], progress=report,
                            cancelled=cancelled.is_set)


def _rollback(context: RequestContext, job: dict[str, Any], report: Report,
              cancelled: threading.Event) -> Any:
    driver = loader.volume_driver()
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(contextlib.closing(driver.open_source(
            context, job['volume_id'], snapshot_id=job['snapshot_id'], holder=job['holder'])))
        target = stack.enter_context(_target(context, job))
        return reverting.revert(source, target, progress=report, cancelled=cancelled.is_set)


def _dump(context: RequestContext, job: dict[str, Any], report: Report,
          cancelled: threading.Event) -> Any:
    from backupsvc.manager import dumps  # few jobs need it
    return dumps.dump(context, job, report, cancelled)


def _load(context: RequestContext, job: dict[str, Any], report: Report,
          cancelled: threading.Event) -> Any:
    from backupsvc.manager import dumps
    return dumps.load(context, job, report, cancelled)


_VERBS = {'archive': _archive, 'restore': _restore,
          'restore_foreign': _restore_foreign, 'verify': _verify, 'prune': _prune,
          'rollback': _rollback, 'dump': _dump, 'load': _load}


def _repository(context: RequestContext, job: dict[str, Any], create: bool = False) -> Any:
    where = job['repository']
    return contextlib.closing(repositories.open_repository(
        context, where['project_id'], where['container'], driver=where['driver'], create=create))


def _target(context: RequestContext, job: dict[str, Any]) -> Any:
    return contextlib.closing(fencing.fenced_target(loader.volume_driver().open_target(
        context, job['volume_id'], holder=job['holder'])))


def _take_stdout() -> Channel:
    """Keep standard output for messages: what any library prints goes to standard error."""
    stream = os.fdopen(os.dup(1), 'w', encoding='utf-8')
    os.dup2(2, 1)
    return Channel(stream)


def _follow_parent(parent_pid: int) -> None:
    """End this process when its manager ends, however that happens."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:  # it ended before the line above
        os._exit(EXIT_ORPHANED)


def _prctl(option: int, value: Any) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, value)


def _call_process(name: str) -> None:
    """Set the name that ``ps`` and ``top`` show."""
    _prctl(_PR_SET_NAME, name.encode())


def _load_ahead(drivers: Iterable[tuple[str, str]]) -> None:
    """Import what the job will need; what cannot be is the job's to report."""
    with contextlib.suppress(Exception):
        for family, name in drivers:
            loader.load_class(family, name)
        for module in _LOADED_AHEAD:
            importlib.import_module(module)


def _follow_lease(lease: fencing.Lease) -> None:
    """Take every new end of the lease from the manager; end with it."""
    while (line := _read()) is not None:
        lease.extend(line['lease_until'])
    os._exit(EXIT_ORPHANED)


def option_groups(drivers: Iterable[tuple[str, str]]) -> Iterator[tuple[str, list[cfg.Opt]]]:
    """Yield (group, options) of what a job needs that uses these (family, name) drivers.

    The others cost start-up time and memory.
    """
    for module in _OPTIONS:
        yield module.GROUP.name, list(module.OPTS)
    for family, name in drivers:
        for group, opts in loader.load_class(family, name).list_opts():
            yield group, list(opts)


def _register(conf: cfg.ConfigOpts, found: Iterable[tuple[str, list[cfg.Opt]]],
              required: bool) -> None:
    for group, opts in found:
        conf.register_opts([opt for opt in opts if opt.required == required],
                           group=None if group == 'DEFAULT' else group)


def _configure(job: dict[str, Any]) -> None:
    """Read the manager's configuration files and take over its values of our own options."""
    conf = cfg.ConfigOpts()
    found = list(option_groups(job['drivers']))
    # A driver complains itself where it misses something that it needs for this job.
    _register(conf, found, required=False)
    conf([], project='backupsvc', default_config_files=job['config_files'],
         default_config_dirs=job['config_dirs'])
    _register(conf, found, required=True)
    for group, values in job['options'].items():
        for name, value in values.items():
            if value is not None:
                conf.set_override(name, value, group=None if group == 'DEFAULT' else group)
    service_conf.install(conf)


def _read() -> dict[str, Any] | None:
    """Return the next line of standard input, None where that has ended.

    :raises ValueError: it is none of ours
    """
    line = sys.stdin.buffer.readline()
    return json.loads(line) if line else None


def _carry_out(job: dict[str, Any], channel: Channel, cancelled: threading.Event) -> int:
    try:
        _configure(job)
        context = RequestContext.from_dict(job['context'])
        result = _VERBS[job['verb']](context, job, channel.progress, cancelled)
    except errors.Cancelled:
        return EXIT_CANCELLED
    except fencing.LeaseRanOut as late:
        LOG.warning('The %s is given up: %s', job['verb'], late)
        return EXIT_FENCED
    except Exception as exc:
        failure = failures.describe(exc)
        LOG.error('The %s failed: %s', job['verb'], exc,
                  exc_info=not failures.is_explained(exc))
        channel.send(error=dataclasses.asdict(failure))
        return EXIT_FAILED
    channel.send(result=dataclasses.asdict(result))
    return EXIT_DONE


def main() -> int:
    """Carry out the job on standard input; return the exit status."""
    cancelled = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: cancelled.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the manager decides
    channel = _take_stdout()
    try:
        greeting = _read()
        if greeting is None:
            raise ValueError('standard input ended before anything came')
        _follow_parent(greeting['manager_pid'])
        if greeting['drivers']:
            _call_process(IDLE)
            _load_ahead(greeting['drivers'])
        job = _read()
    except ValueError as exc:
        print(f'mover: {exc}', file=sys.stderr)
        return EXIT_BAD_JOB
    if job is None:
        return EXIT_ORPHANED
    _call_process(f'mover {job["verb"]}')
    lease = fencing.Lease(job['lease_until'])
    fencing.install(lease)
    threading.Thread(target=_follow_lease, args=(lease,), name='lease', daemon=True).start()
    # What is imported lives as long as the process: no need to look through it time and again.
    gc.freeze()
    logging.basicConfig(stream=sys.stderr, format='%(levelname)s %(name)s: %(message)s',
                        level=logging.DEBUG if job['debug'] else logging.INFO)
    return _carry_out(job, channel, cancelled)


if __name__ == '__main__':
    status = main()
    logging.shutdown()
    sys.stderr.flush()
    os._exit(status)  # no thread of a library may hold up the end
