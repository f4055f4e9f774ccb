# SPDX-License-Identifier: Apache-2.0
"""One MariaDB server: its files, its process, and our own way into it."""

import contextlib
import hashlib
import os
import pathlib
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator

import pymysql
from oslo_config import cfg
from oslo_log import log as logging
from pymysql.cursors import Cursor

from backupsvc import exception
from backupsvc.drivers.database.mariadb import filters, memory, opts, processes
from backupsvc.drivers.database.mariadb.places import Place, make_open
from backupsvc.drivers.database.mariadb.records import Record

LOG = logging.getLogger(__name__)

#: Our own accounts in every server. Unix socket authentication will not do for them: a proxy that
#: runs as the same user would bring every client in with it.
ADMIN = 'os_admin'
DUMPER = 'os_backup'

_MIB = 1024 ** 2
_PING_TIMEOUT_S = 10
#: For statements that wait for others or move much data.
_STATEMENT_TIMEOUT_S = 3600
_POLL_S = 0.05
_MAX_SOCKET_PATH = 107

#: Errors by which a server shows that it lives.
_ALIVE = frozenset({1040, 1203})  # too many connections, of all and of one user


def hash_password(password: str) -> str:
    """Return the hash that servers keep of a password (mysql_native_password)."""
    inner = hashlib.sha1(password.encode('utf-8', 'surrogatepass')).digest()
    return '*' + hashlib.sha1(inner).hexdigest().upper()


class Server:
    """A server that has a record.

    :param directory: of its own, kept
    :param runtime: of its own, made anew after a restart of the host
    """

    def __init__(self, record: Record, conf: cfg.ConfigOpts, directory: pathlib.Path,
                 runtime: pathlib.Path):
        self.record = record
        self._options = conf[opts.GROUP]
        self.runtime = runtime
        self.place = Place((runtime if record.volume_path else directory) / 'volume',
                           record.volume_path, record.uid)
        self.filter = filters.FILTERS[record.filter](
            record, runtime, self._options.bind_address)
        self.limit = memory.MemoryLimit(record.id, self._options.cgroup)

    @property
    def socket(self) -> pathlib.Path:
        return self.runtime / 'run' / 'mariadb.sock'

    @property
    def _config(self) -> pathlib.Path:
        return self.runtime / 'my.cnf'

    @property
    def _marker(self) -> str:
        """The argument by which the process is known."""
        return f'--defaults-file={self._config}'

    def make_runtime(self) -> None:
        """Make the directories that a restart of the host may have taken away."""
        if len(os.fsencode(self.socket)) > _MAX_SOCKET_PATH:
            raise exception.DriverFailed(
                reason=f'The path {self.socket} is too long for a socket: set a shorter '
                       '[database_mariadb] runtime_directory.')
        make_open(self.runtime)
        if self.runtime.parent.stat().st_uid != os.geteuid():
            raise exception.DriverFailed(
                reason=f'{self.runtime.parent} belongs to somebody else: set another '
                       '[database_mariadb] runtime_directory.')
        run = self.runtime / 'run'
        run.mkdir(mode=0o700, exist_ok=True)
        if self.record.uid is not None:
            os.chown(run, self.record.uid, self.record.uid)

    def install(self) -> None:
        """Make the data directory of an empty server."""
        processes.run(
            processes.command(
                'mariadb-install-db', '--no-defaults', f'--datadir={self.place.data}',
                '--skip-test-db', '--skip-name-resolve',
                '--auth-root-authentication-method=socket', '--auth-root-socket-user=root',
                f'--innodb-log-file-size={self._log_file_mb()}M', '--innodb-buffer-pool-size=16M',
                uid=self.record.uid),
            what='The data directory could not be made', cwd=str(self.place.data))

    def start(self) -> None:
        """Start the process, which must not run, and wait until it answers, to ``record.secret``.

        :raises DriverFailed: it does not come up; nothing of it runs
        """
        self.filter.before_start()
        self._write_files()
        for path in (self.socket, self.runtime / 'run' / 'mariadb.pid'):
            path.unlink(missing_ok=True)
        self.place.release()
        self.limit.set(self.record.ram_mb)
        limit = self.record.ram_mb * _MIB if self.limit.data_bytes_needed else None
        with self._open_log() as log:
            begin = log.tell()
            process = processes.spawn(
                processes.command('mariadbd', self._marker, uid=self.record.uid, data_bytes=limit),
                output=log)
        try:
            self.limit.hold(process.pid)
            self._await(process, begin)
            self.place.reserve()
            self.filter.after_start()
        except BaseException:
            self.stop(timeout_s=0)
            raise

    def stop(self, *, timeout_s: float | None = None) -> None:
        """End the process, in order unless ``timeout_s`` is 0."""
        self.filter.after_stop()
        processes.end(self._marker, self.record.uid,
                      timeout_s=self._options.stop_timeout if timeout_s is None else timeout_s)
        self.limit.remove()

    def is_running(self) -> bool:
        """Return whether there is a process."""
        return bool(processes.running(self._marker, self.record.uid))

    def answers(self) -> bool:
        """Return whether the server lets us in, or is only too busy to."""
        try:
            with self.admin(_PING_TIMEOUT_S) as cursor:
                cursor.execute('SELECT 1')
        except pymysql.MySQLError as error:
            return error.args[0] in _ALIVE
        except exception.DriverFailed as error:
            cause = error.__cause__
            return isinstance(cause, pymysql.MySQLError) and cause.args[0] in _ALIVE
        return True

    @contextlib.contextmanager
    def admin(self, timeout_s: float = _STATEMENT_TIMEOUT_S) -> Iterator[Cursor]:
        """Yield a cursor of an account that may do everything.

        :raises DriverFailed: the server does not answer
        """
        try:
            connection = pymysql.connect(
                unix_socket=str(self.socket), user=ADMIN, password=self.record.secret,
                charset='utf8mb4', autocommit=True, connect_timeout=_PING_TIMEOUT_S,
                read_timeout=timeout_s, write_timeout=timeout_s, local_infile=False)
        except pymysql.OperationalError as error:
            LOG.warning('The database server of instance %s: %s', self.record.id, error)
            raise exception.DriverFailed(
                reason=f'The database server of instance {self.record.id} does not answer.'
            ) from error
        with connection, connection.cursor() as cursor:
            # nothing that the owner of the server has set changes what our statements mean
            cursor.execute("SET SESSION sql_mode = ''")
            yield cursor

    def _write_files(self) -> None:
        # Executed at every start, whatever the data say of accounts: they may be another server's,
        # or have been changed by root.
        (self.runtime / 'init.sql').write_text(
            f"CREATE OR REPLACE USER `{ADMIN}`@`localhost` IDENTIFIED BY PASSWORD"
            f" '{hash_password(self.record.secret)}';\n"
            f'GRANT ALL PRIVILEGES ON *.* TO `{ADMIN}`@`localhost` WITH GRANT OPTION;\n'
            f"CREATE OR REPLACE USER `{DUMPER}`@`localhost` IDENTIFIED BY PASSWORD"
            f" '{hash_password(secrets.token_hex(32))}' ACCOUNT LOCK;\n"
            f'GRANT RELOAD, PROCESS, LOCK TABLES, BINLOG MONITOR, CONNECTION ADMIN ON *.*'
            f' TO `{DUMPER}`@`localhost`;\n'
            # what an installation brings along, and would let in without a password
            "DELETE FROM mysql.global_priv WHERE user = '' OR (user = 'root' AND host <> '%');\n"
            'FLUSH PRIVILEGES;\n')
        (self.runtime / 'init.sql').chmod(0o644)
        self._config.write_text(self._configuration())
        self._config.chmod(0o644)

    def _configuration(self) -> str:
        ram_mb = self.record.ram_mb
        values: dict[str, object] = {
            'datadir': self.place.data,
            'tmpdir': self.place.path / 'tmp',
            'secure-file-priv': self.place.path / 'files',
            'socket': self.socket,
            'pid-file': self.runtime / 'run' / 'mariadb.pid',
            'log-error': self.place.error_log,
            'init-file': self.runtime / 'init.sql',
            'skip-name-resolve': 1,
            'skip-log-bin': 1,
            'symbolic-links': 0,
            'local-infile': 0,
            'character-set-server': 'utf8mb3',
            'collation-server': 'utf8mb3_general_ci',
            'innodb-buffer-pool-size': f'{memory.buffer_pool_mb(ram_mb)}M',
            'innodb-log-file-size': f'{self._log_file_mb()}M',
            'innodb-log-buffer-size': '4M',
            'key-buffer-size': '8M',
            'aria-pagecache-buffer-size': '16M',
            'query-cache-type': 0,
            'query-cache-size': 0,
            'performance-schema': 0,
            'max-connections': memory.max_connections(ram_mb),
        }
        if self.filter.is_proxy:
            values |= {'skip-networking': 1, 'proxy-protocol-networks': 'localhost'}
        else:
            values |= {'bind-address': self._options.bind_address, 'port': self.record.port}
        return '[mariadbd]\n' + ''.join(f'{name}="{value}"\n' for name, value in values.items())

    def _log_file_mb(self) -> int:
        """Return the size of the log that the server writes round and round.

        A backup fails when clients write that much while it reads none of it; what is larger takes
        room of the volume, and time to recover.
        """
        room_mb = (self.place.size_bytes() or self.record.volume_gb << 30) // _MIB
        return max(16, min(512, self.record.ram_mb // 4, room_mb // 16))

    @contextlib.contextmanager
    def _open_log(self) -> Iterator:
        """Yield the error log, opened as the user of the server would: it must not lead us
        elsewhere.
        """
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self.place.error_log, flags, 0o600)
        with open(descriptor, 'ab') as log:
            if self.record.uid is not None:
                os.fchown(descriptor, self.record.uid, self.record.uid)
            log.seek(0, os.SEEK_END)
            yield log

    def _await(self, process: subprocess.Popen, begin: int) -> None:
        give_up_at = time.monotonic() + self._options.start_timeout
        while True:
            if self.socket.exists() and self.answers():
                return
            status = process.poll()
            if status is not None or time.monotonic() > give_up_at:
                LOG.error('The database server of instance %s did not start (exit status %s): %s',
                          self.record.id, status, self._written_since(begin))
                raise exception.DriverFailed(
                    reason='The database server did not start: ' + self._reason(begin))
            time.sleep(_POLL_S)

    def _reason(self, begin: int) -> str:
        errors = [line for line in self._written_since(begin).splitlines() if '[ERROR]' in line]
        return (errors[0].partition('[ERROR]')[2].strip() if errors else
                'it gave no reason in time')

    def _written_since(self, begin: int) -> str:
        with open(self.place.error_log, 'rb') as log:
            log.seek(begin)
            return log.read(64 * 1024).decode(errors='replace')

    def remove_runtime(self) -> None:
        """Remove what ``make_runtime`` made."""
        if self.runtime.exists():
            shutil.rmtree(self.runtime)
