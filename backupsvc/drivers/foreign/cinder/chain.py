# SPDX-License-Identifier: Apache-2.0
"""Which chunk of which backup of a chain holds which bytes of the volume: the newest over each."""

import bisect
import dataclasses
from collections.abc import Iterable

from backupsvc.drivers.foreign.cinder import layout
from backupsvc.engine import errors

Range = tuple[int, int]


class Coverage:
    """Ranges (start, end) that are taken; neighbours are joined."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def take(self, start: int, end: int) -> list[Range]:
        """Take a range, and return those parts of it that were free."""
        first = bisect.bisect_left(self._ends, start)
        last = bisect.bisect_right(self._starts, end)
        free, at = [], start
        for number in range(first, last):
            if at < self._starts[number]:
                free.append((at, self._starts[number]))
            at = max(at, self._ends[number])
        if at < end:
            free.append((at, end))
        if first < last:
            start, end = min(start, self._starts[first]), max(end, self._ends[last - 1])
        self._starts[first:last], self._ends[first:last] = [start], [end]
        return free

    def gaps(self, size: int) -> list[Range]:
        """Return the ranges below ``size`` that nothing took."""
        starts, ends = [*self._starts, size], [0, *self._ends]
        return [(end, min(start, size)) for end, start in zip(ends, starts, strict=True)
                if end < min(start, size)]


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """A chunk, and the ranges of the volume that are restored from it, ascending."""

    chunk: layout.Chunk
    ranges: list[Range]


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """Parts that make up the whole volume; no two of them hold the same byte."""

    parts: list[Part]
    size_bytes: int


def plan(layers: Iterable[list[layout.Chunk]]) -> Plan:
    """Return what to restore from where.

    :param layers: the chunks of each backup, the newest backup first
    :raises Corrupt: some bytes of the volume are in no chunk
    """
    coverage, parts, size = Coverage(), [], 0
    name = ''
    for chunks in layers:
        for chunk in chunks:
            free = coverage.take(chunk.offset, chunk.end)
            if free:
                parts.append(Part(chunk, free))
            size, name = max(size, chunk.end), chunk.name
    gaps = coverage.gaps(size)
    if gaps or not size:
        text = ', '.join(f'{start}+{end - start}' for start, end in gaps[:8]) or 'all'
        raise errors.Corrupt(f'no object of the backup holds these bytes of the volume: {text}',
                             name, tuple((start, end - start) for start, end in gaps))
    return Plan(parts, size)
