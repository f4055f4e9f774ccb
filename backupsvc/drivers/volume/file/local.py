# SPDX-License-Identifier: Apache-2.0
"""What the file driver does as a cloud's own volume service: make, change, list and remove volumes
and snapshots.
"""

import threading
import uuid
from collections.abc import Callable, Collection, Mapping
from sqlite3 import Connection, Row
from typing import Any

from oslo_log import log as logging

from backupsvc import exception
from backupsvc.context import RequestContext
from backupsvc.drivers.base import Listing, NewVolume, Snapshot, Volume
from backupsvc.drivers.volume.file import catalogue, files, quotas, rows, transfers, types
from backupsvc.drivers.volume.file.catalogue import SNAPSHOTS, VOLUMES

LOG = logging.getLogger(__name__)

_DELETABLE = ('available', 'error', 'error_restoring', 'error_extending')
_SNAPSHOT_DELETABLE = ('available', 'error')
_NOT_DELETABLE_TEXT = (
    'Volume status must be available or error or error_restoring or error_extending or'
    ' error_managing and must not be migrating, attached, belong to a group, have snapshots,'
    ' awaiting a transfer, or be disassociated from snapshots after volume transfer.')


class LocalFileVolumes(types.FileTypes, transfers.FileTransfers):
    """The wider port, and what both ports need of rows and files."""

    # -- rows

    def _settled(self, table: str, row: Row) -> Row | None:
        """Return the row, corrected where its maker died: ``creating`` is true only while somebody
        works on it.
        """
        if row['status'] != 'creating' or self.files.is_being_made(row['id']):
            return row
        self._end_making(table, row['id'], made=self.files.path(row['id']).exists())
        return self.catalogue.get(table, row['id'])

    def _volume(self, context: RequestContext, volume_id: str) -> Row:
        row = self.catalogue.get(VOLUMES, volume_id, rows.scope(context))
        row = row and self._settled(VOLUMES, row)
        if row is None:
            raise exception.VolumeNotFound(volume_id=volume_id)
        return row

    def _snapshot(self, context: RequestContext, snapshot_id: str) -> Row:
        row = self.catalogue.get(SNAPSHOTS, snapshot_id, rows.scope(context))
        row = row and self._settled(SNAPSHOTS, row)
        if row is None or (row['made_for'] is not None and not (
                row['is_taken'] and context.is_admin)):
            raise exception.SnapshotNotFound(snapshot_id=snapshot_id)
        return row

    def _sized(self, row: Row) -> str:
        """Return the path of a row's file, brought back to its size where a tool made it shorter.

        :raises DriverFailed: it is longer than the volume, or gone
        """
        path = self.files.path(row['id'])
        size_bytes = row['size_gb'] * rows.GIB
        try:
            actual = path.stat().st_size
        except FileNotFoundError as error:
            raise exception.DriverFailed(reason=f'The file {path} is gone.') from error
        if actual > size_bytes:
            raise exception.DriverFailed(
                reason=f'The file {path} has {actual} bytes; its volume has {size_bytes}.')
        if actual < size_bytes:
            self.files.extend(row['id'], size_bytes)
        return str(path)

    # -- making files

    def _make(self, table: str, values: Mapping[str, Any], origin_id: str | None,
              check: Callable[[Connection], None], *, wait: bool = False) -> Row:
        """Add a row and make its file: at once where that is quick, else by a thread while the row
        says ``creating``.

        :param origin_id: the file to copy, None for a hole
        :param check: run in the transaction that adds the row; raises what forbids it
        :param wait: return only when the file is made
        """
        file_id = values['id']
        store = self.catalogue
        fd = self.files.begin(file_id)
        try:
            with store.transaction() as connection:
                check(connection)
                catalogue.insert(connection, table, {
                    **values, 'status': 'creating', 'created_at': catalogue.now()})
        except BaseException:
            self.files.abandon(file_id, fd)
            raise
        work = (table, file_id, fd, origin_id, values['size_gb'] * rows.GIB)
        if wait or origin_id is None or self._shares_blocks:
            self._fill(*work)
        else:
            threading.Thread(target=self._fill, args=work, name=f'fill {file_id}',
                             daemon=True).start()
        row = store.get(table, file_id)
        if row is None:
            raise exception.DriverFailed(reason=f'{file_id} was removed while it was made.')
        return row

    def _fill(self, table: str, file_id: str, fd: int, origin_id: str | None,
              size_bytes: int) -> None:
        try:
            if origin_id is not None:
                with self.files.locked(origin_id, shared=True) as origin:
                    if not files.share(origin, fd):
                        files.copy(origin, fd)
            self.files.finish(file_id, fd, size_bytes)
        except OSError:
            LOG.exception('File %s of %s cannot be made', file_id, table)
            self.files.abandon(file_id, fd)
            self._end_making(table, file_id, made=False)
        else:
            self._end_making(table, file_id, made=True)

    def _end_making(self, table: str, row_id: str, *, made: bool) -> None:
        """Move a row out of ``creating``; what is held from the start goes to its holder."""
        store = self.catalogue
        if not made:
            store.leave_creating(table, row_id, status='error', held_status='error')
        else:
            store.leave_creating(table, row_id, status='available', held_status='restoring-backup')

    def remove_orphans(self) -> list[str]:
        """Remove what processes left that were killed while making or removing files; return the
        ids.

        Of whole files those whose row was removed, and no others: a catalogue that is older than
        its files must not cost a volume.
        """
        store = self.catalogue
        begun = self.files.abandoned_ids()
        known = store.ids()
        orphans = [file_id for file_id in begun if file_id not in known]
        removed = store.removed()
        for file_id in [*orphans, *removed]:
            self.files.remove(file_id)
        for file_id in removed:
            store.forget_removed(file_id)
        return [*orphans, *removed]

    # -- temporary snapshots

    def _snapshot_for(self, volume: Row, holder: str) -> str:
        """Return the temporary snapshot of a volume that is held while in use.

        One that an earlier attempt of the holder left whole is taken again: it is the same point
        in time.
        """
        for row in self.catalogue.made_for(volume['id'], holder):
            settled = self._settled(SNAPSHOTS, row)
            if settled is not None and settled['status'] == 'available':
                return settled['id']
        self._remove_made_for(volume['id'], holder)
        row = self._make(SNAPSHOTS, {
            'id': str(uuid.uuid4()),
            'volume_id': volume['id'],
            'project_id': volume['project_id'],
            'size_gb': volume['size_gb'],
            'made_for': holder,
        }, volume['id'], _no_check, wait=True)
        if row['status'] != 'available':
            raise exception.DriverFailed(
                reason=f'No temporary snapshot of volume {volume["id"]} could be made.')
        return row['id']

    def _remove_made_for(self, volume_id: str, holder: str) -> None:
        for file_id in self.catalogue.delete_made_for(volume_id, holder):
            self.files.remove(file_id)

    # -- volumes

    def _create_volume(self, context: RequestContext, new: NewVolume) -> Volume:
        project_id = context.project_id
        if project_id is None:
            raise exception.InvalidInput(reason='A volume belongs to a project.')
        if not 1 <= new.size_gb <= self._options.max_volume_gb:
            raise exception.InvalidInput(
                reason=f"Volume size '{new.size_gb}' must be an integer between 1 and"
                       f' {self._options.max_volume_gb} GiB')
        zone = new.availability_zone or self._options.availability_zone
        if zone != self._options.availability_zone:
            raise exception.InvalidInput(reason=f"Availability zone '{zone}' is invalid.")
        origin_id = new.snapshot_id or new.source_volid
        values = {
            'id': str(uuid.uuid4()),
            'project_id': project_id,
            'user_id': context.user_id,
            'name': new.name,
            'description': new.description,
            'size_gb': new.size_gb,
            'availability_zone': zone,
            'volume_type': self._type(new.volume_type).name,
            'bootable': new.bootable,
            'multiattach': new.multiattach,
            'snapshot_id': new.snapshot_id,
            'source_volid': new.source_volid,
            'host': self._host,
            'metadata': catalogue.dumps(new.metadata),
            'image_metadata': catalogue.dumps(new.image_metadata),
            'holder': new.holder,
            'held_at': new.holder and catalogue.now(),
            'made_for': new.holder,  # until it is written to
        }

        def check(connection: Connection) -> None:
            if new.snapshot_id is not None:
                _check_snapshot_origin(connection, context, new.snapshot_id, new.size_gb)
            elif new.source_volid is not None:
                _check_volume_origin(connection, context, new.source_volid, new.size_gb)
            quotas.check_size(new.limits, new.size_gb)
            quotas.check(connection, project_id, new.limits, values['volume_type'],
                         {'volumes': 1, 'gigabytes': new.size_gb})

        return rows.to_volume(self._make(VOLUMES, values, origin_id, check))

    def list_volumes(self, context: RequestContext, listing: Listing) -> list[Volume]:
        return [rows.to_volume(row) for row in self._page(
            context, VOLUMES, listing, self._volume)]

    def count_volumes(self, context: RequestContext, filters: Mapping[str, Any]) -> int:
        return self.catalogue.count(VOLUMES, _scoped(context, filters))

    def update_volume(self, context: RequestContext, volume_id: str, **changes: Any) -> Volume:
        if 'volume_type' in changes:
            changes['volume_type'] = self._type(changes['volume_type']).name
        self._update(context, VOLUMES, volume_id, changes)
        return rows.to_volume(self._volume(context, volume_id))

    def set_volume_metadata(self, context: RequestContext, volume_id: str,
                            pairs: Mapping[str, str], *, replace: bool = False,
                            image: bool = False) -> dict[str, str]:
        return self._merge(context, VOLUMES, volume_id, _metadata_column(image), pairs, replace)

    def delete_volume_metadata(self, context: RequestContext, volume_id: str, key: str, *,
                               image: bool = False) -> None:
        if not self._unset(context, VOLUMES, volume_id, _metadata_column(image), key):
            raise exception.VolumeMetadataNotFound(volume_id=volume_id, key=key)

    def transition_volume(self, context: RequestContext, volume_id: str, *,
                          expected: Collection[str], status: str) -> Volume:
        changed = self.catalogue.transition(
            VOLUMES, volume_id, rows.scope(context), expected, {'status': status})
        volume = rows.to_volume(self._volume(context, volume_id))
        if not changed:
            raise _status_refused(volume, expected)
        return volume

    def reset_volume(self, context: RequestContext, volume_id: str, *, status: str | None,
                     attachments: bool | None) -> None:
        changes: dict[str, Any] = {}
        if status is not None:
            changes |= {'status': status, 'holder': None, 'held_at': None}
        if attachments is False:
            changes['attachments'] = catalogue.dumps([])
        self._update(context, VOLUMES, volume_id, changes)

    def extend_volume(self, context: RequestContext, volume_id: str, new_size_gb: int, *,
                      limits: Mapping[str, int] | None = None) -> None:
        volume = self._volume(context, volume_id)
        if new_size_gb <= volume['size_gb']:
            raise exception.InvalidInput(
                reason='New size for extend must be greater than current size. (current:'
                       f' {volume["size_gb"]}, extended: {new_size_gb}).')
        if new_size_gb > self._options.max_volume_gb:
            raise exception.InvalidInput(
                reason=f'New size is above the {self._options.max_volume_gb} GiB allowed here.')
        expected = ('available', 'in-use')
        with self.catalogue.transaction() as connection:
            row = catalogue.get(connection, VOLUMES, volume_id, rows.scope(context))
            if row is None:
                raise exception.VolumeNotFound(volume_id=volume_id)
            if row['status'] not in expected or row['holder'] is not None:
                raise _status_refused(rows.to_volume(row), expected)
            quotas.check_size(limits, new_size_gb)
            quotas.check(connection, row['project_id'], limits, row['volume_type'],
                         {'gigabytes': new_size_gb - row['size_gb']})
            # The file first: a row must never promise more than there is.
            self.files.extend(volume_id, new_size_gb * rows.GIB)
            connection.execute(
                'UPDATE volumes SET size_gb = MAX(size_gb, ?), updated_at = ? WHERE id = ?',
                [new_size_gb, catalogue.now(), volume_id])

    def attach_volume(self, context: RequestContext, volume_id: str, *, instance_id: str | None,
                      host: str | None, mountpoint: str, mode: str) -> None:
        attachment_id = str(uuid.uuid4())
        with self.catalogue.transaction() as connection:
            row = catalogue.get(connection, VOLUMES, volume_id, rows.scope(context))
            if row is None:
                raise exception.VolumeNotFound(volume_id=volume_id)
            expected: tuple[str, ...] = ('available', 'reserved', 'attaching')
            if row['multiattach']:
                expected += ('in-use',)
            if row['status'] not in expected or row['holder'] is not None:
                raise _status_refused(rows.to_volume(row), expected)
            attachments = [*catalogue.loads(row['attachments']), {
                'id': volume_id,
                'attachment_id': attachment_id,
                'volume_id': volume_id,
                'server_id': instance_id,
                'host_name': host,
                'device': mountpoint,
                'attached_at': catalogue.now(),
                'mode': mode,
            }]
            self._set_attachments(connection, volume_id, attachments)

    def detach_volume(self, context: RequestContext, volume_id: str, *,
                      attachment_id: str | None) -> None:
        with self.catalogue.transaction() as connection:
            row = catalogue.get(connection, VOLUMES, volume_id, rows.scope(context))
            if row is None:
                raise exception.VolumeNotFound(volume_id=volume_id)
            expected = ('in-use', 'detaching')
            if row['status'] not in expected or row['holder'] is not None:
                raise _status_refused(rows.to_volume(row), expected)
            attachments = catalogue.loads(row['attachments'])
            if attachment_id is None and len(attachments) > 1:
                raise exception.InvalidVolume(
                    reason='Detach volume failed: More than one attachment, but no attachment_id'
                           ' provided.')
            left = [attachment for attachment in attachments
                    if attachment_id not in (None, attachment['attachment_id'])]
            if attachment_id is not None and len(left) == len(attachments):
                raise exception.InvalidVolume(
                    reason=f'Volume {volume_id} has no attachment {attachment_id}.')
            self._set_attachments(connection, volume_id, left)

    @staticmethod
    def _set_attachments(connection: Connection, volume_id: str,
                         attachments: list[dict[str, Any]]) -> None:
        connection.execute(
            'UPDATE volumes SET attachments = ?, previous_status = status, status = ?,'
            ' updated_at = ? WHERE id = ?',
            [catalogue.dumps(attachments), 'in-use' if attachments else 'available',
             catalogue.now(), volume_id])

    def remove_volume(self, context: RequestContext, volume_id: str, *, cascade: bool = False,
                      force: bool = False) -> None:
        self._volume(context, volume_id)
        self._delete_volume(
            context, volume_id, force=force, cascade=cascade, expected=_DELETABLE)

    def _delete_volume(self, context: RequestContext, volume_id: str, *, holder: str | None = None,
                       force: bool = False, cascade: bool = False,
                       expected: Collection[str] | None = None) -> None:
        """Remove rows in one transaction, then files; files that a crash leaves are orphans."""
        with self.catalogue.transaction() as connection:
            row = catalogue.get(connection, VOLUMES, volume_id, rows.scope(context))
            if row is None:
                raise exception.VolumeNotFound(volume_id=volume_id)
            snapshots = connection.execute(
                'SELECT * FROM snapshots WHERE volume_id = ?', [volume_id]).fetchall()
            users = [snapshot for snapshot in snapshots if snapshot['made_for'] is None]
            free = row['holder'] == holder and (
                expected is None or row['status'] in expected)
            attached = bool(catalogue.loads(row['attachments']))
            if not force and (not free or attached):
                raise exception.InvalidVolume(reason=_NOT_DELETABLE_TEXT, status=row['status'])
            if users and not (cascade and all(map(_is_snapshot_deletable, users))):
                raise exception.InvalidVolume(reason=_NOT_DELETABLE_TEXT, status=row['status'])
            connection.execute('DELETE FROM snapshots WHERE volume_id = ?', [volume_id])
            connection.execute('DELETE FROM volumes WHERE id = ?', [volume_id])
        for file_id in [volume_id, *(snapshot['id'] for snapshot in snapshots)]:
            self.files.remove(file_id)

    # -- snapshots

    def list_snapshots(self, context: RequestContext, listing: Listing) -> list[Snapshot]:
        return [rows.to_snapshot(row) for row in self._page(
            context, SNAPSHOTS, listing, self._snapshot)]

    def count_snapshots(self, context: RequestContext, filters: Mapping[str, Any]) -> int:
        return self.catalogue.count(SNAPSHOTS, _scoped(context, filters))

    def create_snapshot(self, context: RequestContext, volume_id: str, *, name: str | None,
                        description: str | None, metadata: Mapping[str, str], force: bool,
                        limits: Mapping[str, int] | None = None) -> Snapshot:
        volume = self._volume(context, volume_id)

        def check(connection: Connection) -> None:
            row = catalogue.get(connection, VOLUMES, volume_id)
            if row is None:
                raise exception.VolumeNotFound(volume_id=volume_id)
            expected = ('available', 'in-use') if force else ('available',)
            if row['status'] not in expected or row['holder'] is not None:
                raise exception.InvalidVolume(
                    reason=f'Volume {volume_id} status must be {" or ".join(expected)}, but'
                           f' current status is: {row["status"]}.', status=row['status'])
            quotas.check(connection, row['project_id'], limits, row['volume_type'],
                         {'snapshots': 1, 'gigabytes': row['size_gb']})

        return rows.to_snapshot(self._make(SNAPSHOTS, {
            'id': str(uuid.uuid4()),
            'volume_id': volume_id,
            'project_id': volume['project_id'],
            'user_id': context.user_id,
            'name': name,
            'description': description,
            'size_gb': volume['size_gb'],
            'metadata': catalogue.dumps(dict(metadata)),
        }, volume_id, check))

    def update_snapshot(self, context: RequestContext, snapshot_id: str,
                        **changes: Any) -> Snapshot:
        self._snapshot(context, snapshot_id)
        self._update(context, SNAPSHOTS, snapshot_id, changes)
        return rows.to_snapshot(self._snapshot(context, snapshot_id))

    def set_snapshot_metadata(self, context: RequestContext, snapshot_id: str,
                              pairs: Mapping[str, str], *,
                              replace: bool = False) -> dict[str, str]:
        return self._merge(context, SNAPSHOTS, snapshot_id, 'metadata', pairs, replace)

    def delete_snapshot_metadata(self, context: RequestContext, snapshot_id: str,
                                 key: str) -> None:
        if not self._unset(context, SNAPSHOTS, snapshot_id, 'metadata', key):
            raise exception.SnapshotMetadataNotFound(snapshot_id=snapshot_id, key=key)

    def reset_snapshot(self, context: RequestContext, snapshot_id: str, status: str) -> None:
        self._snapshot(context, snapshot_id)
        self._update(context, SNAPSHOTS, snapshot_id,
                     {'status': status, 'holder': None, 'held_at': None})

    def delete_snapshot(self, context: RequestContext, snapshot_id: str, *,
                        force: bool = False) -> None:
        self._snapshot(context, snapshot_id)
        with self.catalogue.transaction() as connection:
            row = catalogue.get(connection, SNAPSHOTS, snapshot_id, rows.scope(context))
            if row is None:
                raise exception.SnapshotNotFound(snapshot_id=snapshot_id)
            if not force and not _is_snapshot_deletable(row):
                raise exception.InvalidSnapshot(
                    reason='Snapshot status must be available or error, and must not be held or'
                           ' part of a group.', status=row['status'])
            connection.execute('DELETE FROM snapshots WHERE id = ?', [snapshot_id])
        self.files.remove(snapshot_id)

    # -- the rest

    def usage(self, project_id: str) -> dict[str, int]:
        with self.catalogue.reading() as connection:
            return catalogue.usage(connection, project_id)

    def list_zones(self) -> list[str]:
        return [self._options.availability_zone]

    def raw_path(self, context: RequestContext, volume_id: str) -> str:
        return self._sized(self._volume(context, volume_id))

    def _page(self, context: RequestContext, table: str, listing: Listing,
              find: Callable[[RequestContext, str], Row]) -> list[Row]:
        marker = find(context, listing.marker) if listing.marker is not None else None
        page = self.catalogue.page(
            table, _scoped(context, listing.filters), listing.sort, listing.limit, marker,
            listing.offset)
        return [row for row in (self._settled(table, found) for found in page) if row is not None]

    def _update(self, context: RequestContext, table: str, row_id: str,
                changes: Mapping[str, Any]) -> None:
        columns = {
            column: catalogue.dumps(value) if isinstance(value, dict) else value
            for column, value in changes.items()
        }
        if not self.catalogue.update(table, row_id, rows.scope(context), columns):
            raise _missing(table, row_id)

    def _merge(self, context: RequestContext, table: str, row_id: str, column: str,
               pairs: Mapping[str, str], replace: bool) -> dict[str, str]:
        with self.catalogue.transaction() as connection:
            row = catalogue.get(connection, table, row_id, rows.scope(context))
            if row is None:
                raise _missing(table, row_id)
            merged = dict(pairs) if replace else {**catalogue.loads(row[column]), **pairs}
            catalogue.set_column(connection, table, row_id, column, catalogue.dumps(merged))
        return merged

    def _unset(self, context: RequestContext, table: str, row_id: str, column: str,
               key: str) -> bool:
        with self.catalogue.transaction() as connection:
            row = catalogue.get(connection, table, row_id, rows.scope(context))
            if row is None:
                raise _missing(table, row_id)
            pairs = catalogue.loads(row[column])
            if key not in pairs:
                return False
            del pairs[key]
            catalogue.set_column(connection, table, row_id, column, catalogue.dumps(pairs))
        return True


def _no_check(connection: Connection) -> None:
    """Nothing forbids a temporary snapshot: the volume is held."""


def _metadata_column(image: bool) -> str:
    return 'image_metadata' if image else 'metadata'


def _missing(table: str, row_id: str) -> exception.NotFound:
    if table == VOLUMES:
        return exception.VolumeNotFound(volume_id=row_id)
    return exception.SnapshotNotFound(snapshot_id=row_id)


def _is_snapshot_deletable(row: Row) -> bool:
    return row['status'] in _SNAPSHOT_DELETABLE and row['holder'] is None


def _status_refused(volume: Volume, expected: Collection[str]) -> exception.InvalidVolume:
    return exception.InvalidVolume(
        reason=f'Volume {volume.id} status must be {" or ".join(expected)}, but current status'
               f' is: {volume.status}.', status=volume.status)


def _scoped(context: RequestContext, filters: Mapping[str, Any]) -> dict[str, Any]:
    project_id = rows.scope(context)
    return dict(filters) if project_id is None else {**filters, 'project_id': project_id}


def _check_snapshot_origin(connection: Connection, context: RequestContext, snapshot_id: str,
                           size_gb: int) -> None:
    row = catalogue.get(connection, SNAPSHOTS, snapshot_id, rows.scope(context))
    if row is None or row['made_for'] is not None:
        raise exception.SnapshotNotFound(snapshot_id=snapshot_id)
    if row['status'] != 'available':
        raise exception.InvalidSnapshot(
            reason="Originating snapshot status must be one of 'available' values")
    if size_gb < row['size_gb']:
        raise exception.InvalidInput(
            reason=f"Volume size '{size_gb}'GB cannot be smaller than the snapshot size"
                   f' {row["size_gb"]}GB. They must be >= original snapshot size.')


def _check_volume_origin(connection: Connection, context: RequestContext, volume_id: str,
                         size_gb: int) -> None:
    row = catalogue.get(connection, VOLUMES, volume_id, rows.scope(context))
    if row is None:
        raise exception.VolumeNotFound(volume_id=volume_id)
    if row['status'] not in ('available', 'in-use') or row['holder'] is not None:
        raise exception.InvalidVolume(
            reason="Originating volume status must be one of 'available, in-use' values")
    if size_gb < row['size_gb']:
        raise exception.InvalidInput(
            reason=f"Volume size '{size_gb}'GB cannot be smaller than original volume size"
                   f'  {row["size_gb"]}GB. They must be >= original volume size.')
