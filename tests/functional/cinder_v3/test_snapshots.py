# SPDX-License-Identifier: Apache-2.0
"""Snapshots over HTTP, where the volume driver serves volumes."""

import uuid

import pytest

from tests.fixtures.service import wait_until


def make(client, volume, **fields):
    answer = client.post('/snapshots', {'snapshot': {'volume_id': volume.id, **fields}})
    assert answer.status_int == 202, answer.text
    snapshot = answer.json['snapshot']
    wait_until(lambda: show(client, snapshot['id'])['status'] == 'available')
    return snapshot


def show(client, snapshot_id):
    return client.get(f'/snapshots/{snapshot_id}').json['snapshot']


def act(client, snapshot, action, arguments=None):
    return client.post(f'/snapshots/{snapshot["id"]}/action', {action: arguments})


@pytest.fixture
def volume(service):
    return service.volume(size_gb=2)


def test_a_snapshot_has_what_was_asked_for(member, volume):
    created = make(member, volume, name=' s ', description='d', metadata={'k': 'v'})
    shown = show(member, created['id'])
    for name, value in {'name': 's', 'description': 'd', 'metadata': {'k': 'v'}, 'size': 2,
                        'volume_id': volume.id, 'user_id': 'alice',
                        'os-extended-snapshot-attributes:progress': '100%',
                        'os-extended-snapshot-attributes:project_id': member.project}.items():
        assert shown[name] == value, name
    assert 'os-extended-snapshot-attributes:progress' not in created


@pytest.mark.parametrize(('version', 'field', 'is_there'), [
    ('3.13', 'group_snapshot_id', False), ('3.14', 'group_snapshot_id', True),
    ('3.40', 'user_id', False), ('3.41', 'user_id', True),
    ('3.64', 'consumes_quota', False), ('3.65', 'consumes_quota', True)])
def test_fields_come_with_their_microversion(member, volume, version, field, is_there):
    snapshot = make(member, volume)
    assert (field in show(member.at(version), snapshot['id'])) is is_there


@pytest.mark.parametrize('body', [
    None, {}, {'snapshot': None}, {'snapshot': {}}, {'snapshot': {'volume_id': 'x'}},
    {'snapshot': {'volume_id': str(uuid.uuid4()), 'shoe size': 44}},
    {'snapshot': {'volume_id': str(uuid.uuid4()), 'force': 'maybe'}},
    {'snapshot': {'volume_id': str(uuid.uuid4()), 'metadata': {'k': 1}}}])
def test_bad_creates_are_400(member, fault, body):
    assert fault(member.post('/snapshots', body))[:2] == (400, 'badRequest')


def test_volume_must_exist(member, stranger, volume, fault):
    assert fault(member.post(
        '/snapshots', {'snapshot': {'volume_id': str(uuid.uuid4())}}))[0] == 404
    assert fault(stranger.post(
        '/snapshots', {'snapshot': {'volume_id': volume.id}}))[0] == 404


def test_volumes_in_use_need_force_until_they_do_not(service, member, volume, fault):
    service.occupy(volume, 'in-use')
    before, after = member.at('3.65'), member.at('3.66')
    plain = {'snapshot': {'volume_id': volume.id}}
    status, _, message = fault(before.post('/snapshots', plain))
    assert status == 400
    assert 'in-use' in message
    make(before, volume, force=True)
    make(after, volume)
    make(after, volume, force=True)
    assert fault(after.post(
        '/snapshots', {'snapshot': {'volume_id': volume.id, 'force': False}}))[0] == 400


@pytest.mark.parametrize('status', ['backing-up', 'restoring-backup', 'error'])
def test_a_volume_at_work_gives_no_snapshot(service, member, volume, fault, status):
    service.occupy(volume, status)
    assert fault(member.post(
        '/snapshots', {'snapshot': {'volume_id': volume.id, 'force': True}}))[0] == 400


def test_lists(service, member, stranger, admin, volume):
    first, second = make(member, volume, name='a'), make(member, service.volume(), name='b')

    def names(answer):
        assert answer.status_int == 200, answer.text
        return [snapshot['name'] for snapshot in answer.json['snapshots']]

    for path in ('/snapshots', '/snapshots/detail'):
        assert names(member.get(path)) == ['b', 'a']
        assert names(member.get(f'{path}?sort=name:asc')) == ['a', 'b']
        assert names(member.get(f'{path}?volume_id={volume.id}')) == ['a']
        assert names(member.get(f'{path}?name=b&status=available')) == ['b']
        assert names(member.get(f'{path}?limit=1')) == ['b']
        assert names(member.get(f'{path}?limit=1&marker={second["id"]}')) == ['a']
        assert names(member.get(f'{path}?marker={first["id"]}')) == []
        assert names(stranger.get(path)) == []
        assert names(stranger.get(f'{path}?all_tenants=1')) == []
        assert names(admin.get(f'{path}?all_tenants=1')) == ['b', 'a']
        assert member.get(f'{path}?with_count=1&limit=1').json['count'] == 2


def test_a_marker_must_exist(member, fault):
    assert fault(member.get(f'/snapshots?marker={uuid.uuid4()}'))[0] == 404


def test_update(member, volume, fault):
    snapshot = make(member, volume, name='a', description='d')
    path = f'/snapshots/{snapshot["id"]}'
    answer = member.put(path, {'snapshot': {'name': 'b'}})
    assert (answer.json['snapshot']['name'], answer.json['snapshot']['description']) == ('b', 'd')
    assert fault(member.put(path, {'snapshot': {'status': 'error'}}))[0] == 400


def test_metadata(member, volume, fault):
    snapshot = make(member, volume, metadata={'a': '1'})
    path = f'/snapshots/{snapshot["id"]}/metadata'
    assert member.get(path).json == {'metadata': {'a': '1'}}
    assert member.post(path, {'metadata': {'b': '2'}}).json == {'metadata': {'a': '1', 'b': '2'}}
    assert member.put(path, {'metadata': {'c': '3'}}).json == {'metadata': {'c': '3'}}
    assert member.put(f'{path}/c', {'meta': {'c': '4'}}).json == {'meta': {'c': '4'}}
    assert member.get(f'{path}/c').json == {'meta': {'c': '4'}}
    assert member.delete(f'{path}/c').status_int == 200
    assert fault(member.delete(f'{path}/c'))[0] == 404
    assert fault(member.put(f'{path}/c', {'meta': {'d': '4'}}))[0] == 400
    assert show(member, snapshot['id'])['metadata'] == {}


def test_delete(member, volume, fault):
    snapshot = make(member, volume)
    answer = member.delete(f'/snapshots/{snapshot["id"]}')
    assert (answer.status_int, answer.body) == (202, b'')
    assert fault(member.get(f'/snapshots/{snapshot["id"]}')) == (
        404, 'itemNotFound', f'Snapshot {snapshot["id"]} could not be found.')
    assert member.delete(f'/volumes/{volume.id}').status_int == 202


def test_a_snapshot_at_work_is_deleted_by_force_only(member, admin, volume, fault):
    snapshot = make(member, volume)
    assert act(admin, snapshot, 'os-reset_status', {'status': 'deleting'}).status_int == 202
    assert show(member, snapshot['id'])['status'] == 'deleting'
    assert fault(member.delete(f'/snapshots/{snapshot["id"]}'))[0] == 400
    assert fault(act(member, snapshot, 'os-force_delete'))[0] == 403
    assert act(admin, snapshot, 'os-force_delete').status_int == 202
    assert fault(member.get(f'/snapshots/{snapshot["id"]}'))[0] == 404


def test_reset_status(member, admin, volume, fault):
    snapshot = make(member, volume)
    assert fault(act(member, snapshot, 'os-reset_status', {'status': 'error'}))[0] == 403
    for arguments in ({}, None, {'status': 'great'}, {'status': None}):
        assert fault(act(admin, snapshot, 'os-reset_status', arguments))[0] == 400
    assert act(admin, snapshot, 'os-reset_status', {'status': 'error'}).status_int == 202
    assert show(member, snapshot['id'])['status'] == 'error'


def test_readers_only_read(member, reader, volume, fault):
    snapshot = make(member, volume)
    path = f'/snapshots/{snapshot["id"]}'
    assert reader.get(path).status_int == 200
    for answer in (reader.post('/snapshots', {'snapshot': {'volume_id': volume.id}}),
                   reader.delete(path), reader.put(path, {'snapshot': {'name': 'x'}}),
                   reader.put(f'{path}/metadata', {'metadata': {}})):
        assert fault(answer)[0] == 403


def test_strangers_see_nothing(member, stranger, volume, fault):
    snapshot = make(member, volume)
    path = f'/snapshots/{snapshot["id"]}'
    for answer in (stranger.get(path), stranger.delete(path), stranger.get(f'{path}/metadata'),
                   stranger.put(path, {'snapshot': {'name': 'x'}})):
        assert fault(answer)[0] == 404


def test_quota(member, admin, volume, fault):
    admin.put(f'/os-quota-sets/{member.project}', {'quota_set': {'snapshots': 1}})
    make(member, volume)
    status, _, message = fault(member.post('/snapshots', {'snapshot': {'volume_id': volume.id}}))
    assert (status, message) == (413, 'Maximum number of snapshots allowed (1) exceeded')
