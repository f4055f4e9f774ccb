# SPDX-License-Identifier: Apache-2.0
"""Export and import of records: form, checks and their order, what becomes of the row."""

import base64
import datetime
import json
import uuid

import pytest

from backupsvc import states
from backupsvc.objects import quota
from tests.fixtures.service import OTHER_PROJECT, PROJECT

NONE = '00000000-0000-0000-0000-000000000000'


def _export(admin, backup):
    answer = admin.get(f'/backups/{backup.id}/export_record')
    assert answer.status_int == 200, answer.text
    record = answer.json['backup-record']
    return record['backup_service'], _decode(record['backup_url'])


def _decode(url):
    return json.loads(base64.b64decode(url))


def _import(client, record, service='cinder.backup.drivers.backupsvc', **kwargs):
    text = record if isinstance(record, bytes) else json.dumps(record).encode()
    return client.post('/backups/import_record', {'backup-record': {
        'backup_service': service, 'backup_url': base64.b64encode(text).decode()}}, **kwargs)


@pytest.fixture
def record(service, admin):
    """The record of a backup, under an id that nobody has."""
    backup = service.record(
        name='n', description='d', container='c', object_count=7, size_gb=3,
        created_at=datetime.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=datetime.UTC))
    _, exported = _export(admin, backup)
    return {**exported, 'id': str(uuid.uuid4())}


@pytest.mark.parametrize('version', [None, '3.64', '3.71'])
def test_export(service, admin, version):
    volume_id = str(uuid.uuid4())
    backup = service.record(
        volume_id, name='n', description='d', container='c', object_count=7, size_gb=3)
    answer = admin.at(version).get(f'/backups/{backup.id}/export_record')
    record = answer.json['backup-record']
    assert (answer.status_int, set(record)) == (200, {'backup_service', 'backup_url'})
    assert record['backup_service'].startswith('cinder.backup.drivers')
    decoded = _decode(record['backup_url'])
    assert {**decoded, 'id': backup.id, 'size': 3, 'display_name': 'n',
            'display_description': 'd', 'container': 'c', 'object_count': 7,
            'volume_id': volume_id, 'project_id': PROJECT, 'user_id': 'alice',
            'status': 'available'} == decoded
    assert {'service_metadata', 'driver_info', 'created_at', 'data_timestamp', 'parent_id',
            'snapshot_id', 'availability_zone', 'host', 'encryption_key_id',
            'fail_reason', 'updated_at', 'service'} <= set(decoded)
    assert decoded['driver_info']['manifest_id'] == backup.id


def test_export_of_what_is_not_available(service, admin, fault):
    backup = service.record(status=states.ERROR)
    assert fault(admin.get(f'/backups/{backup.id}/export_record')) == (
        400, 'badRequest', 'Invalid backup: Backup status must be available and not error.')


def test_import_makes_a_row_that_awaits_its_check(service, admin, record):
    answer = _import(admin, record)
    assert answer.status_int == 201
    summary = answer.json['backup']
    assert (set(summary), summary['id'], summary['name']) == (
        {'id', 'name', 'links'}, record['id'], 'n')
    shown = admin.get(f'/backups/{record["id"]}').json['backup']
    assert (shown['status'], shown['volume_id'], shown['size'], shown['container'],
            shown['object_count'], shown['created_at']) == (
        'creating', NONE, 3, 'c', 7, '2026-01-02T03:04:05.000006')
    [task] = service.tasks(record['id'])
    assert (task.kind, task.arguments) == (
        'import', {'record': record, 'backup_service': 'cinder.backup.drivers.backupsvc'})
    row = service.backup(record['id'])
    assert (row.manifest_id, row.repository, row.repository_project_id, row.project_id) == (
        record['driver_info']['manifest_id'], 'posix', PROJECT, PROJECT)
    assert quota.usages(service.admin_context, PROJECT) == {
        'backups': 2, 'backup_gigabytes': 6}


def test_import_belongs_to_who_imports(service, record):
    other = service.client(project=OTHER_PROJECT, roles='admin')
    assert _import(other, record).status_int == 201
    row = service.backup(record['id'])
    assert (row.project_id, row.repository_project_id) == (OTHER_PROJECT, PROJECT)


@pytest.mark.parametrize('project', [PROJECT, OTHER_PROJECT])
def test_id_that_is_live_in_any_project(service, admin, record, fault, project):
    live = service.record(project=project, name='live')
    assert fault(_import(admin, {**record, 'id': live.id})) == (
        400, 'badRequest', 'Invalid backup: Backup already exists in database.')
    after = service.backup(live.id)
    assert (after.name, after.status, after.project_id) == ('live', 'available', project)


def test_deleted_id_is_revived(service, admin, record):
    backup = service.record(name='old', metadata={'a': 'b'})
    backup.destroy()
    assert _import(admin, {**record, 'id': backup.id}).status_int == 201
    shown = admin.get(f'/backups/{backup.id}').json['backup']
    assert (shown['name'], shown['status'], shown['metadata']) == ('n', 'creating', {})


def test_import_over_quota(service, admin, record, fault):
    quota.set_limits(service.admin_context, PROJECT, {'backups': 1})
    assert fault(_import(admin, record))[:2] == (413, 'overLimit')
    quota.set_limits(service.admin_context, PROJECT, {'backups': 9, 'backup_gigabytes': 5})
    answer = _import(admin, record)
    assert fault(answer)[2].startswith('VolumeBackupSizeExceedsAvailableQuota: ')
    assert answer.headers['Retry-After'] == '0'
    assert admin.get(f'/backups/{record["id"]}').status_int == 404


@pytest.mark.parametrize('text', [
    b'x', b'', b'[]', b'null', b'"x"', b'\xff\xfe', b'{', b'[' * 20000, b'{"a":' * 10000,
    b'{"id": NaN}', b'{"id": "\\ud800"}', b'{"name": "\\u0000"}'])
def test_unreadable_record(admin, fault, text):
    answer = _import(admin, text)
    status, name, message = fault(answer)
    assert (status, name) == (400, 'badRequest')
    if text:
        assert message == "Invalid input received: Can't parse backup record."


@pytest.mark.parametrize('change,text', [
    ({'id': None}, 'is missing an id'),
    ({'id': ''}, 'is missing an id'),
    ({'id': '../../x'}, 'has an id that is no UUID'),
    ({'id': 7}, 'has an id that is no UUID'),
    ({'id': {'x': 1}}, 'has an id that is no UUID'),
    ({'size': None}, 'is missing size attribute'),
    ({'size': 0}, 'has an invalid size'),
    ({'size': -1}, 'has an invalid size'),
    ({'size': '1'}, 'has an invalid size'),
    ({'size': True}, 'has an invalid size'),
    ({'size': 1e9}, 'has an invalid size'),
    ({'size': 2**31}, 'has an invalid size'),
    ({'object_count': -1}, 'has an invalid object_count'),
    ({'object_count': 'x'}, 'has an invalid object_count'),
    ({'display_name': 'x' * 256}, 'has an invalid display_name'),
    ({'display_name': 1}, 'has an invalid display_name'),
    ({'container': ['x']}, 'has an invalid container'),
    ({'driver_info': {'manifest_id': 'x' * 37}}, 'has an invalid manifest_id'),
    ({'driver_info': {'repository': 1}}, 'has an invalid repository'),
])
def test_record_that_cannot_be_a_backup(admin, record, fault, change, text):
    status, _, message = fault(_import(admin, {**record, **change}))
    assert (status, message) == (
        400, f'Invalid input received: Provided backup record {text}')


@pytest.mark.parametrize('name', [
    'id', 'size', 'display_name', 'display_description', 'container', 'service_metadata',
    'object_count'])
def test_record_that_lacks_something(admin, record, fault, name):
    del record[name]
    status, _, message = fault(_import(admin, record))
    assert status == 400
    assert message.startswith('Invalid input received: Provided backup record is missing')
    assert name in message


@pytest.mark.parametrize('change', [
    {'driver_info': None}, {'driver_info': []}, {'driver_info': {}},
    {'driver_info': {'repository': '../../etc', 'manifest_id': '../x', 'container': '../y',
                     'repository_project_id': '../z'}},
    {'created_at': 'yesterday'}, {'created_at': 5}, {'data_timestamp': {}},
    {'status': 'deleted', 'project_id': 'x', 'unknown': 1}])
def test_record_that_only_the_data_can_refute_is_left_to_the_check(
        service, admin, record, change):
    assert _import(admin, {**record, **change}).status_int == 201
    assert service.backup(record['id']).status == states.CREATING
    assert [task.kind for task in service.tasks(record['id'])] == ['import']


@pytest.mark.parametrize('raw', [
    b'{"backup-record": {"backup_service": "x"}}', b'{"backup-record": {"backup_url": "eHg="}}',
    b'{"backup-record": {"backup_service": "", "backup_url": "eHg="}}',
    b'{"backup-record": {"backup_service": "x", "backup_url": ""}}',
    b'{"backup-record": {"backup_service": "x", "backup_url": "!!"}}',
    b'{"backup-record": {"backup_service": "x", "backup_url": "\xc3\xa4"}}',
    b'{"backup-record": {"backup_service": "x", "backup_url": 1}}',
    b'{"backup-record": {"backup_service": "x", "backup_url": "eHg=", "z": 1}}',
    b'{"backup-record": null}', b'{}', b'[]', b'null', b''])
def test_bad_import(admin, fault, raw):
    assert fault(admin.post('/backups/import_record', raw=raw))[:2] == (400, 'badRequest')


def test_import_without_a_manager(idle, fault):
    admin = idle.client(roles='admin')
    status, name, message = fault(_import(admin, b'rubbish'))
    assert (status, name) == (503, 'serviceUnavailable')
    assert message == 'Service backupsvc-manager could not be found.'


def test_policy_comes_before_the_manager(idle, fault):
    assert fault(_import(idle.client(), b'rubbish'))[0] == 403


def test_import_at_the_address_of_exports_is_explained(admin, fault):
    for body in ({'backup_service': 'x', 'backup_url': 'backups/export_record'}, None):
        status, name, message = fault(admin.at(None).post('/backups/export_record', body))
        assert (status, name) == (400, 'badRequest')
        assert 'openstacksdk' in message and '/backups/import_record' in message
