# SPDX-License-Identifier: Apache-2.0
"""Tables of the index: where blobs are, sorted by id, mapped from a file and searched in place.

Bytes as in ``doc/source/contributor/repository-format.rst``, section Index segments. A look-up of
one id is done without numpy, whose import costs more than a small archive; batches and merges use
it.
"""

import array
import bisect
import mmap
import os
import struct
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from backupsvc.engine import errors, pack

if TYPE_CHECKING:
    import numpy

MAGIC = b'BSVCTBL1'
_HEADER = struct.Struct('<8sQQQI28x')
_ALIGN = 64
_SOURCE_BYTES = 16
_PACK_ROW = struct.Struct('<16sQII')
_PAIR = struct.Struct('<II')
_TRIPLE = struct.Struct('<III')
_FANOUT_ENTRIES = 32
_MAX_FANOUT_BITS = 24
_ENTRY_BYTES = pack.ENTRY_BYTES
#: A table of this size or more is asked by small reads and not through its map: a page fault maps
#: whole folios of the page cache, up to megabytes, which costs more than the read and counts as
#: resident memory of the process.
_LARGE_BYTES = 1 << 24
#: Entries that a merge holds in memory at once.
_MERGE_ENTRIES = 1 << 19

assert sys.byteorder == 'little', 'the columns of a table are mapped as they are'


class PackInfo(NamedTuple):
    """A pack as the index knows it."""

    pack_id: bytes
    size_bytes: int
    source: bytes
    entry_count: int


class Layout(NamedTuple):
    """Where the sections of a table begin."""

    entries: int
    packs: int
    sources: int
    bits: int

    @property
    def offsets(self) -> tuple[int, ...]:
        """Begin of sources, packs, fan-out, high, low, places, and the size of the file."""
        at = _HEADER.size
        found = []
        for size in (_SOURCE_BYTES * self.sources, _PACK_ROW.size * self.packs,
                     4 * ((1 << self.bits) + 1), 8 * self.entries, 8 * self.entries,
                     12 * self.entries):
            at = -(-at // _ALIGN) * _ALIGN
            found.append(at)
            at += size
        return (*found, at)

    def header(self) -> bytes:
        return _HEADER.pack(MAGIC, self.entries, self.packs, self.sources, self.bits)


def layout_of(entries: int, packs: int, sources: int) -> Layout:
    """Return the layout of a table to be written."""
    bits = max(0, min(_MAX_FANOUT_BITS, (entries // _FANOUT_ENTRIES).bit_length()))
    return Layout(entries, packs, sources, bits)


class Table:
    """A table in a file.

    :param path: the file; it may be unlinked once this returns
    :raises ValueError: the file is not a table
    """

    def __init__(self, path: str):
        self.path = path
        self._descriptor: int | None = None
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self.size_bytes = os.fstat(descriptor).st_size
            if self.size_bytes < _HEADER.size:
                raise ValueError(f'{path} is too short for a table')
            self._map = mmap.mmap(descriptor, self.size_bytes, prot=mmap.PROT_READ)
            self._read_header(path)
            if self.size_bytes >= _LARGE_BYTES:
                self._descriptor = descriptor
        finally:
            if self._descriptor is None:
                os.close(descriptor)

    def _read_header(self, path: str) -> None:
        magic, entries, packs, sources, bits = _HEADER.unpack_from(self._map)
        if magic != MAGIC or bits > _MAX_FANOUT_BITS:
            raise ValueError(f'{path} is not a table')
        layout = Layout(entries, packs, sources, bits)
        offsets = layout.offsets
        if offsets[-1] != self.size_bytes:
            raise ValueError(f'{path} has {self.size_bytes} bytes, not {offsets[-1]}')
        self._map.madvise(mmap.MADV_RANDOM)
        view = memoryview(self._map)
        self._sources_at, self._packs_at, self._fanout_at, self._high_at, self._low_at, \
            self._places_at, _ = offsets
        self.count = entries
        self.pack_count = packs
        self.sources = [bytes(view[at:at + _SOURCE_BYTES]) for at in range(
            self._sources_at, self._sources_at + _SOURCE_BYTES * sources, _SOURCE_BYTES)]
        self._shift = 64 - bits
        self._fanout = view[self._fanout_at:self._fanout_at + 4 * ((1 << bits) + 1)].cast('I')
        self._high = view[self._high_at:self._high_at + 8 * entries].cast('Q')
        self._low = view[self._low_at:self._low_at + 8 * entries].cast('Q')
        self._places = view[self._places_at:self._places_at + 12 * entries].cast('I')
        #: Numbers of packs whose entries are void, or None for none.
        self.dead: frozenset[int] | None = None

    def find(self, high: int, low: int) -> tuple[int, int, int] | None:
        """Return (number of the pack, offset of the frame, frame bytes × 256 + number), or None.

        :param high: bytes 0 to 8 of the id, read big endian
        :param low: bytes 8 to 16 of the id, read big endian
        """
        if self._descriptor is not None:
            return self._find_by_reads(self._descriptor, high, low)
        slot = high >> self._shift
        column = self._high
        at = bisect.bisect_left(column, high, self._fanout[slot], self._fanout[slot + 1])
        while at < self.count and column[at] == high:
            if self._low[at] == low:
                number, offset, size = self._places[3 * at:3 * at + 3]
                if self.dead is None or number not in self.dead:
                    return number, offset, size
            at += 1
        return None

    def _find_by_reads(self, descriptor: int, high: int, low: int) -> tuple[int, int, int] | None:
        slot = high >> self._shift
        first, end = _PAIR.unpack(os.pread(descriptor, 8, self._fanout_at + 4 * slot))
        column = memoryview(os.pread(descriptor, 8 * (end - first),
                                     self._high_at + 8 * first)).cast('Q')
        at = bisect.bisect_left(column, high)
        while at < len(column) and column[at] == high:
            row = first + at
            if os.pread(descriptor, 8, self._low_at + 8 * row) == low.to_bytes(8, 'little'):
                number, offset, size = _TRIPLE.unpack(
                    os.pread(descriptor, 12, self._places_at + 12 * row))
                if self.dead is None or number not in self.dead:
                    return number, offset, size
            at += 1
        return None

    def pack(self, number: int) -> PackInfo:
        """Return what the table knows of its pack ``number``."""
        pack_id, size_bytes, source, count = _PACK_ROW.unpack_from(
            self._map, self._packs_at + _PACK_ROW.size * number)
        return PackInfo(pack_id, size_bytes, self.sources[source], count)

    def pack_id(self, number: int) -> bytes:
        """Return the id of the pack ``number``."""
        at = self._packs_at + _PACK_ROW.size * number
        return self._map[at:at + 16]

    def packs(self) -> Iterator[PackInfo]:
        """Yield the packs in order of their numbers."""
        for number in range(self.pack_count):
            yield self.pack(number)

    def columns(self) -> 'tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray]':
        """Return (high, low, places) as arrays over the map; places has three columns."""
        import numpy
        return (numpy.frombuffer(self._map, '<u8', self.count, self._high_at),
                numpy.frombuffer(self._map, '<u8', self.count, self._low_at),
                numpy.frombuffer(self._map, '<u4', 3 * self.count,
                                 self._places_at).reshape(-1, 3))

    def forget_pages(self) -> None:
        """Give the memory of the mapped pages back; they are read again when needed."""
        self._map.madvise(mmap.MADV_DONTNEED)

    def close(self) -> None:
        """Unmap the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        for view in (self._fanout, self._high, self._low, self._places):
            view.release()
        try:
            self._map.close()
        except BufferError:
            # Arrays over the map are alive somewhere; it goes with the last of them.
            pass


def write_small(path: str, source: bytes, packs: Sequence[tuple[bytes, int, bytes]]) -> None:
    """Write the table of the packs of one segment, in memory and without numpy.

    :param source: id of the segment
    :param packs: (pack id, size of the object, entries as ``PackBuilder.finish`` returns them)
    """
    rows = []
    for number, (_, _, entries) in enumerate(packs):
        tail = number.to_bytes(4, 'little')
        rows += [entries[at:at + 16] + tail + entries[at + 16:at + _ENTRY_BYTES]
                 for at in range(0, len(entries), _ENTRY_BYTES)]
    rows.sort()
    layout = layout_of(len(rows), len(packs), 1)
    high, low = array.array('Q'), array.array('Q')
    high.frombytes(b''.join([row[:8] for row in rows]))
    low.frombytes(b''.join([row[8:16] for row in rows]))
    high.byteswap()
    low.byteswap()
    fanout = array.array('I', [bisect.bisect_left(high, slot << (64 - layout.bits))
                               for slot in range(1 << layout.bits)])
    fanout.append(len(rows))
    pack_rows = b''.join(
        _PACK_ROW.pack(pack_id, size_bytes, 0, len(entries) // _ENTRY_BYTES)
        for pack_id, size_bytes, entries in packs)
    places = b''.join([row[16:] for row in rows])
    sections: tuple[Any, ...] = (source, pack_rows, fanout, high, low, places)
    with open(path, 'wb') as stream:
        stream.write(layout.header())
        for at, section in zip(layout.offsets, sections, strict=False):
            stream.write(bytes(at - stream.tell()))
            stream.write(section)


class Selection(NamedTuple):
    """A table to be merged, and the numbers of those of its packs that are taken along."""

    table: Table
    packs: Sequence[int]


def merge(path: str, selections: Sequence[Selection], source: bytes | None = None) -> None:
    """Write one table of several, without the entries of packs that are not selected.

    Memory is bounded: slices of the id space are merged one after the other.

    :param source: id of the segment that the table is for; None keeps the packs' own sources
    """
    import numpy
    sources: dict[bytes, int] = {source: 0} if source else {}
    pack_rows: list[bytes] = []
    numbers = []
    pack_number: dict[bytes, int] = {}
    for selection in selections:
        mapped = numpy.full(selection.table.pack_count, 0xffffffff, '<u4')
        for number in selection.packs:
            info = selection.table.pack(number)
            if info.pack_id in pack_number:
                # The same pack from two segments: one of them is enough.
                continue
            pack_number[info.pack_id] = mapped[number] = len(pack_rows)
            origin = sources.setdefault(source or info.source, len(sources))
            pack_rows.append(_PACK_ROW.pack(info.pack_id, info.size_bytes, origin,
                                            info.entry_count))
        numbers.append(mapped)
    total = sum(_count_kept(selection.table, mapped)
                for selection, mapped in zip(selections, numbers, strict=True))
    layout = layout_of(total, len(pack_rows), len(sources))
    sources_at, packs_at, fanout_at, high_at, low_at, places_at, size = layout.offsets
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.ftruncate(descriptor, size)
        os.pwrite(descriptor, layout.header(), 0)
        os.pwrite(descriptor, b''.join(sources), sources_at)
        _write_all(descriptor, b''.join(pack_rows), packs_at)
        fanout = numpy.zeros((1 << layout.bits) + 1, '<u4')
        done = 0
        for high, low, places in _merged_slices(selections, numbers, total):
            slots = (high >> numpy.uint64(64 - layout.bits)) if layout.bits else high * 0
            numpy.add.at(fanout, slots.astype('<i8') + 1, 1)
            _write_all(descriptor, high.tobytes(), high_at + 8 * done)
            _write_all(descriptor, low.tobytes(), low_at + 8 * done)
            _write_all(descriptor, places.tobytes(), places_at + 12 * done)
            done += len(high)
        _write_all(descriptor, numpy.cumsum(fanout, dtype='<u4').tobytes(), fanout_at)
    finally:
        os.close(descriptor)


def _count_kept(table: Table, mapped: 'numpy.ndarray') -> int:
    places = table.columns()[2]
    kept = 0
    for start in range(0, table.count, _MERGE_ENTRIES):
        kept += int((mapped[places[start:start + _MERGE_ENTRIES, 0]] != 0xffffffff).sum())
        table.forget_pages()
    return kept


def _merged_slices(selections: Sequence[Selection], numbers: 'list[numpy.ndarray]',
                   total: int) -> Iterator[tuple[Any, Any, Any]]:
    """Yield sorted (high, low, places) of consecutive ranges of the id space."""
    import numpy
    present = sum(selection.table.count for selection in selections)
    bits = max(0, (present // _MERGE_ENTRIES).bit_length())
    columns = [selection.table.columns() for selection in selections]
    cuts = []
    edges = numpy.arange(1, 1 << bits, dtype='u8')
    if bits:
        edges <<= numpy.uint64(64 - bits)
    for high, _, _ in columns:
        cuts.append([0, *numpy.searchsorted(high, edges).tolist(), len(high)])
    for part in range(1 << bits):
        highs, lows, places = [], [], []
        for (high, low, place), cut, mapped in zip(columns, cuts, numbers, strict=True):
            chosen = slice(cut[part], cut[part + 1])
            renumbered = mapped[place[chosen, 0]]
            keep = renumbered != 0xffffffff
            rows = place[chosen][keep]
            rows[:, 0] = renumbered[keep]
            highs.append(high[chosen][keep])
            lows.append(low[chosen][keep])
            places.append(rows)
        high = numpy.concatenate(highs)
        low = numpy.concatenate(lows)
        place = numpy.concatenate(places)
        order = numpy.lexsort((low, high))
        yield high[order], low[order], numpy.ascontiguousarray(place[order])
        for selection in selections:
            selection.table.forget_pages()


def _write_all(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        done = os.pwrite(descriptor, view, offset)
        view, offset = view[done:], offset + done


class Place(NamedTuple):
    """Where a blob is."""

    pack_id: bytes
    offset: int
    size_bytes: int
    number: int


class Index:
    """Several tables searched as one, newest first. Look-ups may run beside ``add`` of another
    thread.
    """

    def __init__(self, tables: Iterable[Table] = ()):
        self._tables = tuple(tables)

    @property
    def tables(self) -> tuple[Table, ...]:
        return self._tables

    @property
    def entry_count(self) -> int:
        """Number of entries, void ones and duplicates included."""
        return sum(table.count for table in self._tables)

    def __contains__(self, blob_id: bytes) -> bool:
        high = int.from_bytes(blob_id[:8], 'big')
        low = int.from_bytes(blob_id[8:16], 'big')
        return any(table.find(high, low) for table in self._tables)

    def find_packed(self, blob_id: bytes) -> int | None:
        """Return the place of a blob as one number that sorts by pack and offset, or None.

        Bits from the top: table, number of its pack, u32 offset, u32 frame bytes × 256 + number.
        ``unpack`` tells it apart, as long as no table is added or removed.
        """
        high = int.from_bytes(blob_id[:8], 'big')
        low = int.from_bytes(blob_id[8:16], 'big')
        for which, table in enumerate(self._tables):
            found = table.find(high, low)
            if found is not None:
                return ((which << 32 | found[0]) << 32 | found[1]) << 32 | found[2]
        return None

    def unpack(self, packed: int) -> Place:
        """Return the place that ``find_packed`` meant."""
        return Place(self.pack_id(packed >> 64), packed >> 32 & 0xffffffff,
                     (packed & 0xffffffff) >> 8, packed & 0xff)

    def pack_id(self, number: int) -> bytes:
        """Return the id of a pack by the top bits of a packed place (without the lower 64)."""
        return self._tables[number >> 32].pack_id(number & 0xffffffff)

    def find(self, blob_id: bytes) -> Place:
        """Return the place of a blob.

        :raises Corrupt: no table has it
        """
        packed = self.find_packed(blob_id)
        if packed is None:
            raise errors.Corrupt(f'no index segment knows blob {blob_id.hex()}', 'index')
        return self.unpack(packed)

    def find_rows(self, high: Any, low: Any, void: 'Sequence[numpy.ndarray]',
                  ) -> 'tuple[numpy.ndarray, numpy.ndarray]':
        """Return (number of the table or -1, row in it) for arrays of ids.

        :param void: for each table, which of its packs do not count
        """
        import numpy
        which = numpy.full(len(high), -1, '<i4')
        rows = numpy.zeros(len(high), '<i8')
        open_ = numpy.arange(len(high))
        for number, table in enumerate(self._tables):
            if not len(open_):
                break
            found = _rows_of(table, high[open_], low[open_], void[number])
            if table.size_bytes >= _LARGE_BYTES:
                table.forget_pages()
            hit = found >= 0
            which[open_[hit]] = number
            rows[open_[hit]] = found[hit]
            open_ = open_[~hit]
        return which, rows

    def add(self, table: Table) -> None:
        """Search ``table`` too, before the others."""
        self._tables = (table, *self._tables)

    def replace(self, gone: Sequence[Table], new: Table) -> None:
        """Search ``new`` in the place of the tables that it was merged from."""
        self._tables = (*(table for table in self._tables if table not in gone), new)

    def close(self) -> None:
        """Unmap all tables."""
        for table in self._tables:
            table.close()
        self._tables = ()


def _rows_of(table: Table, high: Any, low: Any, void: Any) -> 'numpy.ndarray':
    """Return the row of each id in a table, -1 where it has none that counts."""
    import numpy
    highs, lows, places = table.columns()
    result = numpy.full(len(high), -1, '<i8')
    rows = numpy.searchsorted(highs, high)
    open_ = numpy.arange(len(high))
    while len(open_):
        open_ = open_[rows[open_] < table.count]
        at = rows[open_]
        same = highs[at] == high[open_]
        open_, at = open_[same], at[same]
        good = (lows[at] == low[open_]) & ~void[places[at, 0]]
        result[open_[good]] = at[good]
        open_ = open_[~good]
        rows[open_] += 1
    return result
