# SPDX-License-Identifier: Apache-2.0
"""The mapping between XML and JSON, and documents that are made to do harm."""

import dataclasses
import time

import pytest
import webob

from backupsvc.wsgi import errors, root, xml
from tests.fixtures import dialect as fixture

NAMESPACE = 'http://docs.openstack.org/database/api/v1.0'
REPRESENTATION = xml.representation(NAMESPACE)
TEXT = {'type': ['string', 'null']}
SCHEMA = {
    'type': 'object',
    'properties': {
        'instance': {
            'type': 'object',
            'properties': {
                'name': TEXT,
                'count': {'type': 'integer'},
                'either': {'type': ['integer', 'string']},
                'on': {'type': 'boolean'},
                'volume': {'type': 'object', 'properties': {'size': {'type': 'integer'}}},
                'users': {
                    'type': 'array',
                    'items': {
                        'type': 'object',
                        'properties': {
                            'name': TEXT,
                            'databases': {'type': 'array', 'items': {'type': 'object'}},
                        },
                    },
                },
            },
        },
        'names': {'type': 'array', 'items': {'type': 'string'}},
    },
}
BODY = {
    'instance': {
        'name': 'é "quoted" <&>',
        'count': 3,
        'either': '4',
        'on': True,
        'volume': {'size': 2},
        'users': [
            {'name': 'demouser', 'databases': [{'name': 'a'}, {'name': 'b'}]},
            {'name': 'other', 'databases': []},
        ],
    }
}


def parse(text, schema=SCHEMA):
    return REPRESENTATION.parse(text if isinstance(text, bytes) else text.encode(), schema)


def test_what_is_written_is_read_back_as_it_was():
    assert parse(REPRESENTATION.render(BODY)) == BODY


def test_the_form_of_a_document():
    text = REPRESENTATION.render({'instance': {'id': 'x', 'fault': None, 'volume': {'size': 2}}})
    assert text.decode().splitlines()[1] == (
        f'<instance id="x" xmlns="{NAMESPACE}"><volume size="2" /></instance>'
    )


def test_a_list_with_links():
    body = {'names': ['a', 'b'], 'links': {'self': 'http://x/', 'next': None}}
    text = REPRESENTATION.render(body).decode()
    assert '<name>a</name><name>b</name><links self="http://x/" /></names>' in text


def test_a_single_value():
    assert b'>true</rootEnabled>' in REPRESENTATION.render({'rootEnabled': True})


def test_what_xml_cannot_hold_is_replaced():
    written = REPRESENTATION.render({'instance': {'name': 'a\x01\x0b\ud800b'}})
    assert parse(written) == {'instance': {'name': 'a\ufffd\ufffd\ufffdb'}}


def test_namespace():
    assert parse(f'<instance xmlns="{NAMESPACE}" name="x"/>') == {'instance': {'name': 'x'}}
    with pytest.raises(errors.MalformedBody):
        parse('<instance xmlns="http://elsewhere/" name="x"/>')


def test_the_name_of_an_action_alone():
    assert parse('<restart/>', None) == {'restart': None}


BOMB = (
    '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
    + ''.join(f'<!ENTITY a{n} "{"&a;" if n == 0 else f"&a{n - 1};" * 10}">' for n in range(9))
    + ']><instance name="&a8;"/>'
)
EXTERNAL = '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><instance>&f;</instance>'


@pytest.mark.parametrize(
    'text',
    [
        BOMB,
        EXTERNAL,
        '<!DOCTYPE instance SYSTEM "http://127.0.0.1:1/x.dtd"><instance/>',
        '<instance',
        '',
        '\x00',
        '{"instance": {}}',
        '<?xml version="1.0" encoding="nonsense"?><instance/>',
        '<instance name="a" name="b"/>',
        '<instance name="a"><name>b</name></instance>',
        '<instance>text<volume size="1"/></instance>',
        '<names at="1"><name>a</name></names>',
        '<instance>' + '<volume>' * 5000 + '</volume>' * 5000 + '</instance>',
        '<instance>&nbsp;</instance>',
        b'<instance name="\xff"/>',
    ],
)
def test_what_is_no_document_is_refused_at_once(text):
    begin = time.monotonic()
    with pytest.raises(errors.MalformedBody):
        parse(text)
    assert time.monotonic() - begin < 10


def speaking_xml():
    kinds = (*fixture.PLAIN_DIALECT.content_types, xml.MEDIA_TYPE)
    return dataclasses.replace(
        fixture.DIALECT,
        content_types=kinds,
        representations={xml.MEDIA_TYPE: REPRESENTATION},
        fallback=None,
    )


@pytest.fixture(scope='module')
def application():
    return root.Root(fixture.configuration(), [speaking_xml()])


def ask(application, path, method='GET', **headers):
    req = webob.Request.blank('/v3' + path, method=method, headers=headers)
    req.environ[root.CONTEXT] = None
    return req


@pytest.mark.parametrize(
    ('accept', 'kind'),
    [
        (None, 'application/json'),
        ('*/*', 'application/json'),
        ('application/json', 'application/json'),
        ('application/xml', 'application/xml'),
        ('text/html, application/xml;q=0.9, */*;q=0.8', 'application/xml'),
        ('application/json;q=0.1, application/xml', 'application/xml'),
        ('image/png', 'application/json'),
    ],
)
def test_an_answer_is_in_what_is_accepted(application, accept, kind):
    headers = {'Accept': accept} if accept else {}
    for path, status in (('/things', 200), ('/things/gone', 404), ('/nothing', 404)):
        answer = ask(application, path, **headers).get_response(application)
        assert (answer.status_int, answer.content_type) == (status, kind)
        assert 'Accept' in answer.vary


def test_a_fault_in_xml(application):
    answer = ask(application, '/things/gone', Accept='application/xml').get_response(application)
    assert '<fault code="404" message="Backup gone could not be found." xmlns=' in answer.text
