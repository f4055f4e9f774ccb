# SPDX-License-Identifier: Apache-2.0
"""Volume types of the file driver: names from the configuration, and those that were added."""

import sqlite3
import uuid
from collections.abc import Mapping
from typing import Any

from backupsvc import exception
from backupsvc.drivers.base import VolumeType
from backupsvc.drivers.volume.file import catalogue, place

_NAMESPACE = uuid.UUID('6b1f2f36-8f0a-4c4d-9a3e-8d3c0c6f6c35')
_COLUMNS = ('description', 'is_public', 'extra_specs')


class FileTypes(place.Place):
    """The part of the port about types."""

    def list_types(self) -> list[VolumeType]:
        configured = dict.fromkeys(self._options.volume_types)
        found = [
            VolumeType(id=str(uuid.uuid5(_NAMESPACE, name)), name=name,
                       description='Sparse raw files of this host', is_default=position == 0)
            for position, name in enumerate(configured)
        ]
        with self.catalogue.reading() as connection:
            rows = connection.execute('SELECT * FROM types ORDER BY name').fetchall()
        return found + [_to_type(row) for row in rows if row['name'] not in configured]

    def _type(self, wanted: str | None) -> VolumeType:
        """Return a type by id or name; the default one for None."""
        for volume_type in self.list_types():
            if wanted in (None, volume_type.name, volume_type.id):
                return volume_type
        raise exception.VolumeTypeNotFound(volume_type=wanted)

    def create_type(self, name: str, *, description: str | None, is_public: bool,
                    extra_specs: Mapping[str, str]) -> VolumeType:
        if any(name == known.name for known in self.list_types()):
            raise exception.VolumeTypeExists(name=name)
        type_id = str(uuid.uuid4())
        try:
            with self.catalogue.transaction() as connection:
                catalogue.insert(connection, 'types', {
                    'id': type_id, 'name': name, 'description': description,
                    'is_public': is_public, 'extra_specs': catalogue.dumps(dict(extra_specs))})
        except sqlite3.IntegrityError as error:
            raise exception.VolumeTypeExists(name=name) from error
        return self._type(type_id)

    def update_type(self, type_id: str, **changes: Any) -> VolumeType:
        values = {
            name: catalogue.dumps(dict(value)) if name == 'extra_specs' else value
            for name, value in changes.items() if name in _COLUMNS
        }
        with self.catalogue.transaction() as connection:
            found = connection.execute(
                'SELECT 1 FROM types WHERE id = ?', [type_id]).fetchone()
            if found is None:
                raise exception.VolumeTypeNotFound(volume_type=type_id)
            for name, value in values.items():
                connection.execute(
                    f'UPDATE types SET {name} = ? WHERE id = ?', [value, type_id])
        return self._type(type_id)

    def delete_type(self, type_id: str) -> None:
        with self.catalogue.transaction() as connection:
            row = connection.execute(
                'SELECT * FROM types WHERE id = ?', [type_id]).fetchone()
            if row is None:
                raise exception.VolumeTypeNotFound(volume_type=type_id)
            used = connection.execute(
                'SELECT 1 FROM volumes WHERE volume_type = ? LIMIT 1', [row['name']]).fetchone()
            if used is not None:
                raise exception.VolumeTypeInUse(name=row['name'])
            connection.execute('DELETE FROM types WHERE id = ?', [type_id])


def _to_type(row: sqlite3.Row) -> VolumeType:
    return VolumeType(
        id=row['id'], name=row['name'], description=row['description'], is_default=False,
        is_public=bool(row['is_public']), extra_specs=catalogue.loads(row['extra_specs']))
