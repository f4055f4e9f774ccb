# SPDX-License-Identifier: Apache-2.0
"""The application and its callers."""

import pytest

from tests.fixtures import service as service_fixture

NAMES = {
    400: 'badRequest', 403: 'forbidden', 404: 'itemNotFound', 405: 'badMethod',
    409: 'conflictingRequest', 413: 'overLimit', 415: 'badMediaType', 502: 'computeFault',
    503: 'serviceUnavailable', 504: 'computeFault'}


class Caller:
    """One user's way to ``/v1``, and to ``/v3`` for what is beside it."""

    def __init__(self, client):
        self.volumes = client
        self._client = client.at(None)

    @property
    def project(self):
        return self._client.project

    def request(self, method, path, body=None, **kwargs):
        return self._client.request(method, f'//v1{path}', body, **kwargs)

    def get(self, path, **kwargs):
        return self.request('GET', path, **kwargs)

    def post(self, path, body=None, **kwargs):
        return self.request('POST', path, body, **kwargs)

    def delete(self, path, **kwargs):
        return self.request('DELETE', path, **kwargs)


@pytest.fixture
def member(service):
    """A member of the project."""
    return Caller(service.client())


@pytest.fixture
def reader(service):
    """A reader of the project."""
    return Caller(service.client(user='rita', roles='reader'))


@pytest.fixture
def admin(service):
    """An administrator of the project."""
    return Caller(service.client(user='adam', roles='admin'))


@pytest.fixture
def stranger(service):
    """A member of another project."""
    return Caller(service.client(user='sam', project=service_fixture.OTHER_PROJECT))


@pytest.fixture
def fault():
    """Return (status, message) of an error answer, whose shape is checked."""
    def read(answer):
        assert answer.content_type == 'application/json', answer
        [(name, body)] = answer.json.items()
        assert sorted(body) == ['code', 'message'], answer.text
        assert (body['code'], name) == (answer.status_int, NAMES[answer.status_int])
        return answer.status_int, body['message']
    return read
