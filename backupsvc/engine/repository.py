# SPDX-License-Identifier: Apache-2.0
"""A repository: what the rest of the service, and the command line, do with one.

Formats and the order of writes are in ``doc/source/contributor/repository-format.rst``. Each
operation imports what it needs: a command starts in less time than that takes for all.
"""

import base64
import contextlib
import dataclasses
import datetime
import json
import logging
import os
import threading
import time
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from backupsvc.engine import errors, manifest, segments, sessions
from backupsvc.engine.index import Index
from backupsvc.engine.keys import KEY_BYTES, Keys, KeyWrapper
from backupsvc.engine.manifest import ManifestInfo
from backupsvc.engine.parameters import Parameters
from backupsvc.engine.progress import CancelCheck, Progress, ProgressCallback, Reporter
from backupsvc.engine.source import Source, Target
from backupsvc.engine.store import Store

if TYPE_CHECKING:
    from backupsvc.engine import packer
    from backupsvc.engine.checker import VerifyReport
    from backupsvc.engine.pruner import PruneReport
    from backupsvc.engine.scanner import RebuildReport

__all__ = ['ArchiveResult', 'KeyWrapper', 'ManifestInfo', 'Parameters', 'Progress', 'Repository',
           'RestoreResult']

LOG = logging.getLogger(__name__)

CONFIG = 'config'
FORMAT = 1
_MAX_WORKERS = 4
_MAX_PASSES = 4


@dataclasses.dataclass(frozen=True, slots=True)
class ArchiveResult:
    """What an archive cost. ``object_count`` is packs, index segments and the manifest."""

    backup_id: str
    size_bytes: int
    bytes_read: int
    bytes_new: int
    bytes_stored: int
    object_count: int
    blob_count: int
    change_token: str | None
    used_changed_extents: bool
    seconds: float


@dataclasses.dataclass(frozen=True, slots=True)
class RestoreResult:
    """What a restore cost."""

    bytes_written: int
    bytes_zeroed: int
    bytes_fetched: int
    seconds: float


class _ReliedOnGone(Exception):
    """A prune took away what the map of an archive needs; the archive has to look again."""


def default_workers() -> int:
    """Return how many threads an archive or restore uses by default: the processors, at most 4.

    More would not fit into the memory that a mover may use.
    """
    return min(_MAX_WORKERS, len(os.sched_getaffinity(0)))


class Repository:
    """An open repository. One operation at a time; other processes may work on the same one."""

    def __init__(self, store: Store, config: dict[str, Any], master: bytes,
                 cache_dir: str | None, workers: int | None):
        self._store = store
        self._config = config
        self._master = master
        self._keys = Keys(master)
        self.parameters = Parameters(**config['parameters'])
        if cache_dir is not None:
            cache_dir = os.path.join(cache_dir, config['repository_id'])
        self._cache = segments.SegmentCache(store, self._keys, cache_dir)
        self._workers = workers or default_workers()

    @classmethod
    def create(cls, store: Store, wrapper: KeyWrapper, parameters: Parameters | None = None, *,
               cache_dir: str | None = None, workers: int | None = None) -> 'Repository':
        """Make a repository in an empty store.

        :param cache_dir: see ``open``
        :param workers: see ``open``
        :raises RepositoryExists: the store holds one
        """
        import uuid
        parameters = parameters or Parameters()
        master = os.urandom(KEY_BYTES)
        config: dict[str, Any] = {
            'format': FORMAT,
            'repository_id': str(uuid.uuid4()),
            'created_at': sessions.now(),
            'parameters': dataclasses.asdict(parameters),
        }
        config['check'] = _check_value(config, Keys(master))
        config['key_slot'] = _key_slot(wrapper, master, config)
        try:
            store.put(CONFIG, [_encode(config)], if_absent=True)
        except errors.ObjectExists as exc:
            raise errors.RepositoryExists('the place holds a repository already') from exc
        if not store.atomic_if_absent and store.get(CONFIG) != _encode(config):
            raise errors.RepositoryExists('somebody else made a repository here just now')
        return cls(store, config, master, cache_dir, workers)

    @classmethod
    def open(cls, store: Store, wrapper: KeyWrapper, *,
             cache_dir: str | None = None, workers: int | None = None) -> 'Repository':
        """Open a repository.

        :param cache_dir: directory for decrypted index tables, shared by all repositories; None
            for one that goes with this object
        :param workers: threads of an archive, restore or verify; None for the processors, at most
            4
        :raises RepositoryNotFound: the store holds none
        :raises WrongKey: the wrapper does not open it
        :raises UnsupportedFormat: it is of another format version
        """
        try:
            config = json.loads(store.get(CONFIG))
        except errors.ObjectNotFound as exc:
            raise errors.RepositoryNotFound('the place holds no repository') from exc
        except ValueError as exc:
            raise errors.Corrupt(f'object {CONFIG} is damaged', CONFIG) from exc
        if config.get('format') != FORMAT:
            raise errors.UnsupportedFormat(
                f'the repository is of format {config.get("format")}, this is for {FORMAT}')
        try:
            slot = config['key_slot']
            wrapped = base64.b64decode(slot['wrapped'], validate=True)
            context = config['repository_id'].encode()
            reference = slot['reference']
        except (KeyError, TypeError, ValueError) as exc:
            raise errors.Corrupt(f'object {CONFIG} is damaged', CONFIG) from exc
        master = wrapper.unwrap(reference, wrapped, context)
        if config.get('check') != _check_value(config, Keys(master)):
            raise errors.Corrupt(f'object {CONFIG} was changed after it was written', CONFIG)
        return cls(store, config, master, cache_dir, workers)

    @property
    def id(self) -> str:
        """UUID of the repository."""
        return self._config['repository_id']

    @property
    def key_reference(self) -> str:
        """The reference of the key that wraps the master key."""
        return self._config['key_slot']['reference']

    def close(self) -> None:
        """Close the store too."""
        self._cache.close()
        self._store.close()

    def archive(self, source: Source, backup_id: str, *, parent_id: str | None = None,
                facts: dict[str, Any] | None = None, workers: int | None = None,
                progress: ProgressCallback | None = None,
                cancelled: CancelCheck | None = None) -> ArchiveResult:
        """Back up a source; the backup exists when this returns.

        At most one process may archive under one id at a time. May be called again after any
        failure: what was stored is found again. When a backup of this id exists that was made for
        the same ``facts['attempt_of']``, its result is returned and nothing is done.

        :param parent_id: backup to compare with, usually the last one of the same source; only for
            speed
        :param facts: kept in the manifest; JSON
        :raises BackupExists: another backup has this id
        :raises SourceFailed: the source cannot be read
        :raises Cancelled: ``cancelled`` returned True
        """
        started = time.monotonic()
        facts = facts or {}
        done = self._done_before(backup_id, facts)
        if done is not None:
            return done
        sessions.remove_of(self._store, self._keys, backup_id)
        session = sessions.Session(self._store, self._keys, backup_id)
        try:
            for _ in range(_MAX_PASSES):
                session.begin()
                with contextlib.suppress(_ReliedOnGone):
                    return self._archive_pass(
                        source, backup_id, parent_id, facts, workers or self._workers,
                        Reporter(progress, cancelled), session, started)
                LOG.info('backup %s: a prune took away blocks that it shares; looking again',
                         backup_id)
            raise errors.RepositoryLocked(
                'prunes kept taking away what this backup shares; try again when none runs')
        finally:
            with contextlib.suppress(errors.StoreError):
                session.end()

    def restore(self, backup_id: str, target: Target, *, workers: int | None = None,
                progress: ProgressCallback | None = None,
                cancelled: CancelCheck | None = None) -> RestoreResult:
        """Write a backup to a target that is at least as large.

        :raises BackupNotFound: there is no such backup
        :raises TargetTooSmall: nothing was written
        :raises Corrupt: stored bytes are damaged or gone; everything written is right
        :raises SourceFailed: the target cannot be written
        """
        from backupsvc.engine import restorer
        started = time.monotonic()
        info = self.show_manifest(backup_id)
        current, problems = self.load_index(tolerant=True)
        try:
            work = restorer.Restorer(
                self._store, self._keys, self.parameters, current, info, target,
                reload_without=self._reload_without, reporter=Reporter(progress, cancelled))
            try:
                totals = work.run(workers or self._workers)
            except errors.Corrupt as exc:
                raise _blame_index(exc, problems) from exc
        finally:
            current.close()
        return RestoreResult(totals.written, totals.zeroed, totals.fetched,
                             time.monotonic() - started)

    def delete(self, backup_id: str) -> None:
        """Remove a backup; a missing one is no error. Its space is freed by ``prune``."""
        self._store.delete(manifest.key_of(backup_id))
        sessions.remove_of(self._store, self._keys, backup_id)

    def list_manifests(self) -> Iterator[ManifestInfo]:
        """Yield every backup, ascending by id. A damaged manifest is logged and left out."""
        for backup_id in manifest.list_ids(self._store):
            try:
                yield manifest.get(self._store, self._keys, backup_id)
            except errors.BackupNotFound:
                # Deleted since it was listed.
                continue
            except errors.Corrupt as exc:
                LOG.error('%s', exc)

    def show_manifest(self, backup_id: str) -> ManifestInfo:
        """Return one backup.

        :raises BackupNotFound: there is none
        :raises Corrupt: its manifest is damaged
        """
        return manifest.get(self._store, self._keys, backup_id)

    def verify(self, backup_ids: Collection[str] | None = None, *, full: bool = False,
               workers: int | None = None, progress: ProgressCallback | None = None,
               cancelled: CancelCheck | None = None) -> 'VerifyReport':
        """Look whether backups can be restored.

        :param backup_ids: which; None for all
        :param full: read and prove every byte; otherwise that everything is there with the right
            size
        """
        from backupsvc.engine import checker
        return checker.Checker(self._store, self._keys, self.parameters, self._cache,
                               Reporter(progress, cancelled)).run(
            backup_ids, full=full, workers=workers or self._workers)

    def prune(self, *, grace_s: float, owner: str | None = None,
              progress: ProgressCallback | None = None,
              cancelled: CancelCheck | None = None) -> 'PruneReport':
        """Free the space of what no backup needs. Safe beside running archives.

        :param grace_s: how long a pack stays after it was condemned; 0 deletes in this call
        :param owner: names this work; the lock of an earlier attempt of it, which has ended, is
            taken over
        :raises RepositoryLocked: somebody prunes already
        :raises Corrupt: a backup misses something; nothing was deleted
        """
        from backupsvc.engine import pruner
        return pruner.Pruner(self._store, self._keys, self.parameters, self._cache,
                             Reporter(progress, cancelled)).run(grace_s, owner)

    def rebuild_index(self, *, progress: ProgressCallback | None = None,
                      cancelled: CancelCheck | None = None) -> 'RebuildReport':
        """Make the index whole again from the packs, where segments are lost or damaged."""
        from backupsvc.engine import scanner
        return scanner.rebuild_index(self._store, self._keys, self._cache,
                                     Reporter(progress, cancelled))

    def rewrap(self, new_wrapper: KeyWrapper) -> None:
        """Wrap the master key by another key, in place of the current one."""
        self._config['key_slot'] = _key_slot(new_wrapper, self._master, self._config)
        self._store.put(CONFIG, [_encode(self._config)])

    def load_index(self, *, tolerant: bool = False) -> tuple[Index, list[errors.Corrupt]]:
        """Return the index of all segments, and what is wrong with those that cannot be read."""
        return self._cache.load(self._cache.segment_ids(), tolerant=tolerant)

    def _reload_without(self, bad_packs: set[bytes]) -> Index:
        # The cache is suspect too.
        self._cache.forget()
        return self._cache.load(self._cache.segment_ids(), dead_packs=bad_packs, tolerant=True)[0]

    def _done_before(self, backup_id: str, facts: dict[str, Any]) -> ArchiveResult | None:
        try:
            info = self.show_manifest(backup_id)
        except errors.BackupNotFound:
            return None
        attempt = facts.get('attempt_of')
        if attempt is None or info.facts.get('attempt_of') != attempt:
            raise errors.BackupExists(f'backup {backup_id} exists already')
        return ArchiveResult(backup_id=backup_id, size_bytes=info.size_bytes,
                             change_token=info.change_token, **info.stats)

    def _parent_of(self, parent_id: str | None) -> ManifestInfo | None:
        if parent_id is None:
            return None
        try:
            return self.show_manifest(parent_id)
        except (errors.BackupNotFound, errors.Corrupt) as exc:
            LOG.warning('the parent is of no use, everything is looked up: %s', exc)
            return None

    def _archive_pass(self, source: Source, backup_id: str, parent_id: str | None,
                      facts: dict[str, Any], workers: int, reporter: Reporter,
                      session: sessions.Session, started: float) -> ArchiveResult:
        """Archive once, up to the manifest.

        :raises _ReliedOnGone: a prune interfered
        """
        from backupsvc.engine import archiver, maps, packer
        view = sessions.View.take(self._store, self._keys, self._cache)
        current, problems = self._cache.load(view.segments, dead_packs=view.dead_packs,
                                             tolerant=True)
        # The map of the parent may lean on what is condemned or lost; the index alone does not.
        is_parent_proof = not view.has_condemned and not problems
        parent = self._parent_of(parent_id) if is_parent_proof else None
        stopped = threading.Event()
        pages = maps.PageReader(self._store, self._keys, current)
        writer = packer.PackWriter(
            self._store, self._keys, self._cache, current, stopped=stopped,
            buffer_bytes=packer.buffer_bytes(self.parameters.pack_size,
                                             self.parameters.largest_frame),
            buffer_count=archiver.make_writer_buffers(workers))
        try:
            changed = None
            if parent is not None and parent.change_token is not None \
                    and parent.size_bytes == source.size_bytes:
                changed = source.changed_extents(parent.change_token)
            work = archiver.Archiver(
                source, self._keys, self.parameters, writer, current, pages=pages,
                parent=None if parent is None
                else maps.MapReader(pages, parent.root, parent.levels),
                changed=changed, stopped=stopped, reporter=reporter)
            try:
                root = work.run(workers)
            except errors.Corrupt as exc:
                if parent is None:
                    raise
                LOG.warning('the map of the parent cannot be read, going on without it: %s', exc)
                return self._archive_pass(source, backup_id, None, facts, workers, reporter,
                                          session, started)
            session.publish(root, work.levels, work.size_bytes)
            self._make_sure(view, writer, root, work.levels)
            totals = work.progress(is_complete=True)
            stats: dict[str, Any] = {
                'bytes_read': totals.bytes_read,
                'bytes_new': totals.bytes_new,
                'bytes_stored': totals.bytes_stored,
                'object_count': writer.pack_count + len(writer.segments) + 1,
                'blob_count': sum(each.blobs for each in work.counters),
                'used_changed_extents': changed is not None,
                'seconds': round(time.monotonic() - started, 3),
            }
            self._commit(ManifestInfo(
                id=backup_id, created_at=datetime.datetime.now(datetime.UTC),
                size_bytes=work.size_bytes, block_size=self.parameters.block_size,
                levels=work.levels, root=root, parent_id=parent_id, facts=facts,
                change_token=source.change_token, stats=stats), session)
            return ArchiveResult(backup_id=backup_id, size_bytes=work.size_bytes,
                                 change_token=source.change_token, **stats)
        finally:
            stopped.set()
            writer.close()
            current.close()

    def _make_sure(self, view: sessions.View, writer: 'packer.PackWriter', root: bytes,
                   levels: int) -> None:
        """Prove that no prune has taken, or is about to take, anything that the map needs.

        :raises _ReliedOnGone: it has
        """
        from backupsvc.engine import maps
        later = sessions.View.take(self._store, self._keys, self._cache)
        if view.still_holds(later, writer.segments):
            return
        current, _ = self._cache.load(later.segments, dead_packs=later.dead_packs, tolerant=True)
        try:
            whole = maps.MapReader(maps.PageReader(self._store, self._keys, current), root, levels)
            for _, ids in whole.leaves():
                for at in range(0, len(ids), maps.ID_BYTES):
                    blob_id = ids[at:at + maps.ID_BYTES]
                    if blob_id != maps.ZERO_ID and blob_id not in current:
                        raise _ReliedOnGone
        except errors.Corrupt as exc:
            raise _ReliedOnGone from exc
        finally:
            current.close()

    def _commit(self, info: ManifestInfo, session: sessions.Session) -> None:
        try:
            manifest.put(self._store, self._keys, info)
        except errors.ObjectExists as exc:
            raise errors.BackupExists(f'backup {info.id} exists already') from exc
        if not session.is_alive():
            self._store.delete(manifest.key_of(info.id))
            raise _ReliedOnGone


def _blame_index(error: errors.Corrupt, problems: list[errors.Corrupt]) -> errors.Corrupt:
    """Return the error of a blob that is not indexed with the damaged segments as its cause."""
    if error.key != 'index' or not problems:
        return error
    return errors.Corrupt(f'{problems[0]}; {error}', problems[0].key, error.ranges)


def _check_value(config: dict[str, Any], keys: Keys) -> str:
    content = {name: config.get(name)
               for name in ('format', 'repository_id', 'created_at', 'parameters')}
    plain = json.dumps(content, sort_keys=True, separators=(',', ':')).encode()
    return blake3(plain, key=keys.config).hexdigest()


def _key_slot(wrapper: KeyWrapper, master: bytes, config: dict[str, Any]) -> dict[str, str]:
    reference, wrapped = wrapper.wrap(master, config['repository_id'].encode())
    return {'reference': reference, 'wrapped': base64.b64encode(wrapped).decode()}


def _encode(config: dict[str, Any]) -> bytes:
    return json.dumps(config, sort_keys=True, indent=1).encode()
