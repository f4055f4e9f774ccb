# SPDX-License-Identifier: Apache-2.0
"""The gateway over this very service: nothing configured, everything within one process."""

import concurrent.futures
import http.client
import json
import os
import urllib.parse

import pytest

from backupsvc import states
from backupsvc.api import gateway_v1
from backupsvc.wsgi import openapi, server
from tests.fixtures import service as service_fixture
from tests.fixtures import standalone as standalone_fixture
from tests.fixtures import upstream
from tests.fixtures.service import OTHER_PROJECT, PROJECT, wait_until

pytestmark = pytest.mark.xdist_group('gateway_v1')

MIB = 1 << 20


@pytest.fixture(scope='module')
def stage(tmp_path_factory):
    return service_fixture.Stage(tmp_path_factory.mktemp('service'))


@pytest.fixture
def service(stage):
    """The application, with a manager that seems alive and does nothing."""
    with stage.cleared() as running:
        running.heartbeat()
        yield running


def ask(client, method, path, body=None, **kwargs):
    return client.request(method, f'//gateway/v1{path}', body, **kwargs)


def test_volumes_and_snapshots_are_those_of_v3(service):
    client = service.client()
    made = ask(client, 'POST', '/block/volume', {'volume': {'size': 1, 'name': 'v'}})
    assert made.status_int == 202
    path = f'/block/volume/{made.json["volume"]["id"]}'
    shown, there = ask(client, 'GET', path), client.get(path.replace('/block/volume', '/volumes'))
    own = {'rel': 'self', 'href': f'http://api.example/gateway/v1{path}'}
    assert shown.json['volume'].pop('links')[0] == own
    assert {**shown.json['volume'], 'links': 0} == {**there.json['volume'], 'links': 0}
    assert shown.headers['OpenStack-API-Version'] == 'volume 3.71'
    older = ask(client.at('3.12'), 'GET', path)
    assert 'group_id' in shown.json['volume'] and 'group_id' not in older.json['volume']
    snapshot = ask(client, 'POST', '/block/snapshot', {
        'snapshot': {'volume_id': made.json['volume']['id']}})
    assert snapshot.status_int == 202, snapshot.text
    assert len(ask(client, 'GET', '/block/snapshot').json['snapshots']) == 1
    below = f'/block/snapshot/{snapshot.json["snapshot"]["id"]}'
    wait_until(lambda: ask(client, 'GET', below).json['snapshot']['status'] == 'available')
    answer = ask(client, 'POST', f'{path}/action', {'os-set_bootable': {'bootable': True}})
    assert answer.status_int == 200
    assert ask(client, 'GET', path).json['volume']['bootable'] == 'true'
    assert ask(client, 'DELETE', below).status_int == 202
    wait_until(lambda: ask(client, 'GET', below).status_int == 404)
    assert ask(client, 'DELETE', path).status_int == 202
    assert ask(client, 'GET', path).status_int == 404


def test_backups_are_those_of_v1(service):
    client = service.client()
    volume = service.volume()
    made = ask(client, 'POST', '/block/backup', {'backup': {'volume_id': volume.id}})
    assert (made.status_int, list(made.json['backup'])) == (201, ['id'])
    path = f'/block/backup/{made.json["backup"]["id"]}'
    assert ask(client, 'GET', path).json == client.get(
        path.replace('/block/backup', '//v1/volume/backup')).json
    assert ask(client, 'GET', path).json['backup']['status'] == 'creating'
    answer = ask(client, 'POST', f'{path}/action', {'update': {'name': 'renamed'}})
    assert answer.status_int == 201, answer.text
    assert ask(client, 'GET', path).json['backup']['name'] == 'renamed'
    assert ask(client, 'DELETE', path).status_int == 409
    done = service.record(volume.id)
    gone = ask(client, 'DELETE', f'/block/backup/{done.id}')
    assert (gone.status_int, gone.json) == (201, {'backup': {'id': done.id}})
    assert service.backup(done.id).status == states.DELETING


def test_links_to_the_next_page_lead_through_the_gateway(service):
    client = service.client()
    for _ in range(3):
        service.record()
        service.volume()
    for path, key in (('/block/backup', 'backups'), ('/block/volume', 'volumes')):
        found, url = [], f'{path}?limit=2'
        while url:
            page = ask(client, 'GET', url).json
            found += [item['id'] for item in page[key]]
            links = page.get(f'{key}_links', [])
            url = links[0]['href'].removeprefix('http://api.example/gateway/v1') if links else None
        assert len(set(found)) == len(found) == 3


def test_a_volume_of_a_backup_is_made_by_the_backup_service(service):
    backup = service.record()
    answer = ask(service.client(), 'POST', '/block/volume', {
        'volume': {'backup_id': backup.id, 'name': 'restored'}})
    assert answer.status_int == 201, answer.text
    assert service.tasks(backup.id)[0].arguments['volume_id'] == answer.json['volume']['id']
    answer = ask(service.client(), 'POST', '/block/volume', {'volume': {'backup_id': 'x'}})
    assert answer.status_int in (400, 404)


def test_a_rollback_is_v1s(service):
    """Of a volume of nobody's; what a rollback does is tested with the dialect that does it."""
    client = service.client()
    body = {'rollback': {'snapshot_id': PROJECT}}
    for volume_id in (OTHER_PROJECT, service.volume().id):
        through, direct = (client.request('POST', f'/{prefix}/{volume_id}/action', body) for prefix
                           in ('/gateway/v1/block/volume', '/v1/volume'))
        assert through.status_int == direct.status_int
        assert through.json == direct.json
    assert 'rollback' not in through.text, 'it is not an action that v1 does not know'


@pytest.mark.parametrize('row', gateway_v1.DIALECT.routes,
                         ids=lambda row: f'{row.method} {row.path}')
def test_the_services_behind_authorise(service, row):
    """A token without roles gets what it gets there, which is not what it asked for."""
    volume, known = service.volume(), {}
    known['volume_id'] = volume.id
    known['snapshot_id'] = service.snapshot(volume).id
    known['backup_id'] = service.record(volume.id).id
    path = openapi.plain_path(row.path)
    for name, value in known.items():
        path = path.replace('{' + name + '}', value)
    body = None
    if row.method == 'POST':
        body = {'update': {'name': 'x'}} if 'backup/' in path else (
            {'os-set_bootable': {'bootable': True}} if path.endswith('/action') else {
                '/block/snapshot': {'snapshot': {'volume_id': volume.id}},
                '/block/backup': {'backup': {'volume_id': volume.id}},
                '/block/volume': {'volume': {'size': 1}},
                '/compute/snapshot': {'snapshot': {'instance_id': PROJECT}},
                '/compute/backup': {'backup': {'instance_id': PROJECT}}}[path])
    nobody = service.client(user='ned', roles='')
    answer = ask(nobody, row.method, path, body)
    # Of instances there are none here, which may be said first.
    allowed = (403, 404) if path.startswith('/compute') else (403,)
    assert answer.status_int in allowed, answer.text
    stranger = service.client(user='sam', project=OTHER_PROJECT)
    answer = ask(stranger, row.method, path, body)
    if known['volume_id'] in (path + json.dumps(body)) or '{' in row.path:
        assert answer.status_int == 404, answer.text


def test_more_requests_than_threads_do_not_wait_for_each_other(service):
    """A gateway that asked itself over the network would need a second thread for each."""
    front = server.Server(service.application, '127.0.0.1', 0, threads=2)
    front.start()

    def request(number):
        connection = http.client.HTTPConnection('127.0.0.1', front.port, timeout=30)
        connection.request('GET', '/gateway/v1/block/' + ('volume', 'backup')[number % 2],
                           headers={'X-Auth-Token': f'alice:{PROJECT}:member'})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status

    try:
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            assert set(pool.map(request, range(24))) == {200}
    finally:
        front.stop()


def test_configured_services_come_before_this_one(service):
    behind = upstream.Upstream(upstream.plain('200 OK', b'{}', Content_Type='application/json'))
    try:
        client = service.client()
        service.override('block_storage_url', f'{behind.url}/v3/%(project_id)s', 'gateway')
        service.override('backup_url', f'{behind.url}/v1', 'gateway')
        assert ask(client, 'GET', '/block/volume').json == {}
        assert ask(client, 'GET', '/compute/backup?a=b').json == {}
        assert [request.target for request in behind.received] == [
            f'/v3/{PROJECT}/volumes', '/v1/instance/backup?a=b']
    finally:
        behind.stop()


# ---- real bytes ----


@pytest.fixture(scope='module')
def standalone(tmp_path_factory):
    with standalone_fixture.Standalone(tmp_path_factory.mktemp('standalone')) as running:
        yield running


class Gateway:
    """A member of the project that knows the gateway alone."""

    def __init__(self, standalone):
        self._standalone = standalone

    def call(self, method, path, body=None, status=None):
        """Return the parsed body of an answer that is a success, or has the status."""
        connection = http.client.HTTPConnection(
            urllib.parse.urlsplit(self._standalone.url).netloc, timeout=60)
        connection.request(
            method, f'/gateway/v1{path}', None if body is None else json.dumps(body),
            {'Content-Type': 'application/json', 'X-Auth-Token': f'demo:{PROJECT}:member'})
        answer = connection.getresponse()
        raw = answer.read()
        connection.close()
        assert answer.status == status if status else answer.status < 300, raw
        return json.loads(raw) if raw else None

    def settled(self, path, *statuses):
        """Wait until what is at a path has one of some statuses."""
        def found():
            [item] = self.call('GET', path).values()
            assert not item['status'].startswith('error'), item
            return item if item['status'] in statuses else None
        return wait_until(found)

    def gone(self, path):
        """Wait until nothing is at a path."""
        def is_gone():
            try:
                self.call('GET', path, status=404)
            except AssertionError:
                return False
            return True
        wait_until(is_gone)

    def volume(self, data):
        """Return the id of a new volume that holds data from 5 MiB on."""
        found = self.call('POST', '/block/volume', {'volume': {'size': 1}})['volume']['id']
        self.settled(f'/block/volume/{found}', 'available')
        self.write(found, data)
        return found

    def write(self, volume_id, data):
        with open(self._standalone.volume_path(volume_id), 'r+b') as file:
            file.seek(5 * MIB)
            file.write(data)

    def read(self, volume_id, length):
        with open(self._standalone.volume_path(volume_id), 'rb') as file:
            file.seek(5 * MIB)
            return file.read(length)


@pytest.fixture(scope='module')
def gateway(standalone):
    return Gateway(standalone)


def test_a_volume_is_backed_up_and_made_anew(gateway):
    data = os.urandom(3 * MIB)
    volume_id = gateway.volume(data)
    made = gateway.call('POST', '/block/backup', {'backup': {'volume_id': volume_id}}, 201)
    backup = f'/block/backup/{made["backup"]["id"]}'
    gateway.settled(backup, 'available')
    copy = gateway.call('POST', '/block/volume', {'volume': {
        'backup_id': made['backup']['id']}}, 201)['volume']['id']
    assert copy != volume_id
    gateway.settled(backup, 'available')
    gateway.settled(f'/block/volume/{copy}', 'available')
    assert gateway.read(copy, len(data)) == data
    gateway.call('DELETE', backup, status=201)
    gateway.gone(backup)


def test_a_volume_is_rolled_back(gateway):
    data = os.urandom(MIB)
    volume_id = gateway.volume(data)
    path = f'/block/volume/{volume_id}'
    snapshot_id = gateway.call('POST', '/block/snapshot', {
        'snapshot': {'volume_id': volume_id}})['snapshot']['id']
    gateway.settled(f'/block/snapshot/{snapshot_id}', 'available')
    gateway.write(volume_id, os.urandom(MIB))
    rollback = {'rollback': {'snapshot_id': snapshot_id}}
    gateway.call('POST', f'{path}/action', {**rollback, 'os-extend': {'new_size': 2}}, 400)
    gateway.call('POST', f'{path}/action', rollback, 201)
    gateway.settled(path, 'available')
    assert gateway.read(volume_id, len(data)) == data
    gateway.call('POST', f'{path}/action', {'os-set_bootable': {'bootable': True}}, 200)


def test_an_instance_is_backed_up(standalone, gateway):
    data = os.urandom(MIB)
    volume_id = gateway.volume(data)
    made = standalone.manage(
        'instance', 'create', 'web', '--project', PROJECT, '--volume', volume_id)
    instance_id = next(word for word in made.split() if len(word) == 36)
    for kind, body in (('snapshot', {'instance_id': instance_id}),
                       ('backup', {'instance_id': instance_id, 'name': 'monday'})):
        found = gateway.call('POST', f'/compute/{kind}', {kind: body}, 201)
        path = f'/compute/{kind}/{found[kind]["id"]}'
        gateway.settled(path, 'available')
        listed = gateway.call('GET', f'/compute/{kind}')[f'{kind}s']
        assert [item['id'] for item in listed] == [found[kind]['id']]
        if kind == 'backup':
            gateway.call('POST', f'{path}/action', {'update': {'name': 'tuesday'}}, 201)
            assert gateway.call('GET', path)['backup']['name'] == 'tuesday'
        assert gateway.call('DELETE', path, status=201) == found
        gateway.gone(path)
