# SPDX-License-Identifier: Apache-2.0
"""A store that fails as a script says: for tests of what stands on stores."""

import dataclasses
import fnmatch
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from backupsvc.engine.store import Buffer, ObjectInfo, Store


@dataclasses.dataclass(slots=True)
class Call:
    """One call on its way to the store: ``proceed()`` makes it and returns its result."""

    verb: str
    key: str
    proceed: Callable[[], Any]
    buffer: memoryview | None = None


Action = Callable[[Call], Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Fault:
    """What happens to which calls.

    :param action: is called instead of the store; see the functions below
    :param verb: ``put``, ``get``, ``read_into``, ``stat``, ``list``, ``delete`` or ``*``
    :param key: pattern of the key (of the prefix, for ``list``), as for ``fnmatch``
    :param first: the number of the first matching call to hit, from 1
    :param times: how many matching calls to hit from there; None for all
    """

    action: Action
    verb: str = '*'
    key: str = '*'
    first: int = 1
    times: int | None = 1

    def matches(self, verb: str, key: str) -> bool:
        """Return whether a call is of the kind."""
        return self.verb in ('*', verb) and fnmatch.fnmatchcase(key, self.key)

    def hits(self, number: int) -> bool:
        """Return whether the ``number``-th matching call is hit."""
        return number >= self.first and (self.times is None or number < self.first + self.times)


def failing(error: Callable[[], Exception]) -> Action:
    """Raise without reaching the store."""
    def act(call: Call) -> Any:
        raise error()
    return act


def losing_answer(error: Callable[[], Exception]) -> Action:
    """Do the work, then raise: the caller cannot know that it was done."""
    def act(call: Call) -> Any:
        call.proceed()
        raise error()
    return act


def flipping_bit(bit: int) -> Action:
    """Turn one bit of what is read; ``bit`` counts from its start, modulo its size."""
    def act(call: Call) -> Any:
        result = call.proceed()
        if call.buffer is not None:
            _flip(call.buffer[:result], bit)
            return result
        data = bytearray(result)
        _flip(memoryview(data), bit)
        return bytes(data)
    return act


def shortening(count: int) -> Action:
    """Give at most ``count`` bytes of what is read, as if the object ended there."""
    def act(call: Call) -> Any:
        if call.buffer is None:
            return call.proceed()[:count]
        result = call.proceed()
        call.buffer[count:result] = bytes(max(0, result - count))
        return min(count, result)
    return act


def slow(sleep: Callable[[], None]) -> Action:
    """Call ``sleep`` before the work."""
    def act(call: Call) -> Any:
        sleep()
        return call.proceed()
    return act


class FaultyStore(Store):
    """Calls ``store`` unless the first matching fault of the script says otherwise.

    :param store: the store to call
    :param faults: the script; ``add`` lengthens it
    """

    def __init__(self, store: Store, faults: Sequence[Fault] = ()):
        self._store = store
        self._lock = threading.Lock()
        self._script: list[tuple[Fault, list[int]]] = []
        #: (verb, key) of every call so far, in the order in which they came.
        self.calls: list[tuple[str, str]] = []
        for fault in faults:
            self.add(fault)

    def add(self, fault: Fault) -> None:
        """Add a fault; its count of calls begins now."""
        with self._lock:
            self._script.append((fault, [0]))

    def clear(self) -> None:
        """Work without faults from now on."""
        with self._lock:
            self._script.clear()

    @property
    def atomic_if_absent(self) -> bool:
        return self._store.atomic_if_absent

    def put(self, key: str, parts: Sequence[Buffer], *, if_absent: bool = False) -> None:
        self._call(Call('put', key, lambda: self._store.put(key, parts, if_absent=if_absent)))

    def get(self, key: str) -> bytes:
        return self._call(Call('get', key, lambda: self._store.get(key)))

    def read_into(self, key: str, offset: int, buffer: memoryview) -> int:
        return self._call(Call('read_into', key,
                               lambda: self._store.read_into(key, offset, buffer), buffer))

    def stat(self, key: str) -> ObjectInfo:
        return self._call(Call('stat', key, lambda: self._store.stat(key)))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        yield from self._call(Call('list', prefix, lambda: self._store.list(prefix)))

    def delete(self, key: str) -> None:
        self._call(Call('delete', key, lambda: self._store.delete(key)))

    def close(self) -> None:
        self._store.close()

    def _call(self, call: Call) -> Any:
        action = None
        with self._lock:
            self.calls.append((call.verb, call.key))
            for fault, count in self._script:
                if fault.matches(call.verb, call.key):
                    count[0] += 1
                    if action is None and fault.hits(count[0]):
                        action = fault.action
        return call.proceed() if action is None else action(call)


def _flip(data: memoryview, bit: int) -> None:
    if len(data):
        data[bit // 8 % len(data)] ^= 1 << bit % 8
