# SPDX-License-Identifier: Apache-2.0
"""Forwarding, against a real socket that misbehaves and through our real server."""

import dataclasses
import http.client
import json
import resource
import socket
import time
import urllib.parse

import pytest

from backupsvc.wsgi import forward, root, server
from backupsvc.wsgi.request import Request
from tests.fixtures import dialect as things
from tests.fixtures import upstream

REQUEST_ID = 'req-11111111-1111-1111-1111-111111111111'


@dataclasses.dataclass
class Site:
    """Our server in front of the misbehaving one."""

    behind: upstream.Upstream
    front: server.Server

    def request(self, method, path, body=None, headers=None, chunked=False):
        connection = http.client.HTTPConnection('127.0.0.1', self.front.port, timeout=30)
        connection.request(method, path, body=body, headers=headers or {}, encode_chunked=chunked)
        return connection.getresponse()

    def raw(self, data: bytes) -> bytes:
        with socket.create_connection(('127.0.0.1', self.front.port), timeout=30) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            return b''.join(iter(lambda: connection.recv(65536), b''))

    @property
    def own(self):
        return self.front.url

    @property
    def last(self):
        return self.behind.received[-1]


def _site(conf, behind, own_prefix='/v3', to_itself=False):
    def forward_to(url):
        return forward.Forwarder(
            f'{url}/v3', own_prefix=own_prefix, connect_timeout=1, timeout=1, name='shop'
        )

    forwarder = forward_to(behind.url)
    fronting = dataclasses.replace(
        things.DIALECT, routes=(), mounts=('/v3',),
        fallback=lambda req: forwarder.forward(req, req.dialect_path),
    )
    application = root.Root(conf, [fronting])

    def with_id(environ, start_response):
        environ['openstack.request_id'] = REQUEST_ID
        return application(environ, start_response)

    front = server.Server(with_id, '127.0.0.1', 0, threads=8)
    front.start()
    if to_itself:
        forwarder = forward_to(front.url)
    return Site(behind, front)


@pytest.fixture(scope='module')
def standing():
    """Both servers, started once."""
    site = _site(things.configuration(), upstream.Upstream(upstream.plain('200 OK')))
    yield site
    site.front.stop()
    site.behind.stop()


@pytest.fixture
def another_site(standing):
    """Return a way to set up another front, which gives the service behind and the front."""
    fronts = []

    def make(**kwargs):
        site = _site(things.configuration(), standing.behind, **kwargs)
        fronts.append(site.front)
        return site.behind, site.front

    yield make
    for front in fronts:
        front.stop()


@pytest.fixture
def site(standing):
    behind = standing.behind
    behind.behaviour = upstream.plain('200 OK', b'hello', Content_Type='text/plain')
    behind.reads_body = True
    behind.received.clear()
    behind.closed.clear()
    behind.released.clear()
    yield standing
    behind.released.set()


def test_keeps_method_path_query_body_and_end_to_end_headers(site):
    body = b'{"volume": {"size": 1}}'
    answer = site.request(
        'POST',
        '/v3/abc/volumes?a=b%20c&d=%C3%A9',
        body,
        {
            'Content-Type': 'application/json',
            'X-Auth-Token': 'secret',
            'OpenStack-API-Version': 'volume 3.9',
            'X-Service-Token': 'other',
            'X-Custom': 'kept',
        },
    )
    assert answer.status == 200
    assert answer.read() == b'hello'
    assert site.last.method == 'POST'
    assert site.last.target == '/v3/abc/volumes?a=b%20c&d=%C3%A9'
    assert site.last.body == body
    for name, value in (
        ('Content-Type', 'application/json'),
        ('X-Auth-Token', 'secret'),
        ('OpenStack-API-Version', 'volume 3.9'),
        ('X-Service-Token', 'other'),
        ('X-Custom', 'kept'),
        ('X-Openstack-Request-Id', REQUEST_ID),
    ):
        assert site.last.header(name) == value


def test_drops_hop_by_hop_and_identity_headers(site):
    site.request(
        'GET',
        '/v3/volumes',
        headers={
            'Connection': 'close, X-Secret-Hop',
            'X-Secret-Hop': '1',
            'Keep-Alive': '300',
            'TE': 'trailers',
            'Upgrade': 'h2c',
            'Proxy-Authorization': 'Basic x',
            'X-User-Id': 'forged',
            'X-Roles': 'admin',
            'X-Project-Id': 'other',
            'X-Service-Roles': 'service',
            'X-Identity-Status': 'Confirmed',
            'X-Forwarded-Host': 'evil',
            'Forwarded': 'host=evil',
        },
    ).read()
    for name in (
        'X-Secret-Hop',
        'Keep-Alive',
        'TE',
        'Upgrade',
        'Proxy-Authorization',
        'X-User-Id',
        'X-Roles',
        'X-Project-Id',
        'X-Service-Roles',
        'X-Identity-Status',
        'X-Forwarded-Host',
        'Forwarded',
    ):
        assert site.last.header(name) is None, name
    assert site.last.header('Host') == urllib.parse.urlsplit(site.behind.url).netloc


def test_drops_hop_by_hop_headers_of_the_answer(site):
    site.behind.behaviour = upstream.raw(
        b'HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n'
        b'X-Kept: yes\r\nX-Folded: a\r\n b\r\nContent-Length: 2\r\n\r\nok'
    )
    answer = site.request('GET', '/v3/volumes')
    assert answer.read() == b'ok'
    assert answer.getheader('X-Hop') is None
    assert answer.getheader('Keep-Alive') is None
    assert answer.getheader('X-Kept') == 'yes'
    assert answer.getheader('X-Folded') == 'a b'


def test_a_body_without_a_length_is_forwarded_in_chunks(site):
    answer = site.request(
        'POST',
        '/v3/volumes',
        iter([b'one', b'two', b'three']),
        {'Transfer-Encoding': 'chunked'},
        chunked=True,
    )
    assert answer.status == 200
    assert site.last.body == b'onetwothree'
    assert site.last.header('Transfer-Encoding') == 'chunked'


def test_a_chunked_answer_comes_through(site):
    site.behind.behaviour = upstream.raw(
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n'
        b'5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nTrailer: x\r\n\r\n'
    )
    answer = site.request('GET', '/v3/volumes')
    assert answer.read() == b'hello world'


def test_an_answer_that_ends_with_the_connection_comes_through(site):
    site.behind.behaviour = upstream.raw(b'HTTP/1.0 200 OK\r\n\r\nuntil the end')
    assert site.request('GET', '/v3/volumes').read() == b'until the end'


@pytest.mark.parametrize(
    ('method', 'status'),
    [('HEAD', '200 OK'), ('DELETE', '204 No Content'), ('GET', '304 Not Modified')],
)
def test_answers_without_a_body(site, method, status):
    site.behind.behaviour = upstream.raw(
        f'HTTP/1.1 {status}\r\nContent-Type: application/json\r\n'.encode()
        + (b'Content-Length: 77\r\n\r\n' if method == 'HEAD' else b'\r\n')
    )
    answer = site.request(method, '/v3/volumes')
    assert answer.status == int(status[:3])
    assert answer.read() == b''
    if method == 'HEAD':
        assert answer.getheader('Content-Length') == '77'


def test_errors_of_the_service_behind_come_through(site):
    body = b'{"itemNotFound": {"code": 404, "message": "no"}}'
    site.behind.behaviour = upstream.plain(
        '404 Not Found', body, Content_Type='application/json', Retry_After='3'
    )
    answer = site.request('GET', '/v3/volumes/x')
    assert (answer.status, answer.read(), answer.getheader('Retry-After')) == (404, body, '3')


def test_links_become_ours(site):
    base = site.behind.url
    body = json.dumps(
        {
            'volumes': [
                {
                    'id': 'x',
                    'links': [
                        {'rel': 'self', 'href': f'{base}/v3/abc/volumes/x'},
                        {'rel': 'bookmark', 'href': f'{base}/abc/volumes/x'},
                        {'rel': 'other', 'href': f'{base}9/v3/abc'},
                        {'rel': 'elsewhere', 'href': 'http://example.com/v3/x'},
                    ],
                    'metadata': {'href': f'{base}/v3/kept', 'links': f'{base}/v3/kept'},
                }
            ],
            'volumes_links': [{'rel': 'next', 'href': f'{base}/v3/abc/volumes?marker=x'}],
        }
    ).encode()
    site.behind.behaviour = upstream.plain('200 OK', body, Content_Type='application/json')
    answer = site.request('GET', '/v3/volumes')
    found = json.loads(answer.read())
    assert [link['href'] for link in found['volumes'][0]['links']] == [
        f'{site.own}/v3/abc/volumes/x',
        f'{site.own}/abc/volumes/x',
        f'{base}9/v3/abc',
        'http://example.com/v3/x',
    ]
    assert found['volumes'][0]['metadata'] == {
        'href': f'{base}/v3/kept',
        'links': f'{base}/v3/kept',
    }
    assert found['volumes_links'][0]['href'] == f'{site.own}/v3/abc/volumes?marker=x'


def test_links_stay_where_nothing_here_stands_for_them(another_site):
    behind, front = another_site(own_prefix=None)
    links = [{'rel': 'self', 'href': f'{behind.url}/v3/x'}]
    body = json.dumps({'links': links}, indent=1).encode()
    behind.behaviour = upstream.plain(
        '201 Created', body, Content_Type='application/json', Location=f'{behind.url}/v3/x'
    )
    connection = http.client.HTTPConnection('127.0.0.1', front.port, timeout=30)
    connection.request('POST', '/v3/volumes', body=b'{}')
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (201, body)
    assert answer.getheader('Location') == f'{behind.url}/v3/x'
    assert answer.getheader('Content-Length') == str(len(body))


def test_a_json_body_without_links_is_not_touched(site):
    body = b'{ "a" : 1e2,\n "b": [ ] }'
    site.behind.behaviour = upstream.plain('200 OK', body, Content_Type='application/json')
    assert site.request('GET', '/v3/volumes').read() == body


@pytest.mark.parametrize('body', [b'{"links": [', b'\xff\xfe', b'[' * 100000])
def test_a_broken_json_body_is_not_touched(site, body):
    body += site.behind.url.encode()
    site.behind.behaviour = upstream.plain('200 OK', body, Content_Type='application/json')
    assert site.request('GET', '/v3/volumes').read() == body


def test_redirects_are_handed_on_and_not_followed(site):
    site.behind.behaviour = upstream.plain(
        '302 Found', b'', Location=f'{site.behind.url}/v3/abc/there'
    )
    answer = site.request('GET', '/v3/volumes')
    answer.read()
    assert answer.status == 302
    assert answer.getheader('Location') == f'{site.own}/v3/abc/there'
    assert len(site.behind.received) == 1


@pytest.mark.parametrize(
    'path',
    [
        '/v3/abc/../../admin',
        '/v3/abc/%2e%2e/%2e%2e/admin',
        '/v3/abc/..%2fadmin',
        '/v3/abc/x%2Fy',
        '/v3/./abc',
        '/v3/abc/%252e%252e/x',
        '/v3/abc/%252fadmin',
        '/v3/abc/a%5cb',
        '/v3/abc//admin',
        '/v3//evil.example.com/x',
        '/v3/abc/a%0d%0aX-Evil:%201',
        '/v3/abc/..',
    ],
)
def test_a_path_that_could_mean_another_place_is_refused(site, path):
    answer = site.request('GET', path)
    assert answer.status == 400
    assert json.loads(answer.read())['fault']['message'] == 'Malformed request url'
    assert site.behind.received == []


def test_an_absolute_form_reaches_the_configured_service_or_nobody(site):
    answer = site.raw(
        b'GET http://evil.example.com/v3/volumes HTTP/1.1\r\n'
        b'Host: evil.example.com\r\nConnection: close\r\n\r\n'
    )
    assert answer.startswith(b'HTTP/1.1 ')
    assert all(
        r.target == '/v3/volumes' and 'evil' not in r.header('Host') for r in site.behind.received
    )


def test_odd_characters_of_a_path_stay_what_they_are(site):
    site.request('GET', '/v3/abc/volumes/a%20b%3Fc%23d%C3%A9;e=f').read()
    assert site.last.target == '/v3/abc/volumes/a%20b%3Fc%23d%C3%A9;e=f'


def test_raw_bytes_in_a_query_are_quoted(site):
    site.raw(b'GET /v3/volumes?name=\xc3\xa9"<> HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    assert all(' ' not in r.target and r.target.isascii() for r in site.behind.received)


def _fault(answer):
    return answer.status, json.loads(answer.read())['fault']['code']


def test_nobody_listens_is_502():
    behind = upstream.Upstream(upstream.plain('200 OK'))
    behind.stop()
    site = _site(things.configuration(), behind)
    assert _fault(site.request('GET', '/v3/volumes')) == (502, 502)
    site.front.stop()


@pytest.mark.parametrize(
    'data',
    [
        b'',
        b'SSH-2.0-OpenSSH\r\n',
        b'HTTP/1.1 abc OK\r\n\r\n',
        b'HTTP/1.1 101 Switching\r\n\r\n',
        b'HTTP/1.1 200 OK\r\n' + b'X: ' + b'y' * 70000 + b'\r\n\r\n',
        b'HTTP/1.1 200 OK\r\n' + b'X: y\r\n' * 300 + b'\r\n',
        b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"a"',
        b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n'
        b'Transfer-Encoding: chunked\r\n\r\nzz\r\nhello',
    ],
)
def test_what_is_no_answer_is_502(site, data):
    site.behind.behaviour = upstream.raw(data)
    assert _fault(site.request('GET', '/v3/volumes')) == (502, 502)


def test_silence_is_504(site):
    site.behind.behaviour = lambda connection, request: site.behind.released.wait(20)
    assert _fault(site.request('GET', '/v3/volumes')) == (504, 504)


def test_a_head_that_drips_is_504_within_the_time_for_all_of_it(site):
    def drip(connection, request):
        connection.sendall(b'HTTP/1.1 200 OK\r\nX: ')
        while not site.behind.released.wait(0.2):
            connection.sendall(b'y')

    site.behind.behaviour = drip
    began = time.monotonic()
    assert _fault(site.request('GET', '/v3/volumes')) == (504, 504)
    assert time.monotonic() - began < 5


def test_a_body_may_come_slowly_as_long_as_it_comes(site):
    def slowly(connection, request):
        connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n')
        for _ in range(8):
            site.behind.released.wait(0.2)
            connection.sendall(b'x')

    site.behind.behaviour = slowly
    assert site.request('GET', '/v3/volumes').read() == b'x' * 8


@pytest.mark.parametrize(
    'head',
    [b'Content-Length: 1000\r\n\r\nhello', b'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n'],
)
def test_an_answer_that_breaks_off_does_not_look_complete(site, head):
    site.behind.behaviour = upstream.raw(b'HTTP/1.1 200 OK\r\n' + head)
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        site.request('GET', '/v3/volumes').read()


def test_an_answer_that_stalls_does_not_hold_the_client_forever(site):
    def stall(connection, request):
        connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhello')
        site.behind.released.wait(20)

    site.behind.behaviour = stall
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        site.request('GET', '/v3/volumes').read()


def test_an_early_refusal_of_a_long_body_comes_through(site):
    site.behind.reads_body = False
    site.behind.behaviour = upstream.plain('413 Too Large', b'no')
    connection = http.client.HTTPConnection('127.0.0.1', site.front.port, timeout=30)
    connection.request('PUT', '/v3/volumes', body=b'x' * (8 << 20))
    answer = connection.getresponse()
    assert answer.status in (413, 502)


def _peak_kib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_a_huge_answer_passes_in_bounded_memory(site):
    size, piece = 1 << 30, b'x' * (1 << 20)

    def flood(connection, request):
        connection.sendall(
            b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n'
            b'Content-Length: %d\r\n\r\n' % size
        )
        for _ in range(size // len(piece)):
            connection.sendall(piece)

    site.behind.behaviour = flood
    before = _peak_kib()
    answer = site.request('GET', '/v3/volumes')
    found = 0
    buffer = bytearray(1 << 20)
    while count := answer.readinto(buffer):
        found += count
    assert found == size
    assert _peak_kib() - before < 64 * 1024


def test_a_huge_body_passes_in_bounded_memory(site):
    pieces, piece = 512, b'x' * (1 << 20)
    counted = []

    def count(connection, request):
        left = len(piece) * pieces
        buffer = bytearray(1 << 20)
        while left:
            left -= request.stream.readinto(buffer)
        counted.append(len(piece) * pieces)
        connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')

    site.behind.reads_body = False
    site.behind.behaviour = count
    before = _peak_kib()
    answer = site.request(
        'PUT',
        '/v3/volumes',
        (piece for _ in range(pieces)),
        {'Content-Length': str(len(piece) * pieces)},
    )
    assert answer.status == 200
    assert counted
    assert _peak_kib() - before < 64 * 1024


def test_a_client_that_leaves_frees_the_connection_behind(site):
    def endless(connection, request):
        connection.sendall(b'HTTP/1.1 200 OK\r\n\r\n')
        while True:
            connection.sendall(b'x' * 65536)

    site.behind.behaviour = endless
    answer = site.request('GET', '/v3/volumes')
    answer.read(65536)
    answer.close()
    assert site.behind.closed.wait(10)


def test_a_body_that_was_read_before_is_forwarded_whole():
    behind = upstream.Upstream(upstream.plain('200 OK'))
    forwarder = forward.Forwarder(behind.url)
    req = Request.blank('/volumes', method='POST', body=b'{"volume": {}}')
    assert req.raw_body() == b'{"volume": {}}'
    assert forwarder.forward(req, '/volumes').status_int == 200
    assert behind.received[0].body == b'{"volume": {}}'
    behind.stop()


@pytest.mark.parametrize('url', ['ftp://x/', 'cinder:8776', '/v3', 'http://'])
def test_only_http_services_can_be_forwarded_to(url):
    with pytest.raises(ValueError, match='not the URL of an HTTP service'):
        forward.Forwarder(url)


def test_requests_that_come_back_are_not_forwarded_again(another_site):
    _, front = another_site(to_itself=True)
    answer = Site(None, front).request('GET', '/v3/volumes')
    assert answer.status == 502
    assert b'Requests for the shop come back to this service' in answer.read()
