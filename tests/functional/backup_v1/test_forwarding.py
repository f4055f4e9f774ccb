# SPDX-License-Identifier: Apache-2.0
"""What goes to a volume service that is another one, and comes back unchanged.

The service behind is a real HTTP service that behaves as the test says; the volumes themselves lie
in files.
"""

import json
import uuid

import pytest

from tests.fixtures import database, elsewhere_driver, upstream
from tests.fixtures import service as service_fixture
from tests.functional.backup_v1.conftest import Caller

ANSWER = json.dumps({'volume': {'id': 'v', 'links': [
    {'rel': 'self', 'href': 'http://volumes.example/v3/volumes/v'}]}}, indent=1).encode()


@pytest.fixture(scope='module')
def standing(tmp_path_factory):
    """Return the front and the volume service behind it."""
    behind = upstream.Upstream(upstream.plain('200 OK'))
    extra = f'[volume]\ndriver = elsewhere\n[volume_elsewhere]\nurl = {behind.url}/v3\n'
    extra += '[api]\nforward_timeout = 1\n'
    directory = tmp_path_factory.mktemp('front')
    database.copy_template(directory / 'backupsvc.sqlite')
    with (elsewhere_driver.installed(tmp_path_factory.mktemp('installed')),
          service_fixture.running(directory, extra) as front):
        front.heartbeat()
        yield front, behind
    behind.stop()


@pytest.fixture
def behind(standing):
    behind = standing[1]
    behind.behaviour = upstream.plain(
        '202 Accepted', ANSWER, Content_Type='application/json', X_Of_Theirs='yes',
        Location=f'{behind.url}/v3/volumes/v', Connection='X-Hop', X_Hop='1')
    behind.received.clear()
    behind.released.clear()
    yield behind
    behind.released.set()


@pytest.fixture
def member(standing):
    return Caller(standing[0].client())


def test_a_create_without_a_backup_goes_there_as_it_is(behind, member):
    raw = b'{ "volume":\n {"size": 1, "backup_id" : null, "any": {"thing": [1e2]}} }'
    headers = {'OpenStack-API-Version': 'volume 3.70', 'X-Service-Token': 's', 'X-Hop': 'x',
               'Connection': 'X-Hop'}
    answer = member.post('/volume?a=b%20c', raw=raw, headers=headers)
    assert (answer.status_int, answer.body) == (202, ANSWER)
    assert answer.headers['X-Of-Theirs'] == 'yes'
    assert answer.headers['Location'] == f'{behind.url}/v3/volumes/v'
    assert 'X-Hop' not in answer.headers
    [received] = behind.received
    assert (received.method, received.target, received.body) == (
        'POST', '/v3/volumes?a=b%20c', raw)
    assert received.header('OpenStack-API-Version') == 'volume 3.70'
    assert received.header('X-Auth-Token') == f'alice:{member.project}:member'
    assert received.header('X-Openstack-Request-Id') == answer.headers['x-openstack-request-id']
    assert received.header('X-Hop') is None


def test_an_action_goes_there_as_it_is(behind, member):
    volume_id = str(uuid.uuid4())
    raw = b'{"os-extend" : {"new_size":2}}'
    answer = member.post(f'/volume/{volume_id}/action', raw=raw)
    assert (answer.status_int, answer.body) == (202, ANSWER)
    [received] = behind.received
    assert (received.target, received.body) == (f'/v3/volumes/{volume_id}/action', raw)


def test_errors_come_back_as_they_are(behind, member):
    behind.behaviour = upstream.plain('418 Teapot', b'short', Content_Type='text/plain')
    answer = member.post('/volume', {'volume': {'size': 1}})
    assert (answer.status, answer.body, answer.content_type) == (
        '418 Teapot', b'short', 'text/plain')


def test_redirects_are_not_followed(behind, member):
    behind.behaviour = upstream.plain('302 Found', Location='http://127.0.0.1:1/x')
    answer = member.post('/volume', {'volume': {'size': 1}})
    assert (answer.status_int, answer.headers['Location']) == (302, 'http://127.0.0.1:1/x')
    assert len(behind.received) == 1


def test_a_volume_of_a_backup_does_not(standing, behind, member):
    backup = standing[0].record()
    answer = member.post('/volume', {'volume': {'backup_id': backup.id, 'name': 'restored'}})
    assert answer.status_int == 201, answer.text
    made = standing[0].show_volume(answer.json['volume']['id'])
    assert (made.name, made.status) == ('restored', 'restoring-backup')
    assert behind.received == []


@pytest.mark.parametrize('text', [
    '.', '..', '%2e%2e', '..%2f..%2fadmin', 'a%2fb', 'a%5cb', '%20', '%0d%0aX: y', '%00',
    '%F0%9F%92%BE', '%ff', 'x' * 10240, '1', 'detail', 'backup', ';', '?', '#',
])
def test_what_is_no_id_never_gets_there(behind, member, text):
    for body in ({'os-extend': {'new_size': 2}}, {'rollback': {'snapshot_id': str(uuid.uuid4())}}):
        answer = member.post(f'/volume/{text}/action', body)
        assert answer.status_int in (404, 405), answer.text
    assert behind.received == []


@pytest.mark.parametrize('body', [
    {'os-extend': {'new_size': 2}, 'rollback': {'snapshot_id': str(uuid.uuid4())}},
    {'os-extend': {}, 'os-reset_status': {}}, {}, [], None, 'os-extend',
])
def test_what_has_not_one_action_never_gets_there(behind, member, fault, body):
    assert fault(member.post(f'/volume/{uuid.uuid4()}/action', body))[0] == 400
    assert behind.received == []


@pytest.mark.parametrize('path', ['/volumes', '/volume', '/volume/x/metadata', '/snapshots'])
@pytest.mark.parametrize('method', ['GET', 'PUT', 'DELETE', 'PATCH'])
def test_nothing_else_gets_there(behind, member, method, path):
    assert member.request(method, path).status_int in (404, 405)
    assert behind.received == []


def test_a_service_that_does_not_answer_is_504(behind, member, fault):
    behind.behaviour = lambda connection, request: behind.released.wait()
    assert fault(member.post('/volume', {'volume': {'size': 1}}))[0] == 504


def test_a_service_that_is_not_there_is_502(standing, behind, member, fault):
    front = standing[0]
    front.override('url', 'http://127.0.0.1:1/v3', 'volume_elsewhere')
    try:
        assert fault(member.post('/volume', {'volume': {'size': 1}}))[0] == 502
        assert member.get('/volume/backup').status_int == 200
    finally:
        front.clear_overrides()


def test_without_a_service_it_is_404(standing, behind, member, fault):
    front = standing[0]
    front.override('url', None, 'volume_elsewhere')
    try:
        assert fault(member.post('/volume', {'volume': {'size': 1}}))[0] == 404
    finally:
        front.clear_overrides()
