# SPDX-License-Identifier: Apache-2.0
"""The kernel under test: its pipelines over the dialects of ``tests/fixtures/dialect.py``."""

import json

import pytest
import webob

from backupsvc import conf as service_conf
from backupsvc import policy
from backupsvc.wsgi import paste, root
from tests.fixtures import dialect


class EntryPoint:
    """Stands for an installed dialect."""

    def __init__(self, found):
        self.name = found.name
        self._found = found

    def load(self):
        return self._found


class Application:
    """Sends requests to a WSGI application."""

    def __init__(self, wsgi):
        self.wsgi = wsgi

    def __call__(self, method, path, body=None, headers=None, version=None, environ=None):
        """Send a request; a body that is not bytes is sent as JSON."""
        req = webob.Request.blank('/', method=method, environ=environ)
        req.environ['PATH_INFO'], _, req.environ['QUERY_STRING'] = path.partition('?')
        if body is not None:
            req.body = body if isinstance(body, bytes) else json.dumps(body).encode()
            req.content_type = 'application/json'
        if version is not None:
            req.headers['OpenStack-API-Version'] = version
        for name, value in (headers or {}).items():
            if value is None:
                req.headers.pop(name, None)
            else:
                req.headers[name] = value
        return req.get_response(self.wsgi)


@pytest.fixture
def dialects(monkeypatch):
    """Install the dialects of the tests instead of the service's own."""
    installed = {each.name: EntryPoint(each) for each in (dialect.PLAIN_DIALECT, dialect.DIALECT)}
    monkeypatch.setattr(root, 'installed_dialects', lambda: installed)
    before = service_conf._current
    policy.reset()
    yield installed
    service_conf._current = before
    policy.reset()


@pytest.fixture
def build(dialects):
    """Return the application of a configuration: options of group ``api`` as keywords."""

    def build(**api):
        return Application(paste.loadapp(dialect.configuration(**api)))

    return build


@pytest.fixture
def ask(build):
    """The application with the default options."""
    return build()
