# SPDX-License-Identifier: Apache-2.0
"""A store in this process's memory: the reference for the port, and what engine tests run on."""

import threading
import time
from collections.abc import Iterator, Sequence

from backupsvc.engine import errors
from backupsvc.engine.store import Buffer, ObjectInfo, Store, check_key


class MemoryStore(Store):
    """Objects in a dict.

    :param capacity_bytes: refuse to hold more than this with StoreFull; None for no limit
    """

    def __init__(self, capacity_bytes: int | None = None):
        self._capacity_bytes = capacity_bytes
        self._objects: dict[str, tuple[bytes, float]] = {}
        self._used_bytes = 0
        self._lock = threading.Lock()

    @property
    def atomic_if_absent(self) -> bool:
        return True

    def put(self, key: str, parts: Sequence[Buffer], *, if_absent: bool = False) -> None:
        check_key(key)
        data = b''.join(parts)
        with self._lock:
            if if_absent and key in self._objects:
                raise errors.ObjectExists(key)
            used_bytes = self._used_bytes + len(data) - self._size_of(key)
            if self._capacity_bytes is not None and used_bytes > self._capacity_bytes:
                raise errors.StoreFull(f'{key}: no room for {len(data)} bytes')
            self._objects[key] = (data, time.time())
            self._used_bytes = used_bytes

    def get(self, key: str) -> bytes:
        return self._find(key)[0]

    def read_into(self, key: str, offset: int, buffer: memoryview) -> int:
        data = self._find(key)[0]
        count = max(0, min(len(buffer), len(data) - offset))
        buffer[:count] = memoryview(data)[offset:offset + count]
        return count

    def stat(self, key: str) -> ObjectInfo:
        data, modified_at = self._find(key)
        return ObjectInfo(key, len(data), modified_at)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        with self._lock:
            found = [ObjectInfo(key, len(data), modified_at)
                     for key, (data, modified_at) in self._objects.items()
                     if key.startswith(prefix)]
        yield from sorted(found, key=lambda info: info.key)

    def delete(self, key: str) -> None:
        check_key(key)
        with self._lock:
            self._used_bytes -= self._size_of(key)
            self._objects.pop(key, None)

    def _find(self, key: str) -> tuple[bytes, float]:
        check_key(key)
        try:
            return self._objects[key]
        except KeyError:
            raise errors.ObjectNotFound(key) from None

    def _size_of(self, key: str) -> int:
        return len(self._objects[key][0]) if key in self._objects else 0
