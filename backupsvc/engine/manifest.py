# SPDX-License-Identifier: Apache-2.0
"""Manifests: one backup each."""

import dataclasses
import datetime
from collections.abc import Iterator
from typing import Any

from backupsvc.engine import documents, errors
from backupsvc.engine.keys import Keys
from backupsvc.engine.store import Store, check_key

PREFIX = 'manifests/'


@dataclasses.dataclass(frozen=True, slots=True)
class ManifestInfo:
    """A backup as its manifest describes it. ``created_at`` is aware UTC."""

    id: str
    created_at: datetime.datetime
    size_bytes: int
    block_size: int
    levels: int
    root: bytes
    parent_id: str | None
    facts: dict[str, Any]
    change_token: str | None
    stats: dict[str, Any]


def key_of(backup_id: str) -> str:
    """Return the store key of a manifest.

    :raises BackupNotFound: the id cannot be one
    """
    key = PREFIX + backup_id.lower()
    try:
        check_key(key)
    except ValueError as exc:
        raise errors.BackupNotFound(f'{backup_id!r} cannot be the id of a backup') from exc
    if '/' in backup_id:
        raise errors.BackupNotFound(f'{backup_id!r} cannot be the id of a backup')
    return key


def put(store: Store, keys: Keys, info: ManifestInfo) -> None:
    """Store a manifest; from here on the backup exists.

    :raises ObjectExists: there is one of this id
    """
    documents.put(store, keys, key_of(info.id), {
        'backup_id': info.id,
        'created_at': info.created_at.isoformat(),
        'size_bytes': info.size_bytes,
        'block_size': info.block_size,
        'levels': info.levels,
        'root': info.root.hex(),
        'parent_id': info.parent_id,
        'facts': info.facts,
        'change_token': info.change_token,
        'stats': info.stats,
    }, if_absent=True)


def get(store: Store, keys: Keys, backup_id: str) -> ManifestInfo:
    """Return a manifest.

    :raises BackupNotFound: there is none
    :raises Corrupt: it is damaged, or another backup's
    """
    key = key_of(backup_id)
    try:
        content = documents.get(store, keys, key)
    except errors.ObjectNotFound as exc:
        raise errors.BackupNotFound(f'the repository holds no backup {backup_id}') from exc
    return ManifestInfo(
        id=content['backup_id'],
        created_at=datetime.datetime.fromisoformat(content['created_at']),
        size_bytes=content['size_bytes'],
        block_size=content['block_size'],
        levels=content['levels'],
        root=bytes.fromhex(content['root']),
        parent_id=content['parent_id'],
        facts=content['facts'],
        change_token=content['change_token'],
        stats=content['stats'])


def list_ids(store: Store) -> Iterator[str]:
    """Yield the ids of all backups, ascending."""
    for info in store.list(PREFIX):
        yield info.key[len(PREFIX):]
