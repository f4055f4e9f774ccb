# SPDX-License-Identifier: Apache-2.0
"""Verify: whether backups can be restored, and if not, which bytes of which are lost."""

import collections
import dataclasses
import threading
from collections.abc import Collection, Iterator

from blake3 import blake3

from backupsvc.engine import buffers, errors, manifest, maps, pack, packer, restorer
from backupsvc.engine.index import Index
from backupsvc.engine.keys import Keys
from backupsvc.engine.manifest import ManifestInfo
from backupsvc.engine.parameters import Parameters
from backupsvc.engine.progress import Progress, Reporter
from backupsvc.engine.segments import SegmentCache
from backupsvc.engine.store import Store

#: Leaf pages remembered as good, so that what backups share is looked at once.
_MAX_GOOD_PAGES = 500_000


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong.

    :param backup_id: the backup that suffers; None for an object that no checked backup needs
    :param key: the damaged or missing object; ``index`` where no index segment knows the blob
    :param ranges: (offset, length) of the bytes of the volume that cannot be restored
    """

    backup_id: str | None
    key: str
    ranges: tuple[tuple[int, int], ...]
    message: str


@dataclasses.dataclass(frozen=True, slots=True)
class VerifyReport:
    """How many backups were checked, and what is wrong."""

    checked: int
    problems: list[Problem]


@dataclasses.dataclass(slots=True)
class _Fault:
    """What is wrong with a pack: all of it, or all but the frames that were proved."""

    message: str
    good_frames: frozenset[int] | None = None


class Checker:
    """One verification."""

    def __init__(self, store: Store, keys: Keys, parameters: Parameters, cache: SegmentCache,
                 reporter: Reporter):
        self._store = store
        self._keys = keys
        self._parameters = parameters
        self._cache = cache
        self._reporter = reporter
        self._problems: list[Problem] = []
        self._faults: dict[bytes, _Fault] = {}
        self._progress = Progress()

    def run(self, backup_ids: Collection[str] | None, *, full: bool,
            workers: int) -> VerifyReport:
        """Check backups; None for all.

        :raises BackupNotFound: one of those named does not exist
        """
        infos = list(self._manifests(backup_ids))
        current, damaged = self._cache.load(self._cache.segment_ids(), tolerant=True)
        try:
            for exc in damaged:
                self._problems.append(Problem(None, exc.key, (), str(exc)))
            needed = self._walk(current, infos)
            sizes = {pack_id: size for pack_id, size in self._sizes() if pack_id in needed}
            for pack_id, size in needed.items():
                self._check_size(pack_id, size, sizes.get(pack_id))
            if full:
                self._read_packs({pack_id: size for pack_id, size in sizes.items()
                                  if pack_id not in self._faults}, workers)
            if self._faults:
                self._attribute(current, infos)
        finally:
            current.close()
        return VerifyReport(len(infos), self._problems)

    def _manifests(self, backup_ids: Collection[str] | None) -> Iterator[ManifestInfo]:
        for backup_id in manifest.list_ids(self._store) if backup_ids is None else backup_ids:
            try:
                yield manifest.get(self._store, self._keys, backup_id)
            except errors.BackupNotFound:
                if backup_ids is not None:
                    raise
            except errors.Corrupt as exc:
                self._problems.append(Problem(backup_id, exc.key, (), str(exc)))

    def _sizes(self) -> Iterator[tuple[bytes, int]]:
        for info in self._store.list('packs/'):
            try:
                yield pack.pack_id_of(info.key), info.size_bytes
            except ValueError:
                continue

    def _check_size(self, pack_id: bytes, size: int, found: int | None) -> None:
        key = pack.pack_key(pack_id)
        if found is None:
            try:
                found = self._store.stat(key).size_bytes
            except errors.ObjectNotFound:
                self._faults[pack_id] = _Fault(f'object {key} is missing')
                return
        if found != size:
            self._faults[pack_id] = _Fault(f'object {key} has {found} bytes instead of {size}')

    def _walk(self, current: Index, infos: list[ManifestInfo]) -> dict[bytes, int]:
        """Walk all maps; report what is not indexed; return the packs needed and their sizes."""
        pages = maps.PageReader(self._store, self._keys, current)
        good: set[bytes] = set()
        numbers: set[int] = set()
        for info in infos:
            self._reporter.tick(lambda: self._progress)
            lost: dict[str, tuple[str, list[int]]] = {}
            self._walk_one(current, pages, info, good, numbers, lost)
            for key, (message, blocks) in lost.items():
                self._report(info, key, message, blocks)
        sizes = {info.pack_id: info.size_bytes
                 for table in current.tables for info in table.packs()}
        return {pack_id: sizes[pack_id] for pack_id in map(current.pack_id, numbers)}

    def _walk_one(self, current: Index, pages: maps.PageReader, info: ManifestInfo,
                  good: set[bytes], numbers: set[int],
                  lost: dict[str, tuple[str, list[int]]]) -> None:
        page_ids: list[bytes] = []
        block_count = -(-info.size_bytes // info.block_size)

        def on_page(page_id: bytes) -> None:
            page_ids.append(page_id)
            packed = current.find_packed(page_id)
            if packed is not None:
                numbers.add(packed >> 64)

        def on_error(exc: errors.Corrupt, first: int, count: int) -> None:
            _, blocks = lost.setdefault(exc.key, (str(exc), []))
            blocks += range(first, min(first + count, block_count))

        tree = maps.MapReader(pages, info.root, info.levels)
        for leaf, ids in tree.leaves(good.__contains__, on_page, on_error):
            is_good = True
            for number, blob_id in maps.blocks_of(leaf, ids):
                packed = current.find_packed(blob_id)
                if packed is None:
                    message = 'no index segment knows where some blocks are'
                    lost.setdefault('index', (message, []))[1].append(number)
                    is_good = False
                else:
                    numbers.add(packed >> 64)
            if is_good and len(good) < _MAX_GOOD_PAGES:
                good.add(page_ids[-1])
            page_ids.clear()
            self._reporter.tick(lambda: self._progress)

    def _read_packs(self, sizes: dict[bytes, int], workers: int) -> None:
        """Read whole packs and prove every blob in them."""
        self._progress.bytes_total = sum(sizes.values())
        queue = collections.deque(sizes.items())
        stopped = threading.Event()
        lock = threading.Lock()

        def work() -> None:
            reader = pack.FrameReader(self._keys, self._parameters.largest_frame)
            buffer = buffers.make(packer.buffer_bytes(self._parameters.pack_size,
                                                      self._parameters.largest_frame))
            while not stopped.is_set():
                try:
                    pack_id, size = queue.popleft()
                except IndexError:
                    return
                if size > len(buffer):
                    buffer = buffers.make(size)
                fault = self._prove_pack(reader, pack_id, buffer[:size], stopped)
                with lock:
                    if fault is not None:
                        self._faults[pack_id] = fault
                    self._progress.bytes_done += size
                    self._progress.bytes_read += size

        packer.run_threads([work] * workers, stopped,
                           lambda: self._reporter.tick(lambda: self._progress))
        self._reporter.last(self._progress)

    def _prove_pack(self, reader: pack.FrameReader, pack_id: bytes, buffer: memoryview,
                    stopped: threading.Event) -> _Fault | None:
        key = pack.pack_key(pack_id)
        try:
            count = self._store.read_into(key, 0, buffer)
        except errors.ObjectNotFound:
            return _Fault(f'object {key} is missing')
        if count != len(buffer):
            return _Fault(f'object {key} is cut short')
        message = None
        try:
            frames = pack.parse_trailer(self._keys, pack_id, buffer)
        except errors.Corrupt as exc:
            message = str(exc)
            frames = list(pack.parse_frames(self._keys, pack_id, buffer))
        good = set()
        for frame in frames:
            if stopped.is_set():
                raise packer.Stop
            try:
                self._prove_frame(reader, pack_id, frame, buffer)
                good.add(frame.offset)
            except errors.Corrupt as exc:
                message = message or str(exc)
        return None if message is None else _Fault(message, frozenset(good))

    def _prove_frame(self, reader: pack.FrameReader, pack_id: bytes, frame: pack.FrameInfo,
                     buffer: memoryview) -> None:
        kind, ids, plain = reader.open(pack_id, frame.offset,
                                       buffer[frame.offset:frame.offset + frame.size_bytes])
        size = self._parameters.block_size if kind == pack.BLOCKS else len(plain)
        key = self._keys.block_id if kind == pack.BLOCKS else self._keys.page_id
        for number, blob_id in enumerate(ids):
            if blake3(plain[number * size:(number + 1) * size], key=key).digest() != blob_id:
                name = pack.pack_key(pack_id)
                raise errors.Corrupt(f'object {name}: blob {number} of the frame at '
                                     f'{frame.offset} is not what its id says', name)

    def _attribute(self, current: Index, infos: list[ManifestInfo]) -> None:
        """Report which bytes of which backup the faults of packs take away."""
        pages = maps.PageReader(self._store, self._keys, current)
        blamed: set[bytes] = set()
        for info in infos:
            lost: dict[bytes, list[int]] = {}
            block_count = -(-info.size_bytes // info.block_size)

            def on_error(exc: errors.Corrupt, first: int, count: int,
                         lost: dict[bytes, list[int]] = lost,
                         block_count: int = block_count) -> None:
                if exc.key.startswith('packs/'):
                    lost.setdefault(pack.pack_id_of(exc.key), []).extend(
                        range(first, min(first + count, block_count)))

            tree = maps.MapReader(pages, info.root, info.levels)
            for leaf, ids in tree.leaves(on_error=on_error):
                for number, blob_id in maps.blocks_of(leaf, ids):
                    pack_id = self._faulty_pack_of(current, blob_id)
                    if pack_id is not None:
                        lost.setdefault(pack_id, []).append(number)
            for pack_id, blocks in lost.items():
                key = pack.pack_key(pack_id)
                if any(each.backup_id == info.id and each.key == key
                       for each in self._problems):
                    continue
                fault = self._faults.get(pack_id)
                self._report(info, key, fault.message if fault else f'object {key} is damaged',
                             sorted(blocks))
                blamed.add(pack_id)
        for pack_id in self._faults.keys() - blamed:
            self._problems.append(Problem(None, pack.pack_key(pack_id), (),
                                          self._faults[pack_id].message))

    def _faulty_pack_of(self, current: Index, blob_id: bytes) -> bytes | None:
        packed = current.find_packed(blob_id)
        if packed is None:
            return None
        place = current.unpack(packed)
        fault = self._faults.get(place.pack_id)
        if fault is None or (fault.good_frames is not None
                             and place.offset in fault.good_frames):
            return None
        return place.pack_id

    def _report(self, info: ManifestInfo, key: str, message: str, blocks: list[int]) -> None:
        ranges = restorer.byte_ranges(blocks, info.block_size, info.size_bytes)
        self._problems.append(Problem(info.id, key, ranges, message))
