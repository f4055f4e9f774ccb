# SPDX-License-Identifier: Apache-2.0
"""Databases, users and grants, as statements to a server.

Values are passed as parameters, names are quoted here. In the name of a database a grant takes
``_`` and ``%`` for wildcards, so they are escaped, and looked up escaped.
"""

import contextlib
import re
import secrets
from collections.abc import Collection, Iterator, Sequence

import pymysql
from pymysql.cursors import Cursor

from backupsvc import exception
from backupsvc.drivers.base import Database, DatabaseUser, NewDatabaseUser
from backupsvc.drivers.database.mariadb.server import ADMIN, DUMPER, hash_password

ROOT = 'root'

RESERVED_DATABASES = frozenset({
    'mysql', 'information_schema', 'performance_schema', 'sys', 'lost+found'})
RESERVED_USERS = frozenset({'', ROOT, 'mysql', 'mariadb.sys', 'public', ADMIN, DUMPER})

#: In characters.
_MAX_DATABASE = 64
_MAX_USER = 80

#: Names with this prefix are names of files, taken as they are.
_RAW_PREFIX = '#mysql50#'

_CHARACTER_SET = re.compile(r'[A-Za-z0-9_]{1,64}')
#: An address, with wildcards or a netmask. A name would never match, for the servers look none up;
#: and "localhost" is what a client is called that comes through a proxy.
_HOST = re.compile(r'[0-9a-f.:%_]+(?:/[0-9.]+)?')
_HASH = re.compile(r'\*[0-9A-F]{40}')

_DATABASE_EXISTS = 1007
_DATABASE_MISSING = frozenset({1008, 1049})
_USER_FAILED = 1396
_NO_THREAD = 1094
_CANNOT_CREATE = 1006
#: What servers say of names, character sets and collations that cannot be.
_REFUSED = frozenset({
    1059,  # too long
    1102,  # no name of a database
    1115,  # unknown character set
    1253,  # collation of another character set
    1273,  # unknown collation
    1300,  # characters that names cannot have
    1470,  # too long, of a user or a host
})
#: Characters that names of a server cannot have.
_FORBIDDEN = re.compile(r'[\0\U00010000-\U0010ffff\ud800-\udfff]|^\s|\s$|^$')


class Accounts:
    """The databases and users of one server, over one connection."""

    def __init__(self, cursor: Cursor):
        self._cursor = cursor

    # -- databases

    def list_databases(self, limit: int | None, marker: str | None) -> list[Database]:
        marks = ', '.join(['%s'] * len(RESERVED_DATABASES))
        rows = self._rows(
            'SELECT schema_name, default_character_set_name, default_collation_name'
            ' FROM information_schema.schemata'
            f' WHERE LOWER(schema_name) NOT IN ({marks}) AND schema_name NOT LIKE %s'
            ' AND BINARY schema_name > %s ORDER BY BINARY schema_name' + _limit(limit),
            (*sorted(RESERVED_DATABASES), f'{_RAW_PREFIX}%', (marker or '').encode()))
        return [Database(*row) for row in rows]

    def create_databases(self, databases: Sequence[Database], exist_ok: bool) -> None:
        for database in databases:
            check_database(database)
        names = [database.name for database in databases]
        there = self._databases_there(names)
        if not exist_ok:
            for name in names:
                if name in there or names.count(name) > 1:
                    raise exception.DatabaseExists(name=name)
        made = []
        try:
            for database in databases:
                if database.name in there:
                    continue
                with _refusals(database.name):
                    self._execute(
                        f'CREATE DATABASE {"IF NOT EXISTS " if exist_ok else ""}'
                        f'{quote(database.name)}{_sets(database)}')
                made.append(database.name)
        except BaseException:
            for name in made:
                self._execute(f'DROP DATABASE IF EXISTS {quote(name)}')
            raise

    def delete_database(self, name: str) -> None:
        _check_database_name(name)
        try:
            self._execute(f'DROP DATABASE {quote(name)}')
        except pymysql.MySQLError as error:
            if error.args[0] in _DATABASE_MISSING | _REFUSED:
                raise exception.DatabaseNotFound(name=name) from None
            raise
        # the server keeps grants on what is gone, for the next of that name
        for user, host in self._rows('SELECT user, host FROM mysql.db WHERE db = %s',
                                     (_pattern(name),)):
            self._revoke(user, host, name)

    # -- users

    def list_users(self, limit: int | None,
                   marker: tuple[str, str] | None) -> list[DatabaseUser]:
        marks = ', '.join(['%s'] * len(RESERVED_USERS))
        after = marker or ('', '')
        rows = self._rows(
            'SELECT user, host FROM mysql.global_priv'
            f' WHERE LOWER(user) NOT IN ({marks}) AND host <> %s'
            " AND NOT IFNULL(JSON_VALUE(priv, '$.is_role') = 1, FALSE)"
            ' AND (BINARY user > %s OR (BINARY user = %s AND BINARY host > %s))'
            ' ORDER BY BINARY user, BINARY host' + _limit(limit),
            (*sorted(RESERVED_USERS), '', after[0].encode(), after[0].encode(),
             after[1].encode()))
        return [DatabaseUser(name, host, self._granted(name, host)) for name, host in rows]

    def show_user(self, name: str, host: str) -> DatabaseUser:
        self._check_user_there(name, host)
        host = host.lower()
        return DatabaseUser(name, host, self._granted(name, host))

    def create_users(self, users: Sequence[NewDatabaseUser], exist_ok: bool) -> None:
        seen = set()
        for user in users:
            check_user(user.name, user.host)
            _check_hash(user.password_hash)
            self._check_databases_there(user.databases)
            key = (user.name, user.host.lower())
            if not exist_ok and (key in seen or self._is_user(*key)):
                raise exception.DatabaseUserExists(name=user.name, host=user.host)
            seen.add(key)
        made = []
        try:
            for user in users:
                host = user.host.lower()
                if exist_ok and self._is_user(user.name, host):
                    self._set_password(user.name, host, user.password_hash)
                else:
                    with _refusals(user.name, host):
                        self._execute(f'CREATE USER {_account(user.name, host)}'
                                      f" IDENTIFIED BY PASSWORD '{user.password_hash}'")
                    made.append((user.name, host))
                for database in user.databases:
                    self._grant(user.name, host, database)
        except BaseException:
            for name, host in made:
                self._execute(f'DROP USER IF EXISTS {_account(name, host)}')
            raise

    def update_user(self, name: str, host: str, new_name: str | None, new_host: str | None,
                    password_hash: str | None) -> None:
        check_user(name, host)
        self._check_user_there(name, host)
        host = host.lower()
        target = (name if new_name is None else new_name,
                  host if new_host is None else new_host.lower())
        if password_hash is not None:
            _check_hash(password_hash)
        if target != (name, host):
            check_user(*target)
            if self._is_user(*target):
                raise exception.DatabaseUserExists(name=target[0], host=target[1])
            with _refusals(*target):
                self._execute(f'RENAME USER {_account(name, host)} TO {_account(*target)}')
        if password_hash is not None:
            self._set_password(*target, password_hash)

    def delete_user(self, name: str, host: str) -> None:
        check_user(name, host)
        self._check_user_there(name, host)
        host = host.lower()
        self._execute(f'DROP USER {_account(name, host)}')
        # one that is connected would go on as before
        self._end_sessions(name)

    def grant(self, name: str, host: str, databases: Collection[str]) -> None:
        self._check_user_there(name, host)
        self._check_databases_there(databases)
        for database in databases:
            self._grant(name, host.lower(), database)

    def revoke(self, name: str, host: str, database: str) -> None:
        self._check_user_there(name, host)
        host = host.lower()
        if database not in self._granted(name, host):
            raise exception.DatabaseNotFound(name=database)
        self._revoke(name, host, database)

    # -- root

    def enable_root(self, password_hash: str) -> None:
        _check_hash(password_hash)
        account = _account(ROOT, '%')
        self._execute(f'CREATE USER IF NOT EXISTS {account}'
                      f" IDENTIFIED BY PASSWORD '{password_hash}'")
        self._set_password(ROOT, '%', password_hash)
        self._execute(f'GRANT ALL PRIVILEGES ON *.* TO {account} WITH GRANT OPTION')

    def disable_root(self) -> None:
        self._execute(f'DROP USER IF EXISTS {_account(ROOT, "%")}')
        self._end_sessions(ROOT)

    def is_root_enabled(self) -> bool:
        return self._is_user(ROOT, '%')

    # -- the account of dumps

    def unlock_dumper(self) -> str:
        """Let dumps in, with a password that is returned."""
        password = secrets.token_hex(32)
        self._execute(f'ALTER USER {_account(DUMPER, "localhost")}'
                      f" IDENTIFIED BY PASSWORD '{hash_password(password)}' ACCOUNT UNLOCK")
        return password

    def lock_dumper(self) -> None:
        """Let dumps in no more."""
        self._execute(f'ALTER USER {_account(DUMPER, "localhost")} ACCOUNT LOCK')

    # -- under all of them

    def _execute(self, statement: str) -> None:
        self._cursor.execute(statement)

    def _rows(self, statement: str, values: Sequence | None) -> list[tuple]:
        self._cursor.execute(statement, values)
        return list(self._cursor.fetchall())

    def _databases_there(self, names: Collection[str]) -> set[str]:
        return {name for name in names if self._rows(
            'SELECT 1 FROM information_schema.schemata'
            ' WHERE schema_name = %s AND BINARY schema_name = %s', (name, name.encode()))}

    def _check_databases_there(self, names: Collection[str]) -> None:
        for name in names:
            _check_database_name(name)
        there = self._databases_there(names)
        for name in names:
            if name not in there:
                raise exception.DatabaseNotFound(name=name)

    def _is_user(self, name: str, host: str) -> bool:
        return bool(self._rows(
            'SELECT 1 FROM mysql.global_priv WHERE BINARY user = %s AND BINARY host = %s',
            (name.encode(), host.encode())))

    def _check_user_there(self, name: str, host: str) -> None:
        if (_FORBIDDEN.search(name) or name.lower() in RESERVED_USERS
                or not _HOST.fullmatch(host.lower()) or not self._is_user(name, host.lower())):
            raise exception.DatabaseUserNotFound(name=name, host=host)

    def _set_password(self, name: str, host: str, password_hash: str) -> None:
        self._execute(f'ALTER USER {_account(name, host)}'
                      f" IDENTIFIED BY PASSWORD '{password_hash}'")

    def _granted(self, name: str, host: str) -> tuple[str, ...]:
        rows = self._rows(
            'SELECT db FROM mysql.db WHERE BINARY user = %s AND BINARY host = %s',
            (name.encode(), host.encode()))
        return tuple(sorted(re.sub(r'\\(.)', r'\1', pattern) for pattern, in rows))

    def _grant(self, name: str, host: str, database: str) -> None:
        self._execute(f'GRANT ALL PRIVILEGES ON {quote(_pattern(database))}.*'
                      f' TO {_account(name, host)}')

    def _revoke(self, name: str, host: str, database: str) -> None:
        self._execute(f'REVOKE ALL PRIVILEGES ON {quote(_pattern(database))}.*'
                      f' FROM {_account(name, host)}')
        # a session keeps the rights on the database that it is in
        self._end_sessions(name, database)

    def _end_sessions(self, name: str, database: str | None = None) -> None:
        # not information_schema: its rows need room on a volume that may be full
        for thread, user, _, current, *_ in self._rows('SHOW PROCESSLIST', None):
            if user == name and database in (None, current):
                try:
                    self._execute(f'KILL CONNECTION {thread}')
                except pymysql.MySQLError as error:
                    if error.args[0] != _NO_THREAD:
                        raise


def check_database(database: Database) -> None:
    """Raise InvalidInput for what no database of a user can be."""
    _check_database_name(database.name)
    for word in (database.character_set, database.collation):
        if word is not None and not _CHARACTER_SET.fullmatch(word):
            raise exception.InvalidInput(reason=f'"{word}" is no character set or collation')


def _check_database_name(name: str) -> None:
    if len(name) > _MAX_DATABASE:
        raise exception.InvalidInput(
            reason=f'the name of a database has at most {_MAX_DATABASE} characters')
    if _FORBIDDEN.search(name) or name.startswith(_RAW_PREFIX):
        raise exception.InvalidInput(reason=f'"{name}" cannot be the name of a database')
    if name.lower() in RESERVED_DATABASES:
        raise exception.InvalidInput(reason=f'the database name "{name}" is reserved')


def check_user(name: str, host: str) -> None:
    """Raise InvalidInput for a name and host that no user can have."""
    if name.lower() in RESERVED_USERS:
        raise exception.InvalidInput(reason=f'the user name "{name}" is reserved')
    if _FORBIDDEN.search(name):
        raise exception.InvalidInput(reason=f'"{name}" cannot be the name of a user')
    if len(name) > _MAX_USER:
        raise exception.InvalidInput(
            reason=f'the name of a user has at most {_MAX_USER} characters')
    if not _HOST.fullmatch(host.lower()):
        raise exception.InvalidInput(
            reason=f'"{host}" is no address to connect from, with or without wildcards')


def quote(name: str) -> str:
    """Return a name as statements have it."""
    return '`' + name.replace('`', '``') + '`'


def _account(name: str, host: str) -> str:
    return f'{quote(name)}@{quote(host)}'


def _pattern(database: str) -> str:
    """Return the name of a database as grants have it."""
    return re.sub(r'([\\%_])', r'\\\1', database)


def _check_hash(text: str) -> None:
    if not _HASH.fullmatch(text):
        raise exception.InvalidInput(reason='a password must come as its hash')


def _sets(database: Database) -> str:
    words = ''
    if database.character_set is not None:
        words += f' CHARACTER SET {database.character_set}'
    if database.collation is not None:
        words += f' COLLATE {database.collation}'
    return words


def _limit(limit: int | None) -> str:
    return '' if limit is None else f' LIMIT {int(limit)}'


@contextlib.contextmanager
def _refusals(name: str, host: str | None = None) -> Iterator[None]:
    """Translate what a server says of a name that it does not take."""
    try:
        yield
    except pymysql.MySQLError as error:
        code, text = error.args[0], str(error.args[-1])
        if code in _REFUSED or (code == _CANNOT_CREATE and 'File name too long' in text):
            raise exception.InvalidInput(reason=text) from error
        if code == _DATABASE_EXISTS:
            raise exception.DatabaseExists(name=name) from error
        if code == _USER_FAILED and host is not None:
            raise exception.DatabaseUserExists(name=name, host=host) from error
        raise
