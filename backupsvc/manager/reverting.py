# SPDX-License-Identifier: Apache-2.0
"""Brings a target back to what a source holds: reads both, writes what differs, and reads again
what it wrote.

It may be repeated after it was stopped anywhere: what is equal by then is not written again.
"""

import contextlib
import dataclasses
from collections.abc import Iterator

from backupsvc.engine import errors
from backupsvc.engine.progress import CancelCheck, Progress, ProgressCallback, Reporter
from backupsvc.engine.source import Extent, Source, Target

#: Bytes that are read at once, and the piece of them that is written if anything in it differs.
_SEGMENT = 4 << 20
_BLOCK = 64 << 10
_ZEROS = bytes(_BLOCK)


@dataclasses.dataclass(slots=True)
class Report:
    """What a rollback did, in bytes."""

    size_bytes: int
    bytes_read: int = 0
    bytes_written: int = 0


def revert(source: Source, target: Target, *, progress: ProgressCallback | None = None,
           cancelled: CancelCheck | None = None) -> Report:
    """Make ``target`` an equal of ``source``; what it is longer reads as zero afterwards.

    :raises TargetTooSmall: the target is shorter; nothing was written
    :raises SourceFailed: a read or a write failed, or what was written does not read back
    :raises Cancelled: ``cancelled`` said so; the target is a mixture
    """
    size = source.size_bytes
    if target.size_bytes < size:
        raise errors.TargetTooSmall(
            f'the target has {target.size_bytes} bytes, the snapshot {size}')
    reverting = _Reverting(source, target, Reporter(progress, cancelled))
    reverting.compare()
    target.flush()
    reverting.verify()
    reverting.tell_end()
    return reverting.report


class _Reverting:
    def __init__(self, source: Source, target: Target, reporter: Reporter):
        self._source = source
        self._target = target
        self._reporter = reporter
        self._wanted = memoryview(bytearray(_SEGMENT))
        self._found = memoryview(bytearray(_SEGMENT))
        self._written: list[Extent] = []
        self._done = 0
        self.report = Report(target.size_bytes)

    def compare(self) -> None:
        """Write what differs."""
        size = self.report.size_bytes
        for extent in _union(self._source.extents(), self._target.extents(), size):
            for segment in _cut(extent):
                wanted, found = self._read(segment)
                if bytes(wanted) != bytes(found):  # views are compared item by item
                    self._mend(segment, wanted, found)
                self._done = segment.offset + segment.length
                self._reporter.tick(self._progress)
        self._done = self.report.size_bytes

    def verify(self) -> None:
        """Read again what was written."""
        for extent in self._written:
            for segment in _cut(extent):
                wanted, found = self._read(segment)
                if bytes(wanted) != bytes(found):
                    raise errors.SourceFailed(
                        f'bytes {segment.offset} to {segment.offset + segment.length} of the '
                        'volume do not read back as they were written')
                self._reporter.tick(self._progress)

    def tell_end(self) -> None:
        """Report that all is done, whatever the time."""
        self._reporter.last(self._progress())

    def _progress(self) -> Progress:
        return Progress(
            bytes_done=self._done, bytes_total=self.report.size_bytes,
            bytes_read=self.report.bytes_read, bytes_new=self.report.bytes_written,
            bytes_stored=self.report.bytes_written)

    def _read(self, segment: Extent) -> tuple[memoryview, memoryview]:
        """Return what the segment is to hold and what it holds."""
        wanted, found = self._wanted[:segment.length], self._found[:segment.length]
        within = max(0, min(segment.length, self._source.size_bytes - segment.offset))
        with _explained('reading', segment.offset):
            if within:
                self._source.read_into(segment.offset, wanted[:within])
            self._target.read_into(segment.offset, found)
        if within < segment.length:
            wanted[within:] = bytes(segment.length - within)
        self.report.bytes_read += segment.length
        return wanted, found

    def _mend(self, segment: Extent, wanted: memoryview, found: memoryview) -> None:
        for start in range(0, segment.length, _BLOCK):
            piece = wanted[start:start + _BLOCK]
            plain = bytes(piece)
            if plain == bytes(found[start:start + _BLOCK]):
                continue
            offset = segment.offset + start
            with _explained('writing', offset):
                if plain == _ZEROS[:len(plain)]:
                    self._target.zero(offset, len(piece))
                else:
                    self._target.write(offset, piece)
            self.report.bytes_written += len(piece)
            last = self._written[-1] if self._written else None
            if last is not None and last.offset + last.length == offset:
                self._written[-1] = Extent(last.offset, last.length + len(piece))
            else:
                self._written.append(Extent(offset, len(piece)))


@contextlib.contextmanager
def _explained(what: str, offset: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise errors.SourceFailed(f'{what} byte {offset} failed: {error}') from error


def _union(one: Iterator[Extent], other: Iterator[Extent], size: int) -> Iterator[Extent]:
    """Yield the ranges that are in either, ascending, widened to whole blocks."""
    start = end = 0
    for extent in sorted([*one, *other], key=lambda extent: extent.offset):
        begin = extent.offset - extent.offset % _BLOCK
        if begin > end:
            if end > start:
                yield Extent(start, end - start)
            start = begin
        last = extent.offset + extent.length
        end = max(end, min(size, last + -last % _BLOCK))
    if end > start:
        yield Extent(start, end - start)


def _cut(extent: Extent) -> Iterator[Extent]:
    for offset in range(extent.offset, extent.offset + extent.length, _SEGMENT):
        yield Extent(offset, min(_SEGMENT, extent.offset + extent.length - offset))
