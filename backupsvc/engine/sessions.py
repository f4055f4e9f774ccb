# SPDX-License-Identifier: Apache-2.0
"""How archives and prunes take notice of each other: sessions and condemned lists.

The protocol and its proof are in ``doc/source/contributor/repository-format.rst``, section Pruning
beside archives.
"""

import datetime
import os
from typing import Any, NamedTuple

from backupsvc.engine import documents, errors
from backupsvc.engine.keys import Keys
from backupsvc.engine.segments import SegmentCache
from backupsvc.engine.store import ObjectInfo, Store

SESSIONS = 'sessions/'
CONDEMNED = 'condemned/'


def now() -> str:
    """Return the time as documents have it."""
    return datetime.datetime.now(datetime.UTC).isoformat()


class Session:
    """The mark of one running archive. It exists in the store from ``begin`` to ``end``."""

    def __init__(self, store: Store, keys: Keys, backup_id: str):
        self._store = store
        self._keys = keys
        session_id = os.urandom(16).hex()
        self.key = SESSIONS + session_id
        self._content: dict[str, Any] = {
            'session_id': session_id, 'backup_id': backup_id, 'started_at': now()}

    def begin(self) -> None:
        """Tell prunes that packs younger than this are in use."""
        documents.put(self._store, self._keys, self.key, self._content)

    def publish(self, root: bytes, levels: int, size_bytes: int) -> None:
        """Tell prunes what the manifest is going to need."""
        self._content.update(root=root.hex(), levels=levels, size_bytes=size_bytes)
        documents.put(self._store, self._keys, self.key, self._content)

    def is_alive(self) -> bool:
        """Return whether nobody has removed it."""
        try:
            self._store.stat(self.key)
        except errors.ObjectNotFound:
            return False
        return True

    def end(self) -> None:
        """Remove it."""
        self._store.delete(self.key)


def remove_of(store: Store, keys: Keys, backup_id: str) -> None:
    """Remove the sessions that archives of one backup left when they were killed."""
    for info in store.list(SESSIONS):
        try:
            content = documents.get(store, keys, info.key)
        except (errors.ObjectNotFound, errors.Corrupt):
            continue
        if content['backup_id'] == backup_id:
            store.delete(info.key)


class CondemnedList(NamedTuple):
    """Packs that a prune is going to delete, or has deleted."""

    info: ObjectInfo
    is_deleted: bool
    packs: frozenset[bytes]


def condemned_lists(store: Store, keys: Keys) -> list[CondemnedList]:
    """Return all condemned lists.

    :raises Corrupt: one is damaged
    """
    found = []
    for info in store.list(CONDEMNED):
        try:
            content = documents.get(store, keys, info.key)
        except errors.ObjectNotFound:
            # Removed between list and get: its packs have left the index before that.
            continue
        found.append(CondemnedList(info, content['state'] == 'deleted',
                                   frozenset(map(bytes.fromhex, content['packs']))))
    return found


class View(NamedTuple):
    """What an archive may rely on, as of one moment."""

    condemned: frozenset[str]
    has_condemned: bool
    dead_packs: frozenset[bytes]
    segments: frozenset[bytes]

    @classmethod
    def take(cls, store: Store, keys: Keys, cache: SegmentCache) -> 'View':
        """Read the condemned lists, then the list of segments, in this order."""
        lists = condemned_lists(store, keys)
        return cls(
            condemned=frozenset(each.info.key for each in lists),
            has_condemned=any(not each.is_deleted for each in lists),
            dead_packs=frozenset().union(*(each.packs for each in lists)),
            segments=cache.segment_ids())

    def still_holds(self, later: 'View', written: list[bytes]) -> bool:
        """Return whether nothing that was relied on can have gone between this view and ``later``.

        :param written: segments put by the archive itself since
        """
        return (self.condemned, self.dead_packs) == (later.condemned, later.dead_packs) \
            and self.segments.union(written) <= later.segments
