# SPDX-License-Identifier: Apache-2.0
"""Keeps a mover from writing once its task may be another manager's.

A mover that stood still (a stopped process, a suspended host, a paused disk) must not go on where
it was: meanwhile another may have done the work, and its user may have written since. So it knows
until when the lease holds, and looks at the clock before everything that it changes. A change that
is under way when the process is stopped is not undone by this; storage that can refuse a client
(RBD's exclusive lock) does that.
"""

import time
from collections.abc import Iterator, Sequence

from backupsvc.engine import errors
from backupsvc.engine.source import Extent, Target
from backupsvc.engine.store import Buffer, ObjectInfo, Store, Upload


class LeaseRanOut(errors.EngineError):
    """Nothing may be changed any more."""


def now() -> float:
    """Return seconds of a clock that all processes of a host share, and that no sleep stops."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Lease:
    """Until when the work may change anything; extended by another thread.

    :param until: by ``now``
    """

    def __init__(self, until: float):
        self._until = until

    def extend(self, until: float) -> None:
        """The lease was renewed."""
        self._until = until

    def check(self) -> None:
        """Raise unless the lease holds.

        :raises LeaseRanOut: it does not
        """
        if now() >= self._until:
            raise LeaseRanOut('the lease of the task ran out while its mover stood still')


#: That of this process, which is a mover's and does one job; None in every other.
_lease: Lease | None = None


def install(lease: Lease) -> None:
    """Have everything of this process that is opened from here on depend on a lease."""
    global _lease
    _lease = lease


def fenced_store(store: Store) -> Store:
    """Return a store that is changed only while this process's lease holds, if it has one."""
    return store if _lease is None else FencedStore(store, _lease)


def fenced_target(target: Target) -> Target:
    """Return a target that is written only while this process's lease holds, if it has one."""
    return target if _lease is None else FencedTarget(target, _lease)


class FencedTarget(Target):
    """A target that is written only while a lease holds."""

    def __init__(self, target: Target, lease: Lease):
        self._target = target
        self._lease = lease

    @property
    def size_bytes(self) -> int:
        return self._target.size_bytes

    @property
    def is_zeroed(self) -> bool:
        return self._target.is_zeroed

    def reserve(self, offset: int, length: int) -> None:
        self._lease.check()
        self._target.reserve(offset, length)

    def write(self, offset: int, data: memoryview) -> None:
        self._lease.check()
        self._target.write(offset, data)

    def zero(self, offset: int, length: int) -> None:
        self._lease.check()
        self._target.zero(offset, length)

    def flush(self) -> None:
        self._target.flush()

    def extents(self) -> Iterator[Extent]:
        return self._target.extents()

    def read_into(self, offset: int, buffer: memoryview) -> None:
        self._target.read_into(offset, buffer)

    def close(self) -> None:
        self._target.close()


class FencedStore(Store):
    """A store that is changed only while a lease holds."""

    def __init__(self, store: Store, lease: Lease):
        self._store = store
        self._lease = lease

    @property
    def atomic_if_absent(self) -> bool:
        return self._store.atomic_if_absent

    def put(self, key: str, parts: Sequence[Buffer], *, if_absent: bool = False) -> None:
        self._lease.check()
        self._store.put(key, parts, if_absent=if_absent)

    def get(self, key: str) -> bytes:
        return self._store.get(key)

    def read_into(self, key: str, offset: int, buffer: memoryview) -> int:
        return self._store.read_into(key, offset, buffer)

    def stat(self, key: str) -> ObjectInfo:
        return self._store.stat(key)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        return self._store.list(prefix)

    def delete(self, key: str) -> None:
        self._lease.check()
        self._store.delete(key)

    def delete_many(self, keys: Sequence[str]) -> None:
        self._lease.check()
        self._store.delete_many(keys)

    def upload(self, key: str) -> Upload:
        self._lease.check()
        return _FencedUpload(self._store.upload(key), self._lease)

    def close(self) -> None:
        self._store.close()


class _FencedUpload(Upload):
    def __init__(self, upload: Upload, lease: Lease):
        self._upload = upload
        self._lease = lease
        self.piece_bytes = upload.piece_bytes

    def write(self, number: int, piece: Buffer) -> None:
        self._lease.check()
        self._upload.write(number, piece)

    def commit(self) -> None:
        self._lease.check()
        self._upload.commit()

    def abort(self) -> None:
        self._lease.check()
        self._upload.abort()
