# SPDX-License-Identifier: Apache-2.0
"""The documents that are derived from rows and schemas."""

import dataclasses
import json

import openapi_spec_validator
import pytest

from backupsvc.wsgi import openapi
from tests.fixtures import dialect


@pytest.fixture
def document():
    return openapi.document(dialect.DIALECT, dialect.DIALECT.routes)


def test_documents_are_valid(document):
    openapi_spec_validator.validate(json.loads(openapi.to_json(document)))
    plain = openapi.document(dialect.PLAIN_DIALECT, dialect.PLAIN_DIALECT.routes)
    openapi_spec_validator.validate(json.loads(openapi.to_json(plain)))


def test_every_mount_and_row_is_there(document):
    for mount in ('/v3', '/v3/{project_id}'):
        assert set(document['paths'][f'{mount}/things']) == {'get', 'post'}
        assert f'{mount}/things/{{thing_id}}/keys/{{key}}' in document['paths']


def test_operations_have_names_of_their_own(document):
    names = [
        operation['operationId']
        for path in document['paths'].values()
        for operation in path.values()
    ]
    assert len(names) == len(set(names))


def test_a_document_is_of_one_version(document):
    def body(of):
        schema = of['paths']['/v3/things']['post']['requestBody']['content']
        return set(schema['application/json']['schema']['properties']['thing']['properties'])

    early = openapi.document(dialect.DIALECT, dialect.DIALECT.routes, (3, 4))
    assert (early['info']['version'], document['info']['version']) == ('3.4', '3.9')
    assert body(document) - body(early) == {'colour'}
    assert '/v3/new' not in early['paths']
    at_five = openapi.document(dialect.DIALECT, dialect.DIALECT.routes, (3, 5))
    assert at_five['paths']['/v3/new']['get']['x-min-version'] == '3.5'


def test_actions_are_one_operation(document):
    operation = document['paths']['/v3/things/{thing_id}/action']['post']
    schemas = operation['requestBody']['content']['application/json']['schema']['anyOf']
    assert [list(schema['properties']) for schema in schemas] == [['paint'], ['os-drop']]
    assert schemas[1]['required'] == ['os-drop']


def test_parameters(document):
    found = {
        (each['in'], each['name']): each
        for each in document['paths']['/v3/{project_id}/things']['get']['parameters']
    }
    assert set(found) == {
        ('path', 'project_id'),
        ('query', 'limit'),
        ('query', 'name'),
        ('query', 'tag'),
        ('header', 'OpenStack-API-Version'),
    }
    assert found['path', 'project_id']['schema']['pattern'] == r'^(?:[0-9a-f\-]+)$'
    # The end of a text is $ in every language but Python.
    assert found['query', 'limit']['schema']['pattern'] == '^[0-9]+$'
    assert found['query', 'tag']['schema']['type'] == 'array'


def test_bodies_that_may_be_left_out_are_not_required(document):
    paths = document['paths']
    assert paths['/v3/things/ping']['post']['requestBody']['required'] is False
    assert paths['/v3/things']['post']['requestBody']['required'] is True
    assert set(paths['/v3/things']['post']['requestBody']['content']) == {
        'application/json',
        'application/vnd.things+json',
    }


def test_statuses_are_those_that_the_kernel_enforces(document):
    paths = document['paths']
    assert set(paths['/v3/things']['post']['responses']) == {
        '202',
        '400',
        '401',
        '406',
        '413',
        '415',
        '500',
    }
    assert set(paths['/v3/things/{thing_id}']['get']['responses']) == {
        '200',
        '400',
        '401',
        '403',
        '404',
        '406',
        '409',
        '413',
        '418',
        '500',
        '501',
        '503',
    }
    assert 'content' not in paths['/v3/things/{thing_id}']['delete']['responses']['204']


def test_errors_show_the_dialects_shape(document):
    answer = document['paths']['/v3/things']['get']['responses']['400']
    assert answer['content']['application/json']['example'] == {
        'fault': {'code': 400, 'message': 'The request is wrong.'}
    }


def test_policies_of_a_call_are_named(document):
    assert document['paths']['/v3/things/{thing_id}']['get']['x-policies'] == ['things:show']


def test_answers_of_a_service_behind_are_named_and_not_described():
    row = dataclasses.replace(dialect.DIALECT.routes[1], forwarded=(200, 202), errors=(502,))
    found = openapi.document(dialect.DIALECT, [row])
    openapi_spec_validator.validate(json.loads(openapi.to_json(found)))
    responses = found['paths']['/v3/things']['post']['responses']
    assert 'content' not in responses['200']
    assert 'content' in responses['202'], 'our own answer of that status is described'
    assert '502' in responses
