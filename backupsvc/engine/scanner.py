# SPDX-License-Identifier: Apache-2.0
"""Rebuild the index from the packs, where its segments are lost or damaged."""

import dataclasses

from backupsvc.engine import buffers, errors, pack, segments, sessions
from backupsvc.engine.keys import Keys
from backupsvc.engine.progress import Progress, Reporter
from backupsvc.engine.segments import SegmentCache
from backupsvc.engine.store import Store

_SEGMENT_ENTRIES = 1 << 20


@dataclasses.dataclass(slots=True)
class RebuildReport:
    """What a rebuild did. A damaged pack gives what can be opened of it."""

    packs_read: int = 0
    packs_damaged: int = 0
    segments_written: int = 0
    segments_removed: int = 0


def rebuild_index(store: Store, keys: Keys, cache: SegmentCache,
                  reporter: Reporter) -> RebuildReport:
    """Index every pack that no readable segment knows; then remove the damaged segments.

    May run beside archives: a pack that is indexed twice does no harm.
    """
    report = RebuildReport()
    cache.forget()
    dead = frozenset().union(*(each.packs for each in sessions.condemned_lists(store, keys)))
    current, damaged = cache.load(cache.segment_ids(), tolerant=True)
    known = dead.union(info.pack_id for table in current.tables for info in table.packs())
    current.close()
    progress = Progress()
    found: list[tuple[bytes, int, bytes]] = []
    entries = 0
    for info in store.list('packs/'):
        reporter.tick(lambda: progress)
        try:
            pack_id = pack.pack_id_of(info.key)
        except ValueError:
            continue
        if pack_id in known:
            continue
        report.packs_read += 1
        frames = _frames_of(store, keys, pack_id, info.size_bytes, report)
        rows = b''.join(frame.entries() for frame in frames)
        if rows:
            found.append((pack_id, info.size_bytes, rows))
            entries += len(rows) // pack.ENTRY_BYTES
        progress.bytes_done += info.size_bytes
        if entries >= _SEGMENT_ENTRIES:
            _store(cache, found, report)
            found, entries = [], 0
    if found:
        _store(cache, found, report)
    for problem in damaged:
        if problem.key.startswith(segments.PREFIX):
            store.delete(problem.key)
            report.segments_removed += 1
    return report


def _store(cache: SegmentCache, found: list[tuple[bytes, int, bytes]],
           report: RebuildReport) -> None:
    cache.store_packs(found).close()
    report.segments_written += 1


def _frames_of(store: Store, keys: Keys, pack_id: bytes, size_bytes: int,
               report: RebuildReport) -> list[pack.FrameInfo]:
    try:
        return pack.read_trailer(store, keys, pack_id, size_bytes)
    except errors.ObjectNotFound:
        return []
    except errors.Corrupt:
        report.packs_damaged += 1
    buffer = buffers.make(size_bytes)
    count = store.read_into(pack.pack_key(pack_id), 0, buffer)
    return list(pack.parse_frames(keys, pack_id, buffer[:count]))
