# SPDX-License-Identifier: Apache-2.0
"""The service's own HTTP server: paths, refused bodies, graceful stop."""

import http.client
import json
import resource
import socket
import threading

import pytest

from backupsvc.wsgi import paste, server
from tests.fixtures import dialect

LIMIT = 114688


@pytest.fixture
def standing(dialects):
    listening = server.Server(paste.loadapp(dialect.configuration()), '127.0.0.1', 0, threads=4)
    listening.start()
    yield listening
    listening.stop()


def _ask(standing, method, path, body=None, headers=None, **kwargs):
    connection = http.client.HTTPConnection('127.0.0.1', standing.port, timeout=30)
    connection.request(method, path, body, headers or {}, **kwargs)
    answer = connection.getresponse()
    return answer, answer.read()


@pytest.mark.parametrize(
    ('path', 'key'),
    [
        ('a%2Fb', 'a/b'),
        ('a%2fb%20c', 'a/b c'),
        ('a%252Fb', 'a%2Fb'),
        ('%C3%A9', 'é'),
        ('a/b', 'a/b'),
        ('a%2F', 'a/'),
        ('a%3Fb%23', 'a?b#'),
        ('a;b=c', 'a;b=c'),
        ('a+b', 'a+b'),
    ],
)
def test_keys_in_paths_are_decoded_once(standing, path, key):
    _, body = _ask(standing, 'GET', f'/v3/things/t/keys/{path}?')
    assert json.loads(body)['key'] == key


def test_no_answer_names_the_library(standing):
    answer, _ = _ask(standing, 'GET', '/')
    assert answer.getheader('Server') == 'backupsvc'


@pytest.mark.parametrize('size', [LIMIT + 1, 10 << 20, 64 << 20])
@pytest.mark.parametrize(('path', 'status'), [('/v3/things', 413), ('/nothing', 404)])
def test_a_body_over_the_limit_is_refused_unread(standing, size, path, status):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    block = b'x' * min(size, 1 << 20)
    blocks = [block] * (size // len(block)) + [b'x' * (size % len(block))]
    connection = http.client.HTTPConnection('127.0.0.1', standing.port, timeout=30)
    connection.putrequest('POST', path)
    connection.putheader('Content-Type', 'application/json')
    connection.putheader('Content-Length', str(size))
    connection.endheaders()
    try:
        for each in blocks:
            connection.send(each)
    except OSError:
        # Only a sender of far more than anybody reads to be polite is cut off.
        assert size > server.DRAIN_LIMIT
    else:
        answer = connection.getresponse()
        assert answer.status == status
        assert f'"code":{status}'.encode() in answer.read()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024


def test_a_body_at_the_limit_is_read(standing):
    filling = LIMIT - len(json.dumps({'thing': {'name': ''}}))
    body = json.dumps({'thing': {'name': 'x' * filling}})
    assert len(body) == LIMIT
    answer, _ = _ask(standing, 'POST', '/v3/things', body, {'Content-Type': 'application/json'})
    assert answer.status == 400


def _chunked(standing, pieces):
    return _ask(
        standing,
        'POST',
        '/v3/things',
        iter(pieces),
        {'Content-Type': 'application/json', 'Transfer-Encoding': 'chunked'},
        encode_chunked=True,
    )


def test_a_chunked_body_is_read(standing):
    answer, body = _chunked(standing, [b'{"thing": {"na', b'me": "n"}}'])
    assert (answer.status, json.loads(body)['thing']['name']) == (202, 'n')


def test_a_chunked_body_over_the_limit_is_413(standing):
    answer, body = _chunked(standing, [b' ' * 65536] * 2)
    assert (answer.status, json.loads(body)['fault']['code']) == (413, 413)


def test_a_connection_is_used_again(standing):
    connection = http.client.HTTPConnection('127.0.0.1', standing.port, timeout=30)
    for _ in range(3):
        connection.request('POST', '/v3/things/ping')
        answer = connection.getresponse()
        assert answer.status == 200
        answer.read()
        kept = connection.sock
        assert kept is not None
    assert connection.sock is kept


@pytest.mark.parametrize('length', ['-1', 'x', '1e3', '+5'])
def test_a_length_that_is_no_number_is_400(standing, length, monkeypatch):
    monkeypatch.setattr(server, 'DRAIN_S', 0.5)
    with socket.create_connection(('127.0.0.1', standing.port), timeout=30) as connection:
        connection.sendall(
            f'POST /v3/things HTTP/1.1\r\nHost: x\r\nConnection: close\r\n'
            f'Content-Length: {length}\r\n\r\n'.encode()
        )
        answer = b''.join(iter(lambda: connection.recv(65536), b''))
    assert answer.startswith(b'HTTP/1.1 400')


def test_stopping_lets_requests_in_flight_end():
    entered, leave = threading.Event(), threading.Event()

    def slow(environ, start_response):
        entered.set()
        assert leave.wait(30)
        start_response('200 OK', [('Content-Length', '4')])
        return [b'done']

    listening = server.Server(slow, '127.0.0.1', 0, threads=2)
    listening.start()
    port = listening.port
    found = []
    asking = threading.Thread(target=lambda: found.append(_ask(listening, 'GET', '/')[1]))
    asking.start()
    assert entered.wait(30)
    stopping = threading.Thread(target=listening.stop)
    stopping.start()
    # The listener closes first; the request is answered after that.
    with pytest.raises(OSError):
        while True:
            socket.create_connection(('127.0.0.1', port), timeout=1).close()
    assert found == []
    leave.set()
    stopping.join(30)
    asking.join(30)
    assert not stopping.is_alive()
    assert found == [b'done']


def test_a_request_that_does_not_end_is_given_up():
    entered, leave = threading.Event(), threading.Event()

    def stuck(environ, start_response):
        entered.set()
        leave.wait(60)
        start_response('200 OK', [])
        return []

    listening = server.Server(stuck, '127.0.0.1', 0, threads=1, shutdown_timeout=0.2)
    listening.start()
    with socket.create_connection(('127.0.0.1', listening.port), timeout=30) as connection:
        connection.sendall(b'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
        assert entered.wait(30)
        stopping = threading.Thread(target=listening.stop)
        stopping.start()
        stopping.join(20)
        leave.set()
    assert not stopping.is_alive()


def test_stopping_twice_or_before_the_start_does_nothing():
    listening = server.Server(lambda environ, start_response: [], '127.0.0.1', 0)
    listening.stop()
    listening.start()
    listening.stop()
    listening.stop()


def test_wait_ends_with_stop():
    listening = server.Server(lambda environ, start_response: [], '127.0.0.1', 0)
    listening.start()
    waiting = threading.Thread(target=listening.wait)
    waiting.start()
    listening.stop()
    waiting.join(30)
    assert not waiting.is_alive()


def test_an_address_in_use_is_an_error(standing):
    other = server.Server(lambda environ, start_response: [], '127.0.0.1', standing.port)
    with pytest.raises(OSError):
        other.start()


def test_the_url_names_the_bound_port(standing):
    assert standing.url == f'http://127.0.0.1:{standing.port}'
    assert standing.port != 0
