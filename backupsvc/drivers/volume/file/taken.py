# SPDX-License-Identifier: Apache-2.0
"""Snapshots that are taken for a task, and waiting for what is being made."""

import time
import uuid
from collections.abc import Callable, Mapping
from sqlite3 import Connection
from typing import TypeVar

from backupsvc import exception
from backupsvc.context import RequestContext
from backupsvc.drivers.base import Snapshot, Volume
from backupsvc.drivers.volume.file import catalogue, local, quotas, rows
from backupsvc.drivers.volume.file.catalogue import SNAPSHOTS, VOLUMES

T = TypeVar('T', Volume, Snapshot)

_POLL_S = 0.1


class TakenSnapshots(local.LocalFileVolumes):
    """What both ports' snapshots have in common is in the base."""

    def take_snapshot(self, context: RequestContext, volume_id: str, *, holder: str) -> Snapshot:
        volume = self._volume(context, volume_id)
        for row in self.catalogue.made_for(volume_id, holder, is_taken=True):
            settled = self._settled(SNAPSHOTS, row)
            if settled is not None and settled['status'] != 'error':
                return rows.to_snapshot(settled)
        self.remove_taken(context, volume_id, holder=holder)

        def check(connection: Connection) -> None:
            row = catalogue.get(connection, VOLUMES, volume_id)
            if row is None:
                raise exception.VolumeNotFound(volume_id=volume_id)
            if row['holder'] != holder:
                raise exception.InvalidVolume(
                    reason=f'Volume {volume_id} is not held for {holder}.')

        return rows.to_snapshot(self._make(SNAPSHOTS, {
            'id': str(uuid.uuid4()),
            'volume_id': volume_id,
            'project_id': volume['project_id'],
            'user_id': context.user_id,
            'size_gb': volume['size_gb'],
            'made_for': holder,
            'is_taken': True,
        }, volume_id, check))

    def wait_snapshot(self, context: RequestContext, snapshot_id: str,
                      deadline_s: float) -> Snapshot:
        return wait(lambda: rows.to_snapshot(self._snapshot(context, snapshot_id)),
                    f'Snapshot {snapshot_id}', deadline_s)

    def keep_snapshot(self, context: RequestContext, snapshot_id: str, *, holder: str,
                      name: str | None, description: str | None, metadata: Mapping[str, str],
                      limits: Mapping[str, int] | None = None) -> Snapshot:
        with self.catalogue.transaction() as connection:
            row = catalogue.get(connection, SNAPSHOTS, snapshot_id, rows.scope(context))
            if row is None:
                raise exception.SnapshotNotFound(snapshot_id=snapshot_id)
            if row['made_for'] is None:
                return rows.to_snapshot(row)
            if row['made_for'] != holder or row['status'] != 'available':
                raise exception.InvalidSnapshot(
                    reason=f'Snapshot {snapshot_id} is in status "{row["status"]}", or was taken'
                           ' for another task.', status=row['status'])
            volume = catalogue.get(connection, VOLUMES, row['volume_id'])
            if volume is None:
                raise exception.VolumeNotFound(volume_id=row['volume_id'])
            quotas.check(connection, row['project_id'], limits, volume['volume_type'],
                         {'snapshots': 1, 'gigabytes': row['size_gb']})
            connection.execute(
                'UPDATE snapshots SET made_for = NULL, is_taken = 0, name = ?, description = ?,'
                ' metadata = ?, updated_at = ? WHERE id = ?',
                [name, description, catalogue.dumps(dict(metadata)), catalogue.now(), snapshot_id])
        return rows.to_snapshot(self._snapshot(context, snapshot_id))

    def remove_taken(self, context: RequestContext, volume_id: str, *, holder: str) -> None:
        for file_id in self.catalogue.delete_made_for(volume_id, holder, is_taken=True):
            self.files.remove(file_id)

    def remove_snapshot(self, context: RequestContext, snapshot_id: str) -> None:
        try:
            self.delete_snapshot(context, snapshot_id)
        except exception.SnapshotNotFound:
            return


def wait(show: Callable[[], T], what: str, deadline_s: float) -> T:
    """Return what ``show`` returns once that has left ``creating``.

    :raises DriverFailed: it ended in error, or is not there in time
    """
    give_up_at = time.monotonic() + deadline_s
    while True:
        shown = show()
        if shown.status.startswith('error'):
            raise exception.DriverFailed(
                reason=f'{what} could not be made: it is in status "{shown.status}".')
        if shown.status != 'creating':
            return shown
        if time.monotonic() >= give_up_at:
            raise exception.DriverFailed(
                reason=f'{what} is still being made after {deadline_s:.0f} s.')
        time.sleep(_POLL_S)
