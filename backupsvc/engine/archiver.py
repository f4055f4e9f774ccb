# SPDX-License-Identifier: Apache-2.0
"""Archive: from a source to packs, index segments and the root of a map.

A worker thread takes one leaf page's worth of the volume at a time and carries each segment of it
to the end: read, zero test, hash, compare with the parent, look up, compress, seal. Nothing is
queued per block, and buffers are reused.
"""

import dataclasses
import threading
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from blake3 import blake3

from backupsvc.engine import buffers, errors, maps, pack, packer
from backupsvc.engine.compression import Encoder
from backupsvc.engine.index import Index
from backupsvc.engine.keys import Keys
from backupsvc.engine.parameters import Parameters
from backupsvc.engine.progress import Progress, Reporter
from backupsvc.engine.source import Extent, Source

_ID = pack.ID_BYTES
_WRITER_BUFFERS = 2
_PAGE_PACK_BYTES = 1 << 22


class Job(NamedTuple):
    """A leaf page to be made: the runs of blocks (first, end) to read, and what the parent has."""

    leaf: int
    runs: list[tuple[int, int]]
    parent_page: bytes
    keep_parent: bool


@dataclasses.dataclass(slots=True)
class Counters:
    """What one worker has done."""

    done: int = 0
    read: int = 0
    new: int = 0
    blobs: int = 0


class Archiver:
    """One pass over a source.

    :param index: grows by what is stored
    :param parent: map to compare with; None to look every block up
    :param pages: reader of the parent's pages
    :param changed: ranges that may differ from the parent; everything else is taken from it unread
    """

    def __init__(self, source: Source, keys: Keys, parameters: Parameters,
                 writer: packer.PackWriter, index: Index, *,
                 parent: maps.MapReader | None, pages: maps.PageReader,
                 changed: Iterable[Extent] | None, stopped: threading.Event, reporter: Reporter):
        self.source = source
        self.keys = keys
        self.parameters = parameters
        self.writer = writer
        self.index = index
        self.pages = pages
        self.stopped = stopped
        self._parent = parent
        self._changed = changed
        self._reporter = reporter
        self.size_bytes = source.size_bytes
        self.block_count = -(-self.size_bytes // parameters.block_size)
        self.levels = maps.levels_of(self.block_count)
        self._builder = maps.MapBuilder(self.levels, self.save_page)
        self._jobs = self._make_jobs()
        self._jobs_lock = threading.Lock()
        self._skipped_blocks = 0
        self.counters: list[Counters] = []
        self._page_encoder = Encoder(parameters.compression)
        self._page_packer = packer.Packer(writer, keys, min(_PAGE_PACK_BYTES,
                                                            parameters.pack_size))
        self._page_lock = threading.Lock()

    def run(self, workers: int) -> bytes:
        """Archive everything; return the id of the root page, its blobs all durable and indexed.

        :raises SourceFailed: the source cannot be read
        :raises Cancelled: the caller said so
        """
        threads = [_Worker(self) for _ in range(workers)]
        self.counters = [thread.counters for thread in threads]
        packer.run_threads([thread.run for thread in threads], self.stopped, self._tick)
        self._raise_writer_error()
        root = self._builder.finish()
        self._page_packer.flush()
        try:
            self.writer.drain()
        except packer.Stop:
            self._raise_writer_error()
            raise
        self._reporter.last(self.progress(is_complete=True))
        return root

    def progress(self, is_complete: bool = False) -> Progress:
        """Return how far the archive is."""
        done = self._skipped_blocks * self.parameters.block_size \
            + sum(each.done for each in self.counters)
        return Progress(
            bytes_done=self.size_bytes if is_complete else min(done, self.size_bytes),
            bytes_total=self.size_bytes,
            bytes_read=sum(each.read for each in self.counters),
            bytes_new=sum(each.new for each in self.counters),
            bytes_stored=self.writer.stored_bytes)

    def next_job(self) -> Job | None:
        """Return the next leaf to be made, or None at the end."""
        with self._jobs_lock:
            return next(self._jobs, None)

    def deliver(self, leaf: int, page_id: bytes) -> None:
        """Take the id of a leaf that was made."""
        self._builder.deliver(leaf, page_id)

    def save_page(self, level: int, ids: bytes) -> bytes:
        """Store a page unless it is known; return its id."""
        plain = maps.encode_page(level, ids)
        if plain is None:
            return maps.ZERO_ID
        page_id = blake3(plain, key=self.keys.page_id).digest()
        if self.claim(page_id):
            with self._page_lock:
                codec, encoded = self._page_encoder.encode(memoryview(plain))
                self._page_packer.append(pack.PAGE, codec, (page_id,), encoded, len(plain))
        return page_id

    def claim(self, blob_id: bytes) -> bool:
        """Return True for the one caller that has to store this blob."""
        short = blob_id[:16]
        fresh = self.writer.fresh
        if short in fresh or blob_id in self.index:
            return False
        # Two threads with the same block at the same instant may both get here; a second copy is
        # harmless, a lock for every block is not.
        fresh.add(short)
        return True

    def _tick(self) -> None:
        self._raise_writer_error()
        self._reporter.tick(self.progress)

    def _raise_writer_error(self) -> None:
        if self.writer.error is not None:
            raise self.writer.error

    def _make_jobs(self) -> Iterator[Job]:
        """Yield jobs, ascending; tell the builder of each page of level 1 before its first leaf.
        """
        jobs: list[Job] = []
        runs: list[tuple[int, int]] = []
        group, next_group, done = -1, 0, 0
        try:
            for first, end in self._runs():
                self._skipped_blocks += first - done
                done = end
                while first < end:
                    leaf = first // maps.FANOUT
                    stop = min(end, (leaf + 1) * maps.FANOUT)
                    if leaf // maps.FANOUT != group:
                        yield from self._begin_group(group, jobs)
                        group, jobs, runs = leaf // maps.FANOUT, [], []
                        self._keep_groups(next_group, group)
                        next_group = group + 1
                    if not jobs or jobs[-1].leaf != leaf:
                        runs = []
                        jobs.append(Job(leaf, runs, self._parent_page(leaf),
                                        self._changed is not None))
                    runs.append((first, stop))
                    first = stop
        except OSError as exc:
            raise errors.SourceFailed(
                f'the source cannot list its extents behind byte '
                f'{done * self.parameters.block_size}: {exc}') from exc
        self._skipped_blocks += self.block_count - done
        yield from self._begin_group(group, jobs)
        if self.levels:
            groups = -(-self.block_count // maps.FANOUT ** 2)
            self._keep_groups(next_group, groups)

    def _runs(self) -> Iterator[tuple[int, int]]:
        """Yield (first, end) of runs of blocks to be read, ascending, not touching."""
        size = self.parameters.block_size
        first = end = 0
        extents = self.source.extents() if self._changed is None else self._changed
        for extent in extents:
            begin = extent.offset // size
            stop = min(self.block_count, -(-(extent.offset + extent.length) // size))
            if begin > end:
                if end > first:
                    yield first, end
                first = begin
            end = max(end, stop)
        if end > first:
            yield first, end

    def _parent_page(self, leaf: int) -> bytes:
        return maps.ZERO_ID if self._parent is None else self._parent.page_id(0, leaf)

    def _begin_group(self, group: int, jobs: list[Job]) -> Iterator[Job]:
        if not jobs:
            return
        ids = bytearray(maps.FANOUT * _ID)
        if self._changed is not None and self._parent is not None:
            kept = self._parent.leaf_ids(group)
            ids[:len(kept)] = kept
        self._builder.expect(group, ids, len(jobs))
        yield from jobs

    def _keep_groups(self, first: int, end: int) -> None:
        """Take whole pages of level 1 from the parent: nothing changed in them."""
        if self._changed is None or self._parent is None:
            return
        for group in range(first, end):
            if self.levels == 1:
                self._builder.keep(0, self._parent.page_id(0, 0))
            elif self._parent.levels > 1:
                self._builder.keep(group, self._parent.page_id(1, group))
            else:
                self._builder.keep(group, self.save_page(1, self._parent.leaf_ids(group)))


class _Worker:
    """One thread of an archive, with everything that it reuses."""

    def __init__(self, archiver: Archiver):
        parameters = archiver.parameters
        self._archiver = archiver
        self._block_size = parameters.block_size
        self._segment_blocks = max(1, parameters.segment_size // parameters.block_size)
        self._frame_blocks = max(1, min(pack.MAX_BLOBS,
                                        parameters.frame_size // parameters.block_size))
        self._view = buffers.make(self._segment_blocks * self._block_size)
        self._blocks = [self._view[at:at + self._block_size]
                        for at in range(0, len(self._view), self._block_size)]
        self._scratch = memoryview(bytearray(self._frame_blocks * self._block_size))
        # A bytearray on the left compares as one memcmp; a memoryview item by item.
        self._zeros = bytearray(self._block_size)
        self._encoder = Encoder(parameters.compression)
        self._packer = packer.Packer(archiver.writer, archiver.keys, parameters.pack_size)
        self.counters = Counters()

    def run(self) -> None:
        stopped = self._archiver.stopped
        while not stopped.is_set():
            job = self._archiver.next_job()
            if job is None:
                break
            self._make_leaf(job)
        self._packer.flush()

    def _make_leaf(self, job: Job) -> None:
        archiver = self._archiver
        parent = archiver.pages.read(job.parent_page, 0)
        ids = bytearray(maps.FANOUT * _ID)
        if job.keep_parent:
            ids[:len(parent)] = parent
        base = job.leaf * maps.FANOUT
        for first, end in job.runs:
            while first < end:
                # Reads end at multiples of a segment, so that frames of one generation stay
                # aligned.
                stop = min(end, (first // self._segment_blocks + 1) * self._segment_blocks)
                at = (first - base) * _ID
                old = parent[at:at + (stop - first) * _ID]
                ids[at:at + (stop - first) * _ID] = self._archive_run(first, stop, old)
                first = stop
        if ids.rstrip(b'\0') == parent.rstrip(b'\0'):
            page_id = job.parent_page
        else:
            page_id = archiver.save_page(0, bytes(ids))
        archiver.deliver(job.leaf, page_id)

    def _archive_run(self, first: int, end: int, old: bytes) -> bytes:
        """Read blocks ``first`` to ``end``, store what is new, return their ids, concatenated."""
        archiver = self._archiver
        if archiver.stopped.is_set():
            raise packer.Stop
        offset = first * self._block_size
        length = min(end * self._block_size, archiver.size_bytes) - offset
        try:
            archiver.source.read_into(offset, self._view[:length])
        except OSError as exc:
            raise errors.SourceFailed(
                f'reading {length} bytes of the source at byte {offset} failed: {exc}') from exc
        key, zeros = archiver.keys.block_id, self._zeros
        ids = [maps.ZERO_ID if zeros == block else blake3(block, key=key).digest()
               for block in self._blocks[:length // self._block_size]]
        if length % self._block_size:
            tail = self._view[len(ids) * self._block_size:length]
            ids.append(maps.ZERO_ID if zeros[:len(tail)] == tail
                       else blake3(tail, key=key).digest())
        joined = b''.join(ids)
        if joined != old:
            self._store_new(ids, old, length)
        self.counters.read += length
        self.counters.done += length
        return joined

    def _store_new(self, ids: list[bytes], old: bytes, length: int) -> None:
        claim = self._archiver.claim
        frame: list[int] = []
        for number, blob_id in enumerate(ids):
            at = number * _ID
            if blob_id == maps.ZERO_ID or blob_id == old[at:at + _ID] or not claim(blob_id):
                continue
            frame.append(number)
            if len(frame) == self._frame_blocks:
                self._store_frame(ids, frame, length)
                frame = []
        if frame:
            self._store_frame(ids, frame, length)

    def _store_frame(self, ids: list[bytes], numbers: list[int], length: int) -> None:
        size = self._block_size
        first, last = numbers[0], numbers[-1]
        end = min((last + 1) * size, length)
        if last - first == len(numbers) - 1:
            plain = self._view[first * size:end]
        else:
            at = 0
            for number in numbers:
                block = self._view[number * size:min((number + 1) * size, length)]
                self._scratch[at:at + len(block)] = block
                at += len(block)
            plain = self._scratch[:at]
        codec, encoded = self._encoder.encode(plain)
        self._packer.append(pack.BLOCKS, codec, [ids[number] for number in numbers], encoded,
                            len(plain))
        self.counters.new += len(plain)
        self.counters.blobs += len(numbers)


def make_writer_buffers(workers: int) -> int:
    """Return how many pack buffers an archive needs: open ones, one for pages, those being put."""
    return workers + 1 + _WRITER_BUFFERS
