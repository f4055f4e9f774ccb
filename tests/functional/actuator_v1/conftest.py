# SPDX-License-Identifier: Apache-2.0
"""The management application, and an operator who speaks to it."""

import json

import pytest
import webob

from backupsvc.wsgi import paste
from tests.fixtures import service as service_fixture
from tests.functional.flows.conftest import make_rig  # noqa: F401

BACKUPS = '/actuator/backups'


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
        req = webob.Request.blank(path, method=method, environ={'REMOTE_ADDR': self.address})
        if body is not None or raw is not None:
            req.body = json.dumps(body).encode() if raw is None else raw
            req.content_type = 'application/json'
        if self.authorization is not None:
            req.headers['Authorization'] = self.authorization
        req.headers.update(headers or {})
        return req.get_response(self.application)

    @property
    def application(self):
        """The application that the requests go to."""
        if self._application is None:
            self._application = paste.loadapp(self._service.conf, paste.MANAGEMENT)
        return self._application

    def get(self, path, **kwargs):
        return self.request('GET', path, **kwargs)

    def post(self, path, body=None, **kwargs):
        return self.request('POST', path, body, **kwargs)

    def delete(self, path, **kwargs):
        return self.request('DELETE', path, **kwargs)


@pytest.fixture
def service(idle):
    """The service, with no manager."""
    return idle


@pytest.fixture
def operator(service):
    """An operator on the machine of the service."""
    return Operator(service)


class Cluster:
    """A cluster of volumes on a rig, and words for what an operator does with its backups."""

    def __init__(self, rig, partitions=2):
        self.rig = rig
        self.operator = Operator(rig)
        self.volumes = [rig.volume((0, b'partition')) for _ in range(partitions)]
        self.configure(self.volumes)

    def configure(self, volumes):
        """Make these volumes the partitions 1, 2, …"""
        self.rig.conf.set_override('partitions', ', '.join(
            f'{number}=volume:{volume.id}@{self.rig.conf.host}'
            for number, volume in enumerate(volumes, 1)), group='actuator')

    def take(self, backup_id):
        """Ask for a backup; return the answer."""
        return self.operator.post(BACKUPS, {'backupId': backup_id})

    def show(self, backup_id):
        return self.operator.get(f'{BACKUPS}/{backup_id}')

    def ended(self, backup_id):
        """Return a backup once it is not in progress any more."""
        return service_fixture.wait_until(
            lambda: (found := self.show(backup_id).json)['state'] != 'IN_PROGRESS' and found)

    def taken(self, backup_id):
        """Take a backup that succeeds, and return it."""
        assert self.take(backup_id).status_int == 202
        found = self.ended(backup_id)
        assert found['state'] == 'COMPLETED', found
        return found

    def ids(self, path=''):
        """Return the ids in a list."""
        answer = self.operator.get(f'{BACKUPS}{path}')
        assert answer.status_int == 200, answer.text
        return [each['backupId'] for each in answer.json]


@pytest.fixture
def cluster(make_rig):  # noqa: F811
    """A cluster of two volumes, with a manager."""
    rig = make_rig()
    rig.start()
    return Cluster(rig)
