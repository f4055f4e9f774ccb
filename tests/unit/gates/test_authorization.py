# SPDX-License-Identifier: Apache-2.0
"""A token without roles is refused everywhere, by the use case behind each row.

The requests are well formed and about things of the caller's own project, so that only the rule
can refuse them.
"""

import base64
import json

import pytest
import webob

from backupsvc import context
from backupsvc.orchestration import instance_backups, instance_snapshots, messages
from backupsvc.wsgi import microversion, openapi, paste, root, validation
from tests.fixtures import database_instances
from tests.fixtures import service as fixture
from tests.unit.gates import dialects

#: Calls that every token may make, and why.
FOR_EVERYBODY = {
    'GET /resource_filters': 'names of filters, the same for all',
    'GET /extensions': 'a constant list',
    'POST /backups/export_record': 'a text that names the right call',
}


#: Optional fields that some calls cannot do without.
ALWAYS = ('binary', 'instance')


@pytest.fixture(scope='module')
def service(tmp_path_factory):
    with fixture.running(tmp_path_factory.mktemp('nobody')) as running:
        yield running


@pytest.fixture(scope='module')
def known(service):
    """Values of parameters and of fields with these names."""
    volume = service.volume(metadata={'key': 'value'})
    backup = service.record(metadata={'key': 'value'})
    caller = service.context()
    messages.create(caller, messages.BACKUP_CREATE, messages.CREATE_FAILED, backup.id)
    record = {'id': 'a3ec1bd6-45f5-4bc2-b7d1-95d1bb5b4a3c', 'size': 1}
    return {
        'project_id': fixture.PROJECT,
        'tenant_id': fixture.PROJECT,
        'backup_id': backup.id,
        'volume_id': volume.id,
        'snapshot_id': service.snapshot(volume).id,
        'target_id': fixture.PROJECT,
        'key': 'key',
        'status': 'available',
        'backup_url': base64.b64encode(json.dumps(record).encode()).decode(),
        'message_id': messages.list_(caller)[0].id,
        'binary': 'cinder-backup',
        'new_size': 2,
        'size': 1,
        'actuator_v1': {'backup_id': '7'},
        'backup_v1': _of_instances(service),
        **dict.fromkeys(('database_v1', 'database_v1_specified'), _of_databases(service)),
    }


def _of_instances(service):
    """Values that names stand for in the dialect with instances of its own."""
    service.heartbeat()
    caller, instance = service.context(), service.instance()
    backup = instance_backups.create(caller, instance_backups.NewInstanceBackup(
        instance_id=instance.id, origin='test'))
    snapshot = instance_snapshots.create(caller, instance_snapshots.NewInstanceSnapshot(
        instance_id=service.instance().id, origin='test'))
    return {
        'instance_id': instance.id,
        'instance_backup_id': backup.record.id,
        'instance_snapshot_id': snapshot.record.id,
    }


def _of_databases(service):
    """Values that names stand for in the dialect of databases."""
    instance = database_instances.instance(service)
    group = database_instances.group(service, instance)
    return {
        'instance_id': instance.id,
        'instance': instance.id,
        'backup_id': database_instances.backup(service, instance).id,
        'group_id': group.id,
        'rule_id': group.rules[0].id,
        'flavor_id': '1',
        'flavorRef': '1',
        'cidr': '10.0.0.0/8',
    }


def _example(schema, name, known):
    """Return a value that matches a schema, with as little in it as can be."""
    if name in known and schema.get('type') != 'object':
        return known[name]
    if 'enum' in schema:
        return schema['enum'][0]
    kinds = schema.get('type', 'null')
    kind = kinds if isinstance(kinds, str) else kinds[0]
    if kind == 'object':
        found = {
            key: _example(schema['properties'][key], key, known)
            for key in (*schema.get('required', ()), *ALWAYS, *_one_at_least(schema))
            if key in schema.get('properties', {})
        }
        if name in ('meta', 'metadata'):
            found = {'key': 'value'}
        return found
    if kind == 'array':
        return [_example(schema['items'], None, known)] * schema.get('minItems', 0)
    return {
        'string': 'x' * schema.get('minLength', 1),
        'integer': schema.get('minimum', 1),
        'boolean': True,
        'null': None,
    }[kind]


def _one_at_least(schema):
    return list(schema.get('properties', ()))[: schema.get('minProperties', 0)]


def _body(row, version, known):
    rules = [rule for rule in validation.rules_of(row.handler).body if rule.applies(version)]
    if not rules:
        return None
    schema = rules[0].schema
    if row.action and not schema:
        return {row.action: None}
    return _example(schema, None, known)


def _ask(service, dialect, row, known, roles):
    known = {**known, **known.get(dialect.name, {})}
    version = row.max_version or (dialect.versions and dialect.versions.maximum)
    template = dialect.mounts[0] + row.path
    path = openapi.plain_path(template)
    for name in dict.fromkeys(openapi.parameter_names(template)):
        path = path.replace('{' + name + '}', str(known.get(name, 'x')))
    req = webob.Request.blank(path, method=row.method)
    req.headers['X-Auth-Token'] = f'nobody:{fixture.PROJECT}:{roles}'
    if version:
        req.headers[microversion.HEADER] = (
            f'{dialect.versions.service_type} {microversion.text(version)}'
        )
    body = _body(row, version, known)
    if body is not None:
        req.body = json.dumps(body).encode()
        req.content_type = 'application/json'
    if dialect.zone == paste.MANAGEMENT:
        # Whoever gets past its pipeline is an operator; the use cases ask nevertheless.
        req.environ[root.CONTEXT] = context.RequestContext(
            user_id='nobody', project_id=fixture.PROJECT, roles=roles.split(), is_admin=None,
            overwrite=False)
        return req.get_response(paste.loadapp(service.conf, 'management_root'))
    return req.get_response(service.application)


@pytest.mark.parametrize(('dialect', 'row'), dialects.declared_rows())
def test_a_token_without_roles_is_refused(dialect, row, service, known):
    answer = _ask(service, dialect, row, known, roles='')
    if dialects.name(row) in FOR_EVERYBODY:
        assert row.policies == ()
        assert answer.status_int != 403
    else:
        assert answer.status_int == 403, answer.text


def test_the_requests_are_good_enough_to_be_granted(service, known):
    """Without this the refusals could come from anything."""
    granted = [
        dialects.name(row)
        for dialect, row in _plain_rows()
        if row.method == 'GET'
        and _ask(service, dialect, row, known, roles='admin').status_int == 200
    ]
    assert {'GET /backups', 'GET /backups/{backup_id}', 'GET /volumes/{volume_id}'} <= set(granted)


def _plain_rows():
    return [(dialect, row) for dialect in dialects.DIALECTS for row in dialects.served(dialect)]
