# SPDX-License-Identifier: Apache-2.0
"""Show, update, delete, restore, reset and force delete of one backup."""

import uuid

import pytest

from backupsvc import states
from backupsvc.drivers import loader
from backupsvc.objects import quota
from tests.fixtures.service import OTHER_PROJECT, PROJECT, wait_until

# ---- show ----


@pytest.mark.parametrize('name', [
    'name', 'a%20b', '%C3%A4', '%F0%9F%92%A9', 'x' * 300, 'detail.json', '..', '%2e%2e',
    '00000000-0000-0000-0000-000000000000', 'null', "'--", '%25'])
def test_show_of_what_is_no_backup(member, fault, name):
    for rest in ('', '/export_record', '/metadata'):
        status, kind, _ = fault(member.at('3.64').get(f'/backups/{name}{rest}'))
        assert (status, kind) in {(404, 'itemNotFound'), (403, 'forbidden')}
    assert fault(member.get(f'/backups/{name}'))[0] == 404


def test_show_missing_text(member, fault):
    assert fault(member.get('/backups/nothing')) == (
        404, 'itemNotFound', 'Backup nothing could not be found.')


def test_format_suffix_is_part_of_the_id(service, member, fault):
    backup = service.record()
    assert fault(member.get(f'/backups/{backup.id}.json'))[2] == (
        f'Backup {backup.id}.json could not be found.')


@pytest.mark.parametrize('method,path,body', [
    ('GET', '', None),
    ('PUT', '', {'backup': {'name': 'x'}}),
    ('DELETE', '', None),
    ('POST', '/restore', {'restore': {}}),
    ('GET', '/metadata', None),
    ('POST', '/metadata', {'metadata': {}}),
    ('PUT', '/metadata', {'metadata': {}}),
    ('GET', '/metadata/k', None),
    ('PUT', '/metadata/k', {'meta': {'k': 'v'}}),
    ('DELETE', '/metadata/k', None),
    ('GET', '/export_record', None),
    ('POST', '/action', {'os-reset_status': {'status': 'error'}}),
    ('POST', '/action', {'os-force_delete': None}),
])
def test_another_projects_backup_is_as_good_as_none(
        service, stranger, fault, method, path, body):
    backup = service.record(metadata={'k': 'v'})
    missing = str(uuid.uuid4())
    found = [
        fault(stranger.request(method, f'/backups/{backup_id}{path}', body))
        for backup_id in (backup.id, missing)]
    assert found[0][:2] == found[1][:2] == (404, 'itemNotFound')
    assert found[0][2] == f'Backup {backup.id} could not be found.'
    assert service.backup(backup.id).status == states.AVAILABLE


def test_administrators_reach_every_project(service, admin):
    backup = service.record(project=OTHER_PROJECT)
    assert admin.get(f'/backups/{backup.id}').status_int == 200


def test_project_of_the_url_must_be_the_tokens(member, admin, fault):
    for client in (member, admin):
        assert fault(client.get(f'//v3/{OTHER_PROJECT}/backups')) == (
            400, 'badRequest', 'Malformed request url')


# ---- policies ----

READ = [
    ('GET', '/backups', None),
    ('GET', '/backups/detail', None),
    ('GET', '/backups/{id}', None),
    ('GET', '/backups/{id}/metadata', None),
    ('GET', '/backups/{id}/metadata/k', None),
]
WRITE = [
    ('PUT', '/backups/{id}', {'backup': {}}, 'backup:update'),
    ('DELETE', '/backups/{id}', None, 'backup:delete'),
    ('POST', '/backups/{id}/restore', {'restore': {}}, 'backup:restore'),
    ('POST', '/backups/{id}/metadata', {'metadata': {}}, 'backup:create_backup_metadata'),
    ('PUT', '/backups/{id}/metadata', {'metadata': {}}, 'backup:update_backup_metadata'),
    ('PUT', '/backups/{id}/metadata/k', {'meta': {'k': 'v'}}, 'backup:update_backup_metadata'),
    ('DELETE', '/backups/{id}/metadata/k', None, 'backup:delete_backup_metadata'),
]
ADMIN = [
    ('GET', '/backups/{id}/export_record', None, 'backup:export-import'),
    ('POST', '/backups/import_record',
     {'backup-record': {'backup_service': 'x', 'backup_url': 'eHg='}}, 'backup:backup-import'),
    ('POST', '/backups/{id}/action', {'os-reset_status': {'status': 'error'}},
     'volume_extension:backup_admin_actions:reset_status'),
    ('POST', '/backups/{id}/action', {'os-force_delete': None},
     'volume_extension:backup_admin_actions:force_delete'),
]


@pytest.mark.parametrize('method,path,body', READ)
def test_readers_read_and_nobody_else_does(service, reader, fault, method, path, body):
    path = path.format(id=service.record(metadata={'k': 'v'}).id)
    assert reader.request(method, path, body).status_int == 200
    status, _, message = fault(service.client(roles='').request(method, path, body))
    assert status == 403
    assert message.startswith("Policy doesn't allow backup:get")


@pytest.mark.parametrize('method,path,body,rule', WRITE)
def test_readers_do_not_write(service, reader, member, fault, method, path, body, rule):
    backup = service.record(metadata={'k': 'v'})
    path = path.format(id=backup.id)
    assert fault(reader.request(method, path, body)) == (
        403, 'forbidden', f"Policy doesn't allow {rule} to be performed.")
    after = service.backup(backup.id)
    assert (after.metadata, after.status) == ({'k': 'v'}, states.AVAILABLE)
    assert member.request(method, path, body).status_int in (200, 202)


@pytest.mark.parametrize('method,path,body,rule', ADMIN)
def test_members_do_not_administrate(service, member, fault, method, path, body, rule):
    backup = service.record()
    assert fault(member.request(method, path.format(id=backup.id), body)) == (
        403, 'forbidden', f"Policy doesn't allow {rule} to be performed.")
    assert service.backup(backup.id).status == states.AVAILABLE


# ---- update ----


def test_update(service, member):
    backup = service.record(name='old', description='old', metadata={'a': '1', 'b': '2'})
    answer = member.put(f'/backups/{backup.id}', {'backup': {
        'name': ' new ', 'description': None, 'metadata': {'b': '3', 'c': '4'}}})
    assert answer.status_int == 200
    assert (set(answer.json['backup']), answer.json['backup']['name']) == (
        {'id', 'name', 'links'}, 'new')
    shown = member.get(f'/backups/{backup.id}').json['backup']
    assert (shown['name'], shown['description'], shown['metadata']) == (
        'new', None, {'b': '3', 'c': '4'})
    assert shown['updated_at'] is not None


def test_update_of_nothing(service, member):
    backup = service.record(name='n', metadata={'a': 'b'})
    assert member.put(f'/backups/{backup.id}', {'backup': {}}).status_int == 200
    shown = member.get(f'/backups/{backup.id}').json['backup']
    assert (shown['name'], shown['metadata']) == ('n', {'a': 'b'})


def test_update_by_version(service, member, fault):
    path = f'/backups/{service.record().id}'
    assert fault(member.at('3.8').put(path, {'backup': {'name': 'x'}})) == (
        404, 'itemNotFound', 'The resource could not be found.')
    assert member.at('3.9').put(path, {'backup': {'name': 'x'}}).status_int == 200
    assert fault(member.at('3.42').put(path, {'backup': {'metadata': {}}}))[0] == 400
    assert member.at('3.43').put(path, {'backup': {'metadata': {}}}).status_int == 200


@pytest.mark.parametrize('body', [
    {'backup': None}, {'backup': []}, {'backup': 'x'}, {}, [], 'x', 1, None,
    {'backup': {'status': 'error'}}, {'backup': {'name': 'x' * 256}}, {'backup': {'name': 1}},
    {'backup': {'description': 'a\u0007b'}}, {'backup': {'metadata': None}},
    {'backup': {'metadata': {'a': None}}}, {'backup': {'metadata': {'': 'x'}}},
    {'backup': {}, 'more': 1}])
def test_bad_update(service, member, fault, body):
    backup = service.record(name='n', metadata={'a': 'b'})
    answer = (member.put(f'/backups/{backup.id}', raw=b'null') if body is None
              else member.put(f'/backups/{backup.id}', body))
    assert fault(answer)[:2] == (400, 'badRequest')
    after = service.backup(backup.id)
    assert (after.name, after.metadata) == ('n', {'a': 'b'})


# ---- delete ----


@pytest.mark.parametrize('status', [states.AVAILABLE, states.ERROR])
def test_delete(service, member, status):
    backup = service.record(status=status)
    answer = member.delete(f'/backups/{backup.id}')
    assert (answer.status_int, answer.body) == (202, b'')
    assert service.backup(backup.id).status == states.DELETING
    assert [task.kind for task in service.tasks(backup.id)] == ['delete']


@pytest.mark.parametrize('status', [
    states.CREATING, states.RESTORING, states.DELETING, states.ERROR_DELETING])
def test_delete_in_a_wrong_state(service, member, fault, status):
    backup = service.record(status=status)
    assert fault(member.delete(f'/backups/{backup.id}')) == (
        400, 'badRequest', 'Invalid backup: Backup status must be available or error')
    assert service.backup(backup.id).status == status


def test_delete_twice(service, member, fault):
    backup = service.record()
    assert member.delete(f'/backups/{backup.id}').status_int == 202
    assert fault(member.delete(f'/backups/{backup.id}'))[0] == 400
    assert len(service.tasks(backup.id)) == 1


def test_a_parent_may_be_deleted(service, member):
    parent = service.record()
    child = service.record(parent_id=parent.id)
    assert member.delete(f'/backups/{parent.id}').status_int == 202
    assert service.backup(child.id).status == states.AVAILABLE


def test_deleted_is_gone(service, member, fault):
    backup = service.record()
    backup.destroy()
    for method in ('GET', 'DELETE'):
        assert fault(member.request(method, f'/backups/{backup.id}'))[0] == 404


# ---- restore ----


def _restore(client, backup, **fields):
    return client.post(f'/backups/{backup.id}/restore', {'restore': fields})


@pytest.mark.parametrize('version', [None, '3.71'])
def test_restore_to_a_new_volume(service, member, version):
    backup = service.record(size_gb=2)
    answer = _restore(member.at(version), backup, volume_id=None, name=None)
    assert answer.status_int == 202
    restored = answer.json['restore']
    assert restored == {
        'backup_id': backup.id, 'volume_id': restored['volume_id'],
        'volume_name': f'restore_backup_{backup.id}'}
    assert service.backup(backup.id).status == states.RESTORING
    [task] = service.tasks(backup.id)
    assert task.kind == 'restore'
    assert task.arguments == {'volume_id': restored['volume_id'], 'new_volume': True}
    volume = wait_until(lambda: _settled(service, restored['volume_id']))
    assert (volume.status, volume.size_gb, volume.project_id) == (
        'restoring-backup', 2, PROJECT)


def _settled(service, volume_id):
    volume = service.show_volume(volume_id)
    return volume if volume.status != 'creating' else None


def test_restore_with_a_name(service, member):
    answer = _restore(member, service.record(), name=' mine ')
    assert answer.json['restore']['volume_name'] == 'mine'


def test_restore_to_an_existing_volume(service, member):
    backup, volume = service.record(), service.volume(name='v', size_gb=2)
    answer = _restore(member, backup, volume_id=volume.id, name='ignored')
    assert answer.json == {'restore': {
        'backup_id': backup.id, 'volume_id': volume.id, 'volume_name': 'v'}}
    assert service.show_volume(volume.id).status == 'restoring-backup'
    [task] = service.tasks(backup.id)
    assert task.arguments == {'volume_id': volume.id, 'new_volume': False}
    assert task.host_affinity == 'here'


@pytest.mark.parametrize('status', [states.CREATING, states.ERROR, states.RESTORING])
def test_restore_of_a_backup_that_is_not_available(service, member, fault, status):
    backup = service.record(status=status)
    assert fault(_restore(member, backup)) == (
        400, 'badRequest', 'Invalid backup: Backup status must be available')


def test_restore_of_a_backup_without_a_size(service, member, fault):
    backup = service.record(size_gb=0)
    assert fault(_restore(member, backup)) == (
        400, 'badRequest', 'Invalid backup: Backup to be restored has invalid size')


def test_restore_to_a_volume_that_will_not_do(service, member, fault):
    backup = service.record(size_gb=2)
    missing = str(uuid.uuid4())
    assert fault(_restore(member, backup, volume_id=missing)) == (
        404, 'itemNotFound', f'Volume {missing} could not be found.')
    foreign = service.volume(project=OTHER_PROJECT, size_gb=2)
    assert fault(_restore(member, backup, volume_id=foreign.id))[0] == 404
    small = service.volume(size_gb=1)
    assert fault(_restore(member, backup, volume_id=small.id)) == (
        400, 'badRequest',
        'Invalid volume: volume size 1 is too small to restore backup of size 2.')
    used = service.volume(size_gb=2)
    service.occupy(used, 'in-use')
    assert fault(_restore(member, backup, volume_id=used.id)) == (
        400, 'badRequest', 'Invalid volume: Volume to be restored to must be available')
    assert service.backup(backup.id).status == states.AVAILABLE


def test_restore_over_the_volume_quota(service, member, fault):
    backup = service.record()
    quota.set_limits(service.admin_context, PROJECT, {'volumes': 0})
    answer = _restore(member, backup)
    status, name, message = fault(answer)
    assert (status, name) == (413, 'overLimit')
    assert 'Exceed' not in message.split(':')[0]
    assert answer.headers['Retry-After'] == '0'
    assert service.backup(backup.id).status == states.AVAILABLE


@pytest.mark.parametrize('raw', [
    b'{"restore": null}', b'{"restore": []}', b'{}', b'[]', b'"x"', b'null', b'',
    b'{"restore": {"volume_id": "x"}}', b'{"restore": {"volume_id": 1}}',
    b'{"restore": {"name": 1}}', b'{"restore": {"size": 1}}', b'{"restore": {}, "x": 1}'])
def test_bad_restore(service, member, fault, raw):
    backup = service.record()
    assert fault(member.post(f'/backups/{backup.id}/restore', raw=raw))[:2] == (
        400, 'badRequest')
    assert service.backup(backup.id).status == states.AVAILABLE


def test_a_restore_that_loses_the_race_leaves_nothing(service, member, fault, monkeypatch):
    backup, volume = service.record(), service.volume()
    driver = loader.volume_driver()
    acquire = driver.acquire_volume

    def late(*args, **kwargs):
        held = acquire(*args, **kwargs)
        service.backup(backup.id).transition_to(states.DELETING)
        return held

    monkeypatch.setattr(driver, 'acquire_volume', late)
    assert fault(_restore(member, backup, volume_id=volume.id)) == (
        400, 'badRequest', 'Invalid backup: Backup status must be available')
    assert service.show_volume(volume.id).status == 'available'
    assert service.tasks(backup.id) == []


# ---- reset status ----


def _reset(client, backup, status):
    return client.post(f'/backups/{backup.id}/action', {'os-reset_status': {'status': status}})


@pytest.mark.parametrize('before', [
    states.CREATING, states.AVAILABLE, states.RESTORING, states.ERROR, states.ERROR_DELETING])
@pytest.mark.parametrize('wanted', ['available', 'ERROR'])
def test_reset(service, admin, before, wanted):
    backup = service.record(status=before)
    answer = _reset(admin, backup, wanted)
    assert (answer.status_int, answer.body) == (202, b'')
    assert service.backup(backup.id).status == wanted.lower()
    events = service.notifications()
    assert [(event, payload['backup_id'], payload['status']) for event, payload in events] == [
        ('backup.reset_status.start', backup.id, before),
        ('backup.reset_status.end', backup.id, wanted.lower())]


def test_what_is_being_deleted_is_never_available_again(service, admin, fault):
    backup = service.record(status=states.DELETING)
    status, _, message = fault(_reset(admin, backup, 'available'))
    assert (status, message) == (
        400, 'Invalid backup: Backup status deleting cannot be reset to available.')
    assert service.backup(backup.id).status == states.DELETING
    assert _reset(admin, backup, 'error').status_int == 202


@pytest.mark.parametrize('status', ['deleting', 'creating', '', 'x', 'available '])
def test_reset_to_another_status(service, admin, fault, status):
    backup = service.record()
    assert fault(_reset(admin, backup, status)) == (
        400, 'badRequest',
        f"Backup status: {status} is invalid, valid statuses are: ['available', 'error'].")


@pytest.mark.parametrize('raw', [
    b'{"os-reset_status": {}}', b'{"os-reset_status": null}', b'{"os-reset_status": "error"}',
    b'{"os-reset_status": {"status": null}}', b'{"os-reset_status": {"status": 1}}',
    b'{"os-reset_status": {"status": "error", "x": 1}}',
    b'{"os-reset_status": {"status": "error"}, "os-force_delete": null}',
    b'{}', b'[]', b'null', b'', b'"os-force_delete"', b'{"os-teleport": {}}'])
def test_bad_action(service, admin, fault, raw):
    backup = service.record()
    assert fault(admin.post(f'/backups/{backup.id}/action', raw=raw))[:2] == (
        400, 'badRequest')
    assert service.backup(backup.id).status == states.AVAILABLE


def test_unknown_action_text(service, admin, fault):
    backup = service.record()
    assert fault(admin.post(f'/backups/{backup.id}/action', {'os-teleport': {}}))[2] == (
        'There is no such action: os-teleport. Verify the request body and Content-Type header '
        'and try again.')


def test_reset_cancels_what_is_being_done(service, member, admin):
    volume = service.volume()
    made = member.post('/backups', {'backup': {'volume_id': volume.id}}).json['backup']
    assert _reset(admin, service.backup(made['id']), 'error').status_int == 202
    [task] = service.tasks(made['id'])
    assert task.cancel_requested


# ---- force delete ----


@pytest.mark.parametrize('status', [
    states.CREATING, states.AVAILABLE, states.RESTORING, states.ERROR, states.DELETING,
    states.ERROR_DELETING])
@pytest.mark.parametrize('value', [None, {}, 'x'])
def test_force_delete_in_any_state(service, admin, status, value):
    backup = service.record(status=status)
    answer = admin.post(f'/backups/{backup.id}/action', {'os-force_delete': value})
    assert (answer.status_int, answer.body) == (202, b'')
    assert service.backup(backup.id).status == states.DELETING
    assert [task.kind for task in service.tasks(backup.id)] == ['delete']


def test_force_delete_cancels_what_is_being_done(service, member, admin):
    volume = service.volume()
    made = member.post('/backups', {'backup': {'volume_id': volume.id}}).json['backup']
    admin.post(f'/backups/{made["id"]}/action', {'os-force_delete': None})
    assert [(task.kind, task.cancel_requested) for task in service.tasks(made['id'])] == [
        ('create', True), ('delete', False)]
