# SPDX-License-Identifier: Apache-2.0
"""Index segments in the store and their decrypted tables in a local cache.

The cache can be removed at any time; it is filled again from the store. It holds one file per
segment, or files merged from several, so that a look-up searches few tables whatever the number of
segments.
"""

import contextlib
import os
import struct
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import overload

from cryptography.exceptions import InvalidTag

from backupsvc.engine import errors, index
from backupsvc.engine.keys import TAG_BYTES, Keys
from backupsvc.engine.store import Store

PREFIX = 'index/'
MAGIC = b'BSVCIDX1'
SEGMENT_ID_BYTES = 16
_HEADER = struct.Struct('<8s16sQ')
_PIECE_BYTES = 1 << 20
_NONCE = struct.Struct('<QI')

#: More tables than this are merged ...
_MAX_TABLES = 8
#: ... until so many large ones and the merged one are left.
_KEEP_TABLES = 4


def key_of(segment_id: bytes) -> str:
    """Return the store key of a segment."""
    return PREFIX + segment_id.hex()


class SealedTable(Sequence[bytes]):
    """The parts of a segment object, sealed one at a time as they are read."""

    def __init__(self, keys: Keys, segment_id: bytes, path: str):
        self._path = path
        self._size = os.path.getsize(path)
        self._cipher = keys.index(segment_id)
        self._header = _HEADER.pack(MAGIC, segment_id, self._size)

    def __len__(self) -> int:
        return 1 + _piece_count(self._size)

    @overload
    def __getitem__(self, number: int) -> bytes: ...

    @overload
    def __getitem__(self, number: slice) -> Sequence[bytes]: ...

    def __getitem__(self, number: int | slice) -> bytes | Sequence[bytes]:
        if isinstance(number, slice):
            return [self[at] for at in range(*number.indices(len(self)))]
        if not 0 <= number < len(self):
            raise IndexError(number)
        if number == 0:
            return self._header
        piece = number - 1
        with open(self._path, 'rb') as stream:
            stream.seek(piece * _PIECE_BYTES)
            plain = stream.read(_PIECE_BYTES)
        return self._cipher.encrypt(_nonce(piece, _piece_count(self._size)), plain, self._header)


def fetch(store: Store, keys: Keys, segment_id: bytes, path: str) -> None:
    """Write the table of a segment to a file.

    :raises Corrupt: the object is damaged, cut short, or another's
    :raises ObjectNotFound: it is gone
    """
    key = key_of(segment_id)
    head = bytearray(_HEADER.size)
    count = store.read_into(key, 0, memoryview(head))
    if count != len(head) or head[:24] != MAGIC + segment_id:
        raise errors.Corrupt(f'object {key} is not this index segment', key)
    size, = struct.unpack_from('<Q', head, 24)
    cipher = keys.index(segment_id)
    pieces = _piece_count(size)
    sealed = memoryview(bytearray(_PIECE_BYTES + TAG_BYTES))
    offset = len(head)
    with open(path, 'wb') as stream:
        for piece in range(pieces):
            wanted = min(_PIECE_BYTES, size - piece * _PIECE_BYTES) + TAG_BYTES
            if store.read_into(key, offset, sealed[:wanted]) != wanted:
                raise errors.Corrupt(f'object {key} is cut short', key)
            try:
                stream.write(cipher.decrypt(_nonce(piece, pieces), sealed[:wanted], bytes(head)))
            except InvalidTag:
                raise errors.Corrupt(f'object {key} is damaged in piece {piece}', key) from None
            offset += wanted


def _piece_count(size: int) -> int:
    return max(1, -(-size // _PIECE_BYTES))


def _nonce(piece: int, pieces: int) -> bytes:
    return _NONCE.pack(piece, 1 if piece == pieces - 1 else 0)


class SegmentCache:
    """The local side of the index of one repository.

    Used by one ``Repository`` at a time; several processes may share the directory, because files
    appear whole and a file that vanished is fetched again.

    :param directory: where the tables are kept; None for a directory that goes with this object
    """

    def __init__(self, store: Store, keys: Keys, directory: str | None):
        self._store = store
        self._keys = keys
        self._remove: Callable[[], None] | None = None
        if directory is None:
            import tempfile  # brings in compressors, which a command with a cache need not pay
            temporary = tempfile.TemporaryDirectory(prefix='backupsvc-index-')
            directory, self._remove = temporary.name, temporary.cleanup
        self._directory = directory
        os.makedirs(directory, mode=0o700, exist_ok=True)

    def close(self) -> None:
        """Remove the directory, if it is a temporary one."""
        if self._remove is not None:
            self._remove()
            self._remove = None

    def segment_ids(self) -> frozenset[bytes]:
        """Return the ids of the segments in the store."""
        found = set()
        for info in self._store.list(PREFIX):
            with contextlib.suppress(ValueError):
                found.add(bytes.fromhex(info.key[len(PREFIX):]))
        return frozenset(found)

    def load(self, segment_ids: Collection[bytes], *, dead_packs: Collection[bytes] = (),
             tolerant: bool = False) -> tuple[index.Index, list[errors.Corrupt]]:
        """Return the index of these segments, and what is wrong with those that could not be read.

        :param dead_packs: packs whose entries do not count
        :param tolerant: go on without damaged segments instead of raising
        :raises Corrupt: a segment is damaged
        """
        wanted = set(segment_ids)
        tables = self._open_local(wanted)
        for table in tables:
            wanted.difference_update(table.sources)
        problems = []
        for segment_id in sorted(wanted):
            try:
                tables.append(self._fetch(segment_id))
            except errors.ObjectNotFound as exc:
                # Listed a moment ago: a prune has replaced it, or a list that lags.
                problem = errors.Corrupt(f'object {exc.key} is missing', exc.key)
                if not tolerant:
                    raise problem from exc
                problems.append(problem)
            except errors.Corrupt as exc:
                if not tolerant:
                    raise
                problems.append(exc)
        void = frozenset(segment_ids)
        for table in tables:
            _mark_dead(table, void, dead_packs)
        return index.Index(sorted(tables, key=lambda table: table.count)), problems

    def store_packs(self, packs: Sequence[tuple[bytes, int, bytes]]) -> index.Table:
        """Write a segment of finished packs, durably, and return its table.

        :param packs: (pack id, size of the object, entries)
        """
        segment_id = os.urandom(SEGMENT_ID_BYTES)
        return self._publish(segment_id, lambda path: index.write_small(path, segment_id, packs))

    def store_selection(self, selections: Sequence[index.Selection]) -> index.Table:
        """Write a segment of parts of tables, durably, and return its table."""
        segment_id = os.urandom(SEGMENT_ID_BYTES)
        return self._publish(segment_id, lambda path: index.merge(path, selections, segment_id))

    def merge_tables(self, current: index.Index) -> None:
        """Merge the smaller tables of ``current`` when there are many; the store is not touched.
        """
        if len(current.tables) <= _MAX_TABLES:
            return
        ascending = sorted(current.tables, key=lambda table: table.count)
        small = ascending[:len(ascending) - _KEEP_TABLES]
        selections = [index.Selection(table, [
            number for number in range(table.pack_count)
            if table.dead is None or number not in table.dead]) for table in small]
        path = os.path.join(self._directory, f'm-{os.urandom(8).hex()}')
        partial = path + '.partial'
        index.merge(partial, selections)
        _keep(partial, path)
        current.replace(small, index.Table(path))
        for table in small:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(table.path)

    def forget(self) -> None:
        """Remove every file of the cache."""
        for path in self._local_paths():
            with contextlib.suppress(OSError):
                os.unlink(path)
        os.makedirs(self._directory, mode=0o700, exist_ok=True)

    def _publish(self, segment_id: bytes, write: Callable[[str], None]) -> index.Table:
        path = self._path(segment_id)
        partial = f'{path}.{os.getpid()}.partial'
        write(partial)
        self._store.put(key_of(segment_id), SealedTable(self._keys, segment_id, partial))
        _keep(partial, path)
        return index.Table(path)

    def _fetch(self, segment_id: bytes) -> index.Table:
        path = self._path(segment_id)
        partial = f'{path}.{os.getpid()}.partial'
        try:
            fetch(self._store, self._keys, segment_id, partial)
            table = index.Table(partial)
        except ValueError as exc:
            key = key_of(segment_id)
            raise errors.Corrupt(f'object {key}: {exc}', key) from exc
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(partial)
            raise
        _keep(partial, path)
        table.path = path
        return table

    def _open_local(self, wanted: set[bytes]) -> list[index.Table]:
        """Open the tables of the cache that have a segment of ``wanted``; remove the others."""
        tables: list[index.Table] = []
        covered: set[bytes] = set()
        for path in self._local_paths():
            try:
                table = index.Table(path)
            except (OSError, ValueError):
                with contextlib.suppress(OSError):
                    os.unlink(path)
                continue
            useful = covered.isdisjoint(table.sources) and not wanted.isdisjoint(table.sources)
            if useful:
                tables.append(table)
                covered.update(table.sources)
            else:
                table.close()
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
        return tables

    def _local_paths(self) -> Iterator[str]:
        # Merged ones first: where one and its parts are both there, the parts are superfluous.
        for name in sorted(os.listdir(self._directory), reverse=True):
            if not name.endswith('.partial'):
                yield os.path.join(self._directory, name)

    def _path(self, segment_id: bytes) -> str:
        return os.path.join(self._directory, segment_id.hex())


def _keep(partial: str, path: str) -> None:
    """Give a finished file its name; its bytes are on disk before the name is."""
    descriptor = os.open(partial, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(partial, path)


def _mark_dead(table: index.Table, live_segments: Collection[bytes],
               dead_packs: Collection[bytes]) -> None:
    """Void the entries of packs whose segment is gone, and of ``dead_packs``."""
    if not dead_packs and all(source in live_segments for source in table.sources):
        table.dead = None
        return
    table.dead = frozenset(
        number for number, info in enumerate(table.packs())
        if info.source not in live_segments or info.pack_id in dead_packs) or None
