# SPDX-License-Identifier: Apache-2.0
"""Volumes over HTTP where this service serves them: made of a backup here, the rest by ``/v3``."""

import uuid

import pytest

from tests.fixtures.service import OTHER_PROJECT


def make(caller, **fields):
    return caller.post('/volume', {'volume': fields})


def shown(caller, volume_id):
    answer = caller.volumes.get(f'/volumes/{volume_id}')
    return answer.json['volume'] if answer.status_int == 200 else None


def volumes(caller):
    return caller.volumes.get('/volumes').json['volumes']


# -- of a backup


def test_a_volume_of_a_backup(service, member):
    backup = service.record(size_gb=2)
    answer = make(member, backup_id=backup.id)
    assert answer.status_int == 201, answer.text
    made = answer.json['volume']
    assert made == {
        'id': made['id'], 'name': None, 'description': None, 'status': made['status'], 'size': 2,
        'volume_type': made['volume_type'], 'availability_zone': 'nova', 'backup_id': backup.id}
    [task] = service.tasks(backup.id)
    assert (task.kind, task.arguments) == (
        'restore', {'volume_id': made['id'], 'new_volume': True})
    assert shown(member, made['id'])['status'] == 'restoring-backup'
    assert service.backup(backup.id).status == 'restoring'


def test_with_all_that_may_be_said(service, member, admin):
    admin.volumes.post('/types', {'volume_type': {'name': 'fast'}})
    backup = service.record(size_gb=1)
    answer = make(member, backup_id=backup.id, name=' n ', description='d', size='3',
                  volume_type='fast', availability_zone='nova')
    assert answer.status_int == 201, answer.text
    found = shown(member, answer.json['volume']['id'])
    assert {name: found[name] for name in (
        'name', 'description', 'size', 'volume_type', 'availability_zone')} == {
            'name': 'n', 'description': 'd', 'size': 3, 'volume_type': 'fast',
            'availability_zone': 'nova'}


def test_several_volumes_of_one_backup(service, member):
    backup = service.record()
    ids = {make(member, backup_id=backup.id).json['volume']['id'] for _ in range(3)}
    assert {task.arguments['volume_id'] for task in service.tasks(backup.id)} == ids
    assert len(ids) == 3


@pytest.mark.parametrize(('fields', 'status'), [
    ({'size': 1}, 400), ({'size': 0}, 400), ({'size': 'x'}, 400), ({'size': -1}, 400),
    ({'volume_type': 'none such'}, 404), ({'availability_zone': 'moon'}, 400),
    ({'metadata': {'k': 'v'}}, 400), ({'snapshot_id': str(uuid.uuid4())}, 400),
    ({'name': 'n' * 256}, 400), ({'unknown': 1}, 400),
])
def test_what_a_volume_of_a_backup_cannot_be(service, member, fault, fields, status):
    backup = service.record(size_gb=2)
    assert fault(make(member, backup_id=backup.id, **fields))[0] == status
    assert volumes(member) == []
    assert service.backup(backup.id).status == 'available'


def test_a_volume_smaller_than_the_backup_is_refused_with_both_sizes(service, member, fault):
    _, message = fault(make(member, backup_id=service.record(size_gb=2).id, size=1))
    assert '1 GB' in message and '2 GB' in message


def test_a_backup_must_be_there_and_ready(service, member, stranger, fault):
    for backup_id in (str(uuid.uuid4()), service.record(project=OTHER_PROJECT).id):
        assert fault(make(member, backup_id=backup_id)) == (
            404, f'Backup {backup_id} could not be found.')
    for status in ('creating', 'error', 'deleting'):
        backup = service.record(status=status)
        assert fault(make(member, backup_id=backup.id))[0] == 409
    for backup_id in ('', 'x', '../../x', '\x7f', 'x' * 10240):
        assert fault(make(member, backup_id=backup_id))[0] == 400
    assert volumes(member) == []
    assert service.tasks(backup.id) == []


def test_the_quota_of_volumes_holds(service, member, fault):
    service.override('gigabytes', 1, 'quota')
    status, message = fault(make(member, backup_id=service.record(size_gb=2).id))
    assert status == 413
    assert 'gigabytes' in message


# -- anything else


def test_other_volumes_are_made_by_the_volume_service(member):
    body = {'volume': {'size': 1, 'name': 'plain', 'metadata': {'k': 'v'}, 'backup_id': None}}
    headers = {'OpenStack-API-Version': 'volume 3.71'}
    answer = member.post('/volume', body, headers=headers)
    assert answer.status_int == 202, answer.text
    made = answer.json['volume']
    assert (made['size'], made['name'], made['metadata']) == (1, 'plain', {'k': 'v'})
    assert made['links'][0]['href'].endswith(f'/v3/{member.project}/volumes/{made["id"]}')
    assert shown(member, made['id'])['name'] == 'plain'
    assert answer.headers['OpenStack-API-Version'] == 'volume 3.71'
    assert 'group_id' in made
    assert 'group_id' not in member.post('/volume', body).json['volume']


def test_errors_of_the_volume_service_are_passed_back(member, reader, fault):
    status, message = fault(make(member, size='x'))
    assert (status, 'size' in message) == (400, True)
    assert fault(make(member, size=1, volume_type='none such'))[0] == 404
    assert fault(make(reader, size=1))[0] == 403


@pytest.mark.parametrize('body', [
    None, {}, [], 'x', {'volume': None}, {'volume': []}, {'volume': 'x'},
    {'volume': {'backup_id': 5}}, {'volume': {'backup_id': []}}, {'volume': {}, 'x': 1},
])
def test_bad_bodies_are_400(member, fault, body):
    assert fault(member.post('/volume', body))[0] == 400
    assert volumes(member) == []


# -- actions


def act(caller, volume_id, body, **kwargs):
    return caller.post(f'/volume/{volume_id}/action', body, **kwargs)


def test_other_actions_are_the_volume_services(service, member, fault):
    volume = service.volume()
    answer = act(member, volume.id, {'os-extend': {'new_size': 2}})
    assert (answer.status_int, answer.body) == (202, b'')
    assert service.show_volume(volume.id).size_gb == 2
    status, message = fault(act(member, volume.id, {'os-extend': {'new_size': 1}}))
    assert status == 400 and message
    status, message = fault(act(member, volume.id, {'os-explode': {}}))
    assert (status, 'os-explode' in message) == (400, True)
    assert fault(act(member, uuid.uuid4(), {'os-extend': {'new_size': 2}}))[0] == 404


@pytest.mark.parametrize('body', [
    {'os-extend': {'new_size': 2}, 'rollback': {'snapshot_id': str(uuid.uuid4())}},
    {'os-extend': {'new_size': 2}, 'os-set_bootable': {'bootable': True}},
    {}, [], None, 'os-extend', 1,
])
def test_a_body_must_have_one_action(service, member, fault, body):
    volume = service.volume()
    assert fault(act(member, volume.id, body))[0] == 400
    found = service.show_volume(volume.id)
    assert (found.size_gb, found.bootable, found.status) == (1, False, 'available')


@pytest.mark.parametrize('text', [
    '.', '..', '%2e%2e', '..%2f..', '%2f', 'a%2fb', 'a%20b', '%00', '%F0%9F%92%BE', '%ff',
    'x' * 10240, 'backup', 'detail', '1',
])
def test_what_is_no_id_is_404(member, fault, text):
    for body in ({'os-extend': {'new_size': 2}}, {'rollback': {'snapshot_id': str(uuid.uuid4())}}):
        assert fault(act(member, text, body))[0] == 404


# -- rollback


def roll_back(caller, volume_id, snapshot_id):
    return act(caller, volume_id, {'rollback': {'snapshot_id': snapshot_id}})


def test_a_volume_is_put_back_to_its_snapshot(service, member):
    volume = service.volume()
    snapshot = service.snapshot(volume)
    answer = roll_back(member, volume.id, snapshot.id)
    assert (answer.status_int, answer.body) == (201, b'')
    [task] = service.tasks(volume.id)
    assert (task.kind, task.arguments) == ('rollback', {'snapshot_id': snapshot.id})
    assert shown(member, volume.id)['status'] == 'reverting'


def test_the_volume_that_an_instance_boots_from_too(service, member):
    instance = service.instance()
    boot = service.show_volume(instance.volumes[0].volume_id)
    assert boot.status == 'in-use'
    snapshot = member.volumes.post('/snapshots', {'snapshot': {'volume_id': boot.id}}).json
    service.wait_for_snapshot(snapshot['snapshot']['id'])
    answer = roll_back(member, boot.id, snapshot['snapshot']['id'])
    assert answer.status_int == 201, answer.text


def test_what_stands_in_the_way_of_a_rollback(service, member, fault):
    volume, busy = service.volume(), service.volume()
    snapshot, of_busy = service.snapshot(volume), service.snapshot(busy)
    other = service.snapshot(service.volume())
    service.occupy(busy, 'error')
    for volume_id, snapshot_id, status in (
        (volume.id, other.id, 409), (busy.id, of_busy.id, 409),
        (volume.id, str(uuid.uuid4()), 404), (str(uuid.uuid4()), snapshot.id, 404),
    ):
        assert fault(roll_back(member, volume_id, snapshot_id))[0] == status
    assert service.show_volume(volume.id).status == 'available'
    assert roll_back(member, volume.id, snapshot.id).status_int == 201
    assert fault(roll_back(member, volume.id, snapshot.id))[0] == 409


@pytest.mark.parametrize('arguments', [
    None, {}, [], 'x', {'snapshot_id': 'x'}, {'snapshot_id': '../x'}, {'snapshot_id': None},
    {'snapshot_id': str(uuid.uuid4()), 'force': True},
])
def test_bad_rollbacks_are_400(service, member, fault, arguments):
    volume = service.volume()
    assert fault(act(member, volume.id, {'rollback': arguments}))[0] == 400
    assert service.tasks(volume.id) == []


# -- who may do what


def test_tenants_are_apart(service, stranger, fault):
    volume, backup = service.volume(), service.record()
    assert fault(make(stranger, backup_id=backup.id))[0] == 404
    assert fault(act(stranger, volume.id, {'os-extend': {'new_size': 2}}))[0] == 404
    assert service.show_volume(volume.id).size_gb == 1
    snapshot = service.snapshot(volume)
    assert fault(roll_back(stranger, volume.id, snapshot.id))[0] == 404
    assert service.show_volume(volume.id).status == 'available'


def test_readers_do_not_roll_back(service, reader, fault):
    volume = service.volume()
    assert fault(roll_back(reader, volume.id, service.snapshot(volume).id))[0] == 403
