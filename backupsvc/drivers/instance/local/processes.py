# SPDX-License-Identifier: Apache-2.0
"""The writers as processes: start one, find it again, let it stand still or go on, end it.

Which process is the writer of a directory is asked of the kernel: the one that holds the lock on
``writer.lock``. A number in a file could by now be another's, and a copy of the directory has a
lock file that nobody holds. Signals go through a process descriptor, taken before the lock is
asked for again, so that they cannot reach a process that came after.
"""

import contextlib
import fcntl
import json
import os
import pathlib
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from backupsvc import exception
from backupsvc.drivers.instance.local import writer

#: struct flock: type, whence, start, length, pid.
_FLOCK = struct.Struct('@hhqqi4x')

_POLL_S = 0.005


class NotStarted(Exception):
    """The writer did not start; the text says why."""


def start(directory: pathlib.Path, wanted: dict[str, Any], deadline_s: float) -> None:
    """Start the writer of a directory; return when it has begun.

    :param wanted: what ``writer.Writer.open`` takes
    :raises NotStarted: it refuses to
    :raises DriverFailed: it does not answer
    """
    document = json.dumps({'directory': str(directory), **wanted})
    with open(directory / writer.LOG, 'ab') as log:
        try:
            done = subprocess.run(
                [sys.executable, '-m', writer.__name__], input=document.encode(),
                stdout=subprocess.PIPE, stderr=log, timeout=deadline_s, check=False,
                start_new_session=True)
        except subprocess.TimeoutExpired as error:
            kill(directory, deadline_s)
            raise exception.DriverFailed(
                reason=f'The process of instance {directory.name} did not start within'
                       f' {deadline_s:.0f} s.') from error
    if done.returncode:
        raise NotStarted(done.stdout.decode(errors='replace').strip()
                         or f'the process ended with status {done.returncode}')


def pid(directory: pathlib.Path) -> int | None:
    """Return the process id of the writer of a directory, None where none runs.

    :raises DriverFailed: it runs where it cannot be reached (another host or container)
    """
    try:
        fd = os.open(directory / writer.LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        lock_type, _, _, _, holder = _FLOCK.unpack(fcntl.fcntl(fd, fcntl.F_GETLK, asked))
    finally:
        os.close(fd)
    if lock_type == fcntl.F_UNLCK:
        return None
    if holder <= 0:
        raise exception.DriverFailed(
            reason=f'The writer of {directory} runs on another host or in another container.')
    return holder


def is_still(directory: pathlib.Path) -> bool | None:
    """Tell whether the writer is stopped by a signal; None where none runs."""
    found = pid(directory)
    state = None if found is None else _state(found)
    return None if state is None else state == 'T'


def freeze(directory: pathlib.Path, deadline_s: float) -> bool:
    """Let the writer stand still, and return when it does; False where none runs.

    :raises DriverFailed: it does not stand still in time; it goes on
    """
    with _descriptor(directory) as (found, pidfd):
        if pidfd is None:
            return False
        _send(pidfd, signal.SIGSTOP)
        give_up_at = time.monotonic() + deadline_s
        # A write that is under way is finished first.
        while (state := _state(found)) not in ('T', None):
            if time.monotonic() >= give_up_at:
                _send(pidfd, signal.SIGCONT)
                raise exception.DriverFailed(
                    reason=f'The process of instance {directory.name} does not stand still'
                           f' within {deadline_s:.0f} s.')
            time.sleep(_POLL_S)
        return state is not None


def thaw(directory: pathlib.Path) -> None:
    """Let the writer go on; none is no error."""
    with _descriptor(directory) as (_, pidfd):
        if pidfd is not None:
            _send(pidfd, signal.SIGCONT)


def end(directory: pathlib.Path, number: int, deadline_s: float) -> None:
    """Ask the writer to end, wait, and kill it when it does not; none is no error."""
    with _descriptor(directory) as (_, pidfd):
        if pidfd is None:
            return
        _send(pidfd, number)
        _send(pidfd, signal.SIGCONT)
        if not _has_ended(pidfd, deadline_s):
            _send(pidfd, signal.SIGKILL)
            _has_ended(pidfd, deadline_s)


def kill(directory: pathlib.Path, deadline_s: float) -> None:
    """End the writer as if the plug was pulled."""
    with _descriptor(directory) as (_, pidfd):
        if pidfd is not None:
            _send(pidfd, signal.SIGKILL)
            _has_ended(pidfd, deadline_s)


@contextlib.contextmanager
def _descriptor(directory: pathlib.Path) -> Iterator[tuple[int, int | None]]:
    """Yield (process id, process descriptor) of the writer; no descriptor where none runs."""
    found = pid(directory)
    pidfd = None
    if found is not None:
        with contextlib.suppress(ProcessLookupError):
            pidfd = os.pidfd_open(found)
    try:
        if found is None or pidfd is None or pid(directory) != found:
            yield 0, None
        else:
            yield found, pidfd
    finally:
        if pidfd is not None:
            os.close(pidfd)


def _send(pidfd: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(pidfd, number)


def _has_ended(pidfd: int, deadline_s: float) -> bool:
    waiting = select.poll()
    waiting.register(pidfd, select.POLLIN)
    return bool(waiting.poll(deadline_s * 1000))


def _state(process_id: int) -> str | None:
    """Return the letter of a process's state, None when it has ended."""
    try:
        text = pathlib.Path(f'/proc/{process_id}/stat').read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state = text.rpartition(')')[2].split()[0]
    return None if state in 'ZX' else state
