# SPDX-License-Identifier: Apache-2.0
"""Prune: free the space of what no backup needs, in two steps with a grace period between them.

The protocol, and why it is safe beside archives, is in
``doc/source/contributor/repository-format.rst``, section Pruning beside archives.
"""

import dataclasses
import datetime
import logging
import os
import threading
import time
from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from backupsvc.engine import (
    archiver,
    buffers,
    documents,
    errors,
    index,
    manifest,
    maps,
    pack,
    packer,
    segments,
    sessions,
)
from backupsvc.engine.compression import Encoder
from backupsvc.engine.index import Index, Table
from backupsvc.engine.keys import Keys
from backupsvc.engine.parameters import Parameters
from backupsvc.engine.progress import Progress, Reporter
from backupsvc.engine.segments import SegmentCache
from backupsvc.engine.store import ObjectInfo, Store

if TYPE_CHECKING:
    import numpy

LOG = logging.getLogger(__name__)

LOCK = 'locks/prune'
CLOCK = 'locks/clock'
LOCK_STALE_S = 6 * 3600
SESSION_STALE_S = 14 * 86400
_LOCK_RENEW_S = 600
#: Clocks of store and archive may differ by so much without a session being taken for younger.
_CLOCK_SLACK_S = 300

#: A pack with a smaller share of live blobs is repacked.
_REPACK_BELOW = 0.5
#: Packs whose live blobs are listed in memory at once.
_REPACK_BATCH = 64
#: Segments with fewer entries are small; more small ones than this are merged.
_SMALL_ENTRIES = 1 << 18
_MAX_SMALL = 16
_SEGMENT_ENTRIES = 1 << 20
_SLICE = 1 << 19


@dataclasses.dataclass(slots=True)
class PruneReport:
    """What a prune did.

    :param packs_condemned: packs that wait for the end of their grace period now
    :param bytes_freed: size of the packs deleted
    """

    packs_deleted: int = 0
    packs_repacked: int = 0
    packs_condemned: int = 0
    packs_rescued: int = 0
    bytes_freed: int = 0
    segments_written: int = 0


class _Lock:
    """``locks/prune``: one prune at a time.

    :param owner: see ``Pruner.run``
    """

    def __init__(self, store: Store, owner: str | None):
        self._store = store
        self._owner = (owner or os.urandom(16).hex()).encode()
        self._renew_at = 0.0

    def __enter__(self) -> '_Lock':
        try:
            self._store.put(LOCK, [self._owner], if_absent=True)
        except errors.ObjectExists:
            if self._is_ours():
                self._store.put(LOCK, [self._owner])
                self._renew_at = time.monotonic() + _LOCK_RENEW_S
                return self
            age = store_time(self._store) - self._held_since()
            if age < LOCK_STALE_S:
                raise errors.RepositoryLocked(
                    f'another prune works on the repository ({LOCK}, renewed {age:.0f} s ago)'
                ) from None
            LOG.warning('taking over the lock of a prune that ended without removing it')
            self._store.put(LOCK, [self._owner])
        self._renew_at = time.monotonic() + _LOCK_RENEW_S
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_ours():
            self._store.delete(LOCK)

    def keep(self) -> None:
        """Make sure that the lock is still ours, before something is deleted.

        :raises RepositoryLocked: somebody has taken it over
        """
        if not self._is_ours():
            raise errors.RepositoryLocked('the lock was taken over by another prune')
        if time.monotonic() > self._renew_at:
            self._store.put(LOCK, [self._owner])
            self._renew_at = time.monotonic() + _LOCK_RENEW_S

    def _held_since(self) -> float:
        try:
            return self._store.stat(LOCK).modified_at
        except errors.ObjectNotFound:
            return 0.0

    def _is_ours(self) -> bool:
        try:
            return self._store.get(LOCK) == self._owner
        except errors.ObjectNotFound:
            return False


def store_time(store: Store) -> float:
    """Return the time by the store's own clock, which also dates its objects."""
    store.put(CLOCK, [b''])
    return store.stat(CLOCK).modified_at


@dataclasses.dataclass(slots=True)
class _PackState:
    """A pack as the index knows it, and how much of it is live."""

    info: ObjectInfo
    entry_count: int = 0
    live_count: int = 0
    has_rescued: bool = False


class Pruner:
    """One prune."""

    def __init__(self, store: Store, keys: Keys, parameters: Parameters, cache: SegmentCache,
                 reporter: Reporter):
        self._store = store
        self._keys = keys
        self._parameters = parameters
        self._cache = cache
        self._reporter = reporter
        self._report = PruneReport()
        self._progress = Progress()

    def run(self, grace_s: float, owner: str | None) -> PruneReport:
        """Condemn what is unused, delete what has been condemned for ``grace_s`` seconds.

        :param owner: names this work; a lock that an earlier attempt of the same work left is
            taken over. The caller makes sure that the earlier attempt has ended.
        :raises RepositoryLocked: another prune works
        :raises Corrupt: a backup misses something; nothing was deleted
        """
        with _Lock(self._store, owner) as lock:
            has_condemned = self._round(lock, grace_s, may_condemn=True)
            if has_condemned and grace_s <= 0:
                self._round(lock, grace_s, may_condemn=False)
        self._report.packs_condemned = sum(
            len(each.packs) for each in sessions.condemned_lists(self._store, self._keys)
            if not each.is_deleted)
        self._reporter.last(self._progress)
        return self._report

    def _round(self, lock: _Lock, grace_s: float, *, may_condemn: bool) -> bool:
        """Mark; condemn; delete what was condemned before the mark. Return whether any was."""
        self._remove_stale_sessions()
        # In this order. Packs younger than the oldest session may belong to an archive that the
        # rest does not show yet. The mark comes after the lists that are to be carried out. What a
        # manifest needs was indexed before it, so the index is read after the manifests.
        young = self._oldest_session()
        lists = sessions.condemned_lists(self._store, self._keys)
        roots = list(self._roots())
        current = self._cache.load(self._cache.segment_ids())[0]
        try:
            listed = self._list_packs()
            mark = _Mark(self._store, self._keys, current, listed,
                         frozenset().union(*(each.packs for each in lists)), self._tick)
            mark.run(roots)
            lists = self._rescue(lists, mark.rescued)
            now = store_time(self._store)
            due = [each for each in lists if now - each.info.modified_at >= grace_s]
            condemned = False
            if may_condemn:
                condemned = self._condemn(mark, listed, young, current)
            self._delete(lock, [each for each in due if not each.is_deleted], listed, mark,
                         current)
            self._store.delete_many([each.info.key for each in due if each.is_deleted])
            return condemned
        finally:
            current.close()

    def _tick(self) -> None:
        self._reporter.tick(lambda: self._progress)

    def _remove_stale_sessions(self) -> None:
        now = store_time(self._store)
        for info in self._store.list(sessions.SESSIONS):
            if now - info.modified_at > SESSION_STALE_S:
                self._store.delete(info.key)

    def _list_packs(self) -> dict[bytes, ObjectInfo]:
        found = {}
        for info in self._store.list('packs/'):
            try:
                found[pack.pack_id_of(info.key)] = info
            except ValueError:
                continue
        return found

    def _oldest_session(self) -> float:
        """Return the store's time before which no pack belongs to a running archive."""
        oldest = store_time(self._store)
        for info in self._store.list(sessions.SESSIONS):
            started = info.modified_at
            content = self._session(info.key)
            if content is not None:
                stamp = datetime.datetime.fromisoformat(content['started_at']).timestamp()
                started = min(started, stamp - _CLOCK_SLACK_S)
            oldest = min(oldest, started)
        return oldest

    def _session(self, key: str) -> dict[str, Any] | None:
        try:
            return documents.get(self._store, self._keys, key)
        except errors.ObjectNotFound:
            return None

    def _roots(self) -> Iterator[tuple[bytes, int, bool]]:
        """Yield (root, levels, whether all of it must be there)."""
        # Sessions first in the reading: one that commits in between is found as a manifest.
        published = []
        for info in self._store.list(sessions.SESSIONS):
            content = self._session(info.key)
            if content is not None and 'root' in content:
                published.append((bytes.fromhex(content['root']), content['levels'], False))
        for backup_id in manifest.list_ids(self._store):
            try:
                found = manifest.get(self._store, self._keys, backup_id)
            except errors.BackupNotFound:
                continue
            yield found.root, found.levels, True
        yield from published

    def _rescue(self, lists: list[sessions.CondemnedList],
                rescued: Collection[bytes]) -> list[sessions.CondemnedList]:
        """Take packs that are needed after all off their lists."""
        kept = []
        for each in lists:
            if each.is_deleted or each.packs.isdisjoint(rescued):
                kept.append(each)
                continue
            remaining = each.packs.difference(rescued)
            self._report.packs_rescued += len(each.packs) - len(remaining)
            # A list of its own, so that the grace period of the others is not begun again.
            if remaining:
                self._put_list(os.urandom(16).hex(), remaining, 'condemned')
            self._store.delete(each.info.key)
        return kept

    def _put_list(self, name: str, packs: Iterable[bytes], state: str) -> None:
        documents.put(self._store, self._keys, sessions.CONDEMNED + name, {
            'packs': sorted(each.hex() for each in packs), 'state': state})

    def _condemn(self, mark: '_Mark', listed: dict[bytes, ObjectInfo], young: float,
                 current: Index) -> bool:
        """Put what is unused or mostly dead on a new list."""
        dead, sparse = [], []
        for pack_id, state in mark.packs.items():
            if pack_id in mark.condemned or state.info.modified_at >= young:
                continue
            if not state.live_count:
                dead.append(pack_id)
            elif state.live_count < _REPACK_BELOW * state.entry_count:
                sparse.append(pack_id)
        dead += [pack_id for pack_id, info in listed.items()
                 if pack_id not in mark.packs and pack_id not in mark.condemned
                 and info.modified_at < young]
        if len(sparse) == 1 and not dead and mark.is_tail(sparse[0]):
            sparse = []
        self._progress.bytes_total = sum(listed[pack_id].size_bytes for pack_id in sparse)
        if sparse:
            self._repack(mark, sparse, current)
        if dead or sparse:
            self._put_list(os.urandom(16).hex(), dead + sparse, 'condemned')
        return bool(dead or sparse)

    def _repack(self, mark: '_Mark', pack_ids: list[bytes], current: Index) -> None:
        """Copy the live blobs of packs to new packs, durable and indexed when this returns."""
        stopped = threading.Event()
        writer = packer.PackWriter(
            self._store, self._keys, self._cache, current, stopped=stopped,
            buffer_bytes=packer.buffer_bytes(self._parameters.pack_size,
                                             self._parameters.largest_frame),
            buffer_count=archiver.make_writer_buffers(1))
        copier = _Copier(self._store, self._keys, self._parameters, writer)
        try:
            for start in range(0, len(pack_ids), _REPACK_BATCH):
                batch = pack_ids[start:start + _REPACK_BATCH]
                live = mark.live_places(batch)
                for pack_id in batch:
                    self._tick()
                    if writer.error is not None:
                        raise writer.error
                    copier.copy(pack_id, mark.packs[pack_id].info.size_bytes,
                                live.get(pack_id, {}))
                    self._progress.bytes_done += mark.packs[pack_id].info.size_bytes
            copier.flush()
            try:
                writer.drain()
            except packer.Stop:
                if writer.error is not None:
                    raise writer.error from None
                raise
        finally:
            stopped.set()
            writer.close()
        self._report.packs_repacked += len(pack_ids)

    def _delete(self, lock: _Lock, lists: list[sessions.CondemnedList],
                listed: dict[bytes, ObjectInfo], mark: '_Mark', current: Index) -> None:
        """Delete the packs of lists, after the index has forgotten them; merge small segments."""
        doomed = frozenset().union(*(each.packs for each in lists))
        present = self._cache.segment_ids()
        sources: dict[bytes, int] = {}
        touched = set()
        for table in current.tables:
            for info in table.packs():
                if info.source not in present:
                    continue
                sources[info.source] = sources.get(info.source, 0) + info.entry_count
                if info.pack_id in doomed or info.pack_id in mark.zombies:
                    touched.add(info.source)
        small = [source for source, count in sources.items() if count < _SMALL_ENTRIES]
        if len(small) > _MAX_SMALL:
            touched.update(small)
        lock.keep()
        if touched:
            self._rewrite_segments(touched, doomed | mark.zombies, current)
        keys = [pack.pack_key(pack_id) for pack_id in doomed if pack_id in listed]
        for start in range(0, len(keys), 1000):
            lock.keep()
            self._store.delete_many(keys[start:start + 1000])
        self._report.packs_deleted += len(keys)
        self._report.bytes_freed += sum(listed[pack_id].size_bytes for pack_id in doomed
                                        if pack_id in listed)
        for each in lists:
            self._put_list(each.info.key[len(sessions.CONDEMNED):], each.packs, 'deleted')

    def _rewrite_segments(self, touched: Collection[bytes], without: Collection[bytes],
                          current: Index) -> None:
        """Put segments again without some packs, then delete the old ones."""
        chosen: list[tuple[Table, int, int]] = []
        for table in current.tables:
            for number, info in enumerate(table.packs()):
                if info.source in touched and info.pack_id not in without:
                    chosen.append((table, number, info.entry_count))
        for part in _parts(chosen):
            self._tick()
            self._cache.store_selection([
                index.Selection(table, [number for which, number, _ in part if which is table])
                for table in dict.fromkeys(which for which, _, _ in part)]).close()
            self._report.segments_written += 1
        self._store.delete_many([segments.key_of(source) for source in sorted(touched)])


def _parts(chosen: list[tuple[Table, int, int]]) -> Iterator[list[tuple[Table, int, int]]]:
    part: list[tuple[Table, int, int]] = []
    count = 0
    for item in chosen:
        part.append(item)
        count += item[2]
        if count >= _SEGMENT_ENTRIES:
            yield part
            part, count = [], 0
    if part:
        yield part


class _Mark:
    """Which entries of the index are needed: one bit each."""

    def __init__(self, store: Store, keys: Keys, current: Index, listed: dict[bytes, ObjectInfo],
                 condemned: frozenset[bytes], tick: Any):
        import numpy
        self._store = store
        self._index = current
        # The pages of what only condemned packs hold have to be read too.
        self._pages = maps.PageReader(store, keys, current)
        self._tick = tick
        self.tables = current.tables
        self.condemned = condemned
        self.packs: dict[bytes, _PackState] = {}
        self.rescued: set[bytes] = set()
        self.zombies: set[bytes] = set()
        self._bits = [numpy.zeros(table.count // 8 + 1, 'u1') for table in self.tables]
        self._void: list[Any] = []
        self._not_condemned: list[Any] = []
        for table in self.tables:
            void = numpy.zeros(table.pack_count, bool)
            lost = numpy.zeros(table.pack_count, bool)
            for number, info in enumerate(table.packs()):
                if not self._exists(info.pack_id, listed):
                    lost[number] = True
                elif info.pack_id not in self.packs:
                    self.packs[info.pack_id] = _PackState(listed[info.pack_id], info.entry_count)
                void[number] = info.pack_id in condemned
            self._void.append(void | lost)
            self._not_condemned.append(~void | lost)
            # For the reader of pages.
            table.dead = frozenset(numpy.nonzero(lost)[0].tolist()) or None

    def _exists(self, pack_id: bytes, listed: dict[bytes, ObjectInfo]) -> bool:
        if pack_id in listed:
            return True
        if pack_id not in self.zombies:
            try:
                # A list may lag behind.
                listed[pack_id] = self._store.stat(pack.pack_key(pack_id))
                return True
            except errors.ObjectNotFound:
                self.zombies.add(pack_id)
        return False

    def run(self, roots: Iterable[tuple[bytes, int, bool]]) -> None:
        """Mark everything under the roots, then count what is live in each pack.

        :raises Corrupt: something that must be there is not
        """
        for root, levels, must_exist in roots:
            self._tick()
            try:
                if levels:
                    self._mark(levels, root)
            except errors.Corrupt:
                # An archive that has lost something finds out by itself, before its commit.
                if must_exist:
                    raise
        self._count()

    def _mark(self, level: int, ids: bytes) -> None:
        """Mark pages or blocks and what is below those that were not marked yet.

        :param level: 1 + the level of the pages that ``ids`` names; 0 for blocks
        """
        import numpy
        columns = numpy.frombuffer(ids, '>u8').reshape(-1, 4)
        columns = columns[(columns != 0).any(1)]
        if not len(columns):
            return
        high, low = columns[:, 0].astype('<u8'), columns[:, 1].astype('<u8')
        which, rows = self._index.find_rows(high, low, self._void)
        missing = numpy.nonzero(which < 0)[0]
        if len(missing):
            which[missing], rows[missing] = self._rescue(high[missing], low[missing])
        is_new = numpy.zeros(len(columns), bool)
        for number in numpy.unique(which).tolist():
            of_table = numpy.nonzero(which == number)[0]
            at = rows[of_table]
            bits = self._bits[number]
            masks = (1 << (at & 7)).astype('u1')
            is_new[of_table] = bits[at >> 3] & masks == 0
            numpy.bitwise_or.at(bits, at >> 3, masks)
        if not level:
            return
        self._tick()
        for row in columns[is_new]:
            self._mark(level - 1, self._pages.read(row.tobytes(), level - 1))

    def _rescue(self, high: Any, low: Any) -> tuple[Any, Any]:
        """Find ids in condemned packs, which are needed after all then."""
        which, rows = self._index.find_rows(high, low, self._not_condemned)
        for number, row, first, second in zip(which.tolist(), rows.tolist(), high.tolist(),
                                              low.tolist(), strict=True):
            if number < 0:
                raise errors.Corrupt(
                    f'blob {first:016x}{second:016x}… of a backup is in no pack; nothing was '
                    'deleted, "verify" tells which backups suffer', 'index')
            table = self.tables[number]
            self.rescued.add(table.pack_id(int(table.columns()[2][row, 0])))
        return which, rows

    def _count(self) -> None:
        import numpy
        for number, table in enumerate(self.tables):
            counts = numpy.zeros(table.pack_count, '<i8')
            for _, packs in self._live_rows(number):
                counts += numpy.bincount(packs, minlength=table.pack_count)
            for at, info in enumerate(table.packs()):
                if counts[at]:
                    self.packs[info.pack_id].live_count += int(counts[at])

    def _live_rows(self, number: int) -> 'Iterator[tuple[numpy.ndarray, numpy.ndarray]]':
        """Yield (rows of ``places``, their pack numbers) of the marked entries, by slices."""
        import numpy
        table = self.tables[number]
        places = table.columns()[2]
        for start in range(0, table.count, _SLICE):
            end = min(start + _SLICE, table.count)
            bits = numpy.unpackbits(self._bits[number][start // 8:-(-end // 8)],
                                    bitorder='little')[:end - start].astype(bool)
            chosen = places[start:end][bits]
            yield chosen, chosen[:, 0]
            table.forget_pages()

    def live_places(self, pack_ids: Collection[bytes]) -> dict[bytes, dict[int, set[int]]]:
        """Return, for packs, the numbers of the live blobs by offset of their frame."""
        import numpy
        found: dict[bytes, dict[int, set[int]]] = {}
        for number, table in enumerate(self.tables):
            wanted = numpy.array([info.pack_id in pack_ids for info in table.packs()], bool)
            if not wanted.any():
                continue
            for rows, packs in self._live_rows(number):
                for at, offset, size in rows[wanted[packs]].tolist():
                    frames = found.setdefault(table.pack_id(at), {})
                    frames.setdefault(offset, set()).add(size & 0xff)
        return found

    def is_tail(self, pack_id: bytes) -> bool:
        """Return whether a pack is so small that copying it alone gains nothing."""
        return self.packs[pack_id].info.size_bytes < (1 << 20)


class _Copier:
    """Copies live blobs of packs into new packs."""

    def __init__(self, store: Store, keys: Keys, parameters: Parameters,
                 writer: packer.PackWriter):
        self._store = store
        self._keys = keys
        self._block_size = parameters.block_size
        self._reader = pack.FrameReader(keys, parameters.largest_frame)
        self._encoder = Encoder(parameters.compression)
        self._packers = {
            pack.BLOCKS: packer.Packer(writer, keys, parameters.pack_size),
            pack.PAGE: packer.Packer(writer, keys, parameters.pack_size)}
        self._buffer = memoryview(b'')

    def copy(self, pack_id: bytes, size_bytes: int, live: dict[int, set[int]]) -> None:
        """Copy the blobs at the given numbers of the frames at the given offsets.

        :raises Corrupt: the pack is damaged
        """
        if size_bytes > len(self._buffer):
            self._buffer = buffers.make(size_bytes)
        data = self._buffer[:size_bytes]
        if self._store.read_into(pack.pack_key(pack_id), 0, data) != size_bytes:
            key = pack.pack_key(pack_id)
            raise errors.Corrupt(f'object {key} is cut short', key)
        for frame in pack.parse_trailer(self._keys, pack_id, data):
            numbers = live.get(frame.offset)
            if numbers:
                self._copy_frame(pack_id, frame, sorted(numbers),
                                 data[frame.offset:frame.offset + frame.size_bytes])

    def flush(self) -> None:
        """Hand over the open packs."""
        for each in self._packers.values():
            each.flush()

    def _copy_frame(self, pack_id: bytes, frame: pack.FrameInfo, numbers: list[int],
                    sealed: memoryview) -> None:
        kind, ids, plain = self._reader.open(pack_id, frame.offset, sealed)
        size = self._block_size if kind == pack.BLOCKS else len(plain)
        if len(numbers) < len(ids):
            plain = memoryview(b''.join(plain[at * size:(at + 1) * size] for at in numbers))
        codec, encoded = self._encoder.encode(plain)
        self._packers[kind].append(kind, codec, [ids[at] for at in numbers], encoded, len(plain))
