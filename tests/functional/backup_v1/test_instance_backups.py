# SPDX-License-Identifier: Apache-2.0
"""Instance backups over HTTP: answers, arguments, errors, and who may do what."""

import uuid

import pytest

from backupsvc.objects.backup_set import BackupSet
from tests.fixtures.service import OTHER_PROJECT, PROJECT

PATH = '/instance/backup'


def create(caller, instance, **arguments):
    answer = caller.post(PATH, {'backup': {'instance_id': instance.id, **arguments}})
    assert answer.status_int == 201, answer.text
    assert list(answer.json) == ['backup']
    [(name, backup_id)] = answer.json['backup'].items()
    assert name == 'id'
    return backup_id


def show(caller, backup_id):
    answer = caller.get(f'{PATH}/{backup_id}')
    assert answer.status_int == 200, answer.text
    return answer.json['backup']


def listed(caller, query=''):
    answer = caller.get(f'{PATH}?{query}')
    assert answer.status_int == 200, answer.text
    return [backup['id'] for backup in answer.json['backups']]


def record(service, backup_id):
    return BackupSet.get_by_id(service.admin_context, backup_id)


@pytest.fixture
def ready(service, member):
    """Make an instance backup that is available."""
    def make(caller=member, project=PROJECT, volumes=2, **arguments):
        backup_id = create(caller, service.instance(volumes, project), **arguments)
        service.complete(record(service, backup_id))
        return backup_id
    return make


def test_a_backup_has_what_was_asked_for(service, member):
    instance = service.instance()
    backup_id = create(member, instance, name=' monday ', description='d', container='c',
                       metadata={'purpose': 'release'})
    shown = show(member, backup_id)
    for name, value in {
        'id': backup_id, 'name': 'monday', 'description': 'd', 'container': 'c',
        'metadata': {'purpose': 'release'}, 'instance_id': instance.id, 'status': 'creating',
        'fail_reason': None, 'size': 2, 'is_incremental': False, 'is_consistent': None,
        'data_timestamp': None, 'logical_bytes': 0, 'stored_bytes': 0,
    }.items():
        assert shown[name] == value, name
    assert [(one['volume_id'], one['size'], one['status']) for one in shown['volume_backups']] == [
        (volume.volume_id, 1, 'creating') for volume in instance.volumes]
    assert record(service, backup_id).origin == 'backup_v1'
    for volume in instance.volumes:
        assert service.show_volume(volume.volume_id).status == 'backing-up'


def test_its_members_are_volume_backups_and_counted_once(service, member, ready):
    backup_id = ready(name='n')
    shown = show(member, backup_id)
    members = member.get('/volume/backup').json['backups']
    assert {one['id'] for one in members} == {one['id'] for one in shown['volume_backups']}
    assert {one['set_id'] for one in members} == {backup_id}
    assert listed(member) == [backup_id]
    used = member.volumes.get('/limits').json['limits']['absolute']
    assert (used['totalBackupsUsed'], used['totalBackupGigabytesUsed']) == (2, 2)
    assert (shown['status'], shown['is_consistent'], shown['logical_bytes'],
            shown['stored_bytes'], shown['progress']) == ('available', True, 2 << 30, 8192, None)


def test_a_member_goes_with_its_set_only(service, member, admin, ready, fault):
    backup_id = ready()
    member_id = show(member, backup_id)['volume_backups'][0]['id']
    status, message = fault(member.delete(f'/volume/backup/{member_id}'))
    assert (status, backup_id in message) == (409, True)
    assert fault(member.delete(f'/volume/backup/{member_id}?force=true'))[0] == 403
    assert admin.delete(f'/volume/backup/{member_id}?force=true').status_int == 201
    assert show(member, backup_id)['status'] == 'error'


def test_a_member_is_restored_alone(service, member, ready):
    member_id = show(member, ready())['volume_backups'][1]['id']
    answer = member.post('/volume', {'volume': {'backup_id': member_id}})
    assert (answer.status_int, answer.json['volume']['size']) == (201, 1)


def test_incremental_builds_on_each_volumes_latest(service, member):
    instance = service.instance()
    parent = service.record(instance.volumes[0].volume_id)
    parent.data_timestamp = parent.created_at
    parent.save()
    shown = show(member, create(member, instance, incremental=True))
    assert shown['is_incremental'] is True
    parents = {one['volume_id']: one['parent_id']
               for one in member.get('/volume/backup?status=creating').json['backups']}
    assert parents == {instance.volumes[0].volume_id: parent.id,
                       instance.volumes[1].volume_id: None}


def test_an_instance_without_volumes_is_409(service, member, fault):
    status, message = fault(member.post(
        PATH, {'backup': {'instance_id': service.instance(volumes=0).id}}))
    assert (status, 'no volumes' in message) == (409, True)


def test_a_busy_volume_of_it_is_409(service, member, fault):
    instance = service.instance()
    service.occupy(service.show_volume(instance.volumes[1].volume_id), 'error')
    status, message = fault(member.post(PATH, {'backup': {'instance_id': instance.id}}))
    assert (status, instance.volumes[1].volume_id in message) == (409, True)
    assert member.get('/volume/backup').json['backups'] == []


def test_a_second_one_at_the_same_time_is_409(service, member, fault):
    instance = service.instance()
    create(member, instance)
    assert fault(member.post(PATH, {'backup': {'instance_id': instance.id}}))[0] == 409
    assert len(listed(member)) == 1


def test_the_quota_counts_all_members(service, member, fault):
    service.override('backups', 1, 'quota')
    status, _ = fault(member.post(PATH, {'backup': {'instance_id': service.instance().id}}))
    assert status == 413
    assert listed(member) == []


def test_too_many_pairs_of_metadata_are_413(service, member, ready, fault):
    service.override('max_metadata_items', 2, 'api')
    pairs = {'a': '1', 'b': '2'}
    backup_id = ready(metadata=pairs)
    more = {**pairs, 'c': '3'}
    body = {'backup': {'instance_id': service.instance().id, 'metadata': more}}
    assert fault(member.post(PATH, body))[0] == 413
    path = f'{PATH}/{backup_id}/action'
    assert fault(member.post(path, {'update': {'metadata': more}}))[0] == 413
    assert show(member, backup_id)['metadata'] == pairs


def test_the_instance_must_be_there(service, member, fault):
    for instance_id in (str(uuid.uuid4()), service.instance(project=OTHER_PROJECT).id):
        assert fault(member.post(PATH, {'backup': {'instance_id': instance_id}})) == (
            404, f'Instance {instance_id} could not be found.')


@pytest.mark.parametrize('body', [
    None, {}, [], {'backup': None}, {'backup': {}}, {'backup': {'instance_id': 'x'}},
    {'backup': {'instance_id': '../../../etc'}}, {'backup': {'instance_id': None}},
    *({'backup': {'instance_id': str(uuid.uuid4()), **more}} for more in (
        {'force': True}, {'incremental': 1}, {'name': 'n' * 256}, {'metadata': {'k': 1}},
        {'volume_id': str(uuid.uuid4())}, {'unknown': 1})),
    {'backup': {'instance_id': str(uuid.uuid4())}, 'snapshot': {}},
])
def test_bad_creates_are_400(member, fault, body):
    assert fault(member.post(PATH, body))[0] == 400


def test_update_changes_what_is_named(service, member, ready):
    backup_id = ready(name='a', description='d', metadata={'k': 'v'})
    path = f'{PATH}/{backup_id}/action'
    answer = member.post(path, {'update': {'name': ' b ', 'metadata': {'l': 'w'}}})
    assert (answer.status_int, answer.body) == (201, b'')
    shown = show(member, backup_id)
    assert (shown['name'], shown['description'], shown['metadata']) == ('b', 'd', {'l': 'w'})
    assert member.post(path, {'update': {'description': None}}).status_int == 201
    assert show(member, backup_id)['description'] is None


@pytest.mark.parametrize('body', [
    None, {}, [], {'update': None}, {'update': {'status': 'available'}}, {'explode': {}},
    {'update': {'name': 'b'}, 'rollback': {}},
])
def test_bad_updates_are_400_and_change_nothing(member, ready, fault, body):
    backup_id = ready(name='a')
    assert fault(member.post(f'{PATH}/{backup_id}/action', body))[0] == 400
    assert show(member, backup_id)['name'] == 'a'


def test_delete_takes_the_members_along(service, member, ready):
    backup_id = ready()
    answer = member.delete(f'{PATH}/{backup_id}')
    assert (answer.status_int, answer.json) == (201, {'backup': {'id': backup_id}})
    shown = show(member, backup_id)
    assert {shown['status'], *(one['status'] for one in shown['volume_backups'])} == {'deleting'}


def test_what_is_being_made_is_409_and_force_is_for_administrators(service, member, admin, fault):
    backup_id = create(member, service.instance())
    path = f'{PATH}/{backup_id}'
    assert fault(member.delete(path))[0] == 409
    assert fault(member.delete(f'{path}?force=true'))[0] == 403
    assert fault(member.delete(f'{path}?force=maybe'))[0] == 400
    assert fault(member.delete(f'{path}?cascade=true'))[0] == 400
    assert show(member, backup_id)['status'] == 'creating'
    assert admin.delete(f'{path}?force=true').status_int == 201
    assert show(member, backup_id)['status'] == 'deleting'


def test_pages_and_filters(service, member, ready):
    one = ready(name='a', metadata={'purpose': 'release'})
    other = create(member, service.instance(), name='b', metadata={'purpose': 'daily'})
    instance_id = show(member, one)['instance_id']
    for query, wanted in (
        ('', [other, one]), ('name=a', [one]), ('status=creating', [other]), ('status=x', []),
        (f'instance_id={instance_id}', [one]), ('instance_id=x', []),
        ('metadata[purpose]=daily', [other]), ('metadata={"purpose": "release"}', [one]),
        ('limit=1', [other]), (f'marker={other}', [one]), (f'marker={one}', []),
        ('limit=0', []),
    ):
        assert listed(member, query) == wanted, query
    page = member.get(f'{PATH}?limit=1').json
    assert page['backups_links'][0]['href'].endswith(f'/v1/instance/backup?limit=1&marker={other}')


@pytest.mark.parametrize('query', [
    'limit=x', 'limit=-1', 'volume_id=x', 'unknown=1', 'metadata=x', 'all_projects=perhaps'])
def test_bad_queries_are_400(member, fault, query):
    assert fault(member.get(f'{PATH}?{query}'))[0] == 400


def test_tenants_are_apart(service, member, stranger, admin, ready, fault):
    backup_id = ready()
    theirs = ready(stranger, OTHER_PROJECT)
    assert listed(stranger) == [theirs]
    path = f'{PATH}/{backup_id}'
    for answer in (
        stranger.get(path), stranger.delete(path), stranger.get(f'{PATH}?marker={backup_id}'),
        stranger.post(f'{path}/action', {'update': {'name': 'mine'}}),
    ):
        assert fault(answer) == (404, f'Instance backup {backup_id} could not be found.')
    assert listed(admin, 'all_projects=true') == [theirs, backup_id]
    assert listed(admin) == [backup_id]
    assert fault(member.get(f'{PATH}?all_projects=true'))[0] == 403
    assert 'project_id' not in show(member, backup_id)
    assert show(admin, backup_id)['project_id'] == PROJECT


def test_readers_only_read(service, reader, ready, fault):
    backup_id = ready()
    assert listed(reader) == [backup_id]
    assert show(reader, backup_id)
    path = f'{PATH}/{backup_id}'
    for answer in (
        reader.post(PATH, {'backup': {'instance_id': service.instance().id}}),
        reader.delete(path), reader.post(f'{path}/action', {'update': {'name': 'n'}}),
    ):
        assert fault(answer)[0] == 403


@pytest.mark.parametrize('text', [
    '..', '%2e%2e', '..%2f..%2fetc', 'a%2fb', '%20', '%00', '%F0%9F%92%BE', '%ff', 'x' * 10240,
    '1', 'detail', '{6f519a48-3183-46cf-a32f-000000000001}'])
def test_what_is_no_id_is_404(member, fault, text):
    for method, path, body in (
        ('GET', f'{PATH}/{text}', None),
        ('DELETE', f'{PATH}/{text}', None),
        ('POST', f'{PATH}/{text}/action', {'update': {'name': 'n'}}),
    ):
        assert fault(member.request(method, path, body))[0] == 404, method
