# SPDX-License-Identifier: Apache-2.0
"""Maps: which blob is at which block, as a tree of content-addressed pages.

Bytes as in ``doc/source/contributor/repository-format.rst``, section Maps.
"""

import struct
import threading
from collections.abc import Callable, Iterator

from blake3 import blake3

from backupsvc.engine import errors, pack
from backupsvc.engine.index import Index, Place
from backupsvc.engine.keys import Keys
from backupsvc.engine.store import Store

FANOUT = 256
ID_BYTES = pack.ID_BYTES
ZERO_ID = bytes(ID_BYTES)
_HEAD = struct.Struct('<2sBxI')
_MAGIC = b'MP'
PAGE_BYTES = _HEAD.size + FANOUT * ID_BYTES


def levels_of(block_count: int) -> int:
    """Return the number of levels of the map of so many blocks; 0 for none."""
    levels, covered = 0, 1
    while block_count and (levels == 0 or covered < block_count):
        levels, covered = levels + 1, covered * FANOUT
    return levels


def encode_page(level: int, ids: bytes) -> bytes | None:
    """Return a page of concatenated ids, or None if all of them are zero."""
    length = len(ids.rstrip(b'\0'))
    count = -(-length // ID_BYTES)
    if not count:
        return None
    return _HEAD.pack(_MAGIC, level, count) + ids[:count * ID_BYTES]


def decode_page(plain: memoryview, level: int) -> bytes:
    """Return the ids of a page, concatenated; those left out at the end are zero.

    :raises ValueError: it is not a page of this level
    """
    magic, found_level, count = _HEAD.unpack_from(plain)
    if magic != _MAGIC or found_level != level or count > FANOUT \
            or len(plain) != _HEAD.size + count * ID_BYTES:
        raise ValueError(f'not a page of level {level}')
    return bytes(plain[_HEAD.size:])


class PageReader:
    """Reads pages, by windows of a pack: pages written one after the other are read together.

    May be used by several threads.

    :param reload_without: returns the index read afresh without the entries of the given packs;
        asked for when a page cannot be read, which a prune may have moved. None to take the index
        as it is.
    """

    _WINDOW_BYTES = 1 << 17
    _MAX_WINDOWS = 8

    def __init__(self, store: Store, keys: Keys, index: Index, *,
                 reload_without: Callable[[set[bytes]], Index] | None = None):
        self._store = store
        self._reload_without = reload_without
        self._bad_packs: set[bytes] = set()
        self._page_key = keys.page_id
        self._index = index
        self._frames = pack.FrameReader(keys, PAGE_BYTES)
        self._windows: dict[tuple[bytes, int], bytes] = {}
        self._lock = threading.Lock()

    def read(self, page_id: bytes, level: int) -> bytes:
        """Return the ids of a page, concatenated, without zeros at the end.

        :raises Corrupt: the page is nowhere, or damaged
        """
        if page_id == ZERO_ID:
            return b''
        while True:
            place = None
            try:
                place = self._index.find(page_id)
                return self._read_at(place, page_id, level)
            except errors.Corrupt:
                if self._reload_without is None or (place is None and self._bad_packs):
                    raise
                self._bad_packs.add(place.pack_id if place is not None else b'')
                fresh = self._reload_without(self._bad_packs)
                if page_id not in fresh:
                    raise
                self._index = fresh

    def _read_at(self, place: Place, page_id: bytes, level: int) -> bytes:
        with self._lock:
            frame = self._fetch(place)
            _, ids, plain = self._frames.open(place.pack_id, place.offset, frame)
            if ids != (page_id,) or blake3(plain, key=self._page_key).digest() != page_id:
                key = pack.pack_key(place.pack_id)
                raise errors.Corrupt(f'object {key}: the page at {place.offset} is another', key)
            return decode_page(plain, level)

    def _fetch(self, place: Place) -> memoryview:
        first = place.offset // self._WINDOW_BYTES
        skip = place.offset - first * self._WINDOW_BYTES
        data = self._window(place.pack_id, first)
        if skip + place.size_bytes > len(data):
            data += self._window(place.pack_id, first + 1)
        frame = memoryview(data)[skip:skip + place.size_bytes]
        if len(frame) != place.size_bytes:
            key = pack.pack_key(place.pack_id)
            raise errors.Corrupt(f'object {key} is cut short', key)
        return frame

    def _window(self, pack_id: bytes, number: int) -> bytes:
        data = self._windows.get((pack_id, number))
        if data is None:
            buffer = bytearray(self._WINDOW_BYTES)
            key = pack.pack_key(pack_id)
            try:
                count = self._store.read_into(key, number * self._WINDOW_BYTES,
                                              memoryview(buffer))
            except errors.ObjectNotFound as exc:
                raise errors.Corrupt(f'object {key} is missing', key) from exc
            if len(self._windows) >= self._MAX_WINDOWS:
                del self._windows[next(iter(self._windows))]
            data = self._windows[pack_id, number] = bytes(memoryview(buffer)[:count])
        return data


class MapReader:
    """The map of one backup.

    :param levels: number of levels; 0 for a volume of no bytes
    """

    def __init__(self, pages: PageReader, root: bytes, levels: int):
        self._pages = pages
        self.root = root
        self.levels = levels
        self._open: dict[int, tuple[int, bytes]] = {}

    def page_id(self, level: int, number: int) -> bytes:
        """Return the id of page ``number`` of ``level``; zero where the map has none.

        Keeps the last page of each level, so that ascending questions are cheap. Of one thread
        only.
        """
        if level >= self.levels:
            return ZERO_ID
        if level == self.levels - 1:
            return self.root if number == 0 else ZERO_ID
        ids = self._ids(level + 1, number // FANOUT)
        at = number % FANOUT * ID_BYTES
        return ids[at:at + ID_BYTES] or ZERO_ID

    def leaf_ids(self, group: int) -> bytes:
        """Return the ids of the leaves of a page of level 1, also where the map has no level 1."""
        if self.levels > 1:
            return self._ids(1, group)
        return self.page_id(0, 0) if group == 0 else b''

    def _ids(self, level: int, number: int) -> bytes:
        found = self._open.get(level)
        if found is None or found[0] != number:
            found = number, self._pages.read(self.page_id(level, number), level)
            self._open[level] = found
        return found[1]

    def leaves(self, skip: Callable[[bytes], bool] | None = None,
               on_page: Callable[[bytes], None] | None = None,
               on_error: Callable[[errors.Corrupt, int, int], None] | None = None,
               ) -> Iterator[tuple[int, bytes]]:
        """Yield (number of the leaf page, its ids), ascending, without those that are all zero.

        :param skip: asked with the id of each page; True leaves its subtree out
        :param on_page: told the id of each page that is gone through
        :param on_error: told of a page that cannot be read, with the first block of its subtree
            and the number of blocks; without it the error is raised
        """
        if self.levels:
            yield from self._walk(self.levels - 1, 0, self.root, skip, on_page, on_error)

    def _walk(self, level: int, number: int, page_id: bytes,
              skip: Callable[[bytes], bool] | None, on_page: Callable[[bytes], None] | None,
              on_error: Callable[[errors.Corrupt, int, int], None] | None,
              ) -> Iterator[tuple[int, bytes]]:
        if page_id == ZERO_ID or (skip is not None and skip(page_id)):
            return
        try:
            ids = self._pages.read(page_id, level)
        except errors.Corrupt as exc:
            if on_error is None:
                raise
            span = FANOUT ** (level + 1)
            on_error(exc, number * span, span)
            return
        if on_page is not None:
            on_page(page_id)
        if level == 0:
            yield number, ids
            return
        for at in range(0, len(ids), ID_BYTES):
            yield from self._walk(level - 1, number * FANOUT + at // ID_BYTES,
                                  ids[at:at + ID_BYTES], skip, on_page, on_error)


class MapBuilder:
    """Puts a map together from leaves that come in any order.

    Inner pages of level 1 are closed as soon as the last of their leaves is there, so memory does
    not grow with the leaves. ``save`` stores a page and returns its id; it is called by the
    threads that deliver.

    """

    def __init__(self, levels: int, save: Callable[[int, bytes], bytes]):
        self._levels = levels
        self._save = save
        self._lock = threading.Lock()
        self._open: dict[int, tuple[bytearray, int]] = {}
        self._closed: dict[int, bytes] = {}

    def expect(self, group: int, ids: bytearray, leaf_count: int) -> None:
        """Begin a page of level 1: its ids so far, and how many leaves will be delivered into it.
        """
        with self._lock:
            self._open[group] = ids, leaf_count

    def deliver(self, leaf: int, page_id: bytes) -> None:
        """Put in the id of a leaf page."""
        group, at = divmod(leaf, FANOUT)
        with self._lock:
            ids, left = self._open[group]
            ids[at * ID_BYTES:(at + 1) * ID_BYTES] = page_id
            self._open[group] = ids, left - 1
            if left > 1:
                return
            del self._open[group]
        if self._levels == 1:
            self._closed[0] = page_id
        else:
            self._closed[group] = self._save(1, bytes(ids))

    def keep(self, group: int, page_id: bytes) -> None:
        """Take over a whole page of level 1, or the only leaf of a map of one level."""
        self._closed[group] = page_id

    def finish(self) -> bytes:
        """Return the id of the root, when everything expected was delivered."""
        level, ids = 1, self._closed
        while level < self._levels - 1:
            level += 1
            above: dict[int, bytearray] = {}
            for number, page_id in ids.items():
                group, at = divmod(number, FANOUT)
                page = above.setdefault(group, bytearray(FANOUT * ID_BYTES))
                page[at * ID_BYTES:(at + 1) * ID_BYTES] = page_id
            ids = {group: self._save(level, bytes(page)) for group, page in above.items()}
        return ids.get(0, ZERO_ID)


def blocks_of(leaf: int, ids: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (number of the block, id) of the blocks of a leaf that are not zero."""
    base = leaf * FANOUT
    for at in range(0, len(ids), ID_BYTES):
        blob_id = ids[at:at + ID_BYTES]
        if blob_id != ZERO_ID:
            yield base + at // ID_BYTES, blob_id
