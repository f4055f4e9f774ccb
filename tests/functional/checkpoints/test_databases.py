# SPDX-License-Identifier: Apache-2.0
"""A database instance is a partition: its volume is of the moment, with all that was committed."""

import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading
import time

import pymysql
import pytest

from backupsvc import exception, states
from backupsvc.drivers import loader
from backupsvc.drivers.base import Database
from backupsvc.objects.checkpoint import Checkpoint
from backupsvc.objects.database_instance import DatabaseInstance
from backupsvc.orchestration import checkpoints, database_instances
from tests.fixtures import processes
from tests.fixtures.deployment import eventually

pytestmark = pytest.mark.services

_OPTIONS = """
[database_instances]
check_interval = 0.5

[database_mariadb]
directory = {directory}/servers
runtime_directory = {directory}/run
port_range = {first}-{last}
stop_timeout = 30
flavors = 1:m1.tiny:256
volumes = {volumes}
"""


@contextlib.contextmanager
def short_directory():
    """A short path, for sockets, that other users may go through: servers run as their own."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix='bsck', dir='/var/tmp'))
    directory.chmod(0o711)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def make_database(make_cluster):
    """Return what makes a cluster with one partition, a database instance that is active."""
    with contextlib.ExitStack() as stack:
        def make(volumes='always'):
            directory = stack.enter_context(short_directory())
            first = processes.free_port()
            cluster = make_cluster(_OPTIONS.format(
                directory=directory, first=first, last=min(first + 300, 65535), volumes=volumes))
            made = database_instances.create(cluster.rig.user, database_instances.NewInstance(
                name='one', flavor_id='1', volume_gb=1, databases=[Database('sampledb')],
                users=[database_instances.NewUser(
                    name='demo', password='demopassword', databases=['sampledb'])]))
            stack.callback(loader.database_driver().remove, cluster.admin, made.id)
            cluster.database_id = made.id
            eventually(lambda: show(cluster).status == states.ACTIVE, 120)
            cluster.configure(('database', made.id))
            return cluster
        yield make


def show(cluster):
    return DatabaseInstance.get_by_id(cluster.admin, cluster.database_id)


class Writer:
    """Somebody who writes as long as the block lasts: each row is one transaction.

    :ivar rows: of each row, when its transaction was begun and when it was committed
    """

    def __init__(self, cluster):
        found = show(cluster)
        self._connection = pymysql.connect(
            host=found.address, port=found.port, user='demo', password='demopassword',
            database='sampledb', autocommit=True, read_timeout=60)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._write)
        self.rows = []

    def _write(self):
        with self._connection.cursor() as cursor:
            while not self._is_over.is_set():
                begun = time.time()
                cursor.execute('INSERT INTO written VALUES (%s)', [len(self.rows) + 1])
                self.rows.append((begun, time.time()))

    def __enter__(self):
        with self._connection.cursor() as cursor:
            cursor.execute('CREATE TABLE IF NOT EXISTS written (id INT PRIMARY KEY)')
        self._thread.start()
        eventually(lambda: len(self.rows) > 20)
        return self

    def __exit__(self, *exc_info):
        self._is_over.set()
        self._thread.join()
        self._connection.close()


@contextlib.contextmanager
def served(path, directory):
    """Serve the data on a restored volume, and give a connection to the server."""
    place = directory / 'mounted'
    place.mkdir()
    subprocess.run(['mount', '-o', 'loop', path, place], check=True)
    socket = directory / 's'
    server = subprocess.Popen(
        ['mariadbd', '--no-defaults', '--user=root', f'--datadir={place}/data',
         '--skip-networking', '--skip-grant-tables', f'--socket={socket}'],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        eventually(lambda: server.poll() is not None or socket.exists(), 60)
        assert server.poll() is None, server.stderr.read()
        with pymysql.connect(unix_socket=str(socket), database='sampledb') as connection:
            yield connection
    finally:
        server.terminate()
        server.communicate(timeout=60)
        subprocess.run(['umount', place], check=True)


def test_a_restored_volume_holds_what_was_committed_at_the_moment(make_database):
    cluster = make_database()
    with Writer(cluster) as writer:
        shown = cluster.taken(1)
        before = len(writer.rows)
        eventually(lambda: len(writer.rows) > before + 20)  # the server has gone on
    assert show(cluster).status == states.ACTIVE
    moment = Checkpoint.get_by_id(cluster.admin, 1).data_timestamp.timestamp()
    backup, = cluster.members(1)[1]
    assert backup.project_id == show(cluster).project_id
    assert shown.partitions[0].snapshot_id
    copies = cluster.restored(1)
    with short_directory() as directory:
        with served(cluster.rig.path(copies[backup.source_id]), directory) as connection:
            with connection.cursor() as cursor:
                cursor.execute('SELECT COUNT(*), MAX(id) FROM written')
                count, last = cursor.fetchone()
                cursor.execute('CHECK TABLE written')
                assert cursor.fetchone()[3] == 'OK'
    assert count == last > 0  # none is missing between
    committed = sum(ended < moment for _, ended in writer.rows)
    begun = sum(began <= moment for began, _ in writer.rows)
    # The standstill is a little before the moment: what was committed between waited for its end.
    assert committed - 1 <= last <= begun
    cluster.machines.assert_nothing_is_held()


def test_a_server_that_is_quiesced_waits_and_goes_on(make_database):
    cluster = make_database()
    driver = loader.database_driver()
    with Writer(cluster) as writer:
        assert driver.quiesce(cluster.admin, cluster.database_id, holder='one') is True
        assert driver.quiesce(cluster.admin, cluster.database_id, holder='one') is True
        driver.quiesce(cluster.admin, cluster.database_id, holder='two')
        assert {hold.holder for hold in driver.list_holds(cluster.admin)} >= {'one', 'two'}
        count = len(writer.rows)
        time.sleep(1)
        assert len(writer.rows) <= count + 1
        driver.unquiesce(cluster.admin, cluster.database_id, holder='one')
        driver.unquiesce(cluster.admin, cluster.database_id, holder='nobody')
        # Nobody knows of these holders: the sweep lets the server go on.
        eventually(lambda: not list(driver.list_holds(cluster.admin)))
        eventually(lambda: len(writer.rows) > count + 20)
    assert os.stat(cluster.rig.path(show(cluster).volume_id)).st_size == 1 << 30


def test_data_in_a_directory_are_refused_by_name(make_database):
    cluster = make_database(volumes='never')
    cluster.take(1)
    assert cluster.ended(1).failure_reason == (
        f'Backup on partition 1 failed due to Invalid volume: The data of database instance '
        f'{cluster.database_id} lie in a directory and on no volume; no snapshot can be taken of '
        'them. ')
    assert show(cluster).status == states.ACTIVE
    with pytest.raises(exception.CheckpointNotFound):
        checkpoints.get(cluster.admin, 2)
