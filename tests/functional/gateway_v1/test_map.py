# SPDX-License-Identifier: Apache-2.0
"""The gateway alone, in front of two services on sockets that do as a test tells them."""

import dataclasses
import http.client
import json
import resource
import socket
import urllib.parse

import pytest
import webob

from backupsvc import conf as service_conf
from backupsvc.api import gateway_v1
from backupsvc.api.gateway_v1 import services
from backupsvc.wsgi import openapi, paste, server
from tests.fixtures import dialect as things
from tests.fixtures import upstream

ID = 'c99b1a4e-5d6c-4e0f-9d8a-3a1c2b4d5e6f'
OTHER_ID = '0123456789abcdef0123456789abcdef'
PROJECT = '0b5c0000000000000000000000000001'
JSON = {'Content-Type': 'application/json'}


@dataclasses.dataclass
class Site:
    """The gateway, and the two services behind it."""

    front: server.Server
    cinder: upstream.Upstream
    backup: upstream.Upstream

    def request(self, method, path, body=None, headers=None, chunked=False):
        """Send a request to a path below the gateway's prefix, or to one that begins with //."""
        connection = http.client.HTTPConnection('127.0.0.1', self.front.port, timeout=30)
        url = path[1:] if path.startswith('//') else f'/gateway/v1{path}'
        connection.request(method, url, body, headers or {}, encode_chunked=chunked)
        return connection.getresponse()

    def raw(self, data):
        with socket.create_connection(('127.0.0.1', self.front.port), timeout=30) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            return b''.join(iter(lambda: connection.recv(65536), b''))

    def received(self):
        """Return (service, method, target) of what arrived behind."""
        return [(name, each.method, each.target)
                for name, service in (('cinder', self.cinder), ('backup', self.backup))
                for each in service.received]

    @property
    def url(self):
        return f'{self.front.url}/gateway/v1'


def _configuration(**gateway):
    conf = things.configuration(
        auth_strategy='keystone', forward_connect_timeout=2, forward_timeout=2)
    for name, value in gateway.items():
        conf.set_override(name, value, group='gateway')
    return conf


@pytest.fixture(scope='module')
def standing():
    """All three, started once."""
    before = service_conf._current
    cinder = upstream.Upstream(upstream.plain('200 OK'))
    backup = upstream.Upstream(upstream.plain('200 OK'))
    conf = _configuration(
        block_storage_url=f'{cinder.url}/v3', backup_url=f'{backup.url}/backup/v1')
    application = paste.loadapp(conf, 'gateway')
    # As an option of oslo.middleware it exists once the application is built.
    conf.set_override('max_request_body_size', 1 << 30, group='oslo_middleware')
    front = server.Server(application, '127.0.0.1', 0, threads=8)
    front.start()
    yield Site(front, cinder, backup)
    front.stop()
    cinder.stop()
    backup.stop()
    service_conf._current = before


@pytest.fixture
def site(standing):
    for service in (standing.cinder, standing.backup):
        service.behaviour = upstream.plain('200 OK', b'hello', Content_Type='text/plain')
        service.reads_body = True
        service.received.clear()
        service.closed.clear()
        service.released.clear()
    yield standing
    for service in (standing.cinder, standing.backup):
        service.released.set()


def fault(answer):
    """Return (status, name, message) of an error of the gateway's own."""
    assert answer.getheader('Content-Type') == 'application/json'
    [(name, body)] = json.loads(answer.read()).items()
    assert body.keys() == {'code', 'message'} and body['code'] == answer.status
    return answer.status, name, body['message']


# ---- the map, in the words of the seed: what is asked of the gateway → what is asked behind ----

MAP = f'''
GET    /block/snapshot               cinder GET    /v3/snapshots
GET    /block/snapshot/{ID}          cinder GET    /v3/snapshots/{ID}
POST   /block/snapshot               cinder POST   /v3/snapshots
DELETE /block/snapshot/{ID}          cinder DELETE /v3/snapshots/{ID}
GET    /block/backup                 backup GET    /backup/v1/volume/backup
GET    /block/backup/{ID}            backup GET    /backup/v1/volume/backup/{ID}
POST   /block/backup                 backup POST   /backup/v1/volume/backup
POST   /block/backup/{ID}/action     backup POST   /backup/v1/volume/backup/{ID}/action
DELETE /block/backup/{ID}            backup DELETE /backup/v1/volume/backup/{ID}
GET    /block/volume                 cinder GET    /v3/volumes
GET    /block/volume/{ID}            cinder GET    /v3/volumes/{ID}
POST   /block/volume                 cinder POST   /v3/volumes
POST   /block/volume/{ID}/action     cinder POST   /v3/volumes/{ID}/action
DELETE /block/volume/{ID}            cinder DELETE /v3/volumes/{ID}
GET    /compute/snapshot             backup GET    /backup/v1/instance/snapshot
GET    /compute/snapshot/{ID}        backup GET    /backup/v1/instance/snapshot/{ID}
POST   /compute/snapshot             backup POST   /backup/v1/instance/snapshot
DELETE /compute/snapshot/{ID}        backup DELETE /backup/v1/instance/snapshot/{ID}
GET    /compute/backup               backup GET    /backup/v1/instance/backup
GET    /compute/backup/{ID}          backup GET    /backup/v1/instance/backup/{ID}
POST   /compute/backup               backup POST   /backup/v1/instance/backup
POST   /compute/backup/{ID}/action   backup POST   /backup/v1/instance/backup/{ID}/action
DELETE /compute/backup/{ID}          backup DELETE /backup/v1/instance/backup/{ID}
'''
ROWS = [tuple(line.split()) for line in MAP.strip().splitlines()]


def test_the_map_is_whole():
    assert {(method, path.replace(ID, '{}')) for method, path, *_ in ROWS} == {
        (row.method, openapi.plain_path(row.path).replace('snapshot_id', '').replace(
            'backup_id', '').replace('volume_id', '')) for row in gateway_v1.DIALECT.routes}


@pytest.mark.parametrize(('method', 'path', 'service', 'there', 'target'), ROWS)
def test_each_call_reaches_its_place_and_keeps_what_it_says(
    site, method, path, service, there, target
):
    body = b'{"os-extend": {"new_size": 2}}' if method == 'POST' else None
    behind = getattr(site, service)
    behind.behaviour = upstream.plain(
        '299 Odd', b'{"a": "b"}', Content_Type='application/json', X_Kept='yes')
    answer = site.request(method, f'{path}?limit=2&name=a%20%C3%A9', body, {
        **(JSON if body else {}), 'X-Auth-Token': 'secret', 'X-Service-Token': 'other',
        'OpenStack-API-Version': 'volume 3.59', 'X-Custom': 'kept',
        'X-Openstack-Request-Id': 'req-11111111-1111-1111-1111-111111111111'})
    assert (answer.status, answer.reason, answer.read()) == (299, 'Odd', b'{"a": "b"}')
    assert answer.getheader('X-Kept') == 'yes'
    assert site.received() == [(service, there, f'{target}?limit=2&name=a%20%C3%A9')]
    [request] = behind.received
    assert request.body == (body or b'')
    for name, value in (
        ('X-Auth-Token', 'secret'), ('X-Service-Token', 'other'), ('X-Custom', 'kept'),
        ('OpenStack-API-Version', 'volume 3.59'),
        ('X-Openstack-Request-Id', 'req-11111111-1111-1111-1111-111111111111'),
        ('Host', urllib.parse.urlsplit(behind.url).netloc),
    ):
        assert request.header(name) == value


def test_without_a_request_id_the_gateways_own_goes_along(site):
    answer = site.request('GET', '/block/volume')
    answer.read()
    own = answer.getheader('X-Openstack-Request-Id')
    assert own.startswith('req-')
    assert site.cinder.received[0].header('X-Openstack-Request-Id') == own


# ---- what decides by its body ----


@pytest.mark.parametrize(('body', 'service'), [
    ({'volume': {'backup_id': ID}}, 'backup'),
    ({'volume': {'backup_id': ID, 'name': 'x', 'size': 3}}, 'backup'),
    ({'volume': {'backup_id': ''}}, 'backup'),
    ({'volume': {'backup_id': 5}}, 'backup'),
    ({'volume': {'backup_id': None, 'size': 1}}, 'cinder'),
    ({'volume': {'size': 1, 'metadata': {'backup_id': 'x'}}}, 'cinder'),
    ({'volume': {'size': 1}, 'OS-SCH-HNT:scheduler_hints': {}}, 'cinder'),
    ({'backup_id': ID}, 'cinder'), ({'volume': None}, 'cinder'), ([], 'cinder'),
])
def test_a_volume_of_a_backup_is_made_by_the_backup_service(site, body, service):
    raw = json.dumps(body, indent=3).encode()
    site.request('POST', '/block/volume', raw, JSON).read()
    target = {'backup': '/backup/v1/volume', 'cinder': '/v3/volumes'}[service]
    assert site.received() == [(service, 'POST', target)]
    assert getattr(site, service).received[0].body == raw


def test_a_request_without_a_body_is_for_the_service_to_refuse(site):
    site.request('POST', '/block/volume').read()
    assert site.received() == [('cinder', 'POST', '/v3/volumes')]


@pytest.mark.parametrize(('body', 'service'), [
    ({'rollback': {'snapshot_id': ID}}, 'backup'), ({'rollback': None}, 'backup'),
    ({'os-extend': {'rollback': 1}}, 'cinder'), ({'Rollback': {}}, 'cinder')])
def test_a_rollback_is_done_by_the_backup_service(site, body, service):
    site.request('POST', f'/block/volume/{ID}/action', json.dumps(body), JSON).read()
    target = {'backup': f'/backup/v1/volume/{ID}/action',
              'cinder': f'/v3/volumes/{ID}/action'}[service]
    assert site.received() == [(service, 'POST', target)]


@pytest.mark.parametrize('body', [
    b'{"rollback": {}, "os-extend": {}}', b'{"os-extend": {}, "rollback": {}}',
    b'{"os-extend": {}, "os-detach": {}}', b'{}', b'[]', b'"rollback"', b'null', b'{', b'',
    b'{"rollback": {}, "rollback": {}}', b'{"os-extend": {}, "os-extend": {}}',
    b'{"roll\\u0062ack": {}, "os-extend": {}}', b'{"rollback": 1e999}'])
def test_an_action_that_is_not_one_reaches_nobody(site, body):
    answer = site.request('POST', f'/block/volume/{ID}/action', body, JSON)
    assert fault(answer)[:2] == (400, 'badRequest')
    assert site.received() == []


def test_an_escaped_name_is_the_name(site):
    site.request(
        'POST', f'/block/volume/{ID}/action', b'{"roll\\u0062ack": {}}', JSON).read()
    site.request(
        'POST', '/block/volume', b'{"volume": {"backup\\u005fid": "x"}}', JSON).read()
    assert [service for service, *_ in site.received()] == ['backup', 'backup']


@pytest.mark.parametrize('body', [
    b'{', b'{"volume": {"backup_id": "x"}, "volume": {"size": 1}}', b'\xff', b'{"volume": NaN}'])
def test_a_volume_that_could_be_read_in_two_ways_reaches_nobody(site, body):
    assert fault(site.request('POST', '/block/volume', body, JSON))[:2] == (400, 'badRequest')
    assert site.received() == []


def test_a_body_that_decides_has_to_say_that_it_is_json(site):
    for path in ('/block/volume', f'/block/volume/{ID}/action'):
        answer = site.request('POST', path, b'{"rollback": {}}', {'Content-Type': 'text/plain'})
        assert fault(answer)[:2] == (415, 'badMediaType')
    assert site.received() == []
    kind = {'Content-Type': 'application/vnd.openstack.volume+json'}
    site.request('POST', '/block/volume', b'{"volume": {}}', kind).read()
    assert site.cinder.received[0].header('Content-Type') == kind['Content-Type']


def test_a_body_that_decides_may_come_without_a_length(site):
    pieces = [b'{"volume": ', b'{"backup_id": "x"}', b'}']
    site.request('POST', '/block/volume', iter(pieces), {
        **JSON, 'Transfer-Encoding': 'chunked'}, chunked=True).read()
    assert site.backup.received[0].body == b''.join(pieces)


# ---- ids and paths ----

NO_IDS = ['x', '1', '0', '.', '..', '%2e%2e', '%252e%252e', '%20', f'{ID}%20', 'detail', 'a%20b',
          '%C3%A9', '%00', '%0a', f'{ID}%0d%0aX:%20y', f'{ID};x', f'{ID}.json', f'%7B{ID}%7D',
          f'urn:uuid:{ID}', '9' * 10240, '*', '%5c', '%3f', f'{ID}%3fx', f'{ID}%23']


@pytest.mark.parametrize('given', NO_IDS, ids=lambda text: text[:20])
def test_what_is_no_id_is_not_found_here_already(site, given):
    for kind in ('/block/snapshot', '/block/backup', '/block/volume', '/compute/snapshot',
                 '/compute/backup'):
        assert fault(site.request('GET', f'{kind}/{given}'))[:2] == (404, 'itemNotFound')
    for method, end in (('DELETE', ''), ('POST', '/action')):
        answer = site.request(method, f'/block/volume/{given}{end}', b'{"os-extend": {}}', JSON)
        assert answer.status == 404, answer.read()
    assert site.received() == []


@pytest.mark.parametrize('path', [
    f'/block/volume/{ID}/../../../admin', f'/block/volume/{ID}%2f..%2fx', f'/block/volume/%2f{ID}',
    f'/block/volume/{ID}/metadata', f'/block/volume//{ID}', f'/block//volume/{ID}',
    '/block/volumes', '/block/types', '/block', '/', '/../v3/volumes',
    '//gateway/v1/../v3/volumes', '//v3/volumes', '//v1/volume/backup',
    '//gateway/v2/block/volume', '/block/volume/', '//gateway/v1block/volume',
    f'/compute/snapshot/{ID}/action'])
def test_no_path_leaves_the_map(site, path):
    answer = site.request('GET', path)
    assert answer.status == (200 if path == '/' else 404)
    answer.read()
    assert site.received() == []


def test_an_escaped_slash_before_an_id_is_refused(site):
    """The path that arrives here is decoded; only the one that was sent still shows it."""
    assert site.request('GET', f'/block%2fvolume/{ID}').status in (400, 404)
    assert site.received() == []


def test_a_host_of_the_request_is_not_asked(site):
    for head in (b'GET http://evil.example.com/gateway/v1/block/volume HTTP/1.1\r\n',
                 b'GET /gateway/v1/block/volume HTTP/1.1\r\n'):
        site.raw(head + b'Host: evil.example.com\r\nX-Forwarded-Host: evil.example.com\r\n'
                 b'Connection: close\r\n\r\n')
    assert {(name, target) for name, _, target in site.received()} == {('cinder', '/v3/volumes')}
    assert all('evil' not in value for request in site.cinder.received
               for _, value in request.headers)


def test_an_id_goes_on_as_it_was_sent(site):
    for given in (OTHER_ID, ID.upper()):
        site.request('GET', f'/block/volume/{given}').read()
        assert site.cinder.received[-1].target == f'/v3/volumes/{given}'


def test_methods_that_are_not_in_the_map(site):
    answer = site.request('PUT', f'/block/volume/{ID}', b'{}', JSON)
    assert answer.getheader('Allow') == 'DELETE, GET'
    assert fault(answer)[:2] == (405, 'badMethod')
    assert site.received() == []


# ---- headers ----


def test_hop_by_hop_and_identity_headers_do_not_pass(site):
    site.cinder.behaviour = upstream.raw(
        b'HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n'
        b'Proxy-Authenticate: Basic\r\nX-Kept: yes\r\nContent-Length: 2\r\n\r\nok')
    sent = {
        'Connection': 'close, X-Secret-Hop', 'X-Secret-Hop': '1', 'Keep-Alive': '300',
        'TE': 'trailers', 'Upgrade': 'h2c', 'Proxy-Authorization': 'Basic x', 'X-User-Id': 'me',
        'X-Roles': 'admin', 'X-Project-Id': 'other', 'X-Identity-Status': 'Confirmed',
        'X-Is-Admin-Project': 'True', 'X-Forwarded-Host': 'evil', 'Forwarded': 'host=evil'}
    answer = site.request('GET', '/block/volume', headers=sent)
    assert (answer.read(), answer.getheader('X-Kept')) == (b'ok', 'yes')
    for name in ('X-Hop', 'Keep-Alive', 'Proxy-Authenticate'):
        assert answer.getheader(name) is None, name
    request = site.cinder.received[0]
    assert request.header('Connection') == 'close'
    for name in sent.keys() - {'Connection'}:
        assert request.header(name) is None, name


# ---- links ----


def test_links_lead_to_the_gateway(site):
    cinder, own = site.cinder.url, site.url
    body = {
        'volumes': [{'id': ID, 'links': [
            {'rel': 'self', 'href': f'{cinder}/v3/{PROJECT}/volumes/{ID}'},
            {'rel': 'bookmark', 'href': f'{cinder}/{PROJECT}/volumes/{ID}'},
            {'rel': 'elsewhere', 'href': 'http://example.com/v3/volumes'},
            {'rel': 'nowhere', 'href': f'{cinder}/v3/{PROJECT}/types/{ID}'},
            {'rel': 'no id', 'href': f'{cinder}/v3/{PROJECT}/volumes/../x'}]}],
        'volumes_links': [
            {'rel': 'next', 'href': f'{cinder}/v3/{PROJECT}/volumes/detail?limit=1&marker={ID}'}],
        'kept': f'{cinder}/v3/volumes/{ID}'}
    site.cinder.behaviour = upstream.plain(
        '200 OK', json.dumps(body).encode(), Content_Type='application/json')
    found = json.loads(site.request('GET', '/block/volume').read())
    assert [link['href'] for link in found['volumes'][0]['links']] == [
        f'{own}/block/volume/{ID}', f'{own}/block/volume/{ID}', 'http://example.com/v3/volumes',
        f'{cinder}/v3/{PROJECT}/types/{ID}', f'{cinder}/v3/{PROJECT}/volumes/../x']
    assert found['volumes_links'][0]['href'] == f'{own}/block/volume?limit=1&marker={ID}'
    assert found['kept'] == body['kept']


@pytest.mark.parametrize(('behind', 'here'), [
    (f'/volumes/{ID}', f'/block/volume/{ID}'),
    (f'/v3/{PROJECT}/snapshots/{ID}', f'/block/snapshot/{ID}'),
    ('/v3/snapshots/detail?marker=x', '/block/snapshot?marker=x'),
    (f'/volume/v3/{PROJECT}/volumes/{ID}', f'/block/volume/{ID}'),
    (f'/volume/backup/{ID}', f'/block/backup/{ID}'),
    ('/v1/volume/backup?limit=1&marker=y', '/block/backup?limit=1&marker=y'),
    (f'/instance/snapshot/{ID}', f'/compute/snapshot/{ID}'),
    (f'/v1/instance/backup/{ID}', f'/compute/backup/{ID}'),
    ('/instance/backup', '/compute/backup'), (f'/volume/{ID}', f'/block/volume/{ID}'),
    ('/v3/types', None), (f'/v3/volumes/{ID}/metadata', None), ('/v3/volumes/x', None),
    ('/', None), ('', None), ('/volumesx', None), ('/myvolumes', None),
])
def test_places_of_what_links_lead_to(behind, here):
    assert services.place_of(behind) == (here and f'/gateway/v1{here}')


def test_redirects_are_handed_on_and_not_followed(site):
    site.cinder.behaviour = upstream.plain(
        '302 Found', b'', Location=f'{site.cinder.url}/v3/volumes/{ID}')
    answer = site.request('GET', '/block/volume')
    answer.read()
    assert answer.status == 302
    assert answer.getheader('Location') == f'{site.url}/block/volume/{ID}'
    site.backup.behaviour = upstream.plain('301 Moved', b'', Location='http://example.com/x')
    answer = site.request('GET', '/block/backup')
    answer.read()
    assert (answer.status, answer.getheader('Location')) == (301, 'http://example.com/x')
    assert len(site.received()) == 2


# ---- services that misbehave ----


def test_errors_of_a_service_are_its_own(site):
    body = b'{"itemNotFound": {"code": 404, "message": "Volume could not be found."}}'
    site.cinder.behaviour = upstream.plain(
        '404 Not Found', body, Content_Type='application/json', Retry_After='3')
    answer = site.request('GET', f'/block/volume/{ID}')
    assert (answer.status, answer.read(), answer.getheader('Retry-After')) == (404, body, '3')
    site.cinder.behaviour = upstream.plain(
        '401 Unauthorized', b'{}', WWW_Authenticate="Keystone uri='http://keystone'")
    answer = site.request('GET', '/block/volume')
    assert (answer.status, answer.getheader('WWW-Authenticate')) == (
        401, "Keystone uri='http://keystone'")


@pytest.mark.parametrize('data', [
    b'', b'SSH-2.0-OpenSSH\r\n', b'HTTP/1.1 abc OK\r\n\r\n',
    b'HTTP/1.1 200 OK\r\n' + b'X: ' + b'y' * 70000 + b'\r\n\r\n',
    b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"a"'])
def test_what_is_no_answer_is_502(site, data):
    site.cinder.behaviour = upstream.raw(data)
    assert fault(site.request('GET', '/block/volume'))[:2] == (502, 'badGateway')


def test_silence_is_504(site):
    site.backup.behaviour = lambda connection, request: site.backup.released.wait(20)
    assert fault(site.request('GET', '/compute/backup'))[:2] == (504, 'gatewayTimeout')


def test_a_head_that_drips_is_504(site):
    def drip(connection, request):
        connection.sendall(b'HTTP/1.1 200 OK\r\nX: ')
        while not site.cinder.released.wait(0.2):
            connection.sendall(b'y')

    site.cinder.behaviour = drip
    assert fault(site.request('GET', '/block/volume'))[:2] == (504, 'gatewayTimeout')


def test_an_answer_that_breaks_off_does_not_look_complete(site):
    site.cinder.behaviour = upstream.raw(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhello')
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        site.request('GET', '/block/volume').read()


def test_an_early_refusal_comes_through(site):
    site.cinder.reads_body = False
    site.cinder.behaviour = upstream.plain('413 Too Large', b'no')
    answer = site.request('POST', '/block/snapshot', b'x' * (8 << 20), JSON)
    assert answer.status in (413, 502)


def _peak_kib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_bodies_pass_in_bounded_memory_both_ways(site):
    size, piece = 256 << 20, b'x' * (1 << 20)

    def swallow_and_flood(connection, request):
        left, buffer = size, bytearray(1 << 20)
        while left:
            left -= request.stream.readinto(buffer)
        connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n'
                           b'Content-Length: %d\r\n\r\n' % size)
        for _ in range(size // len(piece)):
            connection.sendall(piece)

    site.cinder.reads_body = False
    site.cinder.behaviour = swallow_and_flood
    before = _peak_kib()
    answer = site.request(
        'POST', '/block/snapshot', (piece for _ in range(size // len(piece))),
        {**JSON, 'Content-Length': str(size)})
    found, buffer = 0, bytearray(1 << 20)
    while count := answer.readinto(buffer):
        found += count
    assert found == size
    assert _peak_kib() - before < 64 * 1024


# ---- where the services are ----


@pytest.fixture
def alone():
    """Return the gateway for options of its group."""
    before = service_conf._current
    started = []

    def start(**gateway):
        conf = _configuration(**gateway)
        front = server.Server(paste.loadapp(conf, 'gateway'), '127.0.0.1', 0, threads=4)
        front.start()
        started.append(front)
        return Site(front, None, None)

    yield start
    for front in started:
        front.stop()
    service_conf._current = before


def test_a_service_that_is_not_there_is_502(alone):
    site = alone(block_storage_url='http://127.0.0.1:1/v3', backup_url='http://127.0.0.1:1/v1')
    for path in ('/block/volume', '/block/backup'):
        assert fault(site.request('GET', path))[:2] == (502, 'badGateway')


def test_a_service_that_nobody_named_is_501(alone):
    site = alone()
    for path, option in (('/block/volume', 'block_storage_url'), ('/block/backup', 'backup_url')):
        status, name, message = fault(site.request('GET', path))
        assert (status, name) == (501, 'notImplemented') and option in message


def test_a_project_in_the_url_needs_a_pipeline_that_knows_it(alone):
    site = alone(block_storage_url='http://127.0.0.1:1/v3/%(project_id)s')
    assert fault(site.request('GET', '/block/volume'))[:2] == (501, 'notImplemented')


def test_alone_it_serves_nothing_else(alone):
    site = alone(backup_url='http://127.0.0.1:1/v1')
    answer = site.request('GET', '//')
    assert answer.status == 300
    [entry] = json.loads(answer.read())['versions']
    assert entry['id'] == 'gateway-v1'
    for path in ('//v3/volumes', '//v1/volume/backup', '//v1.1/x/hp-volume-backups'):
        assert site.request('GET', path).status == 404


def test_a_body_over_the_limit_is_413_and_reaches_nobody(alone):
    behind = upstream.Upstream(upstream.plain('200 OK'))
    try:
        site = alone(block_storage_url=f'{behind.url}/v3')
        answer = site.request('POST', '/block/volume', b' ' * 200000, JSON)
        assert fault(answer)[:2] == (413, 'overLimit')
        assert behind.received == []
    finally:
        behind.stop()


@pytest.mark.parametrize(('strategy', 'caller', 'status'), [
    ('noauth', '10.0.0.1', 403), ('noauth', '127.0.0.1', 502), ('keystone', '10.0.0.1', 502)])
def test_without_authentication_it_is_no_way_in_from_other_machines(strategy, caller, status):
    """A service behind that believes its own machine would believe whoever comes through us."""
    before = service_conf._current
    try:
        conf = _configuration(block_storage_url='http://127.0.0.1:1/v3')
        conf.set_override('auth_strategy', strategy, group='api')
        req = webob.Request.blank('/gateway/v1/block/volume', remote_addr=caller)
        answer = req.get_response(paste.loadapp(conf, 'gateway'))
    finally:
        service_conf._current = before
    assert answer.status_int == status
