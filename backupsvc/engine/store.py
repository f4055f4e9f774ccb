# SPDX-License-Identifier: Apache-2.0
"""Port: how the engine keeps bytes. A repository driver implements it; wrappers in ``stores/``
compose over it.

Rules of use:

* Keys are relative paths of ``[a-z0-9._-]`` segments joined by ``/``, at most 200 characters; no
  segment starts with a dot, and no key is another key's directory. A store puts its own prefix
  before them and refuses other keys by ``check_key``.
* Objects are immutable to the engine: the same key is only ever put again with the same bytes,
  except for keys under ``locks/``, ``sessions/`` and the key slot of ``config``.
* Every method may be called from many threads at once.
* Only ``StoreTransient`` may be retried; every method is idempotent, so a retry after an unknown
  outcome is safe.
* When ``put`` returns, the object survives a power loss and is visible whole to every later
  ``read_into``, ``get``, ``stat`` and ``list`` in any process. No reader ever sees a part of an
  object. When ``delete`` returns, the object stays away after a power loss.
"""

import abc
import dataclasses
import re
from collections.abc import Iterator, Sequence
from typing import Union

Buffer = Union[bytes, bytearray, memoryview]  # noqa: UP007 - evaluated at run time

MAX_KEY_LENGTH = 200
_KEY = re.compile(r'[a-z0-9_-][a-z0-9._-]*(?:/[a-z0-9_-][a-z0-9._-]*)*')


def check_key(key: str) -> str:
    """Return ``key`` if it is one.

    :raises ValueError: it could leave the store's own name space, or not every store can hold it
    """
    if len(key) > MAX_KEY_LENGTH or not _KEY.fullmatch(key):
        raise ValueError(f'{key!r} cannot be the key of an object')
    return key


@dataclasses.dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What a store knows of an object unread. ``modified_at`` is seconds since the epoch (UTC)."""

    key: str
    size_bytes: int
    modified_at: float


class Upload(abc.ABC):
    """An object that is written piece by piece. It is there, whole, once it is committed; until
    then no reader sees anything of it. One thread at a time writes.
    """

    #: Bytes that each piece but the last should have; some stores take none under 5 MiB.
    piece_bytes: int

    @abc.abstractmethod
    def write(self, number: int, piece: Buffer) -> None:
        """Store a piece; 0 is the first. The last one may be repeated."""

    @abc.abstractmethod
    def commit(self) -> None:
        """Make the object of the pieces, replacing what was there; may be repeated."""

    @abc.abstractmethod
    def abort(self) -> None:
        """Drop the pieces, if it was not committed; what cannot be dropped now is dropped by the
        next upload of the key.
        """


class _WholeUpload(Upload):
    """Keeps the pieces in memory, for stores without anything better."""

    piece_bytes = 1 << 20

    def __init__(self, store: 'Store', key: str):
        self._store = store
        self._key = key
        self._pieces: dict[int, bytes] = {}

    def write(self, number: int, piece: Buffer) -> None:
        self._pieces[number] = bytes(piece)

    def commit(self) -> None:
        self._store.put(self._key, [self._pieces[number] for number in sorted(self._pieces)])

    def abort(self) -> None:
        self._pieces.clear()


class Store(abc.ABC):
    """Bytes under keys."""

    @abc.abstractmethod
    def put(self, key: str, parts: Sequence[Buffer], *, if_absent: bool = False) -> None:
        """Store the concatenation of ``parts`` under ``key``, replacing what was there.

        :param if_absent: do not replace; best effort on stores without a conditional put
            (``atomic_if_absent`` says)
        :raises ObjectExists: ``if_absent`` and the key is taken
        :raises StoreFull: no room; nothing was stored
        """

    @abc.abstractmethod
    def get(self, key: str) -> bytes:
        """Return a whole object. For objects that are small by design (config, manifests, locks).

        :raises ObjectNotFound: no such key
        """

    @abc.abstractmethod
    def read_into(self, key: str, offset: int, buffer: memoryview) -> int:
        """Fill ``buffer`` from ``offset`` of an object; return the bytes read, fewer only where
        the object ends.

        :raises ObjectNotFound: no such key
        """

    @abc.abstractmethod
    def stat(self, key: str) -> ObjectInfo:
        """Return size and time of an object.

        :raises ObjectNotFound: no such key
        """

    @abc.abstractmethod
    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield every object whose key starts with ``prefix``, ascending by key.

        Memory is bounded, whatever the number of objects.
        """

    @abc.abstractmethod
    def delete(self, key: str) -> None:
        """Remove an object; a missing one is no error."""

    def delete_many(self, keys: Sequence[str]) -> None:
        """Remove several objects; stores with a bulk call override this."""
        for key in keys:
            self.delete(key)

    @property
    def atomic_if_absent(self) -> bool:
        """Whether ``put(if_absent=True)`` is decided by the store itself, race-free."""
        return False

    def upload(self, key: str) -> Upload:
        """Begin an object whose size is not known, or too large for memory.

        There is one writer of such a key at a time. What an earlier upload of it left behind,
        uncommitted, is dropped; an object that one made may be gone from here on.
        """
        return _WholeUpload(self, check_key(key))

    def close(self) -> None:  # noqa: B027 - most stores hold nothing open
        """Give back connections and descriptors."""
