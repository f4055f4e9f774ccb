# SPDX-License-Identifier: Apache-2.0
"""Every row of every dialect declares what it takes and what it answers, at each microversion."""

import jsonschema
import pytest

from backupsvc.wsgi import validation
from tests.unit.gates import dialects

#: Calls whose body is not looked at, whatever it is.
WITHOUT_BODY = {
    # What openstacksdk sends instead of an import; it gets a text that says so.
    'POST /backups/export_record',
}

NEEDED = {'GET': 'query', 'POST': 'body', 'PUT': 'body', 'PATCH': 'body', 'DELETE': None}


def test_there_are_rows():
    assert len(dialects.rows()) > 30


def _types(schema):
    found = schema['type']
    return [found] if isinstance(found, str) else found


def _rules(row, kind):
    return getattr(validation.rules_of(row.handler), kind)


@pytest.mark.parametrize(('dialect', 'row'), dialects.rows())
def test_schemas_are_valid(dialect, row):
    for kind in ('body', 'query', 'response'):
        for rule in _rules(row, kind):
            if rule.schema is not None:
                jsonschema.Draft202012Validator.check_schema(rule.schema)


@pytest.mark.parametrize(('dialect', 'row'), dialects.declared_rows())
def test_one_response_is_declared_at_each_version(dialect, row):
    for version in dialects.versions(dialect):
        if row.serves(version):
            found = [rule for rule in _rules(row, 'response') if rule.applies(version)]
            assert len(found) == 1, f'{len(found)} at {version}'


@pytest.mark.parametrize(('dialect', 'row'), dialects.declared_rows())
def test_one_request_is_declared_at_each_version(dialect, row):
    needed = None if dialects.name(row) in WITHOUT_BODY else NEEDED[row.method]
    for version in dialects.versions(dialect):
        if row.serves(version):
            for kind in ('body', 'query'):
                found = [rule for rule in _rules(row, kind) if rule.applies(version)]
                assert len(found) <= 1, f'{kind}: {len(found)} at {version}'
                assert found or kind != needed, f'no {kind} at {version}'


@pytest.mark.parametrize(('dialect', 'row'), dialects.rows())
def test_bodies_are_closed_objects(dialect, row):
    for rule in _rules(row, 'body'):
        if row.action and not rule.schema:
            # The kernel has seen that the action is the only key, and its value means nothing.
            continue
        assert rule.schema.get('additionalProperties') is False
        if row.action:
            assert list(rule.schema['properties']) == [row.action]


@pytest.mark.parametrize(('dialect', 'row'), dialects.rows())
def test_queries_are_objects_of_texts(dialect, row):
    for rule in _rules(row, 'query'):
        assert rule.schema['type'] == 'object'
        for schema in rule.schema.get('properties', {}).values():
            assert {'string', 'array'} & set(_types(schema)), 'values of a query are texts'


@pytest.mark.parametrize(('dialect', 'row'), dialects.rows())
def test_answers_are_described(dialect, row):
    for rule in _rules(row, 'response'):
        if rule.schema is not None and rule.media_type is None:
            schema = rule.schema['items'] if rule.schema['type'] == 'array' else rule.schema
            assert 'object' in _types(schema), 'an answer is an object, or a list of them'
            assert 'properties' in schema or 'additionalProperties' in schema


@pytest.mark.parametrize(('dialect', 'row'), dialects.rows())
def test_handlers_say_what_they_do(dialect, row):
    assert (row.handler.__doc__ or '').strip()
