# SPDX-License-Identifier: Apache-2.0
"""What the mariadb driver decides without a server."""

import gzip
import io
import os
import random
import threading

import pytest

from backupsvc import exception
from backupsvc.drivers import loader
from backupsvc.drivers.base import Database
from backupsvc.drivers.database.mariadb import (
    accounts,
    driver,
    dumps,
    filters,
    memory,
    processes,
    records,
)
from tests.fixtures import mariadb_servers
from tests.fixtures.mariadb_servers import ADMIN


def record(instance_id='a', **fields):
    return records.Record(**{
        'id': instance_id, 'stage': records.READY, 'ram_mb': 512, 'volume_gb': 1,
        'volume_path': None, 'allowed': [], 'filter': 'none', 'port': 1, 'uid': None, **fields})


@pytest.fixture
def servers():
    with mariadb_servers.deployed() as deployed:
        yield deployed


def test_flavors_are_read_from_the_configuration():
    with mariadb_servers.deployed(flavors=['7:big one:4096:2', 's:small:256']) as servers:
        assert [(one.id, one.name, one.ram_mb, one.vcpus)
                for one in servers.driver.list_flavors()] == [
                    ('7', 'big one', 4096, 2), ('s', 'small', 256, 0)]


@pytest.mark.parametrize('text', ['1', '1:a', '1:a:b', ':a:512', '1::512', '1:a:512:1:1',
                                  '1:a:255'])
def test_a_flavor_that_is_none_stops_the_service(servers, text):
    servers.options = {'flavors': [text]}
    with pytest.raises(exception.DriverFailed, match='flavors'):
        servers.reopen()


@pytest.mark.parametrize(('name', 'value'), [
    ('port_range', '0-10'), ('port_range', '200-100'), ('port_range', '1-70000'),
    ('bind_address', 'localhost')])
def test_options_that_cannot_work_stop_the_service(servers, name, value):
    servers.options = {name: value}
    servers.options = {name: value}
    with pytest.raises(exception.DriverFailed, match=name):
        servers.reopen()


@pytest.mark.parametrize(('program', 'package'), [
    ('mariadbd', 'mariadb-server'), ('mariadb-backup', 'mariadb-backup'),
    ('mbstream', 'mariadb-backup'), ('haproxy', 'haproxy')])
def test_a_missing_program_names_its_package(servers, monkeypatch, tmp_path, program, package):
    for name in processes._PACKAGES:
        if name not in (program, 'nft'):
            (tmp_path / name).symlink_to('/bin/true')
    monkeypatch.setattr(processes, '_SYSTEM_PATH', '')
    monkeypatch.setenv('PATH', str(tmp_path))
    with pytest.raises(exception.DriverFailed, match=f'install the package {package}'):
        servers.driver.provision(ADMIN, 'a', mariadb_servers.NewDatabaseServer(512, 1))
    # and nothing else is wrong
    assert servers.reopen().list_servers() == []
    assert servers.driver.list_flavors() and servers.driver.list_datastores()


def test_memory_is_left_to_connections():
    for ram_mb in (memory.MIN_RAM_MB, 512, 1024, 65536):
        assert 16 <= memory.buffer_pool_mb(ram_mb) < ram_mb * 0.75
        assert memory.max_connections(ram_mb) >= 30


def test_a_cgroup_gets_limit_and_process(tmp_path):
    (tmp_path / 'cgroup.subtree_control').write_text('cpu memory pids\n')
    limit = memory.MemoryLimit('a', str(tmp_path))
    assert not limit.data_bytes_needed
    limit.set(512)
    limit.hold(4711)
    own = tmp_path / 'backupsvc-database-a'
    assert (own / 'memory.max').read_text() == str(512 * 1024 ** 2)
    assert (own / 'memory.swap.max').read_text() == '0'
    assert (own / 'cgroup.procs').read_text() == '4711'


def test_without_the_controller_the_data_segment_is_limited(tmp_path):
    (tmp_path / 'cgroup.subtree_control').write_text('cpu pids\n')
    assert memory.MemoryLimit('a', str(tmp_path)).data_bytes_needed
    assert memory.MemoryLimit('a', str(tmp_path / 'none')).data_bytes_needed


def test_networks_in_one_form():
    assert filters.normal(['10.1.2.3/8', '10.0.0.0/9', '::1', '127.0.0.1']) == [
        '10.0.0.0/8', '127.0.0.1/32', '::1/128']
    for bad in ('10.0.0.0/33', 'x', '', '10.0.0.0/8; drop', '::/129'):
        with pytest.raises(exception.InvalidInput):
            filters.normal([bad])


def test_what_cannot_be_filtered_is_refused(tmp_path):
    none = filters.NoFilter(record(), tmp_path, '127.0.0.1')
    none.check(['0.0.0.0/0'])
    none.check(['0.0.0.0/0', '::/0'])
    for cidrs in ([], ['10.0.0.0/8'], ['::/0']):
        with pytest.raises(exception.InvalidInput):
            none.check(cidrs)


def test_a_hash_is_the_servers():
    # SELECT PASSWORD('secret')
    assert driver.server.hash_password('secret') == '*14E65567ABDB5135D0CFD9A70B3032C179A49EE7'


def test_names_are_quoted():
    assert accounts.quote('a`b``') == '`a``b`````'
    with pytest.raises(exception.InvalidInput):
        accounts.check_database(Database('x', 'utf8 COLLATE y'))


def test_records_survive_what_is_written_beside_them(tmp_path):
    kept = records.Records(str(tmp_path / 'd'))
    assert kept.ids() == []
    kept.save(record('b', secret='s'))
    kept.save(record('a'))
    (tmp_path / 'd' / 'a' / 'server.json.part').write_text('{half')
    assert kept.ids() == ['a', 'b']
    assert kept.load('b') == record('b', secret='s') and 'secret' not in repr(kept.load('b'))
    assert os.stat(tmp_path / 'd' / 'b' / 'server.json').st_mode & 0o77 == 0
    kept.remove('a')
    kept.remove('a')
    assert kept.ids() == ['b']
    for bad in ('', '..', 'a/b', '-x', 'x' * 65):
        with pytest.raises(exception.DatabaseServerNotFound):
            kept.load(bad)


def test_one_at_a_time(tmp_path):
    kept = records.Records(str(tmp_path))
    count, most = [0], []

    def work():
        for _ in range(250):
            with kept.locked('a'):
                count[0] += 1
                most.append(count[0])
                count[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 1000 and set(most) == {1}
    with kept.dumping('a'), pytest.raises(exception.DriverFailed), kept.dumping('a'):
        pass
    with kept.dumping('a'):
        pass
    assert not list(tmp_path.iterdir())


def test_blocks_are_one_gzip_file():
    data = random.Random(1).randbytes(3_000_000) + bytes(3_000_000)
    blocks = [data[at:at + dumps._BLOCK] for at in range(0, len(data), dumps._BLOCK)]
    stream = b''.join(dumps.compress(block, 1) for block in blocks)
    assert gzip.decompress(stream) == data
    for size in (7_919, 1024 ** 2, len(stream)):
        gunzip, out = dumps._Gunzip(), io.BytesIO()
        for at in range(0, len(stream), size):
            gunzip.feed(stream[at:at + size], out.write)
        assert out.getvalue() == data and gunzip.is_whole
    gunzip = dumps._Gunzip()
    gunzip.feed(stream[:-1], io.BytesIO().write)
    assert not gunzip.is_whole


def test_decompression_is_bounded():
    sizes = []
    dumps._Gunzip().feed(gzip.compress(bytes(50_000_000)), lambda block: sizes.append(len(block)))
    assert sum(sizes) == 50_000_000 and max(sizes) <= dumps._BLOCK


def test_the_driver_is_found_by_its_name():
    assert 'mariadb' in loader.list_drivers('database')
    assert loader.load_class('database', 'mariadb') is driver.MariadbDatabaseDriver
