# SPDX-License-Identifier: Apache-2.0
"""The application with records of instances and no servers, and requests in either form."""

import json

import pytest
import webob

from backupsvc import states
from tests.fixtures import database_instances
from tests.fixtures import service as fixture

CLIENTS = f'/v1.0/{fixture.PROJECT}'
SPECIFIED = '/v1'
NAMESPACE = 'http://docs.openstack.org/database/api/v1.0'


@pytest.fixture(scope='package')
def stage(tmp_path_factory):
    return fixture.Stage(tmp_path_factory.mktemp('database_v1'))


@pytest.fixture
def service(stage):
    with stage.cleared() as service:
        yield service


@pytest.fixture
def ask(service):
    """Send a request as a member of a project; a text body is sent as XML."""
    def send(method, path, body=None, project=fixture.PROJECT, roles='member', **headers):
        req = webob.Request.blank(path, method=method, headers={
            'X-Auth-Token': f'alice:{project}:{roles}', **headers})
        if isinstance(body, str | bytes):
            req.body = body.encode() if isinstance(body, str) else body
            req.content_type = 'application/xml'
        elif body is not None:
            req.body, req.content_type = json.dumps(body).encode(), 'application/json'
        return req.get_response(service.application)
    return send


@pytest.fixture
def instance(service):
    """A record in status error."""
    return database_instances.instance(service)


@pytest.fixture
def active(service):
    """A record in status active; its server would not answer."""
    return database_instances.instance(service, status=states.ACTIVE)
