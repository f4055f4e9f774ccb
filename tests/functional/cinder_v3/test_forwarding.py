# SPDX-License-Identifier: Apache-2.0
"""Volumes that another service serves: what is not about backups goes there, backups stay here.

The other service is a second, real one of ours on a socket; the driver of this one works on its
volumes directly and says where to forward to.
"""

import http.client
import json
import uuid

import pytest

from backupsvc import conf as service_conf
from backupsvc.drivers import loader
from backupsvc.orchestration import messages
from tests.fixtures import elsewhere_driver
from tests.fixtures import service as service_fixture
from tests.fixtures import standalone as standalone_fixture
from tests.fixtures.service import PROJECT

pytestmark = pytest.mark.xdist_group('forwarding')


class Behind:
    """A client of the volume service itself."""

    def __init__(self, netloc: str, token: str):
        self._netloc = netloc
        self._token = token

    def request(self, method, path, body=None):
        """Return (status, parsed body) of a request to a path below the project's URL."""
        connection = http.client.HTTPConnection(self._netloc, timeout=60)
        try:
            connection.request(
                method, f'/v3/{PROJECT}{path}', body=None if body is None else json.dumps(body),
                headers={'X-Auth-Token': self._token, 'Content-Type': 'application/json',
                         'OpenStack-API-Version': 'volume 3.71'})
            answer = connection.getresponse()
            raw = answer.read()
            return answer.status, json.loads(raw) if raw else None
        finally:
            connection.close()

    def get(self, path):
        """Return the parsed body of a resource that is there."""
        status, body = self.request('GET', path)
        assert status == 200, body
        return body

    def status(self, path):
        """Return the status of a GET."""
        return self.request('GET', path)[0]


class Pair:
    """Two services: the one tests speak to, and the volume service behind it."""

    def __init__(self, front, behind_url):
        self.front = front
        self.behind = Behind(behind_url.removeprefix('http://'), f'adam:{PROJECT}')


@pytest.fixture(scope='module')
def pair(tmp_path_factory):
    """The service in front, with a manager that seems alive, and its volume service."""
    behind_dir, front_dir = tmp_path_factory.mktemp('behind'), tmp_path_factory.mktemp('front')
    with (elsewhere_driver.installed(tmp_path_factory.mktemp('installed')),
          standalone_fixture.Standalone(behind_dir) as behind):
        extra = (f'[volume]\ndriver = elsewhere\n[volume_file]\n'
                 f'directory = {behind_dir}/volumes\n'
                 f'[volume_elsewhere]\nurl = {behind.url}/v3\n')
        with service_fixture.running(front_dir, extra) as front:
            front.heartbeat('standalone')
            yield Pair(front, behind.url)


@pytest.fixture
def member(pair):
    return pair.front.client()


@pytest.fixture
def admin(pair):
    return pair.front.client(user='adam', roles=None)


@pytest.fixture
def volume(member):
    answer = member.post('/volumes', {'volume': {'size': 1, 'name': 'v'}})
    assert answer.status_int == 202, answer.text
    return answer.json['volume']


def test_the_table_has_no_rows_of_volumes(pair):
    assert not loader.volume_driver().serves_volumes
    assert service_conf.current().volume.driver == 'elsewhere'


def test_volumes_are_made_and_shown_there(pair, admin, volume):
    path = f'/volumes/{volume["id"]}'
    behind = pair.behind
    assert behind.get(path)['volume']['name'] == 'v'
    here, there = admin.get(path), behind.get(path)
    assert here.json['volume'] == {**there['volume'], 'links': here.json['volume']['links']}
    assert here.json['volume']['links'][0]['href'] == (
        f'http://api.example/v3/{PROJECT}{path}')
    assert admin.get('/types').json == behind.get('/types')


def test_every_method_and_the_microversion_arrive(pair, member, volume):
    path = f'/volumes/{volume["id"]}'
    assert member.put(path, {'volume': {'name': 'w'}}).json['volume']['name'] == 'w'
    assert 'group_id' not in member.at('3.12').get(path).json['volume']
    assert member.post(f'{path}/action', {'os-extend': {'new_size': 2}}).status_int == 202
    assert pair.behind.get(path)['volume']['size'] == 2
    assert member.get('/volumes?name=w&limit=1').json['volumes'][0]['id'] == volume['id']
    assert member.delete(path).status_int == 202
    assert pair.behind.status(path) == 404


def test_errors_of_the_other_service_are_handed_on(member):
    answer = member.get(f'/volumes/{uuid.uuid4()}')
    assert (answer.status_int, list(answer.json)) == (404, ['itemNotFound'])
    answer = member.post('/volumes', {'volume': {'size': 'x'}})
    assert (answer.status_int, list(answer.json)) == (400, ['badRequest'])


def test_backups_stay_here(pair, member, volume):
    answer = member.post('/backups', {'backup': {'volume_id': volume['id']}})
    assert answer.status_int == 202, answer.text
    backup_id = answer.json['backup']['id']
    assert pair.behind.status(f'/backups/{backup_id}') == 404
    assert member.get(f'/volumes/{volume["id"]}').json['volume']['status'] == 'backing-up'
    for path in ('/backups/x/y/z', '/backups/detail/x'):
        assert member.get(path).status_int == 404
    answer = member.post(f'/backups/{backup_id}/action', {'os-explode': None})
    assert answer.status_int == 400
    assert 'os-explode' in answer.json['badRequest']['message']


def test_a_volume_of_a_backup_is_made_here(pair, member, volume):
    backup = pair.front.record(volume['id'])
    answer = member.post('/volumes', {'volume': {'backup_id': backup.id, 'name': 'restored'}})
    assert answer.status_int == 202, answer.text
    assert pair.front.tasks(backup.id)[0].arguments['volume_id'] == answer.json['volume']['id']
    there = pair.behind.get(f'/volumes/{answer.json["volume"]["id"]}')['volume']
    assert (there['name'], there['status']) == ('restored', 'restoring-backup')
    answer = member.post('/volumes', {'volume': {'backup_id': 'x'}})
    assert answer.status_int == 400


def test_limits_are_put_together(pair, member, volume):
    pair.front.record(volume['id'])
    absolute = member.get('/limits').json['limits']['absolute']
    there = pair.behind.get('/limits')['limits']['absolute']
    ours = {name for name in absolute if 'Backup' in name}
    assert len(ours) == 4
    assert absolute['totalBackupsUsed'] >= 1
    assert there['totalBackupsUsed'] == 0
    assert {name: absolute[name] for name in absolute if name not in ours} == {
        name: there[name] for name in there if name not in ours}


def test_quotas_are_put_together(pair, admin):
    project = 'aaaa0000000000000000000000000001'
    path = f'/os-quota-sets/{project}'
    behind = pair.behind
    answer = admin.put(path, {'quota_set': {'volumes': 3, 'backups': 4}})
    assert answer.status_int == 200, answer.text
    assert (answer.json['quota_set']['volumes'], answer.json['quota_set']['backups']) == (3, 4)
    assert behind.request('PUT', path, {'quota_set': {'backups': 9}})[0] == 200
    shown = admin.get(path).json['quota_set']
    assert (shown['volumes'], shown['backups'], shown['id']) == (3, 4, project)
    assert admin.get(f'{path}?usage=True').json['quota_set']['backups'] == {
        'limit': 4, 'in_use': 0, 'reserved': 0}
    assert admin.get(f'{path}/defaults').json['quota_set']['backups'] == 10
    assert admin.delete(path).status_int == 200
    assert admin.get(path).json['quota_set']['backups'] == 10
    assert behind.get(path)['quota_set']['volumes'] == 10
    assert admin.put(path, {'quota_set': {'backups': 'x'}}).status_int == 400


def test_quota_classes_are_put_together(pair, admin):
    path = '/os-quota-class-sets/gold'
    answer = admin.put(path, {'quota_class_set': {'volumes': 3, 'backups': 4}})
    assert answer.status_int == 200, answer.text
    assert pair.behind.request('PUT', path, {'quota_class_set': {'backups': 9}})[0] == 200
    shown = admin.get(path).json['quota_class_set']
    assert (shown['volumes'], shown['backups']) == (3, 4)


def test_services_are_put_together(pair, admin):
    pair.front.heartbeat('ours')
    hosts = [row['host'] for row in admin.get('/os-services').json['services']]
    assert hosts == ['ours', 'standalone']
    there = pair.behind.get('/os-services')['services']
    assert [row['host'] for row in there] == ['standalone']
    named = {'host': 'ours', 'binary': 'cinder-backup'}
    assert admin.put('/os-services/disable', named).json['status'] == 'disabled'
    assert admin.put('/os-services/enable', named).json['status'] == 'enabled'
    answer = admin.put('/os-services/disable', {'host': 'x', 'binary': 'cinder-volume'})
    assert answer.json['itemNotFound']['message'].endswith('on host x.')


def test_messages_of_both_are_found(pair, member):
    messages.create(pair.front.context(), messages.BACKUP_CREATE, messages.CREATE_FAILED,
                    str(uuid.uuid4()))
    assert member.get('/messages').json['messages'] == []
    [found] = member.get('/messages?resource_type=VOLUME_BACKUP').json['messages']
    path = f'/messages/{found["id"]}'
    assert member.get(path).json['message'] == found
    assert member.delete(path).status_int == 204
    assert member.get(path).status_int == 404
    assert member.delete(path).status_int == 404


def test_filters_are_put_together(member):
    found = {one['resource']: one['filters']
             for one in member.get('/resource_filters').json['resource_filters']}
    assert 'name~' in found['backup']
    assert 'volume' in found
    [ours] = member.get('/resource_filters?resource=backup').json['resource_filters']
    assert ours['resource'] == 'backup'


def test_paths_do_not_leave_the_prefix(member):
    for path in ('/volumes/../../healthcheck', '/volumes/%2e%2e/x', '/volumes//x'):
        assert member.get(path).status_int in (400, 404), path


@pytest.fixture
def elsewhere(pair):
    """Set the URL of the service behind."""
    yield lambda url: pair.front.override('url', url, 'volume_elsewhere')
    pair.front.clear_overrides()


def test_without_a_service_behind_there_is_nothing(member, elsewhere):
    elsewhere(None)
    answer = member.get('/types')
    assert (answer.status_int, list(answer.json)) == (404, ['itemNotFound'])
    assert member.get('/limits').status_int == 404
    assert member.get('/backups').status_int == 200


def test_a_dead_service_behind_is_502(member, elsewhere):
    elsewhere('http://127.0.0.1:1/v3')
    for path in ('/volumes', '/limits'):
        answer = member.get(path)
        assert (answer.status_int, list(answer.json)) == (502, ['computeFault'])
    assert member.get('/backups').status_int == 200
