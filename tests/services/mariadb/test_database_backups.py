# SPDX-License-Identifier: Apache-2.0
"""Backups of database instances: what comes back, by the service, by hand and after crashes."""

import gzip
import os
import pathlib
import shutil
import signal
import subprocess
import threading
import urllib.parse

import pymysql
import pytest
from troveclient.apiclient import exceptions

from tests.fixtures import mariadb_servers
from tests.fixtures.service import wait_until

pytestmark = [pytest.mark.services, pytest.mark.xdist_group('mariadb_service')]

TABLES = ('film', 'actor', 'payment')


@pytest.fixture
def client(databases):
    return databases.client()


@pytest.fixture
def instance(databases, instance_id):
    found = databases.settled(instance_id)
    assert found.status == 'ACTIVE'
    return found


def _execute(databases, instance, *statements):
    with databases.connect(instance, database='sampledb') as connection:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall()


def _fill(databases, instance):
    """Make some tables with some megabytes, and an empty one for a writer."""
    for number, table in enumerate(TABLES):
        _execute(
            databases, instance, f'DROP TABLE IF EXISTS {table}',
            f'CREATE TABLE {table} (id INT PRIMARY KEY, text VARCHAR(400), INDEX (text(20)))',
            f'INSERT INTO {table} SELECT seq, REPEAT(MD5(seq + {number}), 8) '
            f'FROM seq_1_to_{4000 * (number + 1)}')
    _execute(databases, instance, 'DROP TABLE IF EXISTS rows_written',
             'CREATE TABLE rows_written (id INT PRIMARY KEY AUTO_INCREMENT, twice INT)')


def _checksums(databases, instance):
    return _execute(databases, instance, f'CHECKSUM TABLE {", ".join(TABLES)} EXTENDED')


class Writer:
    """Somebody who writes as long as the block lasts: each row is one transaction."""

    def __init__(self, databases, instance):
        self._databases, self._instance = databases, instance
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._write)
        self.count = 0

    def _write(self):
        with self._databases.connect(self._instance, database='sampledb') as connection:
            with connection.cursor() as cursor:
                while not self._is_over.is_set():
                    cursor.execute('INSERT INTO rows_written (twice) VALUES (%s)',
                                   [2 * (self.count + 1)])
                    self.count += 1

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc_info):
        self._is_over.set()
        self._thread.join()


def _restored(databases, client, backup_id, name):
    made = client.instances.create(name, 1, {'size': 1}, restorePoint={'backupRef': backup_id})
    found = databases.settled(made.id)
    assert (found.status, getattr(found, 'fault', None)) == ('ACTIVE', None)
    return found


def _delete(client, instance):
    client.instances.delete(instance.id)
    wait_until(lambda: instance.id not in [each.id for each in client.instances.list()])


def test_a_chain_comes_back_though_somebody_wrote(databases, client, instance):
    _fill(databases, instance)
    with Writer(databases, instance) as writer:
        wait_until(lambda: writer.count > 20)
        full = databases.backed_up(instance.id)
        before = writer.count
        increment = databases.backed_up(instance.id, parent_id=full.id)
        wait_until(lambda: writer.count > before)
    assert increment.parent_id == full.id and increment.locationRef.endswith(
        f'/z_CLOUDDB_BACKUPS/{increment.id}.xbstream.gz')
    expected = _checksums(databases, instance)
    restored = _restored(databases, client, increment.id, 'back')
    assert _checksums(databases, restored) == expected
    [(count, wrong)] = _execute(
        databases, restored,
        'SELECT COUNT(*), COALESCE(SUM(twice <> 2 * id), 0) FROM rows_written')
    assert wrong == 0 and count >= before
    _delete(client, restored)
    client.backups.delete(full.id)
    wait_until(lambda: not {full.id, increment.id} & {
        each.id for each in client.backups.list(instance_id=instance.id)})
    with pytest.raises(exceptions.NotFound):
        client.instances.create('x', 1, {'size': 1}, restorePoint={'backupRef': increment.id})


def _path(backup):
    return pathlib.Path(urllib.parse.unquote(urllib.parse.urlsplit(backup.locationRef).path))


@pytest.fixture
def hand():
    """A directory for what is done by hand, with a path that is short enough for a socket."""
    with mariadb_servers.deployed() as servers:
        path = servers.directory / 'hand'
        path.mkdir()
        yield path


def test_an_object_can_be_restored_by_hand(databases, client, instance, hand):
    _fill(databases, instance)
    expected = _checksums(databases, instance)
    backup = databases.backed_up(instance.id)
    data = hand / 'data'
    data.mkdir()
    extract = subprocess.Popen(['mbstream', '--extract', f'--directory={data}'],
                               stdin=subprocess.PIPE)
    with gzip.open(_path(backup)) as stream:
        shutil.copyfileobj(stream, extract.stdin)
    extract.stdin.close()
    assert extract.wait() == 0
    subprocess.run(['mariadb-backup', '--prepare', f'--target-dir={data}'], check=True,
                   capture_output=True)
    socket = hand / 's'
    server = subprocess.Popen(
        ['mariadbd', '--no-defaults', f'--datadir={data}', f'--socket={socket}',
         '--skip-networking', '--user=root', '--skip-grant-tables'],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        connection = wait_until(lambda: _connected(str(socket)))
        with connection, connection.cursor() as cursor:
            cursor.execute(f'CHECKSUM TABLE {", ".join(TABLES)} EXTENDED')
            assert cursor.fetchall() == expected
    finally:
        server.terminate()
        server.wait()
    client.backups.delete(backup.id)


def _connected(socket):
    try:
        return pymysql.connect(unix_socket=socket, user='root', database='sampledb')
    except pymysql.err.OperationalError:
        return None


def test_a_damaged_object_is_never_served(databases, client, instance):
    backup = databases.backed_up(instance.id)
    path = _path(backup)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    made = client.instances.create('x', 1, {'size': 1}, restorePoint={'backupRef': backup.id})
    failed = databases.settled(made.id)
    assert failed.status == 'FAILED' and 'damaged' in failed.fault['message']
    _delete(client, failed)
    path.write_bytes(data[:-1])
    with pytest.raises(exceptions.Conflict):
        client.instances.create('x', 1, {'size': 1}, restorePoint={'backupRef': backup.id})
    path.unlink()
    with pytest.raises(exceptions.Conflict):
        client.instances.create('x', 1, {'size': 1}, restorePoint={'backupRef': backup.id})
    client.backups.delete(backup.id)


def _pids(instance_id):
    return [pid for pid, words in mariadb_servers.commands()
            if os.path.basename(words[0]) == 'mariadbd'
            and any(instance_id in word for word in words)]


def test_a_server_that_is_killed_comes_back(databases, instance):
    _execute(databases, instance, 'CREATE TABLE IF NOT EXISTS kept (id INT PRIMARY KEY)',
             'REPLACE INTO kept VALUES (7)')
    [pid] = _pids(instance.id)
    os.kill(pid, signal.SIGKILL)

    def read():
        try:
            return _execute(databases, instance, 'SELECT id FROM kept')
        except pymysql.err.OperationalError:
            return None

    assert wait_until(read) == ((7,),)
    assert databases.settled(instance.id).status == 'ACTIVE'
    assert len(_pids(instance.id)) == 1


def test_work_goes_on_when_the_manager_is_killed(databases, instance):
    """Killed while an instance is made and another one is backed up: both come to their end, and
    every server that runs belongs to an instance.
    """
    client = databases.client()
    _fill(databases, instance)
    made = client.instances.create(
        'two', 1, {'size': 1}, databases=[{'name': 'sampledb'}],
        users=[{'name': 'demouser', 'password': 'demopassword',
                'databases': [{'name': 'sampledb'}]}])
    backup = client.backups.create('b', instance.id)
    [before] = _pids(instance.id)
    databases.kill()
    client = databases.client()
    assert databases.settled(made.id).status == 'ACTIVE'
    _execute(databases, client.instances.get(made.id), 'SELECT 1')
    assert databases.settled(instance.id).status == 'ACTIVE'
    wait_until(lambda: client.backups.get(backup.id).status == 'COMPLETED')
    assert _pids(instance.id) == [before]
    restored = _restored(databases, client, backup.id, 'three')
    assert _checksums(databases, restored) == _checksums(databases, instance)
    for each in (made, restored):
        _delete(client, each)
        assert _pids(each.id) == []
    client.backups.delete(backup.id)


def test_no_password_is_kept_anywhere(databases):
    """Neither in records nor in the log, not even for a while: it was hashed before."""
    for path in databases.directory.iterdir():
        if path.is_file():
            assert b'demopassword' not in path.read_bytes(), path
