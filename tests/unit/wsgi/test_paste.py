# SPDX-License-Identifier: Apache-2.0
"""The pipelines of ``api-paste.ini``: authentication by Keystone, order of middlewares, files."""

import logging
import re

import pytest

from backupsvc import conf as service_conf
from backupsvc.wsgi import paste
from tests.fixtures import dialect
from tests.fixtures.keystone import Keystone
from tests.unit.wsgi.conftest import Application


@pytest.fixture
def keystone():
    standing = Keystone()
    yield standing
    standing.stop()


@pytest.fixture
def ask(dialects, keystone):
    """The application behind the Keystone pipeline."""
    conf = dialect.configuration(auth_strategy='keystone')
    keystone.configure(conf)
    return Application(paste.loadapp(conf))


@pytest.mark.parametrize('headers', [{}, {'X-Auth-Token': 'rubbish'}, {'X-Auth-Token': 'a:abc'}])
def test_without_a_valid_token_everything_is_401(ask, headers):
    answer = ask('GET', '/v3/abc/things', headers=headers)
    assert answer.status_int == 401
    assert answer.json_body == {
        'error': {
            'code': 401,
            'title': 'Unauthorized',
            'message': 'The request you have made requires authentication.',
        }
    }
    assert answer.headers['WWW-Authenticate'].startswith('Keystone uri=')
    assert answer.headers['OpenStack-API-Version'] == 'volume 3.0'
    assert answer.headers['Vary'] == 'OpenStack-API-Version'
    assert answer.headers['x-compute-request-id']


def test_unknown_paths_are_401_too(ask):
    assert ask('GET', '/nothing').status_int == 401


def test_an_expired_token_is_401(ask, keystone):
    token = keystone.issue('alice', 'abc', 'member', seconds=-10)
    assert ask('GET', '/v3/abc/things', headers={'X-Auth-Token': token}).status_int == 401


@pytest.mark.parametrize(
    ('roles', 'is_admin'),
    [(('member', 'reader'), False), (('admin', 'member', 'reader'), True), ((), False)],
)
def test_a_valid_token_is_the_context(ask, keystone, roles, is_admin):
    token = keystone.issue('alice', 'abc', *roles)
    answer = ask('POST', '/v3/abc/things/ping', headers={'X-Auth-Token': token})
    assert answer.status_int == 200
    found = answer.json_body
    assert (found['user'], found['project'], found['roles'], found['is_admin']) == (
        'alice',
        'abc',
        list(roles),
        is_admin,
    )
    assert found['request_id'] == answer.headers['x-openstack-request-id']


def test_headers_that_claim_an_identity_are_not_believed(ask, keystone):
    token = keystone.issue('alice', 'abc', 'reader')
    forged = {
        'X-Auth-Token': token,
        'X-Roles': 'admin',
        'X-User-Id': 'root',
        'X-Project-Id': 'other',
        'X-Identity-Status': 'Confirmed',
    }
    found = ask('POST', '/v3/things/ping', headers=forged).json_body
    assert (found['user'], found['project'], found['roles']) == ('alice', 'abc', ['reader'])
    forged.pop('X-Auth-Token')
    assert ask('POST', '/v3/things/ping', headers=forged).status_int == 401


def test_the_project_of_the_url_is_not_believed(ask, keystone):
    token = keystone.issue('alice', 'abc', 'admin')
    answer = ask('GET', '/v3/def/things', headers={'X-Auth-Token': token})
    assert answer.status_int == 400
    assert answer.json_body['fault']['message'] == 'Malformed request url'


@pytest.mark.parametrize(
    ('path', 'status'), [('/', 300), ('/v3', 302), ('/v3/', 200), ('/healthcheck', 200)]
)
def test_discovery_and_health_need_no_token(ask, keystone, path, status):
    keystone.is_broken = True
    assert ask('GET', path).status_int == status
    assert keystone.validations == 0


def test_a_body_over_the_limit_is_413_after_authentication(ask, keystone):
    token = keystone.issue('alice', 'abc', 'member')
    answer = ask('POST', '/v3/things', b'x' * 114689, {'X-Auth-Token': token})
    assert answer.status_int == 413
    assert answer.json_body['fault']['code'] == 413
    assert ask('POST', '/v3/things', b'x' * 114689).status_int == 401


def test_a_keystone_that_does_not_answer_is_503(ask, keystone):
    keystone.is_broken = True
    answer = ask('GET', '/v3/things', headers={'X-Auth-Token': 'x'})
    assert answer.status_int == 503


def test_the_size_limit_is_an_option(dialects):
    conf = dialect.configuration()
    small = Application(paste.loadapp(conf))
    conf.set_override('max_request_body_size', 20, group='oslo_middleware')
    body = {'thing': {'name': 'long enough'}}
    assert small('POST', '/v3/things', body).status_int == 413
    conf.clear_override('max_request_body_size', group='oslo_middleware')
    assert small('POST', '/v3/things', body).status_int == 202


def test_pages_of_other_origins_are_admitted_when_configured(dialects):
    preflight = {
        'Origin': 'https://horizon.example',
        'Access-Control-Request-Method': 'DELETE',
        'Access-Control-Request-Headers': 'X-Auth-Token, OpenStack-API-Version',
    }
    conf = dialect.configuration()
    closed = Application(paste.loadapp(conf))
    answer = closed('OPTIONS', '/v3/things', headers=preflight)
    assert 'Access-Control-Allow-Origin' not in answer.headers
    conf.set_override('allowed_origin', ['https://horizon.example'], group='cors')
    answer = Application(paste.loadapp(conf))('OPTIONS', '/v3/things', headers=preflight)
    assert answer.status_int == 200
    assert answer.headers['Access-Control-Allow-Origin'] == 'https://horizon.example'
    assert answer.headers['Access-Control-Allow-Methods'] == 'DELETE'


def test_each_request_is_one_line_of_log_without_secrets(dialects, caplog):
    ask = Application(paste.loadapp(dialect.configuration()))
    with caplog.at_level(logging.INFO):
        answer = ask(
            'GET',
            '/v3/abc/things/a\n b?x=secret-name',
            headers={'X-Auth-Token': 'secret-user:abc'},
        )
        size = len(answer.body)
    lines = [r.getMessage() for r in caplog.records if r.name.endswith('request_log')]
    assert len(lines) == 1
    assert re.fullmatch(
        r'GET /v3/abc/things/a\\n b status: 400 bytes: (\d+) ms: \d+\.\d request: (req-\S+)',
        lines[0],
    )
    assert f'bytes: {size} ' in lines[0]
    assert answer.headers['x-openstack-request-id'] in lines[0]
    assert 'secret' not in caplog.text


def test_what_gets_past_everything_is_a_500_with_a_request_id(dialects, monkeypatch, caplog):
    from backupsvc.wsgi import root

    def broken(self, environ, start_response):
        raise ValueError('the password is hunter2')

    ask = Application(paste.loadapp(dialect.configuration()))
    monkeypatch.setattr(root.Root, '__call__', broken)
    answer = ask('GET', '/v3/things')
    assert (answer.status_int, answer.json_body['error']['code']) == (500, 500)
    assert 'hunter2' not in answer.text
    assert answer.headers['x-openstack-request-id'] in caplog.text


def test_a_paste_file_of_ones_own(dialects, tmp_path):
    ours = paste.find_file(dialect.configuration())
    assert ours.endswith('/etc/backupsvc/api-paste.ini')
    path = tmp_path / 'mine.ini'
    path.write_text('[app:public]\npaste.app_factory = backupsvc.wsgi.paste:root_factory\n')
    conf = dialect.configuration(paste_config=str(path))
    answer = Application(paste.loadapp(conf))('GET', '/')
    assert answer.status_int == 300
    assert 'x-openstack-request-id' not in answer.headers


def test_a_paste_file_that_is_not_there(dialects, tmp_path):
    conf = dialect.configuration(paste_config=str(tmp_path / 'nothing.ini'))
    with pytest.raises(paste.PasteFileNotFound, match='nothing.ini, which does not exist'):
        paste.loadapp(conf)


def test_the_configuration_of_the_application_is_the_processes(dialects):
    conf = dialect.configuration()
    service_conf._current = None
    paste.loadapp(conf)
    assert service_conf.current() is conf
