# SPDX-License-Identifier: Apache-2.0
"""The application, and its callers in the HP dialect."""

import pytest

from tests.fixtures import service as service_fixture

BASE = 'hp-volume-backups'


class Client:
    """One user's way to the six calls."""

    def __init__(self, service, project=service_fixture.PROJECT, **kwargs):
        self.project = project
        self._client = service.client(project=project, version=None, **kwargs)

    def request(self, method, path='', body=None, **kwargs):
        """Send a request to a path below the base."""
        return self._client.request(
            method, f'//v1.1/{self.project}/{BASE}{path}', body, **kwargs)

    def get(self, path='', **kwargs):
        return self.request('GET', path, **kwargs)

    def post(self, path='', body=None, **kwargs):
        return self.request('POST', path, body, **kwargs)

    def delete(self, path='', **kwargs):
        return self.request('DELETE', path, **kwargs)

    def create(self, volume_id, **wanted):
        """Start a backup and return what is answered of it."""
        answer = self.post('', {'backup': {'volume_id': volume_id, **wanted}})
        assert answer.status_int == 200, answer.text
        return answer.json['backup']


@pytest.fixture
def member(service):
    """A member of the project."""
    return Client(service)


@pytest.fixture
def admin(service):
    """An administrator of the project."""
    return Client(service, user='adam', roles='admin')


@pytest.fixture
def stranger(service):
    """A member of another project."""
    return Client(service, project=service_fixture.OTHER_PROJECT, user='sam')


@pytest.fixture
def fault():
    """Return (status, name, message) of an error answer, whose shape is checked."""
    def read(answer):
        assert answer.content_type == 'application/json', answer
        [(name, body)] = answer.json.items()
        assert body.keys() == {'message', 'code'}
        assert body['code'] == answer.status_int
        return answer.status_int, name, body['message']
    return read
