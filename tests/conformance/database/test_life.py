# SPDX-License-Identifier: Apache-2.0
"""A server lives as long as its instance does, whatever happens to its manager, and is reached
from where its rules say.
"""

import os
import signal
import socket
import uuid

import pymysql
import pytest

from backupsvc import exception
from backupsvc.drivers.base import Database
from tests.fixtures.mariadb_servers import ADMIN, RAM_MB, is_refused, until

MISSING = str(uuid.uuid4())


@pytest.fixture(scope='module')
def filled(servers, driver, server):
    """The shared server, with a table of root's."""
    servers.root(server)
    driver.create_databases(ADMIN, server, [Database('kept')])
    servers.query(server, 'CREATE TABLE kept.t (i INT PRIMARY KEY)')
    servers.query(server, 'INSERT INTO kept.t VALUES (1), (2), (3)')
    return server


def is_kept(servers, server):
    return servers.query(server, 'SELECT SUM(i) FROM kept.t') == [(6,)]


def test_provisioning_again_changes_nothing(servers, driver, filled):
    before = servers.pids(filled), driver.show(ADMIN, filled).port
    driver.provision(ADMIN, filled, servers.new())
    assert (servers.pids(filled), driver.show(ADMIN, filled).port) == before
    assert is_kept(servers, filled)


def test_another_manager_finds_it_running(servers, driver, filled):
    pids = servers.pids(filled)
    with servers.connect(filled, 'root') as connection:
        other = servers.reopen()
        assert other.list_servers() == driver.list_servers()
        assert other.adopt(ADMIN, filled).is_running
        connection.query('SELECT 1')
        assert other.list_databases(ADMIN, filled)
    assert servers.pids(filled) == pids


def test_a_server_that_died_is_started_again(servers, driver, filled):
    for pid in servers.pids(filled):
        os.kill(pid, signal.SIGKILL)
    until(lambda: not driver.show(ADMIN, filled).is_running)
    with pytest.raises(exception.DriverFailed):
        driver.list_databases(ADMIN, filled)
    assert servers.reopen().adopt(ADMIN, filled).is_running
    assert is_kept(servers, filled)


def test_restart_and_stop(servers, driver, filled):
    before = driver.show(ADMIN, filled)
    with servers.connect(filled, 'root') as connection:
        after = driver.restart(ADMIN, filled)
        with pytest.raises(pymysql.MySQLError):
            connection.query('SELECT 1')
    assert (after.host, after.port, after.is_running) == (before.host, before.port, True)
    driver.stop(ADMIN, filled)
    driver.stop(ADMIN, filled)
    assert not driver.show(ADMIN, filled).is_running
    assert not servers.pids(filled) and not servers.pids(filled, 'haproxy')
    assert is_refused(servers, filled)
    with pytest.raises(exception.DriverFailed):
        driver.create_databases(ADMIN, filled, [Database('x')])
    driver.start(ADMIN, filled)
    driver.start(ADMIN, filled)
    assert is_kept(servers, filled)


def test_memory_is_resized_and_data_stay(servers, driver, filled):
    def pool():
        return servers.query(filled, 'SELECT @@innodb_buffer_pool_size')[0][0]
    small = pool()
    driver.resize_memory(ADMIN, filled, 2 * RAM_MB)
    assert pool() > 2 * small
    assert is_kept(servers, filled)
    # no server can run with so little: the old size is back
    with pytest.raises(exception.DriverFailed):
        driver.resize_memory(ADMIN, filled, 40)
    assert pool() > 2 * small
    assert is_kept(servers, filled)


def test_clients_are_let_in_by_their_address(servers, driver, filled):
    def refused(source):
        return is_refused(servers, filled, source=source)

    assert not refused('127.0.0.1') and not refused('127.0.0.2')
    with servers.connect(filled, 'root', source='127.0.0.1') as near, \
            servers.connect(filled, 'root', source='127.0.0.2') as far:
        driver.set_allowed(ADMIN, filled, ['127.0.0.2/32', '10.0.0.0/8'])
        far.query('SELECT 1')
        # what was let in before is cut off
        with pytest.raises(pymysql.MySQLError):
            near.query('SELECT 1')
    assert refused('127.0.0.1') and not refused('127.0.0.2')

    # rules hold across restarts, also of the manager
    servers.reopen().restart(ADMIN, filled)
    assert refused('127.0.0.1') and not refused('127.0.0.2')
    with pytest.raises(exception.InvalidInput):
        driver.set_allowed(ADMIN, filled, ['127.0.0.1/33'])
    assert refused('127.0.0.1') and not refused('127.0.0.2')

    driver.set_allowed(ADMIN, filled, [])
    assert refused('127.0.0.1') and refused('127.0.0.2')
    # the driver's own way in is none of the clients'
    assert driver.list_databases(ADMIN, filled)
    driver.set_allowed(ADMIN, filled, ['127.0.0.0/8', '127.0.0.1/32', '0.0.0.0/0', '::/0'])
    assert not refused('127.0.0.1') and not refused('127.0.0.2')


def test_what_does_not_exist_is_not_found(driver):
    for instance_id in (MISSING, '../x', ''):
        for verb in (driver.show, driver.start, driver.restart, driver.adopt,
                     driver.list_databases, driver.is_root_enabled):
            with pytest.raises(exception.DatabaseServerNotFound):
                verb(ADMIN, instance_id)
        driver.stop(ADMIN, instance_id)
        driver.remove(ADMIN, instance_id)


def test_two_servers_are_apart_and_a_removed_one_is_gone(servers, driver, filled):
    other = servers.make()
    first, second = driver.show(ADMIN, filled), driver.show(ADMIN, other)
    assert (first.host, first.port) != (second.host, second.port)
    assert driver.list_servers() == sorted([filled, other])
    assert 'kept' not in [one.name for one in driver.list_databases(ADMIN, other)]
    assert not driver.is_root_enabled(ADMIN, other)
    assert 0 < second.used_bytes <= (second.size_bytes or second.used_bytes)

    driver.remove(ADMIN, other)
    driver.remove(ADMIN, other)
    assert driver.list_servers() == [filled]
    assert not servers.pids(other) and not servers.pids(other, 'haproxy')
    with pytest.raises(exception.DatabaseServerNotFound):
        driver.show(ADMIN, other)
    with socket.socket() as probe:
        probe.settimeout(10)
        assert probe.connect_ex((second.host, second.port)) != 0
    assert is_kept(servers, filled)


def test_flavors_and_datastores(driver):
    flavors = driver.list_flavors()
    assert flavors and driver.show_flavor(flavors[0].id) == flavors[0]
    assert driver.list_datastores()[0].type
    with pytest.raises(exception.DatabaseFlavorNotFound):
        driver.show_flavor('no such')
