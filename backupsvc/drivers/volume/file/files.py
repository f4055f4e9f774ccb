# SPDX-License-Identifier: Apache-2.0
"""Raw sparse files: make, clone, measure and remove them; every step can be repeated after a
crash.

A file is made under ``<name>.part``, locked by whoever makes it, and renamed when it is whole.
So whether a maker is still alive is asked of the kernel, not of a pid. A finished file is locked
shared while it is copied and exclusively while it is written by a restore.
"""

import contextlib
import errno
import fcntl
import os
import pathlib
import tempfile
import time
from collections.abc import Iterator

_FICLONE = 0x40049409
_COPY_BYTES = 8 * 1024 * 1024
_NO_REFLINK = {
    errno.EOPNOTSUPP, errno.ENOTTY, errno.EINVAL, errno.EXDEV, errno.ENOSYS, errno.EPERM,
    errno.ETXTBSY,
}
_NO_COPY_RANGE = {errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM}

#: An unlocked, unknown ``.part`` younger than this may be about to be locked by its maker.
_ORPHAN_AGE_S = 60.0


class RawFiles:
    """The raw files of one directory."""

    def __init__(self, directory: pathlib.Path):
        self.directory = directory

    def path(self, file_id: str) -> pathlib.Path:
        """Return where the file of that id is when it is whole."""
        return self.directory / f'{file_id}.raw'

    def _part(self, file_id: str) -> pathlib.Path:
        return self.directory / f'{file_id}.part'

    def begin(self, file_id: str) -> int:
        """Make the ``.part`` of a file and lock it; return its descriptor, to be given to finish
        or abandon.
        """
        fd = os.open(self._part(file_id), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return fd

    def finish(self, file_id: str, fd: int, size_bytes: int) -> None:
        """Give the ``.part`` its size, put it in its place for good, unlock it."""
        os.ftruncate(fd, size_bytes)
        os.fsync(fd)
        os.rename(self._part(file_id), self.path(file_id))
        self._sync_directory()
        os.close(fd)

    def abandon(self, file_id: str, fd: int) -> None:
        """Remove a ``.part`` that will not be finished."""
        with contextlib.suppress(FileNotFoundError):
            self._part(file_id).unlink()
        os.close(fd)

    def is_being_made(self, file_id: str) -> bool:
        """Tell whether a living process works on the ``.part`` of that id."""
        try:
            fd = os.open(self._part(file_id), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    def remove(self, file_id: str) -> None:
        """Remove a file, whole or not; a missing one is no error."""
        for path in (self.path(file_id), self._part(file_id)):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()

    def extend(self, file_id: str, size_bytes: int) -> None:
        """Make a file longer; the new part is a hole."""
        fd = os.open(self.path(file_id), os.O_RDWR | os.O_CLOEXEC)
        try:
            if os.fstat(fd).st_size < size_bytes:
                os.ftruncate(fd, size_bytes)
                os.fsync(fd)
        finally:
            os.close(fd)

    @contextlib.contextmanager
    def locked(self, file_id: str, *, shared: bool) -> Iterator[int]:
        """Hold the lock of a whole file: shared for copying from it, else exclusive; yield a
        read-only descriptor.

        Waits for copies (or the writer) to end.
        """
        fd = os.open(self.path(file_id), os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
            yield fd
        finally:
            os.close(fd)

    def abandoned_ids(self) -> list[str]:
        """Return the ids of files that were begun and that nobody is making; what is not in the
        catalogue *afterwards* is an orphan.
        """
        found = []
        for entry in os.scandir(self.directory):
            stem, dot, suffix = entry.name.rpartition('.')
            if not dot or suffix != 'part':
                continue
            try:
                age = time.time() - entry.stat().st_mtime
            except FileNotFoundError:
                continue
            if age >= _ORPHAN_AGE_S and not self.is_being_made(stem):
                found.append(stem)
        return found

    def _sync_directory(self) -> None:
        fd = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def share(source_fd: int, target_fd: int) -> bool:
    """Make the empty target an equal of the source by sharing its blocks; False where the file
    system cannot.
    """
    try:
        fcntl.ioctl(target_fd, _FICLONE, source_fd)
    except OSError as error:
        if error.errno not in _NO_REFLINK:
            raise
        return False
    return True


def can_share(directory: pathlib.Path) -> bool:
    """Tell whether files of a directory can share blocks, by trying it."""
    with (tempfile.TemporaryFile(dir=directory) as source,
          tempfile.TemporaryFile(dir=directory) as target):
        source.write(b'x' * 4096)
        source.flush()
        return share(source.fileno(), target.fileno())


def copy(source_fd: int, target_fd: int) -> None:
    """Make the empty target an equal of the source by copying its data; holes stay holes."""
    size = os.fstat(source_fd).st_size
    os.ftruncate(target_fd, size)
    for start, end in data_ranges(source_fd, size):
        _copy_range(source_fd, target_fd, start, end)


def data_ranges(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of what is not a hole, in bytes, ascending."""
    position = 0
    while position < size:
        try:
            start = os.lseek(fd, position, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            raise
        end = min(os.lseek(fd, start, os.SEEK_HOLE), size)
        if start >= size:
            return
        yield start, end
        position = end


def _copy_range(source_fd: int, target_fd: int, start: int, end: int) -> None:
    position = start
    in_kernel = True
    while position < end:
        count = min(_COPY_BYTES, end - position)
        if in_kernel:
            try:
                copied = os.copy_file_range(source_fd, target_fd, count, position, position)
            except OSError as error:
                if error.errno not in _NO_COPY_RANGE:
                    raise
                in_kernel = False
                continue
        else:
            copied = _write_all(target_fd, os.pread(source_fd, count, position), position)
        if copied == 0:
            # The source became shorter while it was read; what is missing reads as zero.
            return
        position += copied


def _write_all(fd: int, data: bytes, offset: int) -> int:
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        view = view[written:]
        offset += written
    return len(data)
