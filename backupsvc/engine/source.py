# SPDX-License-Identifier: Apache-2.0
"""Ports: what is read by an archive (``Source``) and written by a restore (``Target``), and both
for raw files.

Offsets and lengths are bytes. Both are used by several threads at once, each with its own ranges;
implementations use positioned reads and writes (pread, pwrite) or lock for themselves. An
``OSError`` may escape from any method: the engine turns it into ``SourceFailed`` with the offset.
"""

import abc
import dataclasses
import errno
import os
import stat
from collections.abc import Iterator


@dataclasses.dataclass(frozen=True, slots=True)
class Extent:
    """A range of the source that may hold data. What no extent covers is known to be zero."""

    offset: int
    length: int


class Source(abc.ABC):
    """A readable point-in-time image of something block shaped."""

    @property
    @abc.abstractmethod
    def size_bytes(self) -> int:
        """Size of the image; need not be a multiple of anything."""

    @abc.abstractmethod
    def extents(self) -> Iterator[Extent]:
        """Yield the ranges that may hold data, ascending, not overlapping. One extent over all is
        a valid answer.
        """

    def changed_extents(self, since: str) -> Iterator[Extent] | None:
        """Yield the ranges that may differ from the point ``since``, or return None where the
        source cannot tell.

        :param since: the ``change_token`` that the parent backup recorded
        """
        return None

    @property
    def change_token(self) -> str | None:
        """Name of this point in time that a later ``changed_extents`` understands; None where
        there is no such thing.
        """
        return None

    @abc.abstractmethod
    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill the whole ``buffer`` from ``offset``. The engine never asks for bytes past the end.
        """

    def close(self) -> None:  # noqa: B027 - optional
        """Give back descriptors, attachments and temporary snapshots."""


class Target(abc.ABC):
    """Something block shaped that a restore writes."""

    @property
    @abc.abstractmethod
    def size_bytes(self) -> int:
        """Size of the target."""

    @property
    @abc.abstractmethod
    def is_zeroed(self) -> bool:
        """Whether every byte not written yet is known to read as zero, so that holes need no
        write.
        """

    def reserve(self, offset: int, length: int) -> None:  # noqa: B027 - optional
        """Take note that all of a range is going to be written, in pieces and in any order."""

    @abc.abstractmethod
    def write(self, offset: int, data: memoryview) -> None:
        """Write all of ``data`` at ``offset``."""

    @abc.abstractmethod
    def zero(self, offset: int, length: int) -> None:
        """Make a range read as zero: punch, discard, or write zeros."""

    @abc.abstractmethod
    def flush(self) -> None:
        """Return when everything written survives a power loss."""

    def extents(self) -> Iterator[Extent]:
        """Yield the ranges that may hold something else than zero, as a source does; only what
        compares before it writes asks for them.
        """
        if self.size_bytes:
            yield Extent(0, self.size_bytes)

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill the whole ``buffer`` with what is there, as a source does; see ``extents``."""
        raise OSError(errno.EOPNOTSUPP, 'this target cannot be read')

    def close(self) -> None:  # noqa: B027 - optional
        """Give back descriptors and attachments."""


class RawFileSource(Source):
    """A raw image in a file, or a block device.

    Holes of a sparse file are skipped without a read. The file may be open elsewhere; making it a
    point in time is the caller's business.

    :param path: the file or device
    :raises OSError: it cannot be opened
    """

    def __init__(self, path: str):
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._is_file = stat.S_ISREG(os.fstat(self._fd).st_mode)
            self._size = os.lseek(self._fd, 0, os.SEEK_END)
        except OSError:
            os.close(self._fd)
            raise

    @property
    def size_bytes(self) -> int:
        return self._size

    def extents(self) -> Iterator[Extent]:
        return _extents(self._fd, self._size, self._is_file)

    def read_into(self, offset: int, buffer: memoryview) -> None:
        _read_into(self._fd, self._size, offset, buffer)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _extents(fd: int, size: int, is_file: bool) -> Iterator[Extent]:
    if not is_file:
        # A device answers SEEK_DATA with "all of it", or not at all.
        if size:
            yield Extent(0, size)
        return
    start = end = 0
    while end < size:
        try:
            start = os.lseek(fd, end, os.SEEK_DATA)
        except OSError as exc:
            if exc.errno == errno.ENXIO:
                return
            raise
        end = min(os.lseek(fd, start, os.SEEK_HOLE), size)
        if end <= start:
            return
        yield Extent(start, end - start)


def _read_into(fd: int, size: int, offset: int, buffer: memoryview) -> None:
    done = 0
    while done < len(buffer):
        count = os.preadv(fd, [buffer[done:]], offset + done)
        if count == 0:
            raise OSError(errno.EIO, f'the image ends at byte {offset + done}, '
                                     f'{size} were promised')
        done += count


class RawFileTarget(Target):
    """A raw file or block device that a restore fills.

    :param path: the file or device
    :param size_bytes: make the file, or make it this long; None takes it as it is
    :param is_synced: whether ``flush`` waits for the disk
    :raises OSError: it cannot be opened
    """

    #: linux/falloc.h; there is no binding in the standard library.
    _PUNCH_HOLE_KEEP_SIZE = 0x02 | 0x01
    _ZEROS = bytes(1 << 20)

    def __init__(self, path: str, size_bytes: int | None = None, *, is_synced: bool = True):
        self._is_synced = is_synced
        flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if size_bytes is not None else 0)
        self._fd = os.open(path, flags, 0o600)
        try:
            self._is_file = stat.S_ISREG(os.fstat(self._fd).st_mode)
            if self._is_file and size_bytes is not None:
                os.ftruncate(self._fd, size_bytes)
            self._size = os.lseek(self._fd, 0, os.SEEK_END)
            self._is_zeroed = self._is_file and os.fstat(self._fd).st_blocks == 0
        except OSError:
            os.close(self._fd)
            raise

    @property
    def size_bytes(self) -> int:
        return self._size

    @property
    def is_zeroed(self) -> bool:
        return self._is_zeroed

    def write(self, offset: int, data: memoryview) -> None:
        done = 0
        while done < len(data):
            done += os.pwrite(self._fd, data[done:], offset + done)

    def zero(self, offset: int, length: int) -> None:
        if not self._allocate(self._PUNCH_HOLE_KEEP_SIZE, offset, length):
            for start in range(offset, offset + length, len(self._ZEROS)):
                left = min(len(self._ZEROS), offset + length - start)
                self.write(start, memoryview(self._ZEROS)[:left])

    def reserve(self, offset: int, length: int) -> None:
        if self._is_file:
            self._allocate(0, offset, length)

    def _allocate(self, mode: int, offset: int, length: int) -> bool:
        """Call fallocate; False where the file system or device cannot, or not now."""
        import ctypes  # a process that only reads never comes here

        libc = ctypes.CDLL(None, use_errno=True)
        if libc.fallocate(self._fd, mode, ctypes.c_int64(offset), ctypes.c_int64(length)) == 0:
            return True
        code = ctypes.get_errno()
        if code in (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ENODEV, errno.EINTR):
            return False
        raise OSError(code, os.strerror(code))

    def extents(self) -> Iterator[Extent]:
        return _extents(self._fd, self._size, self._is_file)

    def read_into(self, offset: int, buffer: memoryview) -> None:
        _read_into(self._fd, self._size, offset, buffer)

    def flush(self) -> None:
        if self._is_synced:
            os.fsync(self._fd)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
