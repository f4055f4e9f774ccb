# SPDX-License-Identifier: Apache-2.0
"""The store port on a directory of a POSIX file system, safe against power loss at any instant.

Every object is written to a file of its own in ``TMP``, synced, then renamed (or linked, where it
must not replace) to its key, and the directory of the key is synced. Directories are never
removed, so that a directory that was once made durable stays so. What is relied on: rename and
link are atomic, fsync of a file keeps its bytes, fsync of a directory keeps the names in it.
"""

import collections
import errno
import fcntl
import heapq
import itertools
import os
import stat
import threading
import time
import urllib.parse
from collections.abc import Iterator, Sequence
from typing import Any

from backupsvc import exception
from backupsvc.engine import errors
from backupsvc.engine.store import Buffer, ObjectInfo, Store, Upload, check_key

#: Holds unfinished files. Upper case, so no key can meet it.
TMP = 'TMP'

_MODE_FILE = 0o600
_MODE_DIRECTORY = 0o700
_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
#: Written by one call. The page cache takes memory in pieces as large as the write, and a virtual
#: machine's host has often kept the largest free pieces, to be given again page by page.
_WRITE_BYTES = 1 << 18
_MAX_DESCRIPTORS = 64
#: A younger unfinished file may be one whose writer has not locked it yet.
_STALE_AFTER_S = 60
#: Names of one directory held in memory while it is listed.
_LIST_BATCH = 16384

_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR})
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_TRANSIENT = frozenset({
    errno.EAGAIN, errno.EINTR, errno.ESTALE, errno.ETIMEDOUT, errno.EMFILE, errno.ENFILE,
    errno.ENOBUFS, errno.ENOMEM, errno.EBUSY, errno.ECONNRESET, errno.EHOSTDOWN,
    errno.EHOSTUNREACH, errno.ENETUNREACH})


def open_url(url: str, *, create: bool = False) -> 'PosixStore':
    """Open ``file:///path/of/the/container``, or a plain path."""
    if '://' in url:
        parts = urllib.parse.urlsplit(url)
        if parts.netloc not in ('', 'localhost') or not parts.path.startswith('/') or parts.query:
            raise exception.InvalidInput(
                reason=f'{url} is not of the form file:///path/of/a/directory')
        path = urllib.parse.unquote(parts.path)
    else:
        path = os.path.abspath(url)
    try:
        if create:
            existing = path
            while not os.path.isdir(existing):
                existing = os.path.dirname(existing)
            PosixStore.create_root(existing, os.path.relpath(path, existing))
        return PosixStore(path)
    except errors.ObjectNotFound as error:
        raise exception.NotFound(f'The directory {path} does not exist.') from error
    except errors.StoreError as error:
        raise exception.DriverFailed(reason=str(error)) from error


class PosixStore(Store):
    """Objects as files below one directory.

    :param root: the directory; it must exist
    :param system: module with the calls of ``os`` that are used; a test gives one that records
        them
    :raises ObjectNotFound: the directory does not exist
    """

    def __init__(self, root: str, *, system: Any = os):
        self._os = system
        self._root = root
        self._counter = itertools.count()
        self._durable: set[str] = set()
        self._open_files = _Descriptors(system)
        try:
            self._root_fd = system.open(root, _OPEN_DIRECTORY)
        except OSError as error:
            raise _translate(error, root) from error
        self._remove_stale_files()

    @classmethod
    def create_root(cls, base: str, relative: str, *, system: Any = os) -> None:
        """Make the directory ``relative`` below the existing ``base``, durably; it may exist
        already.

        :raises ObjectNotFound: ``base`` does not exist
        """
        path = base
        try:
            for name in relative.split('/'):
                parent, path = path, os.path.normpath(os.path.join(path, name))
                if path == parent:
                    continue
                try:
                    system.mkdir(path, _MODE_DIRECTORY)
                except FileExistsError:
                    pass
                parent_fd = system.open(parent, _OPEN_DIRECTORY)
                try:
                    system.fsync(parent_fd)
                finally:
                    system.close(parent_fd)
        except OSError as error:
            raise _translate(error, path) from error

    @property
    def atomic_if_absent(self) -> bool:
        return True

    def put(self, key: str, parts: Sequence[Buffer], *, if_absent: bool = False) -> None:
        check_key(key)
        try:
            directory = self._make_directory(os.path.dirname(key))
            temporary = self._write_temporary(parts)
            is_left = True
            try:
                if if_absent:
                    self._link(temporary, key, directory)
                else:
                    self._os.rename(temporary, key,
                                    src_dir_fd=self._root_fd, dst_dir_fd=self._root_fd)
                    is_left = False
                    self._sync_directory(directory)
            finally:
                if is_left:
                    self._os.unlink(temporary, dir_fd=self._root_fd)
        except FileNotFoundError as error:
            raise self._lost_directory(key) from error
        except (IsADirectoryError, NotADirectoryError) as error:
            raise errors.StoreError(f'{key}: an object and a directory have one name') from error
        except OSError as error:
            raise _translate(error, key) from error

    def upload(self, key: str) -> '_PosixUpload':
        # What an earlier one left goes with the other stale files.
        return _PosixUpload(self, check_key(key))

    def begin_file(self, key: str) -> tuple[str, int]:
        """Return (name, descriptor) of a new file for a key, locked while it is open."""
        try:
            self._make_directory(os.path.dirname(key))
            return self._open_temporary()
        except OSError as error:
            raise _translate(error, key) from error

    def write_at(self, key: str, descriptor: int, offset: int, piece: Buffer) -> None:
        """Write a piece of a file that was begun, which ends behind it."""
        view = memoryview(piece).cast('B')
        try:
            self._os.ftruncate(descriptor, offset)
            while len(view):
                written = self._os.pwrite(descriptor, view, offset)
                offset += written
                view = view[written:]
        except OSError as error:
            raise _translate(error, key) from error

    def end_file(self, key: str, name: str, descriptor: int) -> None:
        """Give a file that was begun its key, durably."""
        try:
            self._os.fsync(descriptor)
            if not self._has_name(key, descriptor):
                self._os.rename(name, key, src_dir_fd=self._root_fd, dst_dir_fd=self._root_fd)
            self._sync_directory(os.path.dirname(key))
        except OSError as error:
            raise _translate(error, key) from error

    def _has_name(self, key: str, descriptor: int) -> bool:
        try:
            found = self._os.stat(key, dir_fd=self._root_fd, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return found.st_ino == self._os.fstat(descriptor).st_ino

    def drop_file(self, name: str) -> None:
        """Remove a file that was begun."""
        try:
            self._os.unlink(name, dir_fd=self._root_fd)
        except OSError:
            pass  # one more stale file

    def get(self, key: str) -> bytes:
        try:
            descriptor, size = self._open_object(key)
            try:
                data = bytearray(size)
                count = self._read_full(descriptor, 0, memoryview(data))
            finally:
                self._os.close(descriptor)
        except OSError as error:
            raise _translate(error, key) from error
        return bytes(memoryview(data)[:count])

    def read_into(self, key: str, offset: int, buffer: memoryview) -> int:
        try:
            entry = self._open_files.find(key)
            if entry is None:
                entry = self._open_files.add(key, self._open_object(key)[0])
            return self._read_full(entry.descriptor, offset, buffer)
        except OSError as error:
            raise _translate(error, key) from error

    def stat(self, key: str) -> ObjectInfo:
        check_key(key)
        try:
            status = self._os.stat(key, dir_fd=self._root_fd, follow_symlinks=False)
        except OSError as error:
            raise _translate(error, key) from error
        if not stat.S_ISREG(status.st_mode):
            raise errors.ObjectNotFound(key)
        return ObjectInfo(key, status.st_size, status.st_mtime)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        directory = os.path.dirname(prefix)
        if directory:
            check_key(directory)
        try:
            yield from self._walk(directory, prefix)
        except OSError as error:
            raise _translate(error, prefix) from error

    def delete(self, key: str) -> None:
        self.delete_many([key])

    def delete_many(self, keys: Sequence[str]) -> None:
        touched = set()
        try:
            for key in keys:
                check_key(key)
                try:
                    self._os.unlink(key, dir_fd=self._root_fd)
                except FileNotFoundError:
                    continue
                touched.add(os.path.dirname(key))
            for directory in sorted(touched):
                self._sync_directory(directory)
        except OSError as error:
            raise _translate(error, key) from error

    def close(self) -> None:
        self._open_files.clear()
        if self._root_fd >= 0:
            self._os.close(self._root_fd)
            self._root_fd = -1

    def _lost_directory(self, key: str) -> errors.StoreError:
        """Return the error of a put that missed a directory: somebody removed it under us."""
        if not self._os.fstat(self._root_fd).st_nlink:
            return errors.StoreError(f'{key}: the directory {self._root} has been removed')
        self._durable.clear()
        return errors.StoreTransient(f'{key}: a directory above it has been removed')

    def _open_temporary(self) -> tuple[str, int]:
        name = f'{TMP}/{os.getpid()}-{time.time_ns()}-{next(self._counter)}'
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = self._os.open(name, flags, _MODE_FILE, dir_fd=self._root_fd)
        # The lock tells _remove_stale_files of any process that the writer lives; it ends with the
        # descriptor.
        _try_lock(descriptor)
        return name, descriptor

    def _write_temporary(self, parts: Sequence[Buffer]) -> str:
        name, descriptor = self._open_temporary()
        try:
            self._write_full(descriptor, parts)
            self._os.fsync(descriptor)
        except BaseException:
            self._os.unlink(name, dir_fd=self._root_fd)
            raise
        finally:
            self._os.close(descriptor)
        return name

    def _write_full(self, descriptor: int, parts: Sequence[Buffer]) -> None:
        for part in parts:
            pending = memoryview(part).cast('B')
            while len(pending):
                written = self._os.writev(descriptor, [pending[:_WRITE_BYTES]])
                pending = pending[written:]

    def _open_object(self, key: str) -> tuple[int, int]:
        """Return (descriptor, size) of an object."""
        check_key(key)
        descriptor = self._os.open(key, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._root_fd)
        status = self._os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            self._os.close(descriptor)
            raise errors.ObjectNotFound(key)
        return descriptor, status.st_size

    def _read_full(self, descriptor: int, offset: int, buffer: memoryview) -> int:
        total = 0
        while total < len(buffer):
            count = self._os.preadv(descriptor, [buffer[total:]], offset + total)
            if not count:
                break
            total += count
        return total

    def _link(self, temporary: str, key: str, directory: str) -> None:
        try:
            self._os.link(temporary, key, src_dir_fd=self._root_fd, dst_dir_fd=self._root_fd)
        except FileExistsError:
            # Whoever put it may not have synced yet, and our caller will rely on it as if it had
            # put it itself.
            self._sync_directory(directory)
            raise errors.ObjectExists(key) from None
        self._sync_directory(directory)

    def _make_directory(self, directory: str) -> str:
        """Make a directory and those above it, each name durable before anything is put below."""
        if TMP not in self._durable:
            self._make_one(TMP, '')
        path = ''
        if directory and directory not in self._durable:
            for name in directory.split('/'):
                parent, path = path, f'{path}/{name}'.lstrip('/')
                if path not in self._durable:
                    self._make_one(path, parent)
        return directory

    def _make_one(self, path: str, parent: str) -> None:
        try:
            self._os.mkdir(path, _MODE_DIRECTORY, dir_fd=self._root_fd)
        except FileExistsError:
            pass
        # Also where it existed: another process may have made it just now and not have synced.
        self._sync_directory(parent)
        self._durable.add(path)

    def _sync_directory(self, directory: str) -> None:
        if not directory:
            self._os.fsync(self._root_fd)
            return
        descriptor = self._os.open(directory, _OPEN_DIRECTORY, dir_fd=self._root_fd)
        try:
            self._os.fsync(descriptor)
        finally:
            self._os.close(descriptor)

    def _walk(self, directory: str, prefix: str) -> Iterator[ObjectInfo]:
        path_prefix = f'{directory}/' if directory else ''
        after = ''
        while True:
            names = self._names(directory, path_prefix, prefix, after)
            batch = heapq.nsmallest(_LIST_BATCH, names)
            for name in batch:
                if name.endswith('/'):
                    yield from self._walk(path_prefix + name[:-1], prefix)
                    continue
                try:
                    yield self.stat(path_prefix + name)
                except errors.ObjectNotFound:
                    continue  # deleted since its name was read
            if len(batch) < _LIST_BATCH:
                return
            after = batch[-1]

    def _names(self, directory: str, path_prefix: str, prefix: str, after: str) -> Iterator[str]:
        """Yield the names of a directory that come after ``after``.

        Sub-directories end in ``/``, so that names sort as their keys do.
        """
        try:
            descriptor = self._os.open(directory or '.', _OPEN_DIRECTORY, dir_fd=self._root_fd)
        except (FileNotFoundError, NotADirectoryError):
            return
        try:
            with self._os.scandir(descriptor) as entries:
                for entry in entries:
                    name = entry.name
                    path = path_prefix + name
                    is_directory = entry.is_dir(follow_symlinks=False)
                    if is_directory:
                        name += '/'
                        wanted = prefix.startswith(path + '/') or path.startswith(prefix)
                    else:
                        wanted = path.startswith(prefix)
                    if wanted and name > after and _is_key(path):
                        yield name
        finally:
            self._os.close(descriptor)

    def _remove_stale_files(self) -> None:
        """Remove what dead writers left behind: old enough, and locked by nobody."""
        try:
            descriptor = self._os.open(TMP, _OPEN_DIRECTORY, dir_fd=self._root_fd)
        except OSError:
            return
        try:
            with self._os.scandir(descriptor) as entries:
                names = [entry.name for entry in entries]
            for name in names:
                self._remove_if_stale(f'{TMP}/{name}')
        finally:
            self._os.close(descriptor)

    def _remove_if_stale(self, path: str) -> None:
        try:
            descriptor = self._os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._root_fd)
        except OSError:
            return  # finished meanwhile, or another user's
        try:
            age_s = time.time() - self._os.fstat(descriptor).st_mtime
            if age_s > _STALE_AFTER_S and _try_lock(descriptor):
                self._os.unlink(path, dir_fd=self._root_fd)
        except FileNotFoundError:
            pass  # removed by another process that opened the store at the same time
        finally:
            self._os.close(descriptor)


class _PosixUpload(Upload):
    """A file that gets its key when it is whole."""

    piece_bytes = 4 << 20

    def __init__(self, store: PosixStore, key: str):
        self._store = store
        self._key = key
        self._offsets = [0]
        self._name, self._descriptor = store.begin_file(key)

    def write(self, number: int, piece: Buffer) -> None:
        self._store.write_at(self._key, self._descriptor, self._offsets[number], piece)
        self._offsets[number + 1:] = [self._offsets[number] + memoryview(piece).nbytes]

    def commit(self) -> None:
        if self._descriptor >= 0:
            self._store.end_file(self._key, self._name, self._descriptor)
            self._close()

    def abort(self) -> None:
        if self._descriptor >= 0:
            self._store.drop_file(self._name)
            self._close()

    def _close(self) -> None:
        os.close(self._descriptor)
        self._descriptor = -1


class _Descriptor:
    """An open file, closed when nobody refers to it: eviction cannot close it under a reader."""

    __slots__ = ('_system', 'descriptor')

    def __init__(self, system: Any, descriptor: int):
        self._system = system
        self.descriptor = descriptor

    def __del__(self) -> None:
        self._system.close(self.descriptor)


class _Descriptors:
    """The most recently read objects' open files, at most ``_MAX_DESCRIPTORS`` of them."""

    def __init__(self, system: Any):
        self._system = system
        self._entries: collections.OrderedDict[str, _Descriptor] = collections.OrderedDict()
        self._lock = threading.Lock()

    def find(self, key: str) -> _Descriptor | None:
        """Return the open file of an object, unless the object was replaced or deleted since."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            if not self._system.fstat(entry.descriptor).st_nlink:
                del self._entries[key]
                return None
            self._entries.move_to_end(key)
            return entry

    def add(self, key: str, descriptor: int) -> _Descriptor:
        entry = _Descriptor(self._system, descriptor)
        with self._lock:
            self._entries[key] = entry
            if len(self._entries) > _MAX_DESCRIPTORS:
                self._entries.popitem(last=False)
        return entry

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()


def _try_lock(descriptor: int) -> bool:
    """Lock a file if nobody has; False also where the file system has no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_key(path: str) -> bool:
    try:
        check_key(path)
    except ValueError:
        return False
    return True


def _translate(error: OSError, name: str) -> errors.StoreError:
    """Return the store's error for an operating system's."""
    if error.errno in _ABSENT:
        return errors.ObjectNotFound(name)
    text = f'{name}: {error.strerror}'
    if error.errno in _FULL:
        return errors.StoreFull(text)
    if error.errno in _DENIED:
        return errors.StoreDenied(text)
    if error.errno in _TRANSIENT:
        return errors.StoreTransient(text)
    return errors.StoreError(text)
