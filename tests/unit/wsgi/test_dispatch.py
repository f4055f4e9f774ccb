# SPDX-License-Identifier: Apache-2.0
"""Requests handed to another dialect of the same process."""

import dataclasses

import pytest

from backupsvc.wsgi import dispatch, paste
from tests.fixtures import dialect
from tests.unit.wsgi.conftest import Application, EntryPoint

TOKEN = {'X-Auth-Token': 'alice:p1:member'}


@pytest.fixture
def front(dialects):
    """Return the application with a dialect at /front that hands every request to /v3."""

    def make(own_prefix=None, rewrite=None, path=None):
        dispatcher = dispatch.Dispatcher('/v3', own_prefix=own_prefix)
        dialects['front'] = EntryPoint(
            dataclasses.replace(
                dialect.PLAIN_DIALECT,
                name='front',
                mounts=('/front',),
                routes=(),
                version_entry=None,
                fallback=lambda req: dispatcher.forward(req, path or req.dialect_path, rewrite),
            )
        )
        return Application(paste.loadapp(dialect.configuration()))

    return make


def test_caller_query_version_and_request_id_stay(front):
    ask = front()
    answer = ask('POST', '/front/things/ping', headers=TOKEN)
    assert answer.status_int == 200, answer.text
    found = answer.json_body
    assert (found['user'], found['project']) == ('alice', 'p1')
    assert found['roles'] == ['member', 'reader']
    assert found['request_id'] == answer.headers['x-openstack-request-id']
    answer = ask('GET', '/front/things?name=a%20b&tag=1&tag=2', headers=TOKEN)
    assert answer.json_body['query'] == {'name': 'a b', 'tag': ['1', '2']}
    assert ask('GET', '/front/new', headers=TOKEN, version='volume 3.6').json_body == {
        'version': [3, 6]
    }


def test_the_body_arrives(front):
    answer = front()('POST', '/front/things', {'thing': {'name': 'x'}}, headers=TOKEN)
    assert (answer.status_int, answer.json_body['thing']['name']) == (202, 'x')
    assert answer.headers['ETag'] == '"abc"'


def test_a_body_that_was_read_before_arrives_too(front, dialects):
    front()
    reading = dialects['front'].load()
    dispatcher = dispatch.Dispatcher('/v3')

    def fallback(req):
        assert req.parsed_body()[0]
        return dispatcher.forward(req, req.dialect_path)

    dialects['front'] = EntryPoint(dataclasses.replace(reading, fallback=fallback))
    ask = Application(paste.loadapp(dialect.configuration()))
    answer = ask('POST', '/front/things', {'thing': {'name': 'x'}}, headers=TOKEN)
    assert (answer.status_int, answer.json_body['thing']['name']) == (202, 'x')


def test_errors_keep_the_shape_of_the_dialect_behind(front):
    ask = front()
    answer = ask('GET', '/front/things/gone', headers=TOKEN)
    assert (answer.status_int, list(answer.json_body)) == (404, ['fault'])
    assert answer.headers['X-Fault'] == '404'
    assert ask('DELETE', '/front/things', headers=TOKEN).headers['Allow'] == 'GET, POST'


@pytest.mark.parametrize('path', ['/..', '/things/../x', '/things//x', '/a%2fb', '/a\\b', '/.'])
def test_a_path_cannot_leave_the_prefix(front, path):
    assert front()('GET', '/front' + path, headers=TOKEN).status_int == 400


def test_a_path_that_was_encoded_is_refused_as_well(front):
    answer = front()(
        'GET', '/front/things/a/b', headers=TOKEN, environ={'RAW_URI': '/front/things/a%2Fb'}
    )
    assert answer.status_int == 400


def test_links_become_links_to_us_on_request(front):
    answer = front()('GET', '/front/', headers=TOKEN)
    link = answer.json_body['versions'][0]['links'][0]
    assert link['href'] == 'http://localhost/v3/'
    answer = front(own_prefix='/front')('GET', '/front/', headers=TOKEN)
    assert answer.json_body['versions'][0]['links'][0]['href'] == 'http://localhost/front/'
    answer = front(own_prefix='/front', rewrite=lambda below: '/shelf' + below)(
        'GET', '/front/', headers=TOKEN
    )
    assert answer.json_body['versions'][0]['links'][0]['href'] == 'http://localhost/shelf/'


def test_a_dialect_that_is_not_served_is_404(front):
    front()
    conf = dialect.configuration(enabled_dialects=['front'])
    assert Application(paste.loadapp(conf))('GET', '/front/x', headers=TOKEN).status_int == 404
