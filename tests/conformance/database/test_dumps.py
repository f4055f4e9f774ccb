# SPDX-License-Identifier: Apache-2.0
"""A dump is of one moment, whole or refused, and becomes the same databases again."""

import gzip
import io
import os
import random
import signal
import threading
import uuid

import pytest

from backupsvc import exception
from backupsvc.drivers.base import Database, StoredDump
from tests.fixtures.mariadb_servers import ADMIN, PASSWORD, drained, until

TABLES = ('innodb', 'aria', 'myisam')


@pytest.fixture(scope='module')
def source(servers, driver, server):
    """The shared server, with some megabytes in tables of several engines."""
    servers.root(server)
    driver.create_databases(ADMIN, server, [Database('; DROP', 'utf8mb4')])
    driver.create_users(ADMIN, server, [servers.user('joe', '; DROP')])
    for engine in TABLES:
        servers.query(server, f'CREATE TABLE `; DROP`.{engine} (i INT PRIMARY KEY AUTO_INCREMENT,'
                              f' t VARCHAR(2000)) ENGINE={engine}', user='joe')
    fill(servers, server, 800)
    return server


def fill(servers, server, rows):
    text = random.Random(rows).randbytes(500).hex()
    with servers.connect(server, 'joe', database='; DROP') as connection:
        with connection.cursor() as cursor:
            for engine in TABLES:
                cursor.executemany(
                    f'INSERT INTO {engine} (t) VALUES (%s)', [text] * rows)


def content(servers, server):
    """Return the checksum of every table."""
    return servers.query(server, 'CHECKSUM TABLE ' + ', '.join(
        f'`; DROP`.{engine}' for engine in TABLES), user='joe')


def dump(driver, server, since=None):
    with driver.dump(ADMIN, server, since=since) as opened:
        return drained(opened), opened.facts()


def stored(data, facts=None):
    return StoredDump(lambda: io.BytesIO(data), facts.checksum if facts else None)


@pytest.fixture(scope='module')
def chain(servers, driver, source):
    """A whole dump and two increments, and what the tables were at each."""
    made = [(*dump(driver, source), content(servers, source))]
    for _ in range(2):
        # so that the points are apart
        driver.restart(ADMIN, source)
        fill(servers, source, 50)
        servers.query(source, 'UPDATE `; DROP`.innodb SET t = 1 WHERE i % 7 = 0', user='joe')
        made.append((*dump(driver, source, made[-1][1].point), content(servers, source)))
    assert len({facts.point for _, facts, _ in made}) == 3
    return made


@pytest.fixture
def target(servers, driver):
    """The id of a server that waits for a dump."""
    instance_id = str(uuid.uuid4())
    made = driver.provision(ADMIN, instance_id, servers.new(), for_load=True)
    assert not made.is_running
    yield instance_id
    driver.remove(ADMIN, instance_id)


def test_a_chain_becomes_the_same_databases(servers, driver, chain, target):
    assert chain[1][1].stored_bytes == len(chain[1][0]) < len(chain[0][0])
    assert chain[0][1].data_bytes > len(chain[0][0])
    # loading again begins anew
    driver.load(ADMIN, target, [stored(*chain[0][:2])])
    driver.provision(ADMIN, target, servers.new(), for_load=True)
    driver.load(ADMIN, target, [stored(data, facts) for data, facts, _ in chain])
    assert not driver.show(ADMIN, target).is_running
    driver.start(ADMIN, target)
    assert content(servers, target) == chain[-1][2]
    assert driver.show_user(ADMIN, target, 'joe').databases == ('; DROP',)
    assert driver.is_root_enabled(ADMIN, target)
    servers.query(target, 'SELECT 1', password=PASSWORD)
    # it is a server like any other
    data, facts = dump(driver, target)
    assert data and int(facts.point) >= int(chain[-1][1].point)
    with pytest.raises(exception.DriverFailed):
        driver.load(ADMIN, target, [stored(*chain[0][:2])])
    assert content(servers, target) == chain[-1][2]


@pytest.mark.parametrize('for_load', [True, False])
def test_what_was_loaded_is_not_made_anew(servers, driver, chain, target, for_load):
    """Whoever makes a server again after the end of a process that was about to start it."""
    driver.load(ADMIN, target, [stored(*chain[0][:2])])
    driver.provision(ADMIN, target, servers.new(), for_load=for_load)
    driver.start(ADMIN, target)
    assert content(servers, target) == chain[0][2]


def test_damage_is_found_before_a_server_runs(servers, driver, chain, target):
    whole, facts, _ = chain[0]
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for number, dumps in enumerate((
            [stored(bytes(flipped), facts)],
            [stored(bytes(flipped))],
            [stored(whole[:len(whole) // 2])],
            [stored(gzip.compress(gzip.decompress(whole)[:100_000]))],
            [stored(whole[:-1], facts)],
            [stored(whole + b'\0', facts)],
            [stored(b'')],
            [stored(b'no dump at all')],
            [stored(*chain[1][:2])],
            [stored(whole, facts), stored(*chain[2][:2])],
            [stored(whole, facts), stored(whole, facts)])):
        with pytest.raises(exception.DumpDamaged):
            driver.load(ADMIN, target, dumps)
            pytest.fail(f'{number} was taken')
        with pytest.raises(exception.DatabaseServerNotFound):
            driver.start(ADMIN, target)
    driver.load(ADMIN, target, [stored(whole, facts)])
    driver.start(ADMIN, target)
    assert content(servers, target) == chain[0][2]


def test_errors_of_the_reader_pass_through(driver, chain, target):
    class Lost(Exception):
        pass

    class Stream(io.BytesIO):
        def read(self, size=-1):
            if self.tell() > 200_000:
                raise Lost
            return super().read(min(size, 65536))

    with pytest.raises(Lost):
        driver.load(ADMIN, target, [StoredDump(lambda: Stream(chain[0][0]))])
    with pytest.raises(exception.DatabaseServerNotFound):
        driver.start(ADMIN, target)


def test_a_dump_is_of_one_moment_while_clients_write(servers, driver, source, target):
    """Two tables are written in one transaction each; a dump has both or none."""
    servers.query(source, 'CREATE TABLE `; DROP`.a (i INT PRIMARY KEY)', user='joe')
    servers.query(source, 'CREATE TABLE `; DROP`.b (i INT PRIMARY KEY)', user='joe')
    stop, written = threading.Event(), []

    def write():
        with servers.connect(source, 'joe', database='; DROP') as connection:
            connection.autocommit(False)
            with connection.cursor() as cursor:
                while not stop.is_set():
                    for table in 'ab':
                        cursor.execute(f'INSERT INTO {table} VALUES ({len(written)})')
                    connection.commit()
                    written.append(len(written))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        until(lambda: len(written) > 5)
        before = len(written)
        data, facts = dump(driver, source)
        after = len(written)
        until(lambda: len(written) > after)
    finally:
        stop.set()
        writer.join()
        servers.query(source, 'DROP TABLE `; DROP`.a, `; DROP`.b', user='joe')
    driver.load(ADMIN, target, [stored(data, facts)])
    driver.start(ADMIN, target)
    counts = {servers.query(target, f'SELECT COUNT(*), MAX(i) + 1 FROM `; DROP`.{table}',
                            user='joe')[0] for table in 'ab'}
    (count, last), = counts
    assert count == last and before <= count <= len(written)


def test_a_dump_that_is_left_ends(servers, driver, source):
    opened = driver.dump(ADMIN, source)
    assert opened.read(1000)
    with pytest.raises(RuntimeError):
        opened.facts()
    with pytest.raises(exception.DriverFailed):
        driver.dump(ADMIN, source)
    opened.close()
    opened.close()
    assert not servers.pids(source, 'mariadb-backup')
    data, facts = dump(driver, source)
    assert len(data) == facts.stored_bytes
    servers.query(source, 'SELECT 1', user='joe')


def test_a_dump_that_is_killed_is_no_dump(servers, driver, source):
    with driver.dump(ADMIN, source) as opened:
        until(lambda: servers.pids(source, 'mariadb-backup'))
        for pid in servers.pids(source, 'mariadb-backup'):
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(exception.DriverFailed):
            drained(opened)
        with pytest.raises(RuntimeError):
            opened.facts()
    with driver.dump(ADMIN, source) as opened:
        for pid in servers.pids(source):
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(exception.DriverFailed):
            drained(opened)
    driver.adopt(ADMIN, source)
    assert dump(driver, source)[0]


def test_an_increment_needs_a_point(driver, source):
    for since in ('', 'x', '-1', '1; --', '9' * 30):
        with pytest.raises(exception.DriverFailed):
            driver.dump(ADMIN, source, since=since)
