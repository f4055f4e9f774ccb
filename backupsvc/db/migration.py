# SPDX-License-Identifier: Apache-2.0
"""The schema's version: which the database has, which we need, and the way up."""

import contextlib
import hashlib
import pathlib
import sys
import sysconfig
from collections.abc import Iterator
from typing import Any

import sqlalchemy
from alembic import command, config, script
from alembic.runtime import migration
from oslo_db import exception as db_exception

from backupsvc.db import engine

_PACKAGE = pathlib.Path(__file__).resolve().parent.parent

#: The lock of ``sync``; any number, the same for all of us.
_LOCK_NAME = 'backupsvc-db-sync'
_LOCK_WAIT_S = 300


class MigrationsNotFound(Exception):
    """The directory with the migrations is nowhere that we are installed to."""


class SyncInProgress(Exception):
    """Another process has been changing the schema for longer than we wait."""


def migrations_directory() -> pathlib.Path:
    """Return the directory ``alembic``: of the checkout, or where the wheel's data files went.

    :raises MigrationsNotFound: it is in none of these places
    """
    places = [_PACKAGE.parent / 'alembic']
    for prefix in (sysconfig.get_path('data'), sys.prefix, str(_PACKAGE.parent),
                   str(_PACKAGE.parent.parent.parent.parent)):
        places.append(pathlib.Path(prefix) / 'share' / 'backupsvc' / 'alembic')
    for place in places:
        # The library alembic may lie beside the package too.
        if (place / 'alembic.ini').is_file():
            return place
    raise MigrationsNotFound(
        'no migrations in any of: ' + ', '.join(str(place) for place in dict.fromkeys(places)))


def _config(connection: sqlalchemy.Connection | None = None) -> config.Config:
    directory = migrations_directory()
    found = config.Config(str(directory / 'alembic.ini'))
    # The path may hold a %, which the ini format would read as a reference.
    found.set_main_option('script_location', str(directory).replace('%', '%%'))
    found.attributes['connection'] = connection
    return found


def head() -> str:
    """Return the version that this code needs.

    :raises MigrationsNotFound: see ``migrations_directory``
    """
    revision = script.ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None, 'a release without migrations'
    return revision


def revisions() -> list[str]:
    """Return every version, the oldest first."""
    walked = script.ScriptDirectory.from_config(_config()).walk_revisions()
    return [found.revision for found in walked][::-1]


def version() -> str | None:
    """Return the version that the database has; None before the first sync."""
    with engine.get_engine().connect() as connection:
        return migration.MigrationContext.configure(connection).get_current_revision()


def sync(revision: str = 'head') -> None:
    """Bring the database up to ``revision``; several that do it at once take turns.

    :raises MigrationsNotFound: see ``migrations_directory``
    :raises SyncInProgress: another one did not end within five minutes
    """
    database = engine.get_engine()
    with _locked(database), engine.schema_change() as connection:
        command.upgrade(_config(connection), revision)


@contextlib.contextmanager
def _locked(database: sqlalchemy.Engine) -> Iterator[None]:
    """Hold the lock of this database's schema, on a connection of its own."""
    if database.dialect.name == 'sqlite':
        # The transaction that changes the schema has the file's write lock from its beginning.
        yield
        return
    with database.connect() as holder:
        if database.dialect.name == 'postgresql':
            _lock_postgresql(holder)
        else:
            _lock_mysql(holder)
        try:
            yield
        finally:
            # Both locks belong to the session, which the pool would keep.
            holder.invalidate()


def _lock_postgresql(holder: sqlalchemy.Connection) -> None:
    number = int.from_bytes(hashlib.sha256(_LOCK_NAME.encode()).digest()[:7], 'big')
    holder.exec_driver_sql(f"SET lock_timeout = '{_LOCK_WAIT_S}s'")
    try:
        holder.execute(sqlalchemy.text('SELECT pg_advisory_lock(:number)'), {'number': number})
    except db_exception.DBError as error:
        raise SyncInProgress('another process is changing the schema') from error


def _lock_mysql(holder: sqlalchemy.Connection) -> None:
    # The name is the server's, not the database's, and ends at 64 characters.
    database = hashlib.sha256(str(holder.engine.url.database).encode()).hexdigest()[:32]
    taken = holder.scalar(
        sqlalchemy.text('SELECT GET_LOCK(:name, :wait)'),
        {'name': f'{_LOCK_NAME}:{database}', 'wait': _LOCK_WAIT_S})
    if taken != 1:
        raise SyncInProgress('another process is changing the schema')


def table_options(connection: sqlalchemy.Connection) -> dict[str, Any]:
    """Return the options of ``op.create_table`` that make MariaDB and MySQL compare texts exactly.

    By code point, and without ignoring spaces at the end as ``utf8mb4_bin`` does.
    """
    dialect: Any = connection.dialect
    if dialect.name not in ('mysql', 'mariadb'):
        return {}
    collation = 'utf8mb4_nopad_bin' if dialect.is_mariadb else 'utf8mb4_0900_bin'
    return {f'{dialect.name}_engine': 'InnoDB', f'{dialect.name}_charset': 'utf8mb4',
            f'{dialect.name}_collate': collation}
