# SPDX-License-Identifier: Apache-2.0
"""Who gets into the management application, and what is served there and nowhere else."""

import base64

import pytest

from backupsvc.wsgi.middleware import noauth, operators
from tests.functional.actuator_v1.conftest import Operator

PATHS = ['/actuator/health', '/actuator/prometheus']


def _basic(text):
    return 'Basic ' + base64.b64encode(text.encode()).decode()


@pytest.fixture
def token(service):
    service.override('token', 'a-token', 'management')


@pytest.fixture
def password(service):
    service.override('username', 'ops', 'management')
    service.override('password', 'sesame:ü', 'management')


@pytest.mark.parametrize('path', PATHS)
def test_without_secrets_this_machine_is_let_in_and_others_are_not(service, path):
    service.heartbeat()
    assert Operator(service).get(path).status_int == 200
    assert Operator(service, address='::1').get(path).status_int == 200
    for address in ('192.0.2.7', '::ffff:192.0.2.7'):
        answer = Operator(service, address=address).get(path)
        assert answer.status_int == 403
        assert answer.json.keys() == {'message'}


@pytest.mark.parametrize('path', PATHS)
def test_a_token_opens_from_anywhere(service, token, path):
    service.heartbeat()
    for given in ('Bearer a-token', 'bearer  a-token'):
        assert Operator(service, given, address='192.0.2.7').get(path).status_int == 200


@pytest.mark.parametrize('given', [
    None, '', 'Bearer', 'Bearer ', 'Bearer a-toke', 'Bearer a-tokens', 'Bearer \xfc', 'a-token',
    'Basic a-token', _basic('a-token'), _basic(':a-token'), _basic(':'),
], ids=repr)
def test_anything_else_is_refused_on_this_machine_too(service, token, given):
    answer = Operator(service, given).get('/actuator/health')
    assert answer.status_int == 401
    assert answer.json == {'message': 'The request you have made requires authentication.'}
    assert answer.headers['WWW-Authenticate'] == 'Bearer realm="backupsvc"'


def test_name_and_password_open(service, password):
    service.heartbeat()
    operator = Operator(service, _basic('ops:sesame:ü'), address='192.0.2.7')
    assert operator.get('/actuator/health').status_int == 200


@pytest.mark.parametrize('given', [
    None, _basic('ops:sesame'), _basic('op:sesame:ü'), _basic('ops'), _basic(''), 'Basic %%%',
    'Basic b3BzOnNlc2FtZQ', 'Bearer sesame:ü',
], ids=repr)
def test_a_wrong_name_or_password_does_not(service, password, given):
    answer = Operator(service, given).get('/actuator/health')
    assert answer.status_int == 401
    assert answer.headers['WWW-Authenticate'] == 'Basic realm="backupsvc", charset="UTF-8"'


def test_either_is_enough_where_both_are_set(service, token, password):
    service.heartbeat()
    for given in ('Bearer a-token', _basic('ops:sesame:ü')):
        assert Operator(service, given).get('/actuator/health').status_int == 200
    refused = Operator(service).get('/actuator/health')
    assert refused.headers['WWW-Authenticate'] == (
        'Bearer realm="backupsvc", Basic realm="backupsvc", charset="UTF-8"')


def test_the_check_of_load_balancers_needs_no_token(service, token):
    assert Operator(service).get('/healthcheck').status_int == 200


def test_the_token_of_a_tenant_is_none_here(service, token):
    answer = Operator(service).get(
        '/actuator/health', headers={'X-Auth-Token': 'admin:0b5c:admin'})
    assert answer.status_int == 401


def test_each_zone_serves_its_own_only(service, operator):
    assert service.client(roles=None).get('//actuator/health').status_int == 404
    assert service.client(roles=None).get('//actuator/prometheus').status_int == 404
    assert operator.get('/v3/0b5c/backups').status_int == 404
    assert operator.get('/actuatorx').status_int == 404


def test_no_web_page_may_read_it(service, operator):
    service.override('allowed_origin', ['https://evil.example'], 'cors')
    answer = operator.get('/actuator/health', headers={'Origin': 'https://evil.example'})
    assert 'Access-Control-Allow-Origin' not in answer.headers


@pytest.mark.parametrize('host', ['0.0.0.0', '::', '192.0.2.1', 'ops.example'])
def test_it_does_not_listen_beyond_this_machine_without_secrets(service, host):
    with pytest.raises(noauth.ExposedWithoutAuthentication, match='is refused'):
        operators.check_bind(service.conf, host)
    for name in ('127.0.0.1', '::1', 'localhost'):
        operators.check_bind(service.conf, name)


def test_it_does_with_them(service, token):
    operators.check_bind(service.conf, '0.0.0.0')


@pytest.mark.parametrize('half', ['username', 'password'])
def test_half_of_a_password_is_no_configuration(service, half):
    service.override(half, 'x', 'management')
    with pytest.raises(SystemExit, match='belong together'):
        Operator(service).get('/actuator/health')
