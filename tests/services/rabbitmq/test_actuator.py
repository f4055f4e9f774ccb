# SPDX-License-Identifier: Apache-2.0
"""What requests for checkpoints are answered when the broker or a manager is away, hangs, or has
too much to do; each time the real one.

The API is a process whose way to the broker can be cut; managers are processes that are stopped,
frozen and killed.
"""

import http.client
import itertools
import json
import os
import signal
import socket
import threading

import pytest

from backupsvc.drivers import loader
from backupsvc.drivers.base import NewVolume
from backupsvc.orchestration import backups
from backupsvc.rpc import probe
from tests.fixtures import deployment, processes, simultaneous
from tests.fixtures.deployment import eventually
from tests.services.rabbitmq.conftest import transport_url

pytestmark = [pytest.mark.services, pytest.mark.timeout(600)]

BACKUPS = '/actuator/backups'

API = """
[api]
application = management

[management]
port = {port}
check_timeout = 3

"""

CLUSTER = """
[actuator]
partitions = {partitions}
call_timeout = 3
queue_limit = {queue_limit}
check_interval = 1
"""


class Site:
    """An API process, managers, and volumes of a cluster."""

    def __init__(self, directory, mariadb, relay, host):
        self._directory = directory
        self._mariadb = mariadb
        self._relay = relay
        self.host = host
        self.port = processes.free_port()
        self.running = {}

    def volumes(self, number):
        """Make volumes in this process, which has a manager's configuration then."""
        driver = loader.volume_driver()
        made = []
        for _ in range(number):
            volume = driver.create_volume(deployment.user_context(), NewVolume(size_gb=1))
            with open(driver.files.path(volume.id), 'r+b') as file:
                file.write(os.urandom(65536))
            made.append(volume)
        return made

    def write(self, name, host, url, extra, **manager):
        """Write a configuration; return its path."""
        path = deployment.write_config(
            self._directory, host=host, connection=self._mariadb, transport_url=url, extra=extra,
            **manager)
        renamed = self._directory / f'{name}.conf'
        os.replace(path, renamed)
        return str(renamed)

    def start(self, partitions, queue_limit=600, hosts=None, **manager):
        """Start the API, and a manager for each host."""
        cluster = CLUSTER.format(partitions=', '.join(partitions), queue_limit=queue_limit)
        api = self.write('api', f'{self.host}-api', transport_url(self._relay.port),
                         API.format(port=self.port) + cluster, **manager)
        self._start('api', api)
        for host in hosts or [self.host]:
            self._start(host, self.write(host, host, transport_url(), cluster, **manager),
                        role='manager')
        eventually(self._is_complete, 90)

    def start_another(self):
        """Start a second API process; return its port."""
        port = processes.free_port()
        other = self._directory / 'other.conf'
        other.write_text((self._directory / 'api.conf').read_text().replace(
            f'port = {self.port}', f'port = {port}'))
        self._start('other', str(other))
        first, self.port = self.port, port
        try:
            eventually(self._is_complete, 90)
        finally:
            self.port = first
        return port

    def _start(self, name, config, role='api'):
        process = processes.Process([f'backupsvc.cmd.{role}', '--config-file', config],
                                    self._directory / f'{name}.log')
        process.start()
        self.running[name] = process

    def _is_complete(self):
        try:
            _, found = self.ask('GET', '/actuator/health')
        except OSError:
            return False
        hosts = found['components']['managers']['details'].get('hosts', {})
        return set(self.running) - {'api', 'other'} <= set(hosts)

    def ask(self, method, path, body=None):
        """Return (status, body)."""
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=120)
        try:
            connection.request(method, path, None if body is None else json.dumps(body),
                               {'Content-Type': 'application/json'})
            answer = connection.getresponse()
            content = answer.read()
            return answer.status, json.loads(content) if content else None
        finally:
            connection.close()

    def take(self, backup_id):
        return self.ask('POST', BACKUPS, {'backupId': backup_id})

    def taken(self, backup_id):
        """Take a backup as soon as one is accepted, and wait until it is complete."""
        eventually(lambda: self.take(backup_id)[0] in (202, 409), 60)
        eventually(lambda: self.ask('GET', f'{BACKUPS}/{backup_id}')[1]['state'] == 'COMPLETED',
                   60)

    def send(self, host, number):
        os.kill(self.running[host].pid, number)

    def end(self):
        for name, process in self.running.items():
            if processes.is_running(process.pid):
                self.send(name, signal.SIGCONT)
            process.end()


@pytest.fixture
def site(make_conf, mariadb, tmp_path, relay, host):
    make_conf()
    made = Site(tmp_path, mariadb, relay, host)
    yield made
    made.end()


def _assert_rows_are_served(site, ids):
    """What needs no manager is answered whatever is away."""
    status, found = site.ask('GET', BACKUPS)
    assert (status, [each['backupId'] for each in found]) == (200, ids)
    assert site.ask('GET', f'{BACKUPS}/{ids[0]}')[0] == 200
    assert site.ask('DELETE', f'{BACKUPS}/99') == (204, None)


def test_a_broker_that_is_away_is_502(site, relay):
    one, = site.volumes(1)
    site.start([f'1=volume:{one.id}@{site.host}'])
    site.taken(1)
    relay.cut()
    for _ in range(2):
        status, found = site.take(2)
        assert status == 502, found
        assert found['message'].startswith('Failed to send request from gateway to broker.')
    _assert_rows_are_served(site, [1])
    status, found = site.ask('GET', '/actuator/health')
    assert (status, found['components']['messageBus']['status']) == (503, 'DOWN')
    assert 'guest' not in json.dumps(found)
    relay.mend()
    site.taken(2)
    assert site.ask('GET', '/actuator/health')[0] == 200


def test_a_manager_that_hangs_is_504(site):
    one, = site.volumes(1)
    site.start([f'1=volume:{one.id}@{site.host}'], service_down_time=600)
    site.taken(1)
    site.send(site.host, signal.SIGSTOP)
    for _ in range(2):
        status, found = site.take(2)
        assert status == 504, found
        assert found['message'].startswith('Request from gateway to broker timed out.')
    _assert_rows_are_served(site, [1])
    site.send(site.host, signal.SIGCONT)
    site.taken(2)


def test_a_manager_that_was_killed_is_504_and_then_502(site):
    one, two = site.volumes(2)
    other = f'{site.host}-b'
    site.start([f'1=volume:{one.id}@{site.host}', f'2=volume:{two.id}@{other}'],
               hosts=[site.host, other], service_down_time=6)
    site.taken(1)
    site.running[other].kill()
    status, _ = site.take(2)
    assert status in (502, 504)
    eventually(lambda: site.take(2) == (502, {
        'message': 'Expected to send request to all 2 partitions, but found only 1 partitions '
                   'in topology.'}), 60)
    _assert_rows_are_served(site, [1])
    site.running[other].start()
    site.taken(2)


def test_a_manager_that_was_stopped_is_502(site):
    one, = site.volumes(1)
    site.start([f'1=volume:{one.id}@{site.host}'], service_down_time=4)
    site.taken(1)
    assert site.running[site.host].stop() == 0
    eventually(lambda: site.take(2)[0] == 502, 60)
    assert site.take(2)[1] == {
        'message': 'Expected to send request to all 1 partitions, but found only 0 partitions '
                   'in topology.'}
    _assert_rows_are_served(site, [1])


def test_managers_with_too_much_to_do_are_503(site):
    one, two, three = site.volumes(3)
    site.start([f'1=volume:{one.id}@{site.host}'], queue_limit=0, workers=1)
    user = deployment.user_context()
    for volume in (two, three):
        backups.create(user, backups.NewBackup(source_id=volume.id, origin='test'))
    mover, = eventually(site.running[site.host].movers)
    os.kill(mover, signal.SIGSTOP)
    try:
        ids = itertools.count(1)  # those that come too early are accepted
        _, found = eventually(
            lambda: (answer := site.take(next(ids)))[0] == 503 and answer, 30)
        assert found == {
            'message': f'The managers {site.host} have too much work waiting to take a backup '
                       'now; try again later.'}
    finally:
        os.kill(mover, signal.SIGCONT)
    eventually(lambda: site.take(next(ids))[0] == 202, 60)


def test_of_requests_at_two_servers_each_id_is_accepted_once(site):
    volumes = site.volumes(2)
    site.start([f'{number}=volume:{volume.id}@{site.host}'
                for number, volume in enumerate(volumes, 1)])
    ports = [site.port, site.start_another()]
    taken = []
    for ids in ([1] * 16, [11, 12, 13, 14] * 4, list(range(36, 20, -1))):
        taken = simultaneous.accepted(simultaneous.ask(ports, ids)) + taken
        status, listed = site.ask('GET', BACKUPS)
        assert (status, [each['backupId'] for each in listed]) == (200, taken)
    eventually(lambda: {each['state'] for each in site.ask('GET', BACKUPS)[1]} == {'COMPLETED'},
               300)


def test_a_broker_that_takes_connections_and_says_nothing_is_down(make_conf):
    with socket.create_server(('127.0.0.1', 0)) as silent:
        make_conf(url=transport_url(silent.getsockname()[1]))
        answers = []

        def ask():
            try:
                probe.check(0.5)
            except Exception as refused:
                answers.append(str(refused))

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        asking.join(30)
        assert len(answers) == 1
        assert f'127.0.0.1:{silent.getsockname()[1]}' in answers[0]


def test_a_broker_that_does_not_know_us_is_down_and_one_that_does_is_up(make_conf):
    make_conf(url='rabbit://guest:wrong@127.0.0.1:5672/')
    with pytest.raises(Exception, match='127.0.0.1:5672'):
        probe.check(5)
    make_conf(url=transport_url())
    assert probe.check(5) == '127.0.0.1:5672'
