# SPDX-License-Identifier: Apache-2.0
"""Requests made from the OpenAPI documents, good and bad, against the real application.

No answer may be a 500 or have a status, a media type or a body that its operation does not
declare. ``BACKUPSVC_SCHEMATHESIS_EXAMPLES`` sets the number of requests of each operation and
microversion (8 when unset); runs with more than the default are random, the default one is always
the same.
"""

import dataclasses
import os
from urllib.parse import quote

import hypothesis
import pytest
import schemathesis
from hypothesis import strategies as st
from schemathesis import checks
from schemathesis.generation import GenerationMode

from backupsvc import conf as service_conf
from backupsvc import states
from backupsvc.objects.database_instance import DatabaseInstanceList
from backupsvc.orchestration import instance_backups, instance_snapshots
from backupsvc.wsgi import microversion, openapi, paste, root
from tests.fixtures import database_instances
from tests.fixtures import service as fixture

DEFAULT_EXAMPLES = 8
EXAMPLES = int(os.environ.get('BACKUPSVC_SCHEMATHESIS_EXAMPLES', DEFAULT_EXAMPLES))


def is_no_defect(ctx, response, case):
    """Refuse 500: it is documented, so that the other checks let it pass."""
    if response.status_code == 500:
        raise AssertionError(f'500: {response.text}')


CHECKS = [
    is_no_defect,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]


def _documents():
    """Yield (name, document, headers, zone) of every dialect, at its lowest and its highest
    microversion.
    """
    conf = service_conf.new_config()
    conf([], project='backupsvc', default_config_files=[], default_config_dirs=[])
    for dialect in root.load_dialects(conf):
        rows = root.served_rows(dialect, conf)
        # One mount is enough: the others lead to the same rows.
        alone = dataclasses.replace(dialect, mounts=dialect.mounts[:1])
        bounds = dialect.versions
        for version in dict.fromkeys((bounds.minimum, bounds.maximum)) if bounds else (None,):
            headers = {}
            name = dialect.name
            if version:
                headers[microversion.HEADER] = (
                    f'{bounds.service_type} {microversion.text(version)}'
                )
                name += '-' + microversion.text(version)
            yield name, openapi.document(alone, rows, version), headers, dialect.zone


def _operations():
    for name, document, headers, zone in _documents():
        schema = schemathesis.openapi.from_dict(document)
        for result in schema.get_all_operations():
            operation = result.ok()
            yield pytest.param(
                operation, headers, name.partition('-')[0], zone,
                id=f'{name} {operation.label}')


@pytest.fixture(scope='module')
def service(tmp_path_factory):
    with fixture.running(tmp_path_factory.mktemp('schemathesis'), extra=CLUSTER) as running:
        running.heartbeat()
        # Nobody carries deletions out.
        for resource in ('backups', 'backup_gigabytes'):
            running.override(resource, -1, 'quota')
        yield running


#: A cluster whose manager is not there.
CLUSTER = """
[actuator]
partitions = 1=volume:5b2f3d0a-1a51-4b59-8f67-17fdbb3a2f0c@elsewhere
"""

#: Where things that can be deleted are found.
PLACES = {
    'backup_id': '/backups',
    'volume_id': '/volumes',
    'snapshot_id': '/snapshots',
    'instance_backup_id': '//v1/instance/backup',
    'instance_snapshot_id': '//v1/instance/snapshot',
}


class Known:
    """Ids of things that exist, so that requests get past the first 404; renewed when deleted."""

    def __init__(self, service):
        self._service = service
        self._ids = {}

    def of(self, parameter, dialect):
        """Return the id that a path parameter may have, None for other parameters."""
        if parameter in ('project_id', 'tenant_id'):
            return fixture.PROJECT
        if dialect in ('database_v1', 'database_v1_specified'):
            return self._of_databases().get(parameter)
        make = getattr(self, f'_make_{parameter}', None)
        if make is None:
            return None
        if parameter not in self._ids or not self._exists(parameter):
            self._ids[parameter] = make()
        return self._ids[parameter]

    def _exists(self, parameter):
        path = PLACES.get(parameter)
        if path is None:
            return True
        found = self._service.client(roles=None).get(f'{path}/{self._ids[parameter]}')
        if found.status_int != 200:
            return False
        [body] = found.json_body.values()
        return body['status'] == 'available'

    def _make_backup_id(self):
        return self._service.record(metadata={'key': 'value'}).id

    def _make_volume_id(self):
        return self._service.volume(metadata={'key': 'value'}).id

    def _make_snapshot_id(self):
        return self._service.snapshot(self._service.volume()).id

    def _make_instance_backup_id(self):
        return self._of_instance(instance_backups.create, instance_backups.NewInstanceBackup)

    def _make_instance_snapshot_id(self):
        return self._of_instance(
            instance_snapshots.create, instance_snapshots.NewInstanceSnapshot
        )

    def _of_instance(self, create, new):
        instance = self._service.instance(volumes=1)
        record = create(self._service.context(), new(instance_id=instance.id, origin='t')).record
        self._service.complete(record)
        return record.id

    def _of_databases(self):
        """An instance that nothing is being done with, and what belongs to it."""
        record = self._ids.get('database')
        if record is None or record.id not in _idle_instances(self._service):
            record = self._ids['database'] = database_instances.instance(self._service)
            backup = database_instances.backup(self._service, record)
            group = database_instances.group(self._service, record)
            self._ids['of_database'] = {
                'instance_id': record.id, 'backup_id': backup.id, 'group_id': group.id,
                'rule_id': group.rules[0].id, 'flavor_id': '1', 'user': 'bob@10.0.0.1',
                'database': 'shop'}
        return self._ids['of_database']

    def _make_key(self):
        return 'key'


def _idle_instances(service):
    found = DatabaseInstanceList.get_all(service.admin_context, {'status': states.ERROR})
    return {record.id for record in found}


@pytest.fixture(scope='module')
def known(service):
    return Known(service)


def _strategy(operation):
    cases = [operation.as_strategy(generation_mode=GenerationMode.POSITIVE)]
    if operation.body or operation.query or operation.path_parameters:
        cases.append(operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
    return st.one_of(cases)


@pytest.fixture(scope='module')
def applications(service):
    """Trust zone → its application."""
    return {'public': service.application,
            'management': paste.loadapp(service.conf, paste.MANAGEMENT)}


@pytest.mark.parametrize(('operation', 'headers', 'dialect', 'zone'), _operations())
def test_every_answer_is_a_declared_one(
        operation, headers, dialect, zone, service, applications, known):
    operation.schema.app = applications[zone]
    service.heartbeat()

    @hypothesis.settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=EXAMPLES == DEFAULT_EXAMPLES,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
    )
    @hypothesis.given(
        case=_strategy(operation),
        uses_known=st.booleans(),
        roles=st.sampled_from(['admin', 'member', 'reader', '']),
    )
    def check(case, uses_known, roles):
        for name in case.path_parameters:
            value = known.of(name, dialect)
            if value is not None and (uses_known or name in ('project_id', 'tenant_id')):
                case.path_parameters[name] = quote(value, safe='')
        for name in (microversion.HEADER, 'X-Auth-Token'):
            case.headers.pop(name, None)
        token = {'X-Auth-Token': f'alice:{fixture.PROJECT}:{roles}'}
        case.call_and_validate(
            app=applications[zone], headers={**headers, **token}, checks=CHECKS
        )

    check()
