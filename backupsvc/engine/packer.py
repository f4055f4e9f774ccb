# SPDX-License-Identifier: Apache-2.0
"""Fills packs and stores them: one open pack per worker thread, full ones put by a few writer
threads.

Nothing is indexed before its pack is durable.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from backupsvc.engine import buffers, index, pack
from backupsvc.engine.keys import Keys
from backupsvc.engine.segments import SegmentCache
from backupsvc.engine.store import Buffer, Store

#: New entries kept in memory before they are written as an index segment.
FLUSH_ENTRIES = 131072
FLUSH_SECONDS = 60
_WRITERS = 2
POLL_S = 0.2


class Stop(Exception):
    """Another thread of the same work has failed or was told to stop; the reason is known there.
    """


class PackWriter:
    """Puts full packs and indexes them.

    :param buffer_bytes: size of the buffers in which packs are filled
    :param buffer_count: how many of them there are at most; who wants one more waits
    :param stopped: set when the work is to end early
    """

    def __init__(self, store: Store, keys: Keys, cache: SegmentCache, current: index.Index, *,
                 buffer_bytes: int, buffer_count: int, stopped: threading.Event):
        self._store = store
        self._keys = keys
        self._cache = cache
        self._index = current
        self._buffer_bytes = buffer_bytes
        self._stopped = stopped
        self._free: queue.SimpleQueue[memoryview] = queue.SimpleQueue()
        self._unused = buffer_count
        self._full: queue.SimpleQueue[tuple[pack.PackBuilder, memoryview] | None] = \
            queue.SimpleQueue()
        self._lock = threading.Lock()
        self._flush_lock = threading.Lock()
        self._pending = 0
        self._idle = threading.Condition(self._lock)
        self._finished: list[tuple[bytes, int, bytes]] = []
        self._finished_entries = 0
        self._flushed_at = time.monotonic()
        self._threads: list[threading.Thread] = []
        #: Ids of blobs that are in packs of this work and in no segment yet.
        self.fresh: set[bytes] = set()
        self.error: BaseException | None = None
        self.pack_count = 0
        self.stored_bytes = 0
        self.segments: list[bytes] = []

    def take_buffer(self) -> memoryview:
        """Return a buffer for a pack; waits for one.

        :raises Stop: the work was stopped
        """
        with contextlib.suppress(queue.Empty):
            return self._free.get_nowait()
        with self._lock:
            if self._unused:
                self._unused -= 1
                return buffers.make(self._buffer_bytes)
        while True:
            if self._stopped.is_set():
                raise Stop
            try:
                return self._free.get(timeout=POLL_S)
            except queue.Empty:
                continue

    def hand_over(self, builder: pack.PackBuilder, buffer: memoryview) -> None:
        """Put a full pack, later, by a writer thread; its buffer is free after that."""
        with self._lock:
            self._pending += 1
            if len(self._threads) < min(_WRITERS, self._pending):
                thread = threading.Thread(target=self._write, name='pack-writer', daemon=True)
                self._threads.append(thread)
                thread.start()
        self._full.put((builder, buffer))

    def drain(self) -> None:
        """Wait until all packs handed over are durable, then write the last index segment.

        :raises Stop: the work was stopped, or a writer failed
        """
        with self._idle:
            while self._pending:
                if self._stopped.is_set():
                    raise Stop
                self._idle.wait(POLL_S)
        if self._stopped.is_set():
            raise Stop
        self._flush()

    def close(self) -> None:
        """End the writer threads, after what they are doing."""
        for _ in self._threads:
            self._full.put(None)

    def _write(self) -> None:
        while True:
            item = self._full.get()
            if item is None:
                return
            builder, buffer = item
            try:
                if not self._stopped.is_set():
                    self._put(builder)
            except BaseException as exc:  # kept for the thread that started the work
                self.error = self.error or exc
                self._stopped.set()
            finally:
                self._free.put(buffer)
                with self._idle:
                    self._pending -= 1
                    self._idle.notify_all()

    def _put(self, builder: pack.PackBuilder) -> None:
        data, entries = builder.finish()
        self._store.put(pack.pack_key(builder.pack_id), [data])
        with self._lock:
            self.pack_count += 1
            self.stored_bytes += len(data)
            self._finished.append((builder.pack_id, len(data), entries))
            self._finished_entries += len(entries) // pack.ENTRY_BYTES
            due = self._finished_entries >= FLUSH_ENTRIES \
                or time.monotonic() - self._flushed_at >= FLUSH_SECONDS
        if due:
            self._flush()

    def _flush(self) -> None:
        with self._flush_lock:
            with self._lock:
                packs, self._finished = self._finished, []
                self._finished_entries = 0
                self._flushed_at = time.monotonic()
            if not packs:
                return
            table = self._cache.store_packs(packs)
            self._index.add(table)
            self.segments += table.sources
            self.fresh.difference_update(
                entries[at:at + 16] for _, _, entries in packs
                for at in range(0, len(entries), pack.ENTRY_BYTES))
            self._cache.merge_tables(self._index)


class Packer:
    """The open pack of one worker thread. Not to be shared without a lock.

    :param pack_bytes: a pack is full when it has this size
    """

    def __init__(self, writer: PackWriter, keys: Keys, pack_bytes: int):
        self._writer = writer
        self._keys = keys
        self._pack_bytes = pack_bytes
        self._builder: pack.PackBuilder | None = None
        self._buffer: memoryview | None = None

    def append(self, kind: int, codec: int, ids: Sequence[bytes], encoded: Buffer,
               plain_bytes: int) -> int:
        """Add a frame to the open pack; return the bytes that it takes."""
        builder = self._builder
        if builder is None:
            self._buffer = self._writer.take_buffer()
            builder = self._builder = pack.PackBuilder(self._keys, self._buffer)
        before = builder.length
        builder.append(kind, codec, ids, encoded, plain_bytes)
        size = builder.length - before
        if builder.length + builder.trailer_bytes >= self._pack_bytes:
            self.flush()
        return size

    def flush(self) -> None:
        """Hand the open pack over, if there is something in it."""
        if self._builder is not None and self._buffer is not None:
            self._writer.hand_over(self._builder, self._buffer)
            self._builder = self._buffer = None


def buffer_bytes(pack_bytes: int, frame_bytes: int) -> int:
    """Return the size of a buffer that holds a pack with its last frame and its trailer.

    A pack is handed over once it is full, so it is at most one frame and that frame's part of the
    trailer longer.
    """
    return pack_bytes + frame_bytes + 2 * pack.FRAME_OVERHEAD + pack.FOOT_BYTES


def run_threads(targets: Sequence[Callable[[], Any]], stopped: threading.Event,
                tick: Callable[[], None], patience_s: float = 0.5) -> None:
    """Run callables in a thread each until all have ended; raise the first error of any.

    A thread that hangs in the store when the work is stopped is left behind after ``patience_s``
    seconds.

    :param stopped: set here when one fails; the others look at it and end, by ``Stop`` if need be
    :param tick: called in this thread some times per second, and at the end; what it raises stops
        the work
    """
    failures: list[BaseException] = []

    def call(target: Callable[[], Any]) -> None:
        try:
            target()
        except Stop:
            pass
        except BaseException as exc:  # raised again below
            failures.append(exc)
            stopped.set()

    threads = [threading.Thread(target=call, args=(target,), daemon=True,
                                name=f'engine-{number}') for number, target in enumerate(targets)]
    for thread in threads:
        thread.start()
    deadline = None
    for thread in threads:
        while thread.is_alive() and (deadline is None or time.monotonic() < deadline):
            thread.join(POLL_S)
            if not stopped.is_set():
                try:
                    tick()
                except BaseException as exc:  # raised again below
                    failures.append(exc)
                    stopped.set()
            if stopped.is_set() and deadline is None:
                deadline = time.monotonic() + patience_s
    if failures:
        raise failures[0]
    tick()
