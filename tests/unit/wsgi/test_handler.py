# SPDX-License-Identifier: Apache-2.0
"""Requests through the whole kernel: what is served, what is refused, and in which words."""

import json
import logging

import pytest

from backupsvc.wsgi import errors
from tests.fixtures import dialect


def _message(answer):
    return answer.json_body['fault']['message']


def test_a_handler_gets_its_parameters_and_answers(ask):
    answer = ask('GET', '/v3/abc/things/x')
    assert answer.status_int == 200
    assert answer.json_body == {'thing': {'id': 'x', 'project_id': 'abc'}}
    assert answer.content_type == 'application/json'


def test_both_mounts_lead_to_the_same_rows(ask):
    assert ask('GET', '/v3/things/x').status_int == 200
    assert ask('GET', '/v3/abc/things/x').status_int == 200


def test_the_declared_status_and_the_handlers_headers_go_out(ask):
    answer = ask('POST', '/v3/things', {'thing': {'name': 'n'}})
    assert answer.status_int == 202
    assert answer.headers['ETag'] == '"abc"'


def test_an_empty_answer_has_no_media_type(ask):
    answer = ask('DELETE', '/v3/things/x')
    assert (answer.status_int, answer.body) == (204, b'')
    assert 'Content-Type' not in answer.headers


@pytest.mark.parametrize(
    ('path', 'found'),
    [
        ('/v3/things/a.json', 'a.json'),
        ('/v3/things/a.1', 'a.1'),
        ('/v3/things/a b', 'a b'),
        ('/v3/things/100%', '100%'),
        ('/v3/things/\xc3\xa9', 'é'),
        ('/v3/things/%C3%A9', '%C3%A9'),
    ],
)
def test_ids_are_taken_as_they_are(ask, path, found):
    assert ask('GET', path).json_body['thing']['id'] == found


@pytest.mark.parametrize('key', ['a', 'a/b', 'a.b:c /d', 'a/', '/', 'x.json', 'keys/keys'])
def test_a_key_is_the_rest_of_the_path(ask, key):
    assert ask('GET', f'/v3/things/t/keys/{key}').json_body == {'key': key, 'thing': 't'}


@pytest.mark.parametrize(
    'path', ['/v3/things/\xff', '/v3/things/a\0b', '/\xff', '/v3/\xff/things']
)
def test_a_path_that_no_resource_can_have_is_404(ask, path):
    assert ask('GET', path).status_int == 404


def test_unknown_paths_are_404_in_json(ask):
    below = ask('GET', '/v3/nothing')
    assert below.json_body == {
        'fault': {'code': 404, 'message': 'The resource could not be found.'}
    }
    outside = ask('GET', '/nothing')
    assert (outside.status_int, outside.json_body['error']['code']) == (404, 404)
    assert ask('GET', '/v3/things/').status_int == 404
    assert ask('GET', '/v33/things').status_int == 404


def test_a_wrong_method_is_405_with_allow(ask):
    answer = ask('PATCH', '/v3/things')
    assert answer.status_int == 405
    assert answer.headers['Allow'] == 'GET, POST'
    assert ask('PUT', '/v3/things/x').headers['Allow'] == 'DELETE, GET'


def test_rows_that_a_configuration_leaves_out_do_not_exist(ask):
    assert ask('GET', '/v3/never').status_int == 404


# ---- bodies ----


@pytest.mark.parametrize(
    'body',
    [
        b'{',
        b'{"thing": }',
        b'{"thing": {"name": NaN}}',
        b'{"thing": {"size": Infinity}}',
        b'{"thing": {"size": -Infinity}}',
        b'{"thing": {"size": 1e400}}',
        b'{"thing": {}, "thing": {}}',
        b'{"thing": {"name": "a\\u0000b"}}',
        b'{"thing": {"name": "\\ud800"}}',
        b'\xff\xfe',
        b'"\xed\xa0\x80"',
        b'{"thing": {"name": "a\x00b"}}',
        b'{"\\u0000": 1}',
        b'[' * 20000,
        b'[' * 20000 + b']' * 20000,
        b'{"":' * 20000 + b'1' + b'}' * 20000,
        b'[' * 65 + b']' * 65,
        b'{"thing": {"size": ' + b'9' * 5000 + b'}}',
        b"{'thing': {}}",
        b'{} {}',
        b'\xef\xbb\xbf{}',
    ],
    ids=lambda body: body[:24].decode('latin-1').encode('unicode_escape').decode(),
)
def test_what_is_not_json_is_a_malformed_body(ask, body):
    answer = ask('POST', '/v3/things', body)
    assert (answer.status_int, _message(answer)) == (400, 'Malformed request body')


@pytest.mark.parametrize('body', [b'[]', b'"x"', b'5', b'true', b'[' * 64 + b'1' + b']' * 64])
def test_json_that_is_no_object_fails_the_schema(ask, body):
    answer = ask('POST', '/v3/things', body)
    assert answer.status_int == 400
    assert _message(answer).endswith("is not of type 'object'")


def test_null_and_nothing_are_told_apart(ask):
    assert _message(ask('POST', '/v3/things', b'null')) == "None is not of type 'object'"
    assert _message(ask('POST', '/v3/things')) == 'A request body is required'
    assert _message(ask('POST', '/v3/things', b' \n')) == 'A request body is required'


def test_a_schema_that_allows_null_allows_no_body(ask):
    assert ask('POST', '/v3/things/ping').json_body['json'] is None
    assert ask('POST', '/v3/things/ping', b'null').json_body['json'] is None
    assert ask('POST', '/v3/things/ping', b'{}').json_body['json'] == {}
    assert ask('POST', '/v3/things/ping', b'{"x": 1}').status_int == 400


@pytest.mark.parametrize(
    'kind', ['application/json', 'application/json; charset=utf-8', 'application/vnd.things+json']
)
def test_media_types_of_the_dialect_are_taken(ask, kind):
    body = {'thing': {}}
    assert ask('POST', '/v3/things', body, {'Content-Type': kind}).status_int == 202


@pytest.mark.parametrize(
    'kind',
    [
        'text/plain',
        'application/xml',
        'application/jsonx',
        'rubbish',
        'application/x-www-form-urlencoded',
        None,
    ],
)
def test_other_media_types_are_415(ask, kind):
    answer = ask('POST', '/v3/things', {'thing': {}}, {'Content-Type': kind})
    assert (answer.status_int, _message(answer)) == (415, 'Unsupported Content-Type')


def test_the_body_of_a_request_that_takes_none_is_not_looked_at(ask):
    assert ask('GET', '/v3/things/x', b'{', {'Content-Type': 'text/plain'}).status_int == 200


@pytest.mark.parametrize(
    ('thing', 'message'),
    [
        (
            {'name': 5},
            "Invalid input for field/attribute name. Value: 5. 5 is not of type 'string', 'null'",
        ),
        (
            {'name': 'x' * 256},
            f'Invalid input for field/attribute name. Value: {"x" * 256}. '
            f"'{'x' * 256}' is too long",
        ),
        (
            {'x': 1},
            "Invalid input for field/attribute thing. Value: {'x': 1}. "
            "Additional properties are not allowed ('x' was unexpected)",
        ),
        (
            {'size': 0},
            'Invalid input for field/attribute size. Value: 0. 0 is less than the minimum of 1',
        ),
        (
            {'size': '0'},
            "Invalid input for field/attribute size. Value: 0. '0' is less than the minimum of 1",
        ),
        (
            {'size': '99999999999999999999'},
            'Invalid input for field/attribute size. Value: 99999999999999999999. '
            "'99999999999999999999' is greater than the maximum of 2147483647",
        ),
    ],
)
def test_schema_failures_name_the_field_and_the_value(ask, thing, message):
    answer = ask('POST', '/v3/things', {'thing': thing})
    assert (answer.status_int, _message(answer)) == (400, message)


def test_a_refused_value_is_not_repeated_without_end(ask):
    answer = ask('POST', '/v3/things', {'thing': {'name': 'x' * 100000}})
    assert len(_message(answer)) < 4096


@pytest.mark.parametrize(
    'value',
    [True, False, 't', 'F', 'true', 'True', 'TRUE', '0', '1', 'on', 'OFF', 'y', 'No', 'yes'],
)
def test_spellings_of_booleans(ask, value):
    assert ask('POST', '/v3/things', {'thing': {'fast': value}}).status_int == 202


@pytest.mark.parametrize('value', [1, 0, 1.0, None, 'maybe', '', 'tRuE', []])
def test_what_is_no_boolean(ask, value):
    assert ask('POST', '/v3/things', {'thing': {'fast': value}}).status_int == 400


# ---- queries ----


def test_a_query_has_the_last_value_or_all_where_the_schema_says_array(ask):
    answer = ask('GET', '/v3/things?name=a&name=b&tag=c&tag=d&limit=5')
    assert answer.json_body['query'] == {'name': 'b', 'tag': ['c', 'd'], 'limit': '5'}


def test_a_query_is_decoded_once(ask):
    answer = ask('GET', '/v3/things?name=a%2520b+c%26d%3D')
    assert answer.json_body['query'] == {'name': 'a%20b c&d='}


def test_a_blank_value_counts(ask):
    assert ask('GET', '/v3/things?name=').json_body['query'] == {'name': ''}


@pytest.mark.parametrize('query', ['x=1', 'limit=a', 'limit=-1', 'limit=1%0A'])
def test_a_query_that_misses_its_schema_is_400(ask, query):
    assert ask('GET', f'/v3/things?{query}').status_int == 400


@pytest.mark.parametrize(
    'query', ['name=%FF', 'name=a%00b', '%00=1', 'name=%ED%A0%80', '&'.join(['tag=1'] * 1001)]
)
def test_a_query_that_nothing_can_hold_is_400(ask, query):
    answer = ask('GET', f'/v3/things?{query}')
    assert (answer.status_int, _message(answer)) == (400, 'Malformed query string')


# ---- actions ----


def _act(ask, body, **kwargs):
    return ask('POST', '/v3/things/x/action', body, **kwargs)


def test_the_key_of_the_body_chooses_the_action(ask):
    assert _act(ask, {'paint': 'red'}).status_int == 202
    assert _act(ask, {'paint': 5}).status_int == 400
    assert _act(ask, {'os-drop': None}, version='volume 3.5').status_int == 202


def test_an_action_of_a_later_version_is_404(ask):
    assert _act(ask, {'os-drop': None}, version='volume 3.4').status_int == 404


def test_an_unknown_action_is_named(ask):
    answer = _act(ask, {'dance': None})
    assert (answer.status_int, _message(answer)) == (
        400,
        'There is no such action: dance. Verify the request body and Content-Type header '
        'and try again.',
    )


@pytest.mark.parametrize('body', [{'paint': 'red', 'os-drop': None}, {}, [], 'paint', None, 5])
def test_a_body_that_chooses_no_single_action_is_malformed(ask, body):
    answer = _act(ask, json.dumps(body).encode())
    assert (answer.status_int, _message(answer)) == (400, 'Malformed request body')


def test_no_body_at_all_chooses_no_action(ask):
    assert _act(ask, None).status_int == 400


# ---- fallback ----


def test_a_fallback_takes_what_no_row_matches(ask):
    answer = ask('PUT', '/v3/abc/elsewhere/x', b'raw', {'Content-Type': 'text/plain'})
    assert (answer.status_int, answer.body) == (203, b'raw')
    assert answer.headers['OpenStack-API-Version'] == 'volume 3.0'


def test_a_fallback_gets_the_body_of_an_unknown_action(ask):
    answer = _act(ask, {'launch': 1})
    assert (answer.status_int, answer.body) == (203, b'{"launch": 1}')


# ---- microversions ----


@pytest.mark.parametrize(
    ('header', 'used'),
    [
        (None, '3.0'),
        ('volume 3.6', '3.6'),
        ('volume latest', '3.9'),
        ('compute 2.90', '3.0'),
        ('compute 2.90, volume 3.5', '3.5'),
        (' Volume  3.7 ', '3.7'),
        ('', '3.0'),
    ],
)
def test_the_version_in_use_is_negotiated_and_told(ask, header, used):
    answer = ask('GET', '/v3/things', version=header)
    assert answer.status_int == 200
    assert answer.headers['OpenStack-API-Version'] == f'volume {used}'
    assert answer.headers['Vary'] == 'OpenStack-API-Version'


@pytest.mark.parametrize(
    'header',
    [
        'volume',
        'volume 3.0 3.1',
        'volume 3',
        'volume 3.01',
        'volume x',
        'volume 3.-1',
        'volume 3.' + '9' * 5000,
        'volume \u0663.\u0661'.encode().decode('latin-1'),
    ],
)
def test_a_malformed_version_is_400(ask, header):
    answer = ask('GET', '/v3/things', version=header)
    assert answer.status_int == 400
    assert _message(answer).endswith('is of invalid format. Must be of format MajorNum.MinorNum.')
    assert answer.headers['OpenStack-API-Version'] == 'volume 3.0'


@pytest.mark.parametrize('number', ['3.10', '2.0', '4.0', '3.99999999'])
def test_a_version_out_of_bounds_is_406(ask, number):
    answer = ask('GET', '/v3/things', version=f'volume {number}')
    assert answer.status_int == 406
    assert _message(answer) == (
        f'Version {number} is not supported by the API. Minimum is 3.0 and maximum is 3.9.'
    )


@pytest.mark.parametrize(
    ('version', 'status'), [('3.4', 404), ('3.5', 200), ('3.7', 200), ('3.8', 404)]
)
def test_a_row_exists_within_its_bounds(ask, version, status):
    assert ask('GET', '/v3/new', version=f'volume {version}').status_int == status


@pytest.mark.parametrize(('version', 'status'), [('3.4', 400), ('3.5', 202)])
def test_a_schema_is_for_its_versions(ask, version, status):
    answer = ask('POST', '/v3/things', {'thing': {'colour': 'red'}}, version=f'volume {version}')
    assert answer.status_int == status


def test_dialects_without_versions_do_not_speak_of_them(ask):
    answer = ask('GET', '/v1/things/x', version='volume 99')
    assert answer.status_int == 200
    assert 'OpenStack-API-Version' not in answer.headers


# ---- errors ----


@pytest.mark.parametrize(
    ('name', 'status', 'message'),
    [
        ('gone', 404, 'Backup gone could not be found.'),
        ('invalid', 400, 'Invalid backup: no'),
        ('forbidden', 403, "Policy doesn't allow things:show to be performed."),
        ('conflict', 409, 'busy'),
        ('quota', 413, 'Quota exceeded for resources: things'),
        ('down', 503, 'The service is currently unable to handle the request.'),
        ('unsupported', 501, 'Operation not supported.'),
        ('teapot', 418, 'short and stout'),
        ('reworded', 404, 'no volume reworded here'),
    ],
)
def test_a_category_gives_the_status_and_the_dialect_the_words(ask, name, status, message):
    answer = ask('GET', f'/v3/things/{name}')
    assert answer.status_int == status
    assert answer.json_body == {'fault': {'code': status, 'message': message}}
    assert answer.headers['X-Fault'] == str(status)


def test_the_same_error_in_another_dialect(ask):
    answer = ask('GET', '/v1/things/reworded')
    assert answer.json_body == {'plain': 'Volume reworded could not be found.'}


def test_retry_after_of_an_error_goes_out(ask):
    assert ask('GET', '/v3/things/down').headers['Retry-After'] == '7'


def test_an_unexpected_error_is_a_logged_500_without_detail(ask, caplog):
    with caplog.at_level(logging.ERROR):
        answer = ask('GET', '/v3/things/broken')
    assert answer.status_int == 500
    assert answer.json_body == {
        'fault': {
            'code': 500,
            'message': errors.HTTPFault.message,
        }
    }
    assert 'hunter2' not in answer.text
    assert 'hunter2' in caplog.text
    assert answer.headers['x-openstack-request-id'] in caplog.text
    assert answer.headers['OpenStack-API-Version'] == 'volume 3.0'


# ---- checks of our own answers ----


def test_an_answer_that_misses_its_schema_is_500(ask):
    assert ask('GET', '/v3/things/undeclared-field').status_int == 500


def test_an_undeclared_error_is_500(ask):
    assert ask('GET', '/v1/things/conflict').status_int == 409
    assert ask('GET', '/v1/things/quota').status_int == 500


def test_in_production_answers_go_out_unchecked(build):
    ask = build(validate_responses=False)
    assert ask('GET', '/v3/things/undeclared-field').status_int == 200
    assert ask('GET', '/v1/things/quota').status_int == 413


# ---- who asks ----


def test_another_project_in_the_url_is_malformed(ask):
    token = {'X-Auth-Token': 'alice:abc:member'}
    assert ask('GET', '/v3/abc/things/x', headers=token).status_int == 200
    answer = ask('GET', '/v3/def/things/x', headers=token)
    assert (answer.status_int, _message(answer)) == (400, 'Malformed request url')
    admin = {'X-Auth-Token': 'alice:abc'}
    assert ask('GET', '/v3/def/things/x', headers=admin).status_int == 400


@pytest.mark.parametrize(
    ('token', 'user', 'project', 'roles', 'is_admin'),
    [
        ('alice:abc', 'alice', 'abc', {'admin', 'member', 'reader'}, True),
        ('alice:abc:', 'alice', 'abc', set(), False),
        ('alice:abc:member', 'alice', 'abc', {'member', 'reader'}, False),
        ('alice:abc:reader, creator', 'alice', 'abc', {'reader', 'creator'}, False),
        ('alice:abc:admin', 'alice', 'abc', {'admin', 'member', 'reader'}, True),
        (None, 'noauth', 'abc', {'admin', 'member', 'reader'}, True),
        ('alice', 'alice', 'abc', {'admin', 'member', 'reader'}, True),
    ],
)
def test_noauth_believes_the_token(ask, token, user, project, roles, is_admin):
    headers = {} if token is None else {'X-Auth-Token': token}
    found = ask('POST', '/v3/abc/things/ping', headers=headers).json_body
    assert (found['user'], found['project'], set(found['roles']), found['is_admin']) == (
        user,
        project,
        roles,
        is_admin,
    )


def test_noauth_without_any_project_has_a_fixed_one(ask):
    assert ask('POST', '/v3/things/ping').json_body['project'] == '0' * 32


def test_noauth_answers_this_machine_only(ask):
    for address, status in (
        ('127.0.0.1', 200),
        ('::1', 200),
        ('', 200),
        ('192.0.2.1', 403),
        ('::ffff:192.0.2.1', 403),
        ('rubbish', 403),
    ):
        answer = ask('GET', '/v3/things/x', environ={'REMOTE_ADDR': address})
        assert answer.status_int == status, address


def test_request_ids(ask):
    known = 'req-11111111-1111-1111-1111-111111111111'
    answer = ask('POST', '/v3/things/ping', headers={'X-Openstack-Request-Id': known})
    own = answer.headers['x-openstack-request-id']
    assert own.startswith('req-')
    assert own != known
    assert answer.headers['x-compute-request-id'] == own
    assert answer.json_body['request_id'] == own
    assert answer.json_body['global_request_id'] == known


@pytest.mark.parametrize(
    'path',
    ['/', '/v3/', '/v3/things', '/v3/nothing', '/nothing', '/v3/things/broken', '/healthcheck'],
)
def test_every_answer_has_request_ids(ask, path):
    answer = ask('GET', path)
    assert answer.headers['x-openstack-request-id']
    assert answer.headers['x-compute-request-id']


def test_the_example_dialect_has_every_error():
    assert {'gone', 'broken'} <= set(dialect.ERRORS)
