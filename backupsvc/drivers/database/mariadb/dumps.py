# SPDX-License-Identifier: Apache-2.0
"""Dumps: ``mariadb-backup --stream=xbstream | gzip``, to be read as it is made; and back.

The compressed stream is a row of gzip members of one block each, so that several threads make
them; any gunzip reads it as one file.
"""

import collections
import concurrent.futures
import contextlib
import fcntl
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from typing import IO

from isal import isal_zlib as zlib
from oslo_log import log as logging

from backupsvc import exception
from backupsvc.drivers.base import DumpFacts, StoredDump
from backupsvc.drivers.database.base import Dump
from backupsvc.drivers.database.mariadb import accounts, memory, processes
from backupsvc.drivers.database.mariadb.server import DUMPER, Server

LOG = logging.getLogger(__name__)

_BLOCK = 1024 ** 2
#: Blocks that are unpacked before they are written.
_AHEAD = 8
_GZIP = 16 + zlib.MAX_WBITS
_F_SETPIPE_SZ = 1031
_END_TIMEOUT_S = 60
_POINT = re.compile(r'\d{1,20}')
#: Milliseconds between two looks at the log that the server goes on writing, round and round.
_LOG_INTERVAL_MS = 100
_OVERRUN = 'Was only able to copy log'
_NO_ROOM = re.compile('No space left|errno: 28|Errcode: 28|error 28', re.IGNORECASE)


class MariabackupDump(Dump):
    """A dump of a server that runs.

    :param since: log sequence number that the increment begins at
    :param resources: what is given back at the end
    """

    def __init__(self, server: Server, since: str | None, level: int, threads: int,
                 resources: contextlib.ExitStack):
        if since is not None and not _POINT.fullmatch(since):
            raise exception.DriverFailed(reason='The backup to go on from is of another kind.')
        self._server = server
        self._level = level
        self._resources = resources
        self._count = threads or os.cpu_count() or 1
        self._digest = hashlib.sha256()
        self._size = 0
        self._rest = memoryview(b'')
        self._blocks: collections.deque[concurrent.futures.Future[bytes]] = collections.deque()
        self._is_read = False
        self._facts: DumpFacts | None = None
        self._data_bytes = server.place.data_bytes()
        self._directory = server.runtime / 'dump'
        self._begin(since)
        self._threads = concurrent.futures.ThreadPoolExecutor(
            self._count, thread_name_prefix='dump')
        resources.callback(self._threads.shutdown, wait=True, cancel_futures=True)

    def read(self, size: int) -> bytes:
        while not self._rest and not self._facts:
            self._fill()
            if not self._blocks:
                self._finish()
                break
            self._rest = memoryview(self._blocks.popleft().result())
        data = bytes(self._rest[:size])
        self._rest = self._rest[size:]
        self._digest.update(data)
        self._size += len(data)
        return data

    def facts(self) -> DumpFacts:
        if self._facts is None or self._rest:
            raise RuntimeError('the dump has not been read to its end')
        return DumpFacts(
            point=self._facts.point, checksum=f'sha256:{self._digest.hexdigest()}',
            stored_bytes=self._size, data_bytes=self._facts.data_bytes)

    def close(self) -> None:
        self._resources.close()

    def _begin(self, since: str | None) -> None:
        uid = self._server.record.uid
        remove_directory(self._directory)
        self._directory.mkdir(mode=0o700)
        if uid is not None:
            os.chown(self._directory, uid, uid)
        self._resources.callback(remove_directory, self._directory)
        # a server whose volume is full needs some room for what it is asked
        self._server.place.release()
        self._resources.callback(self._server.place.reserve)
        with self._server.admin() as cursor:
            password = accounts.Accounts(cursor).unlock_dumper()
        self._resources.callback(self._lock_account)
        with _secret_file(
                f'[mariadb-backup]\nuser={DUMPER}\npassword={password}\n'
                f'socket="{self._server.socket}"\n') as options:
            words = processes.command(
                'mariadb-backup', f'--defaults-file=/dev/fd/{options}', '--backup',
                '--stream=xbstream', f'--target-dir={self._directory}',
                f'--tmpdir={self._directory}', f'--extra-lsndir={self._directory}',
                f'--log-copy-interval={_LOG_INTERVAL_MS}',
                *([f'--incremental-lsn={since}'] if since else []), uid=uid)
            # its words are many, and only of interest when it fails
            self._log = self._resources.enter_context(
                (self._server.runtime / 'dump.log').open('w+b'))
            self._process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._log,
                pass_fds=[options], env=processes.environment(), cwd='/',
                start_new_session=True)
        self._resources.callback(self._end)
        assert self._process.stdout is not None
        self._stream: IO[bytes] = self._process.stdout
        enlarge_pipe(self._stream)

    def _fill(self) -> None:
        """Keep the threads busy: some blocks are ahead of them."""
        while not self._is_read and len(self._blocks) < 4 * self._count:
            block = self._stream.read(_BLOCK)
            if len(block) < _BLOCK:
                self._is_read = True
            if block:
                self._blocks.append(self._threads.submit(compress, block, self._level))

    def _finish(self) -> None:
        try:
            status = self._process.wait(_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            status = None
        self._log.seek(0)
        text = self._log.read().decode(errors='replace')
        facts = self._directory / 'xtrabackup_checkpoints'
        if status != 0 or not facts.exists():
            LOG.error('mariadb-backup of instance %s ended with %s: %s',
                      self._server.record.id, status, text)
            if _OVERRUN in text:
                raise exception.DriverFailed(
                    reason='More was written to the databases than could be read meanwhile.')
            raise exception.DriverFailed(
                reason='The databases could not be read to their end: '
                       + (processes.last_line(text) if status else 'there is no position'))
        point = checkpoints(facts)['to_lsn']
        self._facts = DumpFacts(point, '', 0, self._data_bytes)

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._stream.close()

    def _lock_account(self) -> None:
        # A server that is gone locks it at its next start.
        with contextlib.suppress(exception.DriverFailed):
            with self._server.admin() as cursor:
                accounts.Accounts(cursor).lock_dumper()


def load(server: Server, dumps: Sequence[StoredDump]) -> None:
    """Fill the empty place of a server.

    :raises DumpDamaged: a dump is not what was stored, or does not follow the one before
    :raises DriverFailed: there is no room
    """
    place = server.place
    place.clear()
    for number, dump in enumerate(dumps):
        directory = place.data if number == 0 else place.path / 'increment'
        if number:
            directory.mkdir(mode=0o700)
            if server.record.uid is not None:
                os.chown(directory, server.record.uid, server.record.uid)
        _unpack(server, dump, directory)
        point = _check_follows(place.data, directory, is_first=number == 0)
        _prepare(server, directory if number else None)
        if number:
            remove_directory(directory)
            if checkpoints(place.data / 'xtrabackup_checkpoints').get('to_lsn') != point:
                raise exception.DumpDamaged(reason='an increment was not taken in')
    for path in place.data.glob('xtrabackup_*'):
        path.unlink()
    for name in ('backup-my.cnf', 'mariadb_backup_info'):
        (place.data / name).unlink(missing_ok=True)


def compress(block: bytes, level: int) -> bytes:
    """Return a gzip member of a block."""
    compressor = zlib.compressobj(level, zlib.DEFLATED, _GZIP)
    return compressor.compress(block) + compressor.flush()


def checkpoints(path: pathlib.Path) -> dict[str, str]:
    """Return the positions in the server's log that a dump notes."""
    pairs = (line.partition('=') for line in path.read_text().splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def remove_directory(path: pathlib.Path) -> None:
    """Remove a directory that may not be there."""
    if path.exists():
        shutil.rmtree(path)


def enlarge_pipe(stream: IO[bytes]) -> None:
    """Let fewer switches between processes do."""
    with contextlib.suppress(OSError):
        fcntl.fcntl(stream.fileno(), _F_SETPIPE_SZ, _BLOCK)


@contextlib.contextmanager
def _secret_file(text: str):
    """Yield the descriptor of a file without a name."""
    descriptor = os.memfd_create('options')
    try:
        os.fchmod(descriptor, 0o444)
        os.write(descriptor, text.encode())
        yield descriptor
    finally:
        os.close(descriptor)


class _Gunzip:
    """Decompression of a stream of members, a block at a time."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP)

    def feed(self, data: bytes, write: Callable[[bytes], object]) -> None:
        while data:
            if self._member.eof:
                self._member = zlib.decompressobj(_GZIP)
            block = self._member.decompress(data, _BLOCK)
            write(block)
            data = self._member.unused_data if self._member.eof else self._member.unconsumed_tail

    @property
    def is_whole(self) -> bool:
        return self._member.eof


def _unpack(server: Server, dump: StoredDump, directory: pathlib.Path) -> None:
    words = processes.command('mbstream', '-x', '-C', str(directory), uid=server.record.uid)
    digest = hashlib.sha256()
    gunzip = _Gunzip()
    problem = None
    written: collections.deque[concurrent.futures.Future[int]] = collections.deque()
    with open(server.runtime / 'load.log', 'w+b') as log:
        process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=log, stderr=log, env=processes.environment(),
            cwd='/', start_new_session=True)
        assert process.stdin is not None
        pipe: IO[bytes] = process.stdin
        enlarge_pipe(pipe)
        writer = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix='load')

        def write(block: bytes) -> None:
            if len(written) == _AHEAD:
                written.popleft().result()
            written.append(writer.submit(pipe.write, block))

        try:
            stream = dump.open()
            while data := stream.read(_BLOCK):
                digest.update(data)
                gunzip.feed(data, write)
            while written:
                written.popleft().result()
            pipe.close()
        except BrokenPipeError:
            # it says itself why it has ended; whether that is the dump's fault, the rest tells too
            process.wait(_END_TIMEOUT_S)
            while data := stream.read(_BLOCK):
                digest.update(data)
        except zlib.error as error:  # type: ignore[misc]
            problem = f'it is not compressed as it should be ({error})'
        finally:
            if problem or not pipe.closed:
                process.kill()
                writer.shutdown(wait=True, cancel_futures=True)
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
            writer.shutdown()
            status = process.wait()
        log.seek(0)
        text = log.read().decode(errors='replace')
    if _NO_ROOM.search(text):
        raise exception.DriverFailed(reason='The volume has no room for the backup.')
    if dump.checksum not in (None, f'sha256:{digest.hexdigest()}'):
        problem = 'its checksum is another'
    elif problem is None and status < 0:
        raise exception.DriverFailed(
            reason=f'What unpacked the backup was ended from outside (signal {-status}).')
    elif problem is None and (status or not gunzip.is_whole):
        LOG.error('mbstream for instance %s ended with %s: %s', server.record.id, status, text)
        problem = processes.last_line(text) if text.strip() else 'it ends too early'
    elif problem is None and not (directory / 'xtrabackup_checkpoints').exists():
        problem = 'it ends too early'
    if problem:
        raise exception.DumpDamaged(reason=problem)


def _check_follows(base: pathlib.Path, directory: pathlib.Path, *, is_first: bool) -> str:
    """Return the position that a dump ends at."""
    facts = checkpoints(directory / 'xtrabackup_checkpoints')
    is_increment = facts.get('backup_type') == 'incremental'
    if is_first == is_increment:
        raise exception.DumpDamaged(
            reason='the first of a chain must be whole, and only the first')
    if not is_first:
        before = checkpoints(base / 'xtrabackup_checkpoints').get('to_lsn')
        if facts.get('from_lsn') != before:
            raise exception.DumpDamaged(reason='an increment does not follow the one before')
    return facts['to_lsn']


def _prepare(server: Server, increment: pathlib.Path | None) -> None:
    use_mb = memory.buffer_pool_mb(server.record.ram_mb)
    try:
        processes.run(
            processes.command(
                'mariadb-backup', '--no-defaults', '--prepare',
                f'--target-dir={server.place.data}', f'--use-memory={use_mb}M',
                f'--tmpdir={server.place.path / "tmp"}',
                *([f'--incremental-dir={increment}'] if increment else []),
                uid=server.record.uid),
            what='The backup could not be prepared', cwd=str(server.place.path))
    except exception.DriverFailed as error:
        if _NO_ROOM.search(error.message):
            raise exception.DriverFailed(
                reason='The volume has no room for the backup.') from error
        raise
