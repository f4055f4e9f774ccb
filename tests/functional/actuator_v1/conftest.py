# SPDX-License-Identifier: Apache-2.0
"""The management application, and an operator who speaks to it."""

import json

import pytest
import webob

from backupsvc.wsgi import paste
from tests.fixtures import service as service_fixture


class Operator:
    """Sends requests to the management application as it is configured at the first of them.

    :param authorization: what the requests carry in the header of that name
    :param address: where they come from
    """

    def __init__(self, service, authorization=None, address='127.0.0.1'):
        self._service = service
        self._application = None
        self.authorization = authorization
        self.address = address

    def request(self, method, path, body=None, *, raw=None, headers=None):
        """Send one request; a body is sent as JSON, ``raw`` as it is."""
        if self._application is None:
            self._application = paste.loadapp(self._service.conf, paste.MANAGEMENT)
        req = webob.Request.blank(path, method=method, environ={'REMOTE_ADDR': self.address})
        if body is not None or raw is not None:
            req.body = json.dumps(body).encode() if raw is None else raw
            req.content_type = 'application/json'
        if self.authorization is not None:
            req.headers['Authorization'] = self.authorization
        req.headers.update(headers or {})
        return req.get_response(self._application)

    def get(self, path, **kwargs):
        return self.request('GET', path, **kwargs)

    def post(self, path, body=None, **kwargs):
        return self.request('POST', path, body, **kwargs)

    def delete(self, path, **kwargs):
        return self.request('DELETE', path, **kwargs)


@pytest.fixture(scope='session')
def _stage(tmp_path_factory):
    return service_fixture.Stage(tmp_path_factory.mktemp('service'))


@pytest.fixture
def service(_stage):
    """The service, with no manager."""
    with _stage.cleared() as running:
        yield running


@pytest.fixture
def operator(service):
    """An operator on the machine of the service."""
    return Operator(service)
