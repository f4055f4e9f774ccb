# SPDX-License-Identifier: Apache-2.0
"""Restore: from a map to a target, pack by pack.

The map is planned in windows; what a window needs is sorted by place, so that each frame is
fetched and decoded once and neighbours are fetched together. Nothing is written whose id was not
recomputed.
"""

import dataclasses
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

from blake3 import blake3

from backupsvc.engine import errors, maps, pack, packer
from backupsvc.engine.index import Index
from backupsvc.engine.keys import Keys
from backupsvc.engine.manifest import ManifestInfo
from backupsvc.engine.parameters import Parameters
from backupsvc.engine.progress import Progress, Reporter
from backupsvc.engine.source import Target
from backupsvc.engine.store import Store

_WINDOW_BLOCKS = 32768
_FETCH_BYTES = 1 << 21
#: Bytes between two wanted frames that are fetched along rather than asked for apart.
_GAP_BYTES = 1 << 17
_ZERO_BYTES = 1 << 30

#: (number of the blob in its frame, number of the block in the volume, id)
Want = tuple[int, int, bytes]


class Frame(NamedTuple):
    """A frame and the blocks wanted of it, ordered by number in the frame."""

    offset: int
    size_bytes: int
    wants: list[Want]


class Fetch(NamedTuple):
    """Neighbouring frames of one pack, fetched by one request."""

    pack_id: bytes
    frames: list[Frame]

    @property
    def offset(self) -> int:
        return self.frames[0].offset

    @property
    def end(self) -> int:
        return self.frames[-1].offset + self.frames[-1].size_bytes


class Zero(NamedTuple):
    """A run of blocks that has to read as zero."""

    first: int
    end: int


@dataclasses.dataclass(slots=True)
class Counters:
    """What one worker has done."""

    written: int = 0
    zeroed: int = 0
    fetched: int = 0


class Restorer:
    """One restore.

    :param reload_without: returns the index read afresh, without the entries of the given packs
    """

    def __init__(self, store: Store, keys: Keys, parameters: Parameters, index: Index,
                 info: ManifestInfo, target: Target, *,
                 reload_without: Callable[[set[bytes]], Index], reporter: Reporter):
        self.store = store
        self.keys = keys
        self.parameters = parameters
        self.info = info
        self.target = target
        self.block_size = info.block_size
        self.stopped = threading.Event()
        self._index = index
        self._reload_without = reload_without
        self._reporter = reporter
        pages = maps.PageReader(store, keys, index, reload_without=reload_without)
        self._map = maps.MapReader(pages, info.root, info.levels)
        self._block_count = -(-info.size_bytes // info.block_size)
        self._jobs = self._make_jobs()
        self._jobs_lock = threading.Lock()
        self._holes = 0
        self._retry_lock = threading.Lock()
        self._bad_packs: set[bytes] = set()
        self._other_index: Index | None = None
        self._counters: list[Counters] = []

    def run(self, workers: int) -> Counters:
        """Restore everything; return the totals.

        :raises TargetTooSmall: before anything was written
        :raises Corrupt: stored bytes are damaged or gone; the error has the ranges of the volume
        """
        if self.target.size_bytes < self.info.size_bytes:
            raise errors.TargetTooSmall(
                f'the target has {self.target.size_bytes} bytes, '
                f'the backup {self.info.size_bytes}')
        threads = [_Worker(self) for _ in range(workers)]
        self._counters = [thread.counters for thread in threads]
        packer.run_threads([thread.run for thread in threads], self.stopped,
                           lambda: self._reporter.tick(self._progress))
        try:
            self.target.flush()
        except OSError as exc:
            raise errors.SourceFailed(f'flushing the target failed: {exc}') from exc
        last = self._progress()
        last.bytes_done = last.bytes_total
        self._reporter.last(last)
        return Counters(sum(each.written for each in self._counters),
                        sum(each.zeroed for each in self._counters),
                        sum(each.fetched for each in self._counters))

    def next_job(self) -> Fetch | Zero | None:
        """Return the next thing to do, or None at the end."""
        with self._jobs_lock:
            return next(self._jobs, None)

    def alternatives(self, pack_id: bytes, frames: list[Frame],
                     problem: errors.EngineError) -> list[Fetch]:
        """Return other places for what a pack did not give.

        A prune may have moved the blobs since the index was read, and a blob may have a second
        copy.

        :raises Corrupt: there is none; ``problem`` with the ranges of the volume
        """
        with self._retry_lock:
            found = []
            for frame in frames:
                for _, number, blob_id in frame.wants:
                    fetch = self._find_again(pack_id, number, blob_id)
                    if fetch is None:
                        raise self._explain(pack_id, frame, problem)
                    found.append(fetch)
            return found

    def _find_again(self, bad_pack: bytes | None, number: int, blob_id: bytes) -> Fetch | None:
        """Return where a block is by an index read afresh, or None."""
        known = self._bad_packs if bad_pack is None else self._bad_packs | {bad_pack}
        if self._other_index is None or known != self._bad_packs:
            self._bad_packs = known
            self._other_index = self._reload_without(self._bad_packs)
        packed = self._other_index.find_packed(blob_id)
        if packed is None:
            return None
        place = self._other_index.unpack(packed)
        return Fetch(place.pack_id, [Frame(place.offset, place.size_bytes,
                                           [(place.number, number, blob_id)])])

    def _explain(self, pack_id: bytes, frame: Frame,
                 problem: errors.EngineError) -> errors.Corrupt:
        """Return the error with every range of the volume that the damaged object takes away.

        A missing object takes all its blobs away, a damaged one at least those of the frame that
        was tried.
        """
        whole = isinstance(problem, errors.ObjectNotFound)
        blocks = []
        for leaf, ids in self._map.leaves(on_error=lambda *_: None):
            for number, blob_id in maps.blocks_of(leaf, ids):
                packed = self._index.find_packed(blob_id)
                if packed is None:
                    continue
                place = self._index.unpack(packed)
                if place.pack_id == pack_id and (whole or place.offset == frame.offset):
                    blocks.append(number)
        key = pack.pack_key(pack_id)
        text = f'object {key} is missing' if whole else str(problem)
        ranges = byte_ranges(blocks, self.block_size, self.info.size_bytes)
        return errors.Corrupt(f'{text}; bytes of the volume affected: {format_ranges(ranges)}',
                              key, ranges)

    def _progress(self) -> Progress:
        written = sum(each.written for each in self._counters)
        return Progress(
            bytes_done=min(self.info.size_bytes, written + self._holes * self.block_size),
            bytes_total=self.info.size_bytes,
            bytes_read=sum(each.fetched for each in self._counters))

    def _make_jobs(self) -> Iterator[Fetch | Zero]:
        """Yield what is to be done, window by window."""
        window: list[tuple[int, int, bytes]] = []
        index, next_block = self._index, 0
        must_zero = not self.target.is_zeroed
        for leaf, ids in self._map.leaves(on_error=self._page_lost):
            for number, blob_id in maps.blocks_of(leaf, ids):
                if number > next_block:
                    self._holes += number - next_block
                    if must_zero:
                        yield from self._zeros(next_block, number)
                next_block = number + 1
                packed = index.find_packed(blob_id)
                if packed is not None:
                    window.append((packed, number, blob_id))
                    continue
                with self._retry_lock:
                    fetch = self._find_again(None, number, blob_id)
                if fetch is None:
                    raise self._not_indexed()
                yield fetch
            if len(window) >= _WINDOW_BLOCKS:
                yield from self._fetches(window)
                window = []
        yield from self._fetches(window)
        self._holes += self._block_count - next_block
        if must_zero:
            yield from self._zeros(next_block, self._block_count)

    def _page_lost(self, problem: errors.Corrupt, first: int, count: int) -> None:
        start = first * self.block_size
        end = min(start + count * self.block_size, self.info.size_bytes)
        ranges = ((start, end - start),)
        raise errors.Corrupt(
            f'{problem}; bytes of the volume affected: {format_ranges(ranges)}',
            problem.key, ranges)

    def _not_indexed(self) -> errors.Corrupt:
        """Return the error of blocks that no segment knows, with all of their ranges."""
        assert self._other_index is not None
        missing = [number for leaf, ids in self._map.leaves(on_error=lambda *_: None)
                   for number, blob_id in maps.blocks_of(leaf, ids)
                   if blob_id not in self._other_index and blob_id not in self._index]
        ranges = byte_ranges(missing, self.block_size, self.info.size_bytes)
        return errors.Corrupt(
            'no index segment knows where bytes of the volume are: '
            f'{format_ranges(ranges)}; rebuild the index from the packs', 'index', ranges)

    def _zeros(self, first: int, end: int) -> Iterator[Zero]:
        step = _ZERO_BYTES // self.block_size
        for at in range(first, end, step):
            yield Zero(at, min(end, at + step))

    def _reserve(self, blocks: list[int]) -> None:
        for offset, length in byte_ranges(blocks, self.block_size, self.info.size_bytes):
            try:
                self.target.reserve(offset, length)
            except OSError as exc:
                raise errors.SourceFailed(
                    f'the target has no room for {length} bytes at byte {offset}: {exc}') from exc

    def _fetches(self, window: list[tuple[int, int, bytes]]) -> Iterator[Fetch]:
        """Group what a window needs by frame, and neighbouring frames by request."""
        self._reserve([number for _, number, _ in window])
        window.sort()
        fetch: Fetch | None = None
        last_pack = last_frame = -1
        for packed, number, blob_id in window:
            frame_key = packed >> 32
            want = (packed & 0xff, number, blob_id)
            if fetch is not None and frame_key == last_frame:
                fetch.frames[-1].wants.append(want)
                continue
            frame = Frame(frame_key & 0xffffffff, (packed & 0xffffffff) >> 8, [want])
            if fetch is not None and packed >> 64 == last_pack \
                    and frame.offset - fetch.end <= _GAP_BYTES \
                    and frame.offset + frame.size_bytes - fetch.offset <= _FETCH_BYTES:
                fetch.frames.append(frame)
            else:
                if fetch is not None:
                    yield fetch
                last_pack = packed >> 64
                fetch = Fetch(self._index.pack_id(last_pack), [frame])
            last_frame = frame_key
        if fetch is not None:
            yield fetch


class _Worker:
    """One thread of a restore, with everything that it reuses."""

    def __init__(self, restorer: Restorer):
        self._restorer = restorer
        self._block_size = restorer.block_size
        self._buffer = memoryview(bytearray(
            max(_FETCH_BYTES, restorer.parameters.largest_frame + pack.FRAME_OVERHEAD)))
        self._frames = pack.FrameReader(restorer.keys, restorer.parameters.largest_frame)
        self.counters = Counters()

    def run(self) -> None:
        restorer = self._restorer
        while not restorer.stopped.is_set():
            job = restorer.next_job()
            if job is None:
                return
            if isinstance(job, Zero):
                self._zero(job)
            else:
                self._restore(job)

    def _zero(self, job: Zero) -> None:
        offset = job.first * self._block_size
        length = min(job.end * self._block_size, self._restorer.info.size_bytes) - offset
        try:
            self._restorer.target.zero(offset, length)
        except OSError as exc:
            raise errors.SourceFailed(
                f'zeroing {length} bytes of the target at byte {offset} failed: {exc}') from exc
        self.counters.zeroed += length

    def _restore(self, fetch: Fetch) -> None:
        """Write what a request brings; what it does not bring is looked for elsewhere."""
        pending = [fetch]
        while pending:
            fetch = pending.pop()
            try:
                self._fetch(fetch)
            except errors.ObjectNotFound as exc:
                pending += self._restorer.alternatives(fetch.pack_id, fetch.frames, exc)
                continue
            for frame in fetch.frames:
                if self._restorer.stopped.is_set():
                    raise packer.Stop
                start = frame.offset - fetch.offset
                try:
                    plain = self._open(fetch.pack_id, frame,
                                       self._buffer[start:start + frame.size_bytes])
                except errors.Corrupt as exc:
                    pending += self._restorer.alternatives(fetch.pack_id, [frame], exc)
                else:
                    self._write(plain, frame.wants)

    def _fetch(self, fetch: Fetch) -> None:
        length = fetch.end - fetch.offset
        if length > len(self._buffer):
            self._buffer = memoryview(bytearray(length))
        count = self._restorer.store.read_into(pack.pack_key(fetch.pack_id), fetch.offset,
                                               self._buffer[:length])
        # What a cut-short object did not give must not be an older frame.
        self._buffer[count:length] = bytes(length - count)
        self.counters.fetched += count

    def _open(self, pack_id: bytes, frame: Frame, sealed: memoryview) -> memoryview:
        """Return the plain text of a frame, every wanted blob of it proved."""
        _, _, plain = self._frames.open(pack_id, frame.offset, sealed)
        key, size = self._restorer.keys.block_id, self._block_size
        proved = -1
        for number, _, blob_id in frame.wants:
            if number != proved and blake3(plain[number * size:(number + 1) * size],
                                           key=key).digest() != blob_id:
                name = pack.pack_key(pack_id)
                raise errors.Corrupt(
                    f'object {name}: blob {number} of the frame at {frame.offset} is another '
                    f'than {blob_id.hex()}', name)
            proved = number
        return plain

    def _write(self, plain: memoryview, wants: list[Want]) -> None:
        size = self._block_size
        at = 0
        while at < len(wants):
            end = at + 1
            while end < len(wants) and wants[end][0] == wants[end - 1][0] + 1 \
                    and wants[end][1] == wants[end - 1][1] + 1:
                end += 1
            number, block, _ = wants[at]
            data = plain[number * size:(number + end - at) * size]
            try:
                self._restorer.target.write(block * size, data)
            except OSError as exc:
                raise errors.SourceFailed(f'writing {len(data)} bytes of the target at byte '
                                          f'{block * size} failed: {exc}') from exc
            self.counters.written += len(data)
            at = end


def byte_ranges(blocks: list[int], block_size: int,
                size_bytes: int) -> tuple[tuple[int, int], ...]:
    """Return ascending block numbers as (offset, length) of the volume, neighbours joined."""
    ranges: list[list[int]] = []
    for number in blocks:
        if ranges and ranges[-1][1] == number:
            ranges[-1][1] = number + 1
        else:
            ranges.append([number, number + 1])
    return tuple((first * block_size, min(end * block_size, size_bytes) - first * block_size)
                 for first, end in ranges)


def format_ranges(ranges: tuple[tuple[int, int], ...], limit: int = 8) -> str:
    """Return ranges as text, only the first of many."""
    shown = ', '.join(f'{offset}+{length}' for offset, length in ranges[:limit])
    more = len(ranges) - limit
    return f'{shown} and {more} more' if more > 0 else shown or 'none'
