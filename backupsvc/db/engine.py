# SPDX-License-Identifier: Apache-2.0
"""Transactions on the configured database: ``@reader`` and ``@writer`` make a function one.

A decorated function takes the request context first and is handed the session second; its callers
pass the context only. A decorated function that calls another joins both into one transaction.
The outermost one is run again when the database chose it as the victim of a deadlock, could not
serialise it, or lost the connection; so a function must not have effects outside the database.
"""

import contextlib
import functools
import pathlib
import threading
from collections.abc import Callable, Iterator
from typing import Any, Concatenate, ParamSpec, TypeVar

import sqlalchemy
from oslo_db import api as db_api
from oslo_db import exception as db_exception
from oslo_db.sqlalchemy import enginefacade
from sqlalchemy import event, orm, pool

from backupsvc import conf

P = ParamSpec('P')
R = TypeVar('R')

#: Seconds that a SQLite connection waits for another one's write transaction.
SQLITE_BUSY_S = 60


@enginefacade.transaction_context_provider
class _Thread(threading.local):
    """What a thread has open: enginefacade hangs its transaction here, not on the request context.

    So a context may be shared by threads, and a plain object is enough for one.
    """

    depth = 0
    writing = False


_thread = _Thread()
_lock = threading.Lock()
_facade: Any = None


def _serialisation_failed(error: Exception) -> bool:
    """Tell whether running the transaction again may pass: none of it has happened."""
    if isinstance(error, db_exception.DBConsistencyError):
        return True
    if not isinstance(error, db_exception.DBError):
        return False
    text = str(error)
    return 'could not serialize access' in text or 'database is locked' in text


_retry = db_api.wrap_db_retry(
    max_retries=20, retry_interval=0.02, inc_retry_interval=True, max_retry_interval=2,
    retry_on_deadlock=True, retry_on_disconnect=True, jitter=True,
    exception_checker=_serialisation_failed)


def _pool_sqlite(engine: sqlalchemy.Engine, size: int) -> None:
    """Keep SQLite connections open.

    oslo.db opens one per transaction; closing the last one makes SQLite fold the write-ahead log
    into the file, which costs more than the transaction did.
    """
    old = engine.pool
    engine.pool = pool.QueuePool(
        old._creator, pool_size=size, max_overflow=-1, dialect=engine.dialect,
        _dispatch=old.dispatch)
    old.dispose()


def _prepare_sqlite(engine: sqlalchemy.Engine) -> None:
    """Make many threads and processes share one SQLite file without ``database is locked``."""

    @event.listens_for(engine, 'connect')
    def _set_pragmas(connection: Any, record: Any) -> None:
        connection.execute(f'PRAGMA busy_timeout = {SQLITE_BUSY_S * 1000}')
        # Readers see the last commit and block nobody. The mode stays with the file.
        connection.execute('PRAGMA journal_mode = WAL')

    # A transaction that begins as a reader and writes later cannot wait for its turn: what it has
    # read may have changed by then. Writers queue at the BEGIN, which oslo.db emits.
    @event.listens_for(engine, 'before_cursor_execute', retval=True)
    def _begin_as_writer(
        connection: Any, cursor: Any, statement: str, parameters: Any, *rest: Any,
    ) -> tuple[str, Any]:
        if statement == 'BEGIN' and _thread.writing:
            statement = 'BEGIN IMMEDIATE'
        return statement, parameters


def _url(connection: str) -> str:
    """Return the URL with the character set in which MariaDB takes every character.

    oslo.db would ask for ``utf8``, which has no room for characters of four bytes.
    """
    url = sqlalchemy.make_url(connection)
    if url.get_backend_name() in ('mysql', 'mariadb') and 'charset' not in url.query:
        url = url.update_query_dict({'charset': 'utf8mb4'})
    return url.render_as_string(hide_password=False)


def _make_sqlite_directory(connection: str) -> None:
    url = sqlalchemy.make_url(connection)
    if url.get_backend_name() == 'sqlite' and url.database and url.database != ':memory:':
        pathlib.Path(url.database).parent.mkdir(parents=True, exist_ok=True)


def _make_facade() -> Any:
    database = conf.current().database
    _make_sqlite_directory(database.connection)
    facade = enginefacade.transaction_context()

    def on_engine_create(engine: sqlalchemy.Engine) -> None:
        if engine.dialect.name == 'sqlite':
            _prepare_sqlite(engine)
            _pool_sqlite(engine, database.max_pool_size or 5)

    slave = database.slave_connection
    facade.configure(
        connection=_url(database.connection),
        slave_connection=_url(slave) if slave else None,
        synchronous_reader=database.synchronous_reader,
        sqlite_fk=True,
        sqlite_synchronous=database.sqlite_synchronous,
        mysql_sql_mode=database.mysql_sql_mode,
        mysql_wsrep_sync_wait=database.mysql_wsrep_sync_wait,
        connection_recycle_time=database.connection_recycle_time,
        connection_debug=database.connection_debug,
        connection_trace=database.connection_trace,
        connection_parameters=database.connection_parameters,
        max_pool_size=database.max_pool_size,
        max_overflow=database.max_overflow,
        pool_timeout=database.pool_timeout,
        max_retries=database.max_retries,
        retry_interval=database.retry_interval,
        on_engine_create=[on_engine_create],
    )
    return facade


def _current_facade() -> Any:
    global _facade
    if _facade is None:
        with _lock:
            if _facade is None:
                facade = _make_facade()
                facade.writer.get_engine()
                _facade = facade
    return _facade


def get_engine() -> sqlalchemy.Engine:
    """Return the engine that writes go to."""
    return _current_facade().writer.get_engine()


@contextlib.contextmanager
def schema_change() -> Iterator[sqlalchemy.Connection]:
    """Give a connection in a transaction that may change tables.

    On SQLite and PostgreSQL all of it happens or nothing; MariaDB commits each change of a table.
    """
    with get_engine().connect() as connection:
        raw: Any = connection.connection.dbapi_connection
        is_sqlite = connection.dialect.name == 'sqlite'
        if is_sqlite:
            # A table is altered there by making it anew, which must not empty those that refer
            # to it. Cannot be switched within a transaction.
            raw.execute('PRAGMA foreign_keys = OFF')
        _thread.writing = True
        try:
            with connection.begin():
                yield connection
        finally:
            _thread.writing = False
            if is_sqlite:
                raw.execute('PRAGMA foreign_keys = ON')


def reset() -> None:
    """Close every connection and forget the configuration; the next use reads it anew."""
    global _facade
    with _lock:
        if _facade is not None:
            _facade.dispose_pool()
        _facade = None


def _transactional(
    function: Callable[..., R], writing: bool,
) -> Callable[..., R]:

    def run(context: Any, *args: Any, **kwargs: Any) -> R:
        outer = _thread.writing
        _thread.depth += 1
        _thread.writing = outer or writing
        try:
            mode = _facade.writer if writing else _facade.reader
            with mode.using(_thread) as session:
                if writing:
                    # The transaction begins here even if the first statement is a select.
                    session.connection()
                return function(context, session, *args, **kwargs)
        except sqlalchemy.exc.OperationalError as error:
            if error.statement is not None:
                raise
            # oslo.db does not know how psycopg says that it cannot connect.
            raise db_exception.DBConnectionError(error) from error
        finally:
            _thread.depth -= 1
            _thread.writing = outer

    retried = _retry(run)

    @functools.wraps(function)
    def wrapper(context: Any, *args: Any, **kwargs: Any) -> R:
        # Here, as the first connection has [database] max_retries of its own.
        _current_facade()
        # Only the outermost transaction can be run again as a whole.
        chosen = run if _thread.depth else retried
        return chosen(context, *args, **kwargs)

    return wrapper


def reader(
    function: Callable[Concatenate[Any, orm.Session, P], R],
) -> Callable[Concatenate[Any, P], R]:
    """Make ``function(context, session, …)`` a reading transaction, called without the session."""
    return _transactional(function, writing=False)


def writer(
    function: Callable[Concatenate[Any, orm.Session, P], R],
) -> Callable[Concatenate[Any, P], R]:
    """Make ``function(context, session, …)`` a writing transaction, called without the session."""
    return _transactional(function, writing=True)
