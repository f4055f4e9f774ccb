# SPDX-License-Identifier: Apache-2.0
"""Every answer is one that the document of Backup Management declares.

``backup-management-api.yaml`` is that document as it was published, with its indentation mended
and nothing else changed.
"""

import hashlib
import json
import pathlib

import hypothesis
import openapi_schema_validator
import pytest
import schemathesis
import yaml
from hypothesis import strategies as st
from openapi_spec_validator import validate
from schemathesis import checks
from schemathesis.generation import GenerationMode

from tests.functional.actuator_v1.conftest import BACKUPS

PATH = pathlib.Path(__file__).with_name('backup-management-api.yaml')

#: Of the published text, line by line without the space around.
DIGEST = 'd962f47ef871f7ada4022c092de014005571651fc9e571bef435eae88d2a7a34'

#: What the document's authors answer and do not document: a path that is no id, managers that are
#: saturated, no token.
UNDOCUMENTED = {('DELETE', 400)}

METHODS = {'get', 'post', 'delete'}


@pytest.fixture(scope='module')
def document():
    return yaml.safe_load(PATH.read_text())


def test_it_is_the_published_document(document):
    lines = [line.strip() for line in PATH.read_text().strip().splitlines()]
    assert hashlib.sha256('\n'.join(lines).encode()).hexdigest() == DIGEST
    validate(document)
    assert {(method, path) for path, item in document['paths'].items()
            for method in item if method in METHODS} == {
        ('get', '/'), ('post', '/'), ('get', '/{backupId}'), ('delete', '/{backupId}')}


class Document:
    """The document, and whether an answer is one of its operation's."""

    def __init__(self, document):
        self._document = document

    def check(self, answer, method, path):
        """Check status, media type and body.

        :raises AssertionError, jsonschema.ValidationError: the answer is not declared
        """
        declared = self._document['paths'][path][method]['responses']
        assert str(answer.status_int) in declared, f'{answer.status_int} is not declared'
        response = self._resolve(declared[str(answer.status_int)])
        if 'content' not in response:
            assert answer.body == b''
            return
        assert answer.content_type in response['content']
        schema = self._inline(response['content'][answer.content_type]['schema'])
        openapi_schema_validator.OAS30ReadValidator(
            schema, format_checker=openapi_schema_validator.oas30_format_checker,
        ).validate(json.loads(answer.body))

    def _resolve(self, item):
        if '$ref' not in item:
            return item
        found = self._document
        for name in item['$ref'].removeprefix('#/').split('/'):
            found = found[name]
        return self._resolve(found)

    def _inline(self, schema):
        """Return a schema with every reference replaced by what it refers to."""
        if isinstance(schema, dict):
            return {name: self._inline(value) for name, value in self._resolve(schema).items()}
        if isinstance(schema, list):
            return [self._inline(each) for each in schema]
        return schema


def test_answers_are_those_of_the_document(cluster, document):
    known = Document(document)
    operator = cluster.operator
    known.check(operator.get(f'{BACKUPS}/'), 'get', '/')
    known.check(operator.post(f'{BACKUPS}/', {'backupId': 4}), 'post', '/')
    known.check(cluster.show(4), 'get', '/{backupId}')
    cluster.ended(4)
    known.check(cluster.show(4), 'get', '/{backupId}')
    known.check(operator.get(f'{BACKUPS}/'), 'get', '/')
    for body in ({'backupId': 4}, {'backupId': 0}, {'backupId': 'x'}, {}):
        known.check(operator.post(f'{BACKUPS}/', body), 'post', '/')
    known.check(cluster.show(3), 'get', '/{backupId}')
    known.check(operator.delete(f'{BACKUPS}/4'), 'delete', '/{backupId}')
    cluster.rig.conf.set_override(
        'partitions', '1=volume:5b2f3d0a-1a51-4b59-8f67-17fdbb3a2f0c', group='actuator')
    known.check(operator.post(f'{BACKUPS}/', {'backupId': 5}), 'post', '/')
    assert cluster.ended(5)['state'] == 'FAILED'
    known.check(cluster.show(5), 'get', '/{backupId}')
    known.check(operator.get(f'{BACKUPS}/'), 'get', '/')
    cluster.rig.stop()
    cluster.rig.conf.clear_override('partitions', group='actuator')
    known.check(operator.post(f'{BACKUPS}/', {'backupId': 6}), 'post', '/')
    known.check(operator.get(f'{BACKUPS}/'), 'get', '/')
    known.check(operator.get(f'{BACKUPS}/1'), 'get', '/{backupId}')


def test_the_check_finds_what_is_wrong(document):
    known = Document(document)

    class Answer:
        status_int = 200
        content_type = 'application/json'
        body = b'[{"backupId": 1, "state": "DONE", "details": []}]'

    with pytest.raises(Exception, match='DONE'):
        known.check(Answer, 'get', '/')
    Answer.body = b'[{"backupId": 1, "state": "FAILED", "failureReason": null, "details": []}]'
    with pytest.raises(Exception, match='None'):
        known.check(Answer, 'get', '/')
    Answer.status_int = 204
    with pytest.raises(AssertionError, match='not declared'):
        known.check(Answer, 'get', '/')


@pytest.mark.parametrize('label', [
    'GET /', 'POST /', 'GET /{backupId}', 'DELETE /{backupId}'])
def test_requests_made_from_the_document_get_what_it_declares(cluster, document, label):
    schema = schemathesis.openapi.from_dict(
        {**document, 'servers': [{'url': BACKUPS}]})
    operation, = (found.ok() for found in schema.get_all_operations()
                  if found.ok().label == label)
    application = cluster.operator.application
    schema.app = operation.schema.app = application

    def is_no_defect(ctx, response, case):
        if response.status_code == 500:
            raise AssertionError(f'500: {response.text}')

    def status_is_declared(ctx, response, case):
        if (case.method, response.status_code) not in UNDOCUMENTED:
            checks.status_code_conformance(ctx, response, case)

    @hypothesis.settings(
        max_examples=40, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink])
    @hypothesis.given(case=st.one_of(
        operation.as_strategy(generation_mode=GenerationMode.POSITIVE),
        *([operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)]
          if operation.body or operation.path_parameters else [])))
    def check(case):
        case.call_and_validate(app=application, checks=[
            is_no_defect, status_is_declared, checks.content_type_conformance,
            checks.response_schema_conformance])

    check()
