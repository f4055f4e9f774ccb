# SPDX-License-Identifier: Apache-2.0
"""What a service's answers become."""

import contextlib
import http.server
import threading

import pytest
from keystoneauth1 import session as keystone_session
from keystoneauth1 import token_endpoint

from backupsvc import clients, exception


@contextlib.contextmanager
def answering(status, body, seen=None):
    """Give the URL of a server that answers everything in one way."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if seen is not None:
                seen.append(dict(self.headers))
            self.send_response(status)
            self.send_header('Content-Length', str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            """Say nothing."""

    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f'http://127.0.0.1:{server.server_port}'
        finally:
            server.shutdown()
            thread.join()


def ask(url):
    session = keystone_session.Session(auth=token_endpoint.Token(url, 'mine'))
    clients.send_service_token(session, token_endpoint.Token(url, 'service'))
    return clients.ask(session, 'Cinder', 'GET', f'{url}/volumes/1', version='volume 3.66')


def test_an_answer_is_its_body_and_both_tokens_are_sent():
    seen = []
    with answering(200, b'{"volume": {}}', seen) as url:
        assert ask(url) == {'volume': {}}
    assert (seen[0]['X-Auth-Token'], seen[0]['X-Service-Token']) == ('mine', 'service')
    assert seen[0]['OpenStack-API-Version'] == 'volume 3.66'


@pytest.mark.parametrize(('body', 'text'), [
    (b'{"badRequest": {"code": 400, "message": "no"}}', 'no'),
    (b'<html>', 'Bad Request'), (b'[]', 'Bad Request'), (b'', 'Bad Request')])
def test_a_refusal_says_why(body, text):
    with answering(400, body) as url, pytest.raises(clients.Refused) as refused:
        ask(url)
    assert (refused.value.status, refused.value.message) == (400, text)


@pytest.mark.parametrize('status', [401, 500, 503])
def test_a_failing_service_is_named(status):
    with answering(status, b'') as url, pytest.raises(
            exception.DriverFailed, match=f'Cinder answered {status} to GET /volumes/1'):
        ask(url)


def test_a_silent_service_is_named():
    with pytest.raises(exception.DriverFailed, match='Cinder does not answer'):
        ask('http://127.0.0.1:1')
