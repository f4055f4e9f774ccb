# SPDX-License-Identifier: Apache-2.0
"""The gateway within the service, behind Keystone's middleware: what of a caller goes on."""

import pytest
import webob

from backupsvc import conf as service_conf
from backupsvc import policy
from backupsvc.wsgi import paste
from tests.fixtures import dialect, upstream
from tests.fixtures.keystone import Keystone

PROJECT = '0b5c0000000000000000000000000001'
ID = 'c99b1a4e-5d6c-4e0f-9d8a-3a1c2b4d5e6f'


@pytest.fixture(scope='module')
def keystone():
    running = Keystone()
    yield running
    running.stop()


@pytest.fixture(scope='module')
def behind():
    running = upstream.Upstream(upstream.plain('200 OK', b'{}', Content_Type='application/json'))
    yield running
    running.stop()


@pytest.fixture(scope='module')
def ask(keystone, behind):
    before = service_conf._current
    policy.reset()
    conf = dialect.configuration(auth_strategy='keystone')
    keystone.configure(conf)
    conf.set_override('block_storage_url', f'{behind.url}/v3/%(project_id)s', group='gateway')
    conf.set_override('backup_url', f'{behind.url}/v1', group='gateway')
    application = paste.loadapp(conf)

    def ask(path, token=None, method='GET', **headers):
        req = webob.Request.blank(path, method=method)
        if token:
            req.headers['X-Auth-Token'] = token
        req.headers.update({name.replace('_', '-'): value for name, value in headers.items()})
        return req.get_response(application)

    yield ask
    policy.reset()
    service_conf._current = before


def test_without_a_token_nobody_behind_is_asked(ask, behind):
    behind.received.clear()
    assert ask('/gateway/v1/block/volume').status_int == 401
    assert ask('/gateway/v1/block/volume', 'no such token').status_int == 401
    assert behind.received == []
    assert ask('/gateway/v1/').status_int == 200


def test_the_token_goes_on_and_what_it_told_us_does_not(ask, keystone, behind):
    behind.received.clear()
    token = keystone.issue('alice', PROJECT, 'member')
    assert ask('/gateway/v1/compute/backup', token, X_Roles='admin').status_int == 200
    [request] = behind.received
    assert request.header('X-Auth-Token') == token
    told = [name for name, _ in request.headers if name.lower().startswith((
        'x-user', 'x-project', 'x-tenant', 'x-domain', 'x-role', 'x-identity', 'x-service-catalog',
        'x-is-admin', 'x-system', 'openstack-system'))]
    assert told == []


def test_a_service_that_wants_the_project_gets_that_of_the_token(ask, keystone, behind):
    behind.received.clear()
    token = keystone.issue('alice', PROJECT, 'member')
    assert ask(f'/gateway/v1/block/volume/{ID}?a=b', token).status_int == 200
    assert [request.target for request in behind.received] == [f'/v3/{PROJECT}/volumes/{ID}?a=b']
    odd = keystone.issue('alice', '../other', 'member')
    assert ask(f'/gateway/v1/block/volume/{ID}', odd).status_int == 501
    assert len(behind.received) == 1
