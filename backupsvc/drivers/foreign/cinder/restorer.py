# SPDX-License-Identifier: Apache-2.0
"""Writes the chunks of a chain to a target, several at a time, each block proved before."""

import concurrent.futures
import contextlib
import hashlib
import threading
from collections.abc import Callable, Iterator

from backupsvc.drivers.foreign.base import Report
from backupsvc.drivers.foreign.cinder import chain, layout, places, sums
from backupsvc.engine import errors
from backupsvc.engine.source import Target

#: How often a chunk is begun whose object store fails for a reason that may pass.
_ATTEMPTS = 3


class Restorer:
    """One restore.

    :param known: the sums of the volume's blocks; ``sums_name`` is the object they are from
    """

    def __init__(self, place: places.Place, plan: chain.Plan, known: sums.Sums, sums_name: str,
                 target: Target, report: Report, cancelled: Callable[[], bool]):
        self._place = place
        self._plan = plan
        self._known = known
        self._sums_name = sums_name
        self._target = target
        self._report = report
        self._cancelled = cancelled
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._done = self._fetched = 0
        self._is_zeroed = target.is_zeroed
        self._zeros = memoryview(bytes(layout.PIECE))

    def run(self, workers: int) -> int:
        """Restore everything, and return how many bytes were fetched; see the port."""
        self._check()
        with concurrent.futures.ThreadPoolExecutor(workers, 'restore') as pool:
            futures = [pool.submit(self._restore, part) for part in self._plan.parts]
            try:
                for future in concurrent.futures.as_completed(futures):
                    future.result()
            except BaseException:
                self._stopped.set()
                for future in futures:
                    future.cancel()
                raise
        try:
            self._target.flush()
        except OSError as error:
            raise errors.SourceFailed(f'flushing the target failed: {error}') from error
        return self._fetched

    def _check(self) -> None:
        size, block = self._plan.size_bytes, self._known.block_size
        if self._target.size_bytes < size:
            raise errors.TargetTooSmall(
                f'the target has {self._target.size_bytes} bytes, the backup {size}')
        if self._known.count != -(-size // block):
            raise layout.unreadable(self._sums_name, f'{self._known.count} sums of {block} bytes, '
                                                     f'for a volume of {size}')
        for part in self._plan.parts:
            for start, end in part.ranges:
                if start % block or (end % block and end != size):
                    raise layout.unreadable(part.chunk.name, f'it does not end with a block of '
                                                             f'{block} bytes')

    def _restore(self, part: chain.Part) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self._try_to_restore(part)
                break
            except errors.StoreTransient:
                if attempt == _ATTEMPTS:
                    raise
        with self._lock:
            self._done += sum(end - start for start, end in part.ranges)
            self._report(self._done, self._fetched)

    def _try_to_restore(self, part: chain.Part) -> None:
        chunk = part.chunk
        try:
            reader = self._place.open(chunk.container, chunk.name)
        except errors.ObjectNotFound as error:
            raise errors.Corrupt(
                f'object {chunk.name} is missing; bytes of the volume affected: '
                f'{_format(part.ranges)}', chunk.name, _lengths(part.ranges)) from error
        with contextlib.closing(reader):
            counted = _Counted(reader)
            buffer, at, block = bytearray(), chunk.offset, self._known.block_size
            for piece in layout.plain_pieces(counted, chunk):
                self._look_up(counted)
                buffer += piece
                count = len(buffer)
                if at + count < chunk.end:
                    count -= count % block
                self._write(memoryview(bytes(buffer[:count])), at, part)
                del buffer[:count]
                at += count

    def _look_up(self, counted: '_Counted') -> None:
        if self._stopped.is_set() or self._cancelled():
            raise errors.Cancelled('the operation was cancelled')
        with self._lock:
            self._fetched += counted.take()

    def _write(self, data: memoryview, at: int, part: chain.Part) -> None:
        """Write what the part wants of plain bytes that begin at ``at`` with a block."""
        for start, end in part.ranges:
            start, end = max(start, at), min(end, at + len(data))
            if start < end:
                for first, last, is_zero in self._runs(data, at, start, end, part):
                    self._put(first, data[first - at:last - at], is_zero)

    def _runs(self, data: memoryview, at: int, start: int, end: int,
              part: chain.Part) -> Iterator[tuple[int, int, bool]]:
        """Yield (start, end, is zero) of neighbouring blocks of a kind, each block proved."""
        block = self._known.block_size
        first, was_zero = start, None
        for offset in range(start, end, block):
            piece = data[offset - at:min(offset + block, end) - at]
            if hashlib.sha256(piece).digest() != self._known[offset // block]:
                raise errors.Corrupt(
                    f'object {part.chunk.name}: the block at byte {offset} of the volume is '
                    f'another than {self._sums_name} says', part.chunk.name,
                    ((offset, len(piece)),))
            is_zero = self._equals_zeros(piece)
            if was_zero is not None and is_zero != was_zero:
                yield first, offset, was_zero
                first = offset
            was_zero = is_zero
        yield first, end, bool(was_zero)

    def _equals_zeros(self, piece: memoryview) -> bool:
        zeros = self._zeros
        return all(piece[i:i + len(zeros)] == zeros[:min(len(zeros), len(piece) - i)]
                   for i in range(0, len(piece), len(zeros)))

    def _put(self, offset: int, data: memoryview, is_zero: bool) -> None:
        try:
            if not is_zero:
                self._target.write(offset, data)
            elif not self._is_zeroed:
                self._target.zero(offset, len(data))
        except OSError as error:
            raise errors.SourceFailed(f'writing {len(data)} bytes of the target at byte {offset} '
                                      f'failed: {error}') from error


class _Counted:
    """A reader that counts."""

    def __init__(self, reader: layout.Reader):
        self._reader = reader
        self._count = 0

    def read(self, size: int) -> bytes:
        piece = self._reader.read(size)
        self._count += len(piece)
        return piece

    def take(self) -> int:
        """Return how many bytes were read since the last call."""
        count, self._count = self._count, 0
        return count


def _lengths(ranges: list[chain.Range]) -> tuple[tuple[int, int], ...]:
    return tuple((start, end - start) for start, end in ranges)


def _format(ranges: list[chain.Range]) -> str:
    shown = ', '.join(f'{start}+{length}' for start, length in _lengths(ranges[:8]))
    return f'{shown} and {len(ranges) - 8} more' if len(ranges) > 8 else shown
