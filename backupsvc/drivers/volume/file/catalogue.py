# SPDX-License-Identifier: Apache-2.0
"""The file driver's own catalogue of volumes and snapshots: one SQLite file in its directory.

Safe between threads and processes: WAL, and every change is one ``BEGIN IMMEDIATE`` transaction
whose conditions are part of its statements. Rows are plain mappings here; times are ISO text in
UTC with microseconds, so that they sort as they are; metadata is JSON text.
"""

import contextlib
import datetime
import json
import os
import pathlib
import queue
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

VOLUMES = 'volumes'
SNAPSHOTS = 'snapshots'
TRANSFERS = 'transfers'

_BUSY_TIMEOUT_S = 60.0

_SCHEMA = [
    """
    CREATE TABLE volumes (
        id TEXT PRIMARY KEY,
        project_id TEXT NOT NULL,
        user_id TEXT,
        name TEXT,
        description TEXT,
        status TEXT NOT NULL,
        previous_status TEXT,
        size_gb INTEGER NOT NULL,
        created_at TEXT NOT NULL,
        updated_at TEXT,
        availability_zone TEXT,
        volume_type TEXT,
        bootable INTEGER NOT NULL DEFAULT 0,
        multiattach INTEGER NOT NULL DEFAULT 0,
        snapshot_id TEXT,
        source_volid TEXT,
        host TEXT,
        metadata TEXT NOT NULL DEFAULT '{}',
        image_metadata TEXT NOT NULL DEFAULT '{}',
        attachments TEXT NOT NULL DEFAULT '[]',
        holder TEXT,
        held_at TEXT
    );
    CREATE INDEX volumes_project ON volumes (project_id, created_at, id);
    CREATE INDEX volumes_created ON volumes (created_at, id);
    CREATE INDEX volumes_holder ON volumes (holder) WHERE holder IS NOT NULL;
    CREATE TABLE snapshots (
        id TEXT PRIMARY KEY,
        volume_id TEXT NOT NULL REFERENCES volumes (id),
        project_id TEXT NOT NULL,
        user_id TEXT,
        name TEXT,
        description TEXT,
        status TEXT NOT NULL,
        previous_status TEXT,
        size_gb INTEGER NOT NULL,
        created_at TEXT NOT NULL,
        updated_at TEXT,
        metadata TEXT NOT NULL DEFAULT '{}',
        made_for TEXT,
        holder TEXT,
        held_at TEXT
    );
    CREATE INDEX snapshots_project ON snapshots (project_id, created_at, id);
    CREATE INDEX snapshots_created ON snapshots (created_at, id);
    CREATE INDEX snapshots_volume ON snapshots (volume_id);
    CREATE INDEX snapshots_holder ON snapshots (holder) WHERE holder IS NOT NULL;
    CREATE INDEX snapshots_made_for ON snapshots (made_for) WHERE made_for IS NOT NULL;
    """,
    """
    CREATE TABLE types (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        description TEXT,
        is_public INTEGER NOT NULL DEFAULT 1,
        extra_specs TEXT NOT NULL DEFAULT '{}'
    );
    CREATE TABLE transfers (
        id TEXT PRIMARY KEY,
        volume_id TEXT NOT NULL UNIQUE REFERENCES volumes (id) ON DELETE CASCADE,
        project_id TEXT NOT NULL,
        name TEXT,
        created_at TEXT NOT NULL,
        no_snapshots INTEGER NOT NULL DEFAULT 0,
        salt BLOB NOT NULL,
        key_hash BLOB NOT NULL
    );
    CREATE INDEX transfers_project ON transfers (project_id, created_at, id);
    """,
    """
    ALTER TABLE snapshots ADD COLUMN is_taken INTEGER NOT NULL DEFAULT 0
    """,
    """
    ALTER TABLE volumes ADD COLUMN made_for TEXT
    """,
    """
    CREATE TABLE removed (id TEXT PRIMARY KEY);
    CREATE TRIGGER volume_removed AFTER DELETE ON volumes BEGIN
        INSERT OR IGNORE INTO removed (id) VALUES (OLD.id);
    END;
    CREATE TRIGGER snapshot_removed AFTER DELETE ON snapshots BEGIN
        INSERT OR IGNORE INTO removed (id) VALUES (OLD.id);
    END;
    """,
]

#: Sort keys and filters that may be used on each table → SQL expression.
_EXPRESSIONS = {
    VOLUMES: {
        'id': 'id', 'project_id': 'project_id', 'user_id': "COALESCE(user_id, '')",
        'name': "COALESCE(name, '')", 'description': "COALESCE(description, '')",
        'status': 'status', 'size_gb': 'size_gb', 'created_at': 'created_at',
        'updated_at': "COALESCE(updated_at, '')", 'availability_zone': 'availability_zone',
        'volume_type': "COALESCE(volume_type, '')", 'bootable': 'bootable', 'host': 'host',
        'snapshot_id': "COALESCE(snapshot_id, '')",
        'source_volid': "COALESCE(source_volid, '')",
    },
    SNAPSHOTS: {
        'id': 'id', 'project_id': 'project_id', 'user_id': "COALESCE(user_id, '')",
        'name': "COALESCE(name, '')", 'description': "COALESCE(description, '')",
        'status': 'status', 'size_gb': 'size_gb', 'created_at': 'created_at',
        'updated_at': "COALESCE(updated_at, '')", 'volume_id': 'volume_id',
    },
    TRANSFERS: {
        'id': 'id', 'project_id': 'project_id', 'name': "COALESCE(name, '')",
        'volume_id': 'volume_id', 'created_at': 'created_at',
    },
}


def now() -> str:
    """Return the present as the catalogue writes it."""
    return datetime.datetime.now(datetime.UTC).strftime('%Y-%m-%dT%H:%M:%S.%f')


def parse_time(text: str | None) -> datetime.datetime | None:
    """Return a time of the catalogue as aware UTC."""
    if text is None:
        return None
    return datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC)


class Catalogue:
    """The tables, and the statements that have to be one transaction."""

    def __init__(self, path: pathlib.Path):
        self._path = path
        self._idle: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        self._carried: list[queue.SimpleQueue[sqlite3.Connection]] = []
        self._pid = os.getpid()
        # SQLite gives its other files the mode of this one.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        with self.transaction() as connection:
            self._migrate(connection)

    # -- connections

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        connection.execute('PRAGMA journal_mode = WAL')
        connection.execute('PRAGMA synchronous = FULL')
        connection.execute('PRAGMA foreign_keys = ON')
        return connection

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection; what goes wrong on it ends it."""
        if self._pid != os.getpid():
            # SQLite connections must not be carried across a fork: not used, and not closed
            # either, which forgetting them would do.
            self._carried.append(self._idle)
            self._idle = queue.SimpleQueue()
            self._pid = os.getpid()
        try:
            connection = self._idle.get_nowait()
        except queue.Empty:
            connection = self._connect()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        self._idle.put(connection)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection in a write transaction, committed at the end, rolled back by an
        exception.
        """
        with self.reading() as connection:
            connection.execute('BEGIN IMMEDIATE')
            try:
                yield connection
            except BaseException:
                connection.execute('ROLLBACK')
                raise
            connection.execute('COMMIT')

    def close(self) -> None:
        """Close the connections that nobody uses."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._idle.get_nowait().close()

    @staticmethod
    def _migrate(connection: sqlite3.Connection) -> None:
        version = connection.execute('PRAGMA user_version').fetchone()[0]
        for number, script in enumerate(_SCHEMA[version:], start=version + 1):
            for statement in _statements(script):
                connection.execute(statement)
            connection.execute(f'PRAGMA user_version = {number}')

    # -- one row

    def get(self, table: str, row_id: str, project_id: str | None = None) -> sqlite3.Row | None:
        """Return a row, or None where there is none or it is not the project's (None: any
        project).
        """
        with self.reading() as connection:
            return get(connection, table, row_id, project_id)

    def acquire(self, table: str, row_id: str, project_id: str | None, *, holder: str, status: str,
                expected: Collection[str]) -> bool:
        """Take a hold by compare-and-swap; True also where it is the holder's already."""
        with self.transaction() as connection:
            taken = _execute(
                connection,
                f'UPDATE {table} SET previous_status = status, status = ?, holder = ?,'
                ' held_at = ?, updated_at = ?'
                ' WHERE id = ? AND holder IS NULL AND (? IS NULL OR project_id = ?)',
                [status, holder, now(), now(), row_id, project_id, project_id],
                ('status', expected))
            if taken:
                return True
            row = get(connection, table, row_id, project_id)
            return row is not None and row['holder'] == holder

    def release(self, table: str, row_id: str, *, holder: str, status: str | None) -> bool:
        """Give a hold back to ``status`` or to the status before; False where it is not the
        holder's.
        """
        with self.transaction() as connection:
            cursor = connection.execute(
                f'UPDATE {table} SET status = COALESCE(?, previous_status, status),'
                ' previous_status = status, holder = NULL, held_at = NULL, updated_at = ?'
                ' WHERE id = ? AND holder = ?', [status, now(), row_id, holder])
            return cursor.rowcount == 1

    def transition(self, table: str, row_id: str, project_id: str | None,
                   expected: Collection[str], changes: Mapping[str, Any]) -> bool:
        """Set columns where the status is one of ``expected`` and nobody holds the row."""
        changes = {'updated_at': now(), **changes}
        with self.transaction() as connection:
            return _execute(
                connection,
                f'UPDATE {table} SET {_assignments(changes)}'
                ' WHERE id = ? AND holder IS NULL AND (? IS NULL OR project_id = ?)',
                [*changes.values(), row_id, project_id, project_id], ('status', expected)) == 1

    def leave_creating(self, table: str, row_id: str, *, status: str, held_status: str) -> None:
        """End ``creating``; a row held since it was added goes to ``held_status``, and to error
        when given back unfilled.
        """
        with self.transaction() as connection:
            connection.execute(
                f'UPDATE {table} SET updated_at = ?,'
                ' status = CASE WHEN holder IS NULL THEN ? ELSE ? END,'
                " previous_status = CASE WHEN holder IS NULL THEN NULL ELSE 'error' END"
                " WHERE id = ? AND status = 'creating'", [now(), status, held_status, row_id])

    def update(self, table: str, row_id: str, project_id: str | None,
               changes: Mapping[str, Any]) -> bool:
        """Set columns whatever the status; False where there is no such row."""
        changes = {'updated_at': now(), **changes}
        with self.transaction() as connection:
            cursor = connection.execute(
                f'UPDATE {table} SET {_assignments(changes)}'
                ' WHERE id = ? AND (? IS NULL OR project_id = ?)',
                [*changes.values(), row_id, project_id, project_id])
            return cursor.rowcount == 1

    # -- many rows

    def made_for(self, volume_id: str, holder: str, *,
                 is_taken: bool = False) -> list[sqlite3.Row]:
        """Return the temporary snapshots that a holder has of a volume.

        :param is_taken: those that go with the holder, not with its hold of the volume
        """
        with self.reading() as connection:
            return connection.execute(
                'SELECT * FROM snapshots WHERE made_for = ? AND volume_id = ? AND is_taken = ?',
                [holder, volume_id, is_taken]).fetchall()

    def delete_made_for(self, volume_id: str, holder: str, *, is_taken: bool = False) -> list[str]:
        """Remove the rows of ``made_for``; return their ids."""
        with self.transaction() as connection:
            rows = connection.execute(
                'DELETE FROM snapshots WHERE made_for = ? AND volume_id = ? AND is_taken = ?'
                ' RETURNING id', [holder, volume_id, is_taken]).fetchall()
        return [row['id'] for row in rows]

    def taken(self) -> list[sqlite3.Row]:
        """Return every snapshot that is taken and not kept."""
        with self.reading() as connection:
            return connection.execute(
                'SELECT * FROM snapshots WHERE made_for IS NOT NULL AND is_taken = 1').fetchall()

    def holds(self) -> Iterator[tuple[str, sqlite3.Row]]:
        """Yield (table, row) of everything held."""
        for table in (VOLUMES, SNAPSHOTS):
            with self.reading() as connection:
                rows = connection.execute(
                    f'SELECT * FROM {table} WHERE holder IS NOT NULL').fetchall()
            for row in rows:
                yield table, row

    def removed(self) -> list[str]:
        """Return the ids of rows that were removed, for those whose files were not."""
        with self.reading() as connection:
            return [row['id'] for row in connection.execute('SELECT id FROM removed')]

    def forget_removed(self, row_id: str) -> None:
        """Strike an id of ``removed``, whose file is gone."""
        with self.transaction() as connection:
            connection.execute('DELETE FROM removed WHERE id = ?', [row_id])

    def ids(self) -> set[str]:
        """Return the id of every row of both tables."""
        with self.reading() as connection:
            rows = connection.execute('SELECT id FROM volumes UNION ALL SELECT id FROM snapshots')
            return {row['id'] for row in rows}

    def page(self, table: str, filters: Mapping[str, Any], sort: Sequence[tuple[str, str]],
             limit: int | None, marker: sqlite3.Row | None, offset: int) -> list[sqlite3.Row]:
        """Return the rows after ``marker`` in the order of ``sort`` (then of id)."""
        where, arguments = _where(table, filters)
        order = _order(table, sort)
        if marker is not None:
            condition, more = _after(table, order, marker)
            where += f' AND ({condition})'
            arguments += more
        statement = (
            f'SELECT * FROM {table} WHERE {where} ORDER BY '
            + ', '.join(f'{_EXPRESSIONS[table][key]} {direction}' for key, direction in order)
            + ' LIMIT ? OFFSET ?')
        with self.reading() as connection:
            return connection.execute(
                statement, [*arguments, -1 if limit is None else limit, offset]).fetchall()

    def count(self, table: str, filters: Mapping[str, Any]) -> int:
        """Return how many rows a page without limit would have."""
        where, arguments = _where(table, filters)
        with self.reading() as connection:
            return connection.execute(
                f'SELECT COUNT(*) FROM {table} WHERE {where}', arguments).fetchone()[0]


def _statements(script: str) -> Iterator[str]:
    statement = ''
    for piece in script.split(';'):
        statement += piece + ';'
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ''


def get(connection: sqlite3.Connection, table: str, row_id: str,
        project_id: str | None = None) -> sqlite3.Row | None:
    """Return a row within the caller's transaction (see Catalogue.get)."""
    return connection.execute(
        f'SELECT * FROM {table} WHERE id = ? AND (? IS NULL OR project_id = ?)',
        [row_id, project_id, project_id]).fetchone()


def insert(connection: sqlite3.Connection, table: str, row: Mapping[str, Any]) -> None:
    """Add a row within the caller's transaction."""
    connection.execute(
        f'INSERT INTO {table} ({", ".join(row)}) VALUES ({", ".join("?" * len(row))})',
        list(row.values()))


def set_column(connection: sqlite3.Connection, table: str, row_id: str, column: str,
               value: Any) -> None:
    """Set one column within the caller's transaction."""
    connection.execute(f'UPDATE {table} SET {column} = ?, updated_at = ? WHERE id = ?',
                       [value, now(), row_id])


def usage(connection: sqlite3.Connection, project_id: str) -> dict[str, int]:
    """Return what a project uses: volumes, snapshots, and gigabytes of both, in all and by type
    (``volumes_<type>``); temporary snapshots are nobody's.
    """
    used = {'volumes': 0, 'snapshots': 0, 'gigabytes': 0}
    volumes = connection.execute(
        "SELECT 'volumes', volume_type, COUNT(*), SUM(size_gb) FROM volumes"
        ' WHERE project_id = ? GROUP BY volume_type', [project_id]).fetchall()
    snapshots = connection.execute(
        "SELECT 'snapshots', v.volume_type, COUNT(*), SUM(s.size_gb) FROM snapshots s"
        ' JOIN volumes v ON v.id = s.volume_id'
        ' WHERE s.project_id = ? AND s.made_for IS NULL GROUP BY v.volume_type',
        [project_id]).fetchall()
    for resource, volume_type, count, size_gb in [*volumes, *snapshots]:
        for suffix in ('', f'_{volume_type}'):
            for name, amount in ((f'{resource}{suffix}', count),
                                 (f'gigabytes{suffix}', size_gb)):
                used[name] = used.get(name, 0) + amount
    return used


def _assignments(changes: Mapping[str, Any]) -> str:
    return ', '.join(f'{column} = ?' for column in changes)


def _execute(connection: sqlite3.Connection, statement: str, arguments: list[Any],
             condition: tuple[str, Collection[str]]) -> int:
    """Run an UPDATE with ``AND column IN (…)`` appended; return the number of rows it changed."""
    column, values = condition
    return connection.execute(
        f'{statement} AND {column} IN ({", ".join("?" * len(values))})',
        [*arguments, *values]).rowcount


def _where(table: str, filters: Mapping[str, Any]) -> tuple[str, list[Any]]:
    conditions = ['made_for IS NULL'] if table == SNAPSHOTS else ['1']
    arguments: list[Any] = []
    for key, value in filters.items():
        if key == 'metadata':
            for pair in value.items():
                conditions.append(
                    'EXISTS (SELECT 1 FROM json_each(metadata) WHERE key = ? AND value = ?)')
                arguments += pair
        elif key.removesuffix('~') not in _EXPRESSIONS[table]:
            # No volume has an attribute that does not exist.
            conditions.append('0')
        elif key.endswith('~'):
            conditions.append(f"{_EXPRESSIONS[table][key[:-1]]} LIKE ? ESCAPE '\\'")
            escaped = value.replace('\\', '\\\\').replace('%', '\\%').replace('_', '\\_')
            arguments.append(f'%{escaped}%')
        else:
            values = [value] if isinstance(value, str | int | bool) else list(value)
            conditions.append(
                f'{_EXPRESSIONS[table][key]} IN ({", ".join("?" * len(values))})')
            arguments += values
    return ' AND '.join(conditions), arguments


def _order(table: str, sort: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    order = [(key, 'DESC' if direction.lower() == 'desc' else 'ASC') for key, direction in sort]
    if not any(key == 'id' for key, _ in order):
        order.append(('id', order[-1][1] if order else 'DESC'))
    return order


def _after(table: str, order: list[tuple[str, str]],
           marker: sqlite3.Row) -> tuple[str, list[Any]]:
    """Return the condition of the rows after ``marker``: (a > x) OR (a = x AND b > y) …"""
    alternatives: list[str] = []
    arguments: list[Any] = []
    for position, (key, direction) in enumerate(order):
        parts = [f'{_EXPRESSIONS[table][previous]} = ?' for previous, _ in order[:position]]
        arguments += [_value(marker[previous]) for previous, _ in order[:position]]
        parts.append(f'{_EXPRESSIONS[table][key]} {"<" if direction == "DESC" else ">"} ?')
        arguments.append(_value(marker[key]))
        alternatives.append('(' + ' AND '.join(parts) + ')')
    # Said once more without OR, so that an index is entered where the page begins.
    key, direction = order[0]
    bound = f'{_EXPRESSIONS[table][key]} {"<=" if direction == "DESC" else ">="} ?'
    return (f'{bound} AND ({" OR ".join(alternatives)})',
            [_value(marker[key]), *arguments])


def _value(value: Any) -> Any:
    return '' if value is None else value


def dumps(value: Any) -> str:
    """Return JSON text for a column."""
    return json.dumps(value, separators=(',', ':'))


def loads(text: str) -> Any:
    """Return what ``dumps`` was given."""
    return json.loads(text)
