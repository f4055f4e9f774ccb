# SPDX-License-Identifier: Apache-2.0
"""Database servers on two hosts behind two API processes: each manager has its own state, all of
them share MariaDB, RabbitMQ and Redis.
"""

import base64
import os
import pathlib
import shutil
import tempfile
import uuid

import pytest
import redis
import requests

from tests.fixtures import database, deployment, mariadb_servers, processes
from tests.fixtures.database_service import DatabaseService
from tests.fixtures.deployment import PROJECT, USER, eventually
from tests.services.rabbitmq.conftest import Relay, transport_url

pytestmark = [pytest.mark.services, pytest.mark.xdist_group('mariadb_service'),
              pytest.mark.timeout(600)]

#: One of its own among the numbered databases of Redis.
REDIS = 'redis://127.0.0.1:6379/9'

EXTRA = """
[api]
auth_strategy = noauth
port = {port}

[repository_posix]
path = {shared}/repositories

[database_instances]
check_interval = 0.5
call_timeout = 3

[database_mariadb]
runtime_directory = {state}/run
port_range = {first}-{last}
flavors = 1:m1.tiny:256
stop_timeout = 30

[quota]
database_instances = -1
database_gigabytes = -1
backups = -1

[rates]
storage_url = {redis}
get = {get}
post = 0
put = 5
delete = 0

[manager]
availability_zone = {zone}
service_down_time = 4
"""


class Cloud:
    """Processes of two hosts and two API servers over directories below one.

    :ivar relay: all messages go through it
    """

    def __init__(self, directory, database_url, relay):
        self.relay = relay
        self._directory = directory
        self._database_url = database_url
        self._mark = uuid.uuid4().hex[:8]
        self.ports = [processes.free_port(), processes.free_port()]
        first = processes.free_port()
        self.managers = {
            name: self._process('manager', name, first=first + 40 * number)
            for number, name in enumerate(('red', 'blue'))}
        self.apis = [self._process('api', f'api-{port}', port=port) for port in self.ports]

    def state(self, name):
        return self._directory / name

    def _process(self, command, name, port=0, first=20000):
        state = self.state(name)
        state.mkdir(mode=0o711)
        path = deployment.write_config(
            state, host=f'{name}-{self._mark}', connection=self._database_url,
            transport_url=transport_url(self.relay.port), extra=EXTRA.format(
                port=port or 1, shared=self._directory, state=state, first=first,
                last=first + 39, redis=REDIS, get=1000, zone=name))
        return processes.Process([f'backupsvc.cmd.{command}', '--config-file', path],
                                 state / 'log')

    def start(self):
        # the tables are made here, so that no process meets them half made
        with database.installed(database.configuration(self._database_url, self._directory)):
            deployment.migration.sync()
        for process in [*self.managers.values(), *self.apis]:
            process.start()
        for number in range(2):
            eventually(lambda number=number: self._is_up(number), 60)
        for zone in self.managers:
            eventually(lambda zone=zone: self._is_there(zone), 60)

    def _is_up(self, number):
        try:
            return self.call('GET', '/flavors', api=number, project='starts').ok
        except requests.ConnectionError:
            return False

    def _is_there(self, zone):
        name = f'{zone}-{self._mark}'
        return name in self.call('GET', f'//v3/{PROJECT}/os-services').text

    def call(self, method, path, body=None, *, api=0, project=PROJECT):
        """Send a request to one of the API servers, in the form of the specification."""
        url = f'http://127.0.0.1:{self.ports[api]}'
        url += path[1:] if path.startswith('//') else '/v1' + path
        return requests.request(method, url, json=body, timeout=60,
                                headers={'X-Auth-Token': f'{USER}:{project}'})

    def create(self, zone, **values):
        """Make an instance on the host of a zone and return it when it is active."""
        answer = self.call('POST', '/instances', {'instance': {
            'name': zone, 'flavorRef': 1, 'volume': {'size': 1}, 'availability_zone': zone,
            **values}})
        assert answer.status_code == 200, answer.text
        return self.settled(answer.json()['instance']['id'])

    def settled(self, instance_id, status='ACTIVE'):
        def look():
            found = self.call('GET', f'/instances/{instance_id}', api=1).json()['instance']
            assert found['status'] not in ('FAILED', 'ERROR'), found
            return found if found['status'] == status else None
        return eventually(look, 90)

    def places(self, instance):
        """Return (zone, process) of the servers of an instance, by what command lines say."""
        return [(zone, pid) for pid, words in mariadb_servers.commands()
                if os.path.basename(words[0]) == 'mariadbd'
                for zone in self.managers
                if any(f'{self.state(zone)}/run/{instance["id"]}' in word for word in words)]

    def end(self):
        for process in [*self.managers.values(), *self.apis]:
            process.end()
        for zone in self.managers:
            servers = mariadb_servers.Servers(
                self.state(zone), runtime_directory=str(self.state(zone) / 'run'))
            for instance_id in servers.driver.list_servers():
                servers.driver.remove(mariadb_servers.ADMIN, instance_id)


@pytest.fixture(scope='module')
def cloud():
    directory = pathlib.Path(tempfile.mkdtemp(prefix='bsdb', dir='/var/tmp'))
    directory.chmod(0o711)
    (directory / 'repositories').mkdir()
    redis.Redis.from_url(REDIS).flushdb()
    relay = Relay()
    with database.blank('mysql', directory) as url:
        made = Cloud(directory, url, relay)
        try:
            made.start()
            yield made
        finally:
            made.end()
            relay.cut()
            shutil.rmtree(directory)


class Address:
    """An instance's address, as clients of MariaDB take it."""

    def __init__(self, instance):
        self.hostname, self.port = instance['hostname'], instance['port']


def _query(instance, statement, user, password):
    with DatabaseService.connect(Address(instance), user, password) as connection:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()


SECRETS = ['Correct-horse-1', 'battery-staple-2', 'a-third-word-3', 'root-of-all-4']


def _users(name, password):
    return [{'name': name, 'password': password, 'databases': [{'name': 'shop'}]}]


def test_each_host_has_its_servers_and_no_secret_is_on_the_bus(cloud):
    red = cloud.create('red', databases=[{'name': 'shop'}], users=_users('ann', SECRETS[0]))
    blue = cloud.create('blue', databases=[{'name': 'shop'}])
    for each in (red, blue):
        assert [zone for zone, _ in cloud.places(each)] == [each['name']]
    path = f'/instances/{red["id"]}'
    for number, each in enumerate((red, blue)):
        answer = cloud.call('POST', f'/instances/{each["id"]}/databases', {
            'databases': [{'name': each['name']}]}, api=number)
        assert answer.status_code == 202, answer.text
    for each, other in ((red, blue), (blue, red)):
        found = cloud.call('GET', f'/instances/{each["id"]}/databases', api=1).json()
        names = [item['name'] for item in found['databases']]
        assert each['name'] in names and other['name'] not in names
    made = [cloud.call('POST', path + '/users', {'users': _users('bob', SECRETS[1])}),
            cloud.call('PUT', path + '/users', {'users': [
                {'name': 'bob', 'password': SECRETS[2]}]}, api=1)]
    assert [answer.status_code for answer in made] == [202, 204]
    given = cloud.call('POST', path + '/root', {'password': SECRETS[3]})
    assert given.json()['user']['password'] == SECRETS[3]
    _query(red, 'SELECT 1', 'root', SECRETS[3])
    made = cloud.call('POST', path + '/root', api=1).json()['user']['password']
    _query(red, 'SELECT * FROM mysql.user', 'root', made)
    _query(red, 'USE shop', 'ann', SECRETS[0])
    _query(red, 'USE shop', 'bob', SECRETS[2])
    seen = bytes(cloud.relay.seen)
    # it is these calls that were seen
    for verb in (b'create_users', b'update_user', b'enable_root', b'sealed', red['id'].encode()):
        assert verb in seen
    driver = mariadb_servers.Servers(cloud.state('red')).driver
    for secret in [*SECRETS, made]:
        for form in (secret, driver.hash_password(secret), driver.hash_password(secret)[1:]):
            assert form.encode() not in seen
            assert base64.b64encode(form.encode())[:-4] not in seen


def test_work_waits_for_its_host(cloud):
    red, blue = cloud.create('red'), cloud.create('blue')
    root = {each['name']: cloud.call('POST', f'/instances/{each["id"]}/root').json()['user']
            for each in (red, blue)}
    before = cloud.places(red)
    cloud.managers['red'].kill()
    # its server goes on, and its manager is asked in vain
    _query(red, 'CREATE DATABASE kept', 'root', root['red']['password'])
    answer = cloud.call('GET', f'/instances/{red["id"]}/databases')
    assert answer.status_code == 503, answer.text
    assert cloud.call('POST', f'/instances/{red["id"]}/action', {
        'restart': {}}).status_code == 202
    # the other host is as it was, and does not do the work of this one
    assert cloud.call('POST', f'/instances/{blue["id"]}/action', {
        'restart': {}}).status_code == 202
    cloud.settled(blue['id'])
    shown = cloud.call('GET', f'/instances/{red["id"]}').json()['instance']
    assert shown['status'] == 'REBOOT' and cloud.places(red) == before
    # nothing new is put there
    eventually(lambda: cloud.call('POST', '/instances', {'instance': {
        'name': 'n', 'flavorRef': 1, 'volume': {'size': 1}, 'availability_zone': 'red',
    }}).status_code == 503)
    cloud.managers['red'].start()
    red = cloud.settled(red['id'])
    assert len(cloud.places(red)) == 1 and cloud.places(red) != before
    assert ('kept',) in _query(red, 'SHOW DATABASES', 'root', root['red']['password'])


def test_a_backup_is_restored_on_the_other_host(cloud):
    red = cloud.create('red', databases=[{'name': 'shop'}], users=_users('ann', SECRETS[0]))
    _query(red, 'CREATE TABLE shop.goods SELECT seq, SHA1(seq) AS sum FROM shop.seq_1_to_1000',
           'ann', SECRETS[0])
    made = cloud.call('POST', '/backups', {'backup': {
        'instance': red['id'], 'name': 'b'}}, api=1).json()['backup']
    cloud.settled(red['id'])
    blue = cloud.create('blue', restorePoint={'backupRef': made['id']})
    assert [zone for zone, _ in cloud.places(blue)] == ['blue']
    statement = 'CHECKSUM TABLE shop.goods EXTENDED'
    assert _query(blue, statement, 'ann', SECRETS[0]) == _query(red, statement, 'ann', SECRETS[0])


def test_the_rate_is_of_all_api_processes_together(cloud):
    """5 PUT requests a minute: whichever process they meet; /limits of either knows of them."""
    def left(api):
        limits = cloud.call('GET', '/limits', api=api, project='often').json()['limits']
        [put] = [each for each in limits if each['verb'] == 'PUT']
        return put['remaining']

    def put(api):
        return cloud.call('PUT', '/instances/nobody/users', {
            'users': [{'name': 'n', 'password': 'p'}]}, api=api, project='often')

    assert (left(0), left(1)) == (5, 5)
    for number in range(5):
        assert put(number % 2).status_code == 404
        assert left(0) == left(1) == 4 - number
    for api in (0, 1):
        answer = put(api)
        assert answer.status_code == 413
        assert 0 < int(answer.headers['Retry-After']) <= 61
    # another project has all of its own
    assert cloud.call('PUT', '/instances/nobody/users', {
        'users': [{'name': 'n', 'password': 'p'}]}, project='seldom').status_code == 404

