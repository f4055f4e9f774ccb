# SPDX-License-Identifier: Apache-2.0
"""What the mariadb driver promises beside its port: limits that are real, servers that can do no
harm, and dumps that need nothing of ours.
"""

import contextlib
import gzip
import io
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
import uuid

import pymysql
import pytest

from backupsvc import exception
from backupsvc.drivers.base import Database, StoredDump
from backupsvc.drivers.database.mariadb import filters, places
from tests.fixtures import mariadb_servers
from tests.fixtures.mariadb_servers import (
    ADMIN,
    PASSWORD,
    RAM_MB,
    commands,
    drained,
    is_refused,
    mounts_below,
    until,
)

pytestmark = pytest.mark.services

IS_ROOT = os.geteuid() == 0
NOBODY = 65534
SECRET = 'a secret that nobody writes down'


@pytest.fixture(scope='module')
def servers():
    with mariadb_servers.deployed() as deployed:
        yield deployed


@pytest.fixture(scope='module')
def driver(servers):
    return servers.driver


@pytest.fixture(scope='module')
def server(servers):
    made = servers.make()
    servers.root(made)
    return made


def status(pid):
    lines = pathlib.Path(f'/proc/{pid}/status').read_text().splitlines()
    return dict(line.split(':\t', 1) for line in lines)


def files_with(directory, text):
    return subprocess.run(['grep', '-rlaF', '--devices=skip', text, str(directory)], check=False,
                          capture_output=True, text=True).stdout.split()


def test_a_server_has_no_privilege_and_a_user_of_its_own(servers, driver, server):
    other = servers.make()
    users = set()
    for one in (server, other):
        pid, = servers.pids(one)
        shown = status(pid)
        assert int(shown['CapEff'], 16) == 0
        users.add(int(shown['Uid'].split()[0]))
        if IS_ROOT:
            assert int(shown['CapBnd'], 16) == 0 and shown['NoNewPrivs'] == '1'
    driver.remove(ADMIN, other)
    if not IS_ROOT:
        assert users == {os.geteuid()}
        return
    assert len(users) == 2 and 0 not in users
    # and nobody else reads its data
    data = servers.query(server, 'SELECT @@datadir')[0][0]
    assert os.stat(data).st_mode & 0o77 == 0 and os.stat(data).st_uid in users


def test_no_password_is_kept(servers, driver, server):
    seen = []
    driver.create_users(ADMIN, server, [servers.user('joe', password=SECRET)])
    driver.update_user(ADMIN, server, 'joe', password_hash=driver.hash_password(SECRET + '2'))
    driver.enable_root(ADMIN, server, driver.hash_password(SECRET))
    with driver.dump(ADMIN, server) as dump:
        seen += [word for _, words in commands() for word in words]
        data = drained(dump)
    servers.root(server)
    assert files_with(servers.directory, SECRET) == []
    assert SECRET.encode() not in gzip.decompress(data)
    secret = driver._records.load(server).secret
    assert not [word for word in seen if secret in word or SECRET in word]
    # the driver's own is known to the driver alone
    for path in files_with(servers.directory, secret):
        assert os.stat(path).st_mode & 0o77 == 0 and os.stat(path).st_uid == os.geteuid()


def test_the_memory_limit_is_real(servers, driver, server):
    pid, = servers.pids(server)
    limit = RAM_MB * 1024 ** 2
    if driver._server(driver._records.load(server)).limit.data_bytes_needed:
        shown = pathlib.Path(f'/proc/{pid}/limits').read_text()
        assert f'Max data size             {limit}            {limit} ' in shown
    with servers.connect(server, 'root') as connection, connection.cursor() as cursor:
        cursor.execute(f'SET GLOBAL max_allowed_packet = {1024 ** 3}')
    with servers.connect(server, 'root') as connection, connection.cursor() as cursor:
        with contextlib.suppress(pymysql.MySQLError):
            cursor.execute(f"SELECT LENGTH(REPEAT('x', {2 * limit}))")
            assert cursor.fetchone() == (None,)
    assert int(status(servers.pids(server)[0])['VmRSS'].split()[0]) < limit / 1024
    # what one statement cannot have does not end the others
    assert servers.pids(server) == [pid]
    assert servers.query(server, 'SELECT 1') == [(1,)]


@pytest.mark.parametrize('wanted', ['auto', 'haproxy'])
def test_each_filter_of_this_host(wanted):
    kind = filters.choose(wanted)
    with mariadb_servers.deployed(connection_filter=kind, volumes='never') as servers:
        server = servers.make(allowed_cidrs=['127.0.0.2/32'])
        assert is_refused(servers, server, source='127.0.0.1')
        servers.root(server)
        assert servers.query(server, 'SELECT USER()', source='127.0.0.2') == [('root@127.0.0.2',)]
        with servers.connect(server, 'root', source='127.0.0.2') as connection:
            servers.driver.set_allowed(ADMIN, server, ['127.0.0.1'])
            with pytest.raises(pymysql.MySQLError):
                connection.query('SELECT 1')
        # nothing of the server listens beside the port that is filtered
        port = servers.driver.show(ADMIN, server).port
        pids = servers.pids(server) + servers.pids(server, 'haproxy')
        assert listening(pids) == {port}
        if kind == 'haproxy':
            # the proxy is part of the server: what died is started again
            for pid in servers.pids(server, 'haproxy'):
                os.kill(pid, signal.SIGKILL)
            until(lambda: not servers.pids(server, 'haproxy'))
            servers.driver.adopt(ADMIN, server)
        assert servers.query(server, 'SELECT 1') == [(1,)]
        assert is_refused(servers, server, source='127.0.0.2')
        # nobody is the administrator by coming through the proxy
        for user in (pwd.getpwuid(os.geteuid()).pw_name, 'os_admin', 'os_backup'):
            with pytest.raises(pymysql.OperationalError):
                servers.connect(server, user, password='')


def listening(pids):
    """Return the TCP ports that processes listen on."""
    sockets = set()
    for pid in pids:
        for name in os.listdir(f'/proc/{pid}/fd'):
            with contextlib.suppress(OSError):
                sockets.add(os.readlink(f'/proc/{pid}/fd/{name}'))
    ports = set()
    for table in ('tcp', 'tcp6'):
        for line in pathlib.Path(f'/proc/net/{table}').read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == '0A' and f'socket:[{words[9]}]' in sockets:
                ports.add(int(words[1].rpartition(':')[2], 16))
    return ports


def test_a_dump_is_restored_by_hand(servers, driver, server, tmp_path):
    """With gunzip, mbstream, mariadb-backup --prepare and a server that nobody of ours made."""
    driver.create_databases(ADMIN, server, [Database('byhand')])
    servers.query(server, 'CREATE TABLE byhand.t AS SELECT seq FROM mysql.help_topic'
                          ' JOIN (SELECT 1 AS seq) s')
    wanted = servers.query(server, 'CHECKSUM TABLE byhand.t')
    with driver.dump(ADMIN, server) as dump:
        (tmp_path / 'd.xbstream.gz').write_bytes(drained(dump))
    data = tmp_path / 'data'
    data.mkdir()
    subprocess.run(f'gunzip -c {tmp_path}/d.xbstream.gz | mbstream -x -C {data}'
                   f' && mariadb-backup --no-defaults --prepare --target-dir={data}',
                   shell=True, check=True, capture_output=True)
    socket = tmp_path / 's'
    process = subprocess.Popen(
        ['/usr/sbin/mariadbd', '--no-defaults', f'--datadir={data}', f'--socket={socket}',
         '--skip-networking', '--skip-grant-tables', *(['--user=root'] if IS_ROOT else [])],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(socket.exists)
        with pymysql.connect(unix_socket=str(socket), user='root') as connection:
            with connection.cursor() as cursor:
                cursor.execute('CHECKSUM TABLE byhand.t')
                assert list(cursor.fetchall()) == wanted
    finally:
        process.kill()
        process.wait()


class Fatal(io.BytesIO):
    """A stored dump whose reader loses its program on the way."""

    def __init__(self, data, servers, server):
        super().__init__(data)
        self._servers, self._server = servers, server

    def read(self, size=-1):
        if self.tell():
            for pid in self._servers.pids(self._server, 'mbstream'):
                os.kill(pid, signal.SIGKILL)
        return super().read(min(size, 65536))


def test_a_load_whose_program_is_killed_blames_nobody(servers, driver, server):
    """The dump is as it was stored, so another attempt may succeed."""
    servers.root(server)
    servers.query(server, 'CREATE DATABASE kept')
    with driver.dump(ADMIN, server) as dump:
        data = drained(dump)
        checksum = dump.facts().checksum
    other = str(uuid.uuid4())
    driver.provision(ADMIN, other, servers.new(), for_load=True)
    with pytest.raises(exception.DriverFailed, match='ended from outside'):
        driver.load(ADMIN, other, [StoredDump(
            lambda: Fatal(data, servers, other), checksum)])
    driver.provision(ADMIN, other, servers.new(), for_load=True)
    driver.load(ADMIN, other, [StoredDump(lambda: io.BytesIO(data), checksum)])
    driver.start(ADMIN, other)
    assert ('kept',) in servers.query(other, 'SHOW DATABASES')
    driver.remove(ADMIN, other)


def _log_written(servers, server):
    [(position,)] = servers.query(
        server, "SELECT variable_value FROM information_schema.global_status"
                " WHERE variable_name = 'Innodb_lsn_current'")
    return int(position)


def test_a_dump_that_the_server_has_overrun_says_so(servers, driver, server):
    """The log is written round and round; who cannot read it in time has no dump, but a reason."""
    servers.root(server)
    servers.query(server, 'CREATE DATABASE fast')
    servers.query(server, 'CREATE TABLE fast.t SELECT seq, REPEAT(SHA2(seq, 512), 60) AS b'
                          ' FROM mysql.seq_1_to_500')
    [(_, size)] = servers.query(server, "SHOW VARIABLES LIKE 'innodb_log_file_size'")
    with driver.dump(ADMIN, server) as dump:
        dump.read(1)
        [pid] = servers.pids(server, 'mariadb-backup')
        os.kill(pid, signal.SIGSTOP)
        begin = _log_written(servers, server)
        while _log_written(servers, server) < begin + 2 * int(size):
            servers.query(server, 'UPDATE fast.t SET b = REPEAT(SHA2(RAND(), 512), 60)')
        os.kill(pid, signal.SIGCONT)
        with pytest.raises(exception.DriverFailed, match='More was written'):
            drained(dump)
    # and a server that has had much to do has memory left for dumps
    for _ in range(3):
        with driver.dump(ADMIN, server) as dump:
            assert drained(dump) and dump.facts().point


@pytest.mark.skipif(not places.can_mount(), reason='volumes are not mounted here: no root')
def test_a_volume_is_a_limit_and_grows(servers, driver):
    new = servers.new(size_mb=96)
    server = str(uuid.uuid4())
    driver.provision(ADMIN, server, new)
    servers.root(server)
    servers.query(server, 'CREATE DATABASE d')
    servers.query(server, 'CREATE TABLE d.t (i INT PRIMARY KEY AUTO_INCREMENT, b BLOB)')
    with servers.connect(server, 'root') as connection, connection.cursor() as cursor:
        with pytest.raises(pymysql.MySQLError, match='full'):
            for _ in range(1000):
                cursor.execute("INSERT INTO d.t (b) SELECT REPEAT('x', 2000)"
                               ' FROM mysql.help_topic LIMIT 500')
        cursor.execute('SELECT COUNT(*) FROM d.t')
        assert cursor.fetchone()[0] >= 500
    shown = driver.show(ADMIN, server)
    assert shown.size_bytes < 96 * 1024 ** 2 and shown.used_bytes > 0.8 * shown.size_bytes
    # full, it goes on, and what it holds can be read and backed up
    before = servers.query(server, 'CHECKSUM TABLE d.t')
    with driver.dump(ADMIN, server) as dump:
        data = drained(dump)
    # also when it has to recover, which needs some room
    for pid in servers.pids(server):
        os.kill(pid, signal.SIGKILL)
    until(lambda: not servers.pids(server))
    driver.adopt(ADMIN, server)
    assert servers.query(server, 'CHECKSUM TABLE d.t') == before
    with open(new.volume_path, 'r+b') as file:
        file.truncate(256 * 1024 ** 2)
    driver.resize_volume(ADMIN, server, 2)
    assert driver.show(ADMIN, server).size_bytes > shown.size_bytes * 2
    assert servers.query(server, 'CHECKSUM TABLE d.t') == before
    servers.query(server, "INSERT INTO d.t (b) VALUES (REPEAT('x', 60000))")
    with pytest.raises(exception.InvalidInput):
        driver.resize_volume(ADMIN, server, 1)

    # what does not fit is refused, and leaves nothing
    small = str(uuid.uuid4())
    driver.provision(ADMIN, small, servers.new(size_mb=24), for_load=True)
    with pytest.raises(exception.DriverFailed, match='no room'):
        driver.load(ADMIN, small, [StoredDump(lambda: io.BytesIO(data))])
    assert driver.show(ADMIN, small).used_bytes < 16 * 1024 ** 2
    # a manager that comes after a restart of the host finds no mount
    driver.stop(ADMIN, server)
    mount, = [point for point in mounts_below(servers.directory) if server in point]
    subprocess.run(['umount', mount], check=True)
    servers.reopen().adopt(ADMIN, server)
    servers.query(server, 'SELECT COUNT(*) FROM d.t')
    for one in (server, small):
        driver.remove(ADMIN, one)
    assert not [point for point in mounts_below(servers.directory) if server in point]


KILLED = '''
import os, sys
sys.path.insert(0, {root!r})
from tests.fixtures import mariadb_servers
servers = object.__new__(mariadb_servers.Servers)
import pathlib
mariadb_servers.Servers.__init__(servers, pathlib.Path({directory!r}))
from backupsvc.drivers.base import NewDatabaseServer
servers.driver.provision(mariadb_servers.ADMIN, {server!r}, NewDatabaseServer(**{new!r}))
print('made', flush=True)
'''


@pytest.mark.parametrize('moment', ['mariadb-install-db', 'mariadbd'])
def test_a_manager_is_killed_while_it_makes_a_server(servers, driver, moment):
    server = str(uuid.uuid4())
    new = servers.new()
    root = pathlib.Path(__file__).resolve().parents[3]
    process = subprocess.Popen([sys.executable, '-c', KILLED.format(
        root=str(root), directory=str(servers.directory), server=server,
        new={'ram_mb': new.ram_mb, 'volume_gb': 1, 'volume_path': new.volume_path})])

    def begun():
        assert process.poll() is None
        return [words for _, words in commands()
                if any(server in word for word in words)
                and any(os.path.basename(word) == moment for word in words)]

    until(begun)
    process.kill()
    process.wait()
    assert driver.list_servers() == sorted(
        [server, *(one for one in driver.list_servers() if one != server)])
    made = driver.provision(ADMIN, server, new)
    assert made.is_running
    assert len(servers.pids(server)) == 1
    driver.create_databases(ADMIN, server, [Database('d')])
    driver.remove(ADMIN, server)
    assert not [words for _, words in commands() if any(server in word for word in words)]
    assert not [point for point in mounts_below(servers.directory) if server in point]


def test_root_can_harm_itself_only(servers, driver, server):
    """Somebody who is root removes our accounts and stops the server."""
    driver.enable_root(ADMIN, server, driver.hash_password(PASSWORD))
    with servers.connect(server, 'root') as connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM mysql.global_priv WHERE user LIKE 'os%'")
        cursor.execute('FLUSH PRIVILEGES')
        with pytest.raises(pymysql.MySQLError):
            cursor.execute("SELECT 'x' INTO OUTFILE '/tmp/backupsvc-outside'")
        cursor.execute("SELECT LOAD_FILE('/etc/passwd')")
        assert cursor.fetchone() == (None,)
    with pytest.raises(exception.DriverFailed):
        driver.list_databases(ADMIN, server)
    driver.adopt(ADMIN, server)
    assert driver.list_databases(ADMIN, server) is not None
    with contextlib.suppress(pymysql.MySQLError):
        servers.query(server, 'SHUTDOWN')
    until(lambda: not servers.pids(server))
    driver.adopt(ADMIN, server)
    assert driver.is_root_enabled(ADMIN, server)


def test_a_manager_that_is_not_root(servers, driver, server):
    """The same without any privilege: plain directories, a proxy, one user for all."""
    with driver.dump(ADMIN, server) as dump:
        drained(dump)  # so that the child, which may not read our modules, has them
    directory = pathlib.Path(tempfile.mkdtemp(prefix='db-', dir='/var/tmp'))
    if IS_ROOT:
        os.chown(directory, NOBODY, NOBODY)
    pid = os.fork()
    if not pid:
        try:
            if IS_ROOT:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            live_without_privilege(mariadb_servers.Servers(directory))
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    _, ended = os.waitpid(pid, 0)
    shutil.rmtree(directory)
    assert ended == 0


def live_without_privilege(servers):
    driver = servers.driver
    assert not driver.wants_volume()
    server = servers.make()
    try:
        servers.root(server)
        assert {int(status(pid)['Uid'].split()[0]) for pid in servers.pids(server)} == {
            os.geteuid()}
        shown = driver.show(ADMIN, server)
        assert shown.size_bytes is None and shown.used_bytes > 10 ** 7
        driver.set_allowed(ADMIN, server, ['127.0.0.2'])
        assert is_refused(servers, server)
        assert servers.query(server, 'SELECT USER()', source='127.0.0.2') == [('root@127.0.0.2',)]
        with driver.dump(ADMIN, server) as dump:
            assert drained(dump) and dump.facts()
        # who runs the server is no administrator of it over the network
        for user in ('nobody', 'os_admin'):
            with pytest.raises(pymysql.OperationalError):
                servers.connect(server, user, password='', source='127.0.0.2')
    finally:
        driver.remove(ADMIN, server)
    assert not servers.pids(server) and not servers.pids(server, 'haproxy')
