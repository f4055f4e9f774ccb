# SPDX-License-Identifier: Apache-2.0
"""Offers of volumes from one project to another, in the catalogue of the file driver."""

import hashlib
import hmac
import os
import secrets
import sqlite3
import uuid
from collections.abc import Mapping

from backupsvc import exception
from backupsvc.context import RequestContext
from backupsvc.drivers.base import Listing, Transfer
from backupsvc.drivers.volume.file import catalogue, place, quotas, rows
from backupsvc.drivers.volume.file.catalogue import TRANSFERS, VOLUMES


class FileTransfers(place.Place):
    """The part of the port about transfers."""

    def create_transfer(self, context: RequestContext, volume_id: str, *, name: str | None,
                        no_snapshots: bool) -> Transfer:
        auth_key, salt = secrets.token_hex(8), os.urandom(16)
        with self.catalogue.transaction() as connection:
            volume = catalogue.get(connection, VOLUMES, volume_id, rows.scope(context))
            if volume is None:
                raise exception.VolumeNotFound(volume_id=volume_id)
            if volume['status'] != 'available' or volume['holder'] is not None:
                raise exception.InvalidVolume(
                    reason='status must be available', status=volume['status'])
            row = {
                'id': str(uuid.uuid4()), 'volume_id': volume_id,
                'project_id': volume['project_id'], 'name': name,
                'created_at': catalogue.now(), 'no_snapshots': no_snapshots,
                'salt': salt, 'key_hash': _hash(salt, auth_key),
            }
            catalogue.insert(connection, TRANSFERS, row)
            catalogue.set_column(connection, VOLUMES, volume_id, 'status', 'awaiting-transfer')
        return _to_transfer(row, auth_key)

    def list_transfers(self, context: RequestContext, listing: Listing) -> list[Transfer]:
        marker = None
        if listing.marker is not None:
            marker = self._transfer(context, listing.marker)
        filters = dict(listing.filters)
        project_id = rows.scope(context)
        if project_id is not None:
            filters['project_id'] = project_id
        return [_to_transfer(row) for row in self.catalogue.page(
            TRANSFERS, filters, listing.sort, listing.limit, marker, listing.offset)]

    def show_transfer(self, context: RequestContext, transfer_id: str) -> Transfer:
        return _to_transfer(self._transfer(context, transfer_id))

    def _transfer(self, context: RequestContext, transfer_id: str) -> sqlite3.Row:
        row = self.catalogue.get(TRANSFERS, transfer_id, rows.scope(context))
        if row is None:
            raise exception.TransferNotFound(transfer_id=transfer_id)
        return row

    def delete_transfer(self, context: RequestContext, transfer_id: str) -> None:
        with self.catalogue.transaction() as connection:
            row = catalogue.get(connection, TRANSFERS, transfer_id, rows.scope(context))
            if row is None:
                raise exception.TransferNotFound(transfer_id=transfer_id)
            _end(connection, row)

    def accept_transfer(self, context: RequestContext, transfer_id: str, auth_key: str, *,
                        limits: Mapping[str, int] | None = None) -> Transfer:
        project_id = context.project_id
        if project_id is None:
            raise exception.InvalidInput(reason='A volume belongs to a project.')
        with self.catalogue.transaction() as connection:
            row = catalogue.get(connection, TRANSFERS, transfer_id)
            if row is None:
                raise exception.TransferNotFound(transfer_id=transfer_id)
            if not hmac.compare_digest(row['key_hash'], _hash(row['salt'], auth_key)):
                raise exception.InvalidInput(
                    reason=f'Attempt to transfer {transfer_id} with invalid auth key.')
            volume = catalogue.get(connection, VOLUMES, row['volume_id'])
            if volume is None or volume['status'] != 'awaiting-transfer':
                raise exception.InvalidVolume(reason='status must be awaiting-transfer')
            self._hand_over(connection, context, row, volume, project_id, limits)
        return _to_transfer(row)

    @staticmethod
    def _hand_over(connection: sqlite3.Connection, context: RequestContext, row: sqlite3.Row,
                   volume: sqlite3.Row, project_id: str,
                   limits: Mapping[str, int] | None) -> None:
        children = [] if row['no_snapshots'] else connection.execute(
            'SELECT * FROM snapshots WHERE volume_id = ? AND made_for IS NULL',
            [volume['id']]).fetchall()
        if volume['project_id'] != project_id:
            quotas.check(connection, project_id, limits, volume['volume_type'], {
                'volumes': 1,
                'snapshots': len(children),
                'gigabytes': volume['size_gb'] + sum(child['size_gb'] for child in children),
            })
        connection.execute('UPDATE volumes SET project_id = ?, user_id = ? WHERE id = ?',
                           [project_id, context.user_id, volume['id']])
        for child in children:
            connection.execute('UPDATE snapshots SET project_id = ?, user_id = ? WHERE id = ?',
                               [project_id, context.user_id, child['id']])
        _end(connection, row)


def _end(connection: sqlite3.Connection, row: sqlite3.Row) -> None:
    connection.execute('DELETE FROM transfers WHERE id = ?', [row['id']])
    connection.execute(
        "UPDATE volumes SET status = 'available', updated_at = ?"
        " WHERE id = ? AND status = 'awaiting-transfer'", [catalogue.now(), row['volume_id']])


def _hash(salt: bytes, auth_key: str) -> bytes:
    return hashlib.sha256(salt + auth_key.encode()).digest()


def _to_transfer(row: sqlite3.Row | Mapping, auth_key: str | None = None) -> Transfer:
    return Transfer(
        id=row['id'], volume_id=row['volume_id'], name=row['name'],
        created_at=rows.to_time(row['created_at']), source_project_id=row['project_id'],
        no_snapshots=bool(row['no_snapshots']), auth_key=auth_key)
