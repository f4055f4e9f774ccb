# SPDX-License-Identifier: Apache-2.0
"""Volume driver ``file``: volumes are sparse raw files of one directory; nothing else of a cloud
is needed.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence

from oslo_config import cfg
from oslo_log import log as logging

from backupsvc import exception
from backupsvc.context import RequestContext
from backupsvc.drivers.base import Hold, NewVolume, Snapshot, Volume
from backupsvc.drivers.volume.base import VolumeDriver
from backupsvc.drivers.volume.file import catalogue, files, local, opts, rows, taken
from backupsvc.engine.source import RawFileSource, RawFileTarget, Source, Target

LOG = logging.getLogger(__name__)


class FileVolumeDriver(taken.TakenSnapshots, local.LocalFileVolumes, VolumeDriver):
    """Volumes of this host, shared by its processes through the catalogue in the directory."""

    name = 'file'
    is_host_local = True
    serves_volumes = True

    def __init__(self, conf: cfg.ConfigOpts):
        VolumeDriver.__init__(self, conf)
        local.LocalFileVolumes.__init__(self, conf)

    @classmethod
    def list_opts(cls) -> Sequence[tuple[str, Sequence[cfg.Opt]]]:
        return [(opts.GROUP, opts.OPTS)]

    def check_setup(self) -> None:
        """Open the catalogue and remove files that crashed processes left behind.

        :raises DriverFailed: the directory cannot be used
        """
        try:
            self.remove_orphans()
        except OSError as error:
            raise exception.DriverFailed(
                reason=f'[volume_file] directory cannot be used: {error}') from error

    # -- volumes and snapshots

    def show_volume(self, context: RequestContext, volume_id: str) -> Volume:
        return rows.to_volume(self._volume(context, volume_id))

    def show_snapshot(self, context: RequestContext, snapshot_id: str) -> Snapshot:
        return rows.to_snapshot(self._snapshot(context, snapshot_id))

    def create_volume(self, context: RequestContext, new: NewVolume) -> Volume:
        return self._create_volume(context, new)

    def wait_volume(self, context: RequestContext, volume_id: str, deadline_s: float) -> Volume:
        return taken.wait(
            lambda: self.show_volume(context, volume_id), f'Volume {volume_id}', deadline_s)

    def delete_volume(self, context: RequestContext, volume_id: str, *,
                      holder: str | None = None) -> None:
        with contextlib.suppress(exception.VolumeNotFound):
            self._delete_volume(context, volume_id, holder=holder)

    def update_restored(self, context: RequestContext, volume_id: str, *,
                        name: str | None = None, description: str | None = None,
                        metadata: dict[str, str] | None = None,
                        image_metadata: dict[str, str] | None = None,
                        bootable: bool | None = None) -> None:
        changes = {
            'name': name,
            'description': description,
            'metadata': None if metadata is None else catalogue.dumps(metadata),
            'image_metadata': None if image_metadata is None else catalogue.dumps(image_metadata),
            'bootable': bootable,
        }
        changes = {column: value for column, value in changes.items() if value is not None}
        if not self.catalogue.update(catalogue.VOLUMES, volume_id, rows.scope(context), changes):
            raise exception.VolumeNotFound(volume_id=volume_id)

    # -- holds

    def acquire_volume(self, context: RequestContext, volume_id: str, *, holder: str, status: str,
                       expected: Collection[str]) -> Volume:
        taken = self.catalogue.acquire(
            catalogue.VOLUMES, volume_id, rows.scope(context),
            holder=holder, status=status, expected=expected)
        volume = self.show_volume(context, volume_id)
        if not taken:
            raise exception.InvalidVolume(
                reason=f'Volume {volume_id} must be {" or ".join(expected)}, but the current'
                       f' status is "{volume.status}".', status=volume.status)
        return volume

    def release_volume(self, context: RequestContext, volume_id: str, *, holder: str,
                       status: str | None = None) -> None:
        self._remove_made_for(volume_id, holder)
        self.catalogue.release(catalogue.VOLUMES, volume_id, holder=holder, status=status)

    def acquire_snapshot(self, context: RequestContext, snapshot_id: str, *, holder: str,
                         status: str, expected: Collection[str]) -> Snapshot:
        taken = self.catalogue.acquire(
            catalogue.SNAPSHOTS, snapshot_id, rows.scope(context),
            holder=holder, status=status, expected=expected)
        snapshot = self.show_snapshot(context, snapshot_id)
        if not taken:
            raise exception.InvalidSnapshot(
                reason=f'Snapshot {snapshot_id} must be {" or ".join(expected)}, but the current'
                       f' status is "{snapshot.status}".', status=snapshot.status)
        return snapshot

    def release_snapshot(self, context: RequestContext, snapshot_id: str, *, holder: str,
                         status: str | None = None) -> None:
        self.catalogue.release(catalogue.SNAPSHOTS, snapshot_id, holder=holder, status=status)

    def list_holds(self, context: RequestContext) -> Iterator[Hold]:
        for table, row in self.catalogue.holds():
            yield rows.to_hold(table, row)
        for row in self.catalogue.taken():
            yield rows.to_taken(row)

    # -- bytes

    def open_source(self, context: RequestContext, volume_id: str, *, snapshot_id: str | None,
                    holder: str) -> Source:
        volume = self._volume(context, volume_id)
        if snapshot_id is not None:
            snapshot = self._snapshot(context, snapshot_id)
            if snapshot['holder'] != holder:
                raise exception.InvalidSnapshot(
                    reason=f'Snapshot {snapshot_id} is not held for {holder}.')
            return RawFileSource(self._sized(snapshot))
        self._check_held(volume, holder)
        if volume['previous_status'] != 'in-use':
            return RawFileSource(self._sized(volume))
        temporary_id = self._snapshot_for(volume, holder)
        return _TemporarySource(
            str(self.files.path(temporary_id)), lambda: self._remove_made_for(volume_id, holder))

    def open_target(self, context: RequestContext, volume_id: str, *, holder: str) -> Target:
        volume = self._volume(context, volume_id)
        self._check_held(volume, holder)
        if volume['made_for'] is not None:
            self.catalogue.update(
                catalogue.VOLUMES, volume_id, rows.scope(context), {'made_for': None})
        return _LockedTarget(self._sized(volume), self.files, volume_id)

    @staticmethod
    def _check_held(volume: sqlite3.Row, holder: str) -> None:
        if volume['holder'] != holder:
            raise exception.InvalidVolume(
                reason=f'Volume {volume["id"]} is not held for {holder}.')


class _TemporarySource(RawFileSource):
    """A source whose file goes away with it."""

    def __init__(self, path: str, remove: Callable[[], None]):
        super().__init__(path)
        self._remove = remove

    def close(self) -> None:
        super().close()
        self._remove()


class _LockedTarget(RawFileTarget):
    """A target that waits for copies made from its file, and keeps new ones and other writers
    away.
    """

    def __init__(self, path: str, raw_files: files.RawFiles, volume_id: str):
        self._lock = contextlib.ExitStack()
        self._lock.enter_context(raw_files.locked(volume_id, shared=False))
        try:
            super().__init__(path)
        except BaseException:
            self._lock.close()
            raise

    def close(self) -> None:
        super().close()
        self._lock.close()
