# SPDX-License-Identifier: Apache-2.0
"""The process that is a running local instance: ``python -m`` this module, with a JSON document on
standard input, starts one and prints what has come of it.

It appends records to the volumes, one after the other (see ``records``), each on the disk before
the next. It lives in a session of its own, whoever started it may end. While it lives it holds a
lock on ``writer.lock``, from which the kernel tells its process id to those who ask (see
``processes``), and one on each raw file, against restores. ``writer.json`` says how it ended.

Signals: SIGTERM ends it behind a whole round, SIGUSR1 where it is; SIGSTOP and SIGCONT as ever.
When its directory is removed it ends too: nobody could find it any more.
"""

import dataclasses
import fcntl
import json
import os
import select
import signal
import sys
import time
from collections.abc import Sequence
from typing import Any

from backupsvc.drivers.instance.local import records

LOCK = 'writer.lock'
STATE = 'writer.json'
LOG = 'writer.log'

RUNNING = 'running'
STOPPED = 'stopped'
SUSPENDED = 'suspended'
FAILED = 'failed'

#: The answer when it runs; any other is why it does not.
READY = 'ready'


@dataclasses.dataclass(slots=True)
class _Volume:
    fd: int
    header: records.Header


class _Asked:
    """The signal that has come, and a wait that it ends.

    Not ``signal.sigtimedwait``: continued after SIGSTOP it may return a signal that never came.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        read_fd, write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(write_fd)
        self._waiting = select.poll()
        self._waiting.register(read_fd, select.POLLIN)
        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, self._note)

    def _note(self, number: int, frame: Any) -> None:
        self.signal = number

    def wait(self, seconds: float) -> None:
        """Return after that time, or as soon as a signal has come."""
        if self.signal is None:
            self._waiting.poll(seconds * 1000)


class Writer:
    """The writing of one instance.

    :param directory_fd: the instance's directory; it may be moved while we live
    :param lock_fd: the file that is locked by this process
    """

    def __init__(self, directory_fd: int, lock_fd: int, interval_s: float):
        self._directory_fd = directory_fd
        self._lock_fd = lock_fd
        self._interval_s = interval_s
        self._volumes: list[_Volume] = []
        self._number = self._position = 1
        self._last_ns = 0

    def open(self, volumes: Sequence[dict[str, str]], slots: int, *, new_log: bool,
             expected: Sequence[int] | None) -> None:
        """Lock the volumes and find the record to go on with.

        :param expected: (number, position) that it has to be
        :raises Refused: the volumes cannot be gone on with
        """
        fds = [_lock_volume(volume['id'], volume['path']) for volume in volumes]
        logs = [records.read(fd, volume['id'])
                for fd, volume in zip(fds, volumes, strict=True)]
        headers = None if new_log else records.going_on(logs)
        if headers is not None:
            self._number, self._position = records.next_record(logs)
            self._last_ns = max(log.last_ns for log in logs)
        if expected is not None and [self._number, self._position] != list(expected):
            raise records.Refused(
                f'it was suspended before record {expected[0]} of volume {expected[1]}, and its'
                f' volumes are now before record {self._number} of volume {self._position}')
        for fd, volume in zip(fds, volumes, strict=True):
            if records.size_of(headers[0].slots if headers else slots) > os.fstat(fd).st_size:
                raise records.Refused(f'volume {volume["id"]} is too small for the log')
        if headers is None:
            headers = records.begin(logs, slots)
            for fd, header in zip(fds, headers, strict=True):
                _write(fd, header.pack(), 0)
        self._volumes = sorted(
            (_Volume(fd, header) for fd, header in zip(fds, headers, strict=True)),
            key=lambda volume: volume.header.position)

    def run(self, asked: _Asked) -> None:
        """Write until a signal says how to end."""
        while True:
            self._append(self._volumes[self._position - 1])
            is_round = self._position == len(self._volumes)
            if is_round:
                self._number, self._position = self._number + 1, 1
                asked.wait(self._interval_s)
                if not os.fstat(self._lock_fd).st_nlink:
                    return
            else:
                self._position += 1
            if asked.signal == signal.SIGUSR1:
                self.tell(SUSPENDED)
                return
            if asked.signal is not None and is_round:
                self.tell(STOPPED)
                return

    def _append(self, volume: _Volume) -> None:
        # Records of one instance never go back in time, whatever the clock does.
        self._last_ns = max(self._last_ns + 1, time.time_ns())
        _write(volume.fd, records.pack_record(volume.header, self._number, self._last_ns),
               records.offset_of(volume.header, self._number))

    def tell(self, state: str, fault: str | None = None) -> None:
        """Write ``writer.json``."""
        content = json.dumps({'state': state, 'fault': fault, 'pid': os.getpid(),
                              'next': [self._number, self._position]}).encode()
        fd = os.open(f'{STATE}.new', os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600,
                     dir_fd=self._directory_fd)
        try:
            os.write(fd, content)
            os.fsync(fd)
        finally:
            os.close(fd)
        os.replace(f'{STATE}.new', STATE, src_dir_fd=self._directory_fd,
                   dst_dir_fd=self._directory_fd)


def _lock_volume(volume_id: str, path: str) -> int:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise records.Refused(f'volume {volume_id}: {error}') from error
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        raise records.Refused(f'volume {volume_id} is being restored into') from None
    return fd


def _write(fd: int, data: bytes, offset: int) -> None:
    written = os.pwrite(fd, data, offset)
    if written != len(data):
        raise OSError(f'only {written} of {len(data)} bytes could be written at {offset}')
    os.fdatasync(fd)


def _child(wanted: dict[str, Any], answer_fd: int) -> int:
    """Be the instance; ``answer_fd`` is told once it runs, or why it does not."""
    asked = _Asked()
    directory_fd = os.open(wanted['directory'], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    _leave_terminal(directory_fd)
    lock_fd = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=directory_fd)
    writer = Writer(directory_fd, lock_fd, wanted['interval_s'])
    try:
        # Never opened again nor closed by this process: either would give the lock up.
        fcntl.lockf(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        writer.open(wanted['volumes'], wanted['slots'], new_log=wanted['new_log'],
                    expected=wanted['expected'])
        writer.tell(RUNNING)
    except (records.Refused, OSError) as error:
        os.write(answer_fd, str(error).encode())
        return 1
    os.write(answer_fd, READY.encode())
    os.close(answer_fd)
    try:
        writer.run(asked)
    except OSError as error:
        writer.tell(FAILED, str(error))
        raise
    return 0


def _leave_terminal(directory_fd: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    log = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600, dir_fd=directory_fd)
    for fd, replacement in ((0, null), (1, null), (2, log)):
        os.dup2(replacement, fd)
    os.close(null)
    os.close(log)


def main() -> int:
    """Start an instance; return 0 when it runs, else 1 with the reason on standard output."""
    wanted = json.load(sys.stdin)
    read_fd, write_fd = os.pipe()
    if os.fork() == 0:
        os.close(read_fd)
        return _child(wanted, write_fd)
    os.close(write_fd)
    with open(read_fd, encoding='utf-8') as answer:
        reason = answer.read()
    print(reason or f'it ended at once; {LOG} may say why')
    return 0 if reason == READY else 1


if __name__ == '__main__':
    sys.exit(main())
