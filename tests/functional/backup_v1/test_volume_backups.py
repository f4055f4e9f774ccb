# SPDX-License-Identifier: Apache-2.0
"""Volume backups over HTTP: answers, arguments, errors, and who may do what."""

import datetime
import pathlib
import urllib.parse
import uuid

import pytest

from backupsvc import states
from backupsvc.objects.task import Task
from tests.fixtures.service import OTHER_PROJECT, PROJECT

PATH = '/volume/backup'


def create(caller, volume, **arguments):
    answer = caller.post(PATH, {'backup': {'volume_id': volume.id, **arguments}})
    assert answer.status_int == 201, answer.text
    [backup_id] = answer.json['backup'].values()
    return backup_id


def show(caller, backup_id):
    answer = caller.get(f'{PATH}/{backup_id}')
    assert answer.status_int == 200, answer.text
    assert list(answer.json) == ['backup']
    return answer.json['backup']


def listed(caller, query=''):
    answer = caller.get(f'{PATH}?{query}')
    assert answer.status_int == 200, answer.text
    return [backup['id'] for backup in answer.json['backups']]


# -- create


def test_a_backup_has_what_was_asked_for(service, member):
    volume = service.volume()
    backup_id = create(member, volume, name=' monday ', description='d', container='c',
                       metadata={'purpose': 'release'})
    shown = show(member, backup_id)
    for name, value in {
        'id': backup_id, 'name': 'monday', 'description': 'd', 'container': 'c',
        'metadata': {'purpose': 'release'}, 'volume_id': volume.id, 'status': 'creating',
        'fail_reason': None, 'size': 1, 'is_incremental': False, 'parent_id': None,
        'set_id': None, 'snapshot_id': None, 'has_dependents': False, 'logical_bytes': 0,
        'stored_bytes': 0, 'availability_zone': 'nova', 'updated_at': None,
    }.items():
        assert shown[name] == value, name
    assert shown['created_at'].endswith('Z')
    assert datetime.datetime.fromisoformat(shown['created_at']).tzinfo
    assert service.backup(backup_id).origin == 'backup_v1'
    assert service.show_volume(volume.id).status == 'backing-up'


def test_a_backup_of_a_snapshot(service, member):
    volume = service.volume()
    snapshot = service.snapshot(volume)
    shown = show(member, create(member, volume, snapshot_id=snapshot.id))
    assert shown['snapshot_id'] == snapshot.id
    assert service.show_volume(volume.id).status == 'available'


def test_incremental_builds_on_the_latest_and_is_full_without_one(service, member):
    volume, fresh = service.volume(), service.volume()
    parent = service.record(
        volume.id, data_timestamp=datetime.datetime.now(datetime.UTC))
    child = show(member, create(member, volume, incremental=True))
    assert (child['is_incremental'], child['parent_id']) == (True, parent.id)
    assert show(member, parent.id)['has_dependents'] is True
    assert [backup['has_dependents'] for backup in member.get(PATH).json['backups']] == [
        False, True]
    first = show(member, create(member, fresh, incremental=True))
    assert (first['is_incremental'], first['parent_id']) == (False, None)


def test_a_volume_in_use_needs_force(service, member, fault):
    volume = service.volume()
    service.occupy(volume, 'in-use')
    status, message = fault(member.post(PATH, {'backup': {'volume_id': volume.id}}))
    assert status == 409
    assert 'force' in message
    assert member.get(PATH).json['backups'] == []
    create(member, volume, force=True)


@pytest.mark.parametrize('status', ['attaching', 'error', 'deleting', 'backing-up'])
def test_a_busy_volume_is_409_with_the_reason(service, member, fault, status):
    volume = service.volume()
    service.occupy(volume, status)
    found = fault(member.post(PATH, {'backup': {'volume_id': volume.id, 'force': True}}))
    assert found[0] == 409
    assert f'"{status}"' in found[1]


def test_a_snapshot_of_another_volume_is_409(service, member, fault):
    snapshot = service.snapshot(service.volume())
    body = {'backup': {'volume_id': service.volume().id, 'snapshot_id': snapshot.id}}
    assert fault(member.post(PATH, body))[0] == 409


def test_what_is_to_be_backed_up_must_exist(service, member, stranger, fault):
    for volume_id in (str(uuid.uuid4()), service.volume(OTHER_PROJECT).id):
        status, message = fault(member.post(PATH, {'backup': {'volume_id': volume_id}}))
        assert (status, message) == (404, f'Volume {volume_id} could not be found.')
    body = {'backup': {'volume_id': service.volume().id, 'snapshot_id': str(uuid.uuid4())}}
    assert fault(member.post(PATH, body))[0] == 404


@pytest.mark.parametrize('body', [
    None, {}, [], 'x', {'backup': None}, {'backup': {}}, {'backup': {'volume_id': 'x'}},
    {'backup': {'volume_id': '../..'}}, {'backup': {'volume_id': None}},
    *({'backup': {'volume_id': str(uuid.uuid4()), **more}} for more in (
        {'force': 1}, {'incremental': 'maybe'}, {'name': 'n' * 256}, {'metadata': {'k': 1}},
        {'metadata': {'': 'v'}}, {'metadata': {'k': None}}, {'snapshot_id': 'x'},
        {'availability_zone': 'nova'}, {'unknown': 1})),
    {'backup': {'volume_id': str(uuid.uuid4())}, 'other': 1},
])
def test_bad_creates_are_400(member, fault, body):
    assert fault(member.post(PATH, body))[0] == 400


@pytest.mark.parametrize('raw', [
    b'{"backup": {"volume_id": "x",}}', b'{', b'\xff', b'{"backup": 1, "backup": 2}',
    b'[' * 10000, b'{"backup": {"volume_id": NaN}}', b'{"backup": {"name": "\\u0000"}}',
])
def test_what_is_no_json_is_400(member, fault, raw):
    assert fault(member.post(PATH, raw=raw))[0] == 400


def test_other_media_types_and_long_bodies_are_refused(member, fault):
    headers = {'Content-Type': 'text/plain'}
    assert fault(member.post(PATH, {'backup': {}}, headers=headers))[0] == 415
    assert fault(member.post(PATH, {'backup': {'name': 'n' * 200_000}}))[0] == 413


def test_over_quota_is_413(service, member, fault):
    service.override('backups', 1, 'quota')
    create(member, service.volume())
    status, message = fault(member.post(PATH, {'backup': {'volume_id': service.volume().id}}))
    assert (status, message) == (413, 'Maximum number of backups allowed (1) exceeded')


def test_too_many_pairs_of_metadata_are_413(service, member, fault):
    service.override('max_metadata_items', 2, 'api')
    pairs = {'a': '1', 'b': '2'}
    backup_id = create(member, service.volume(), metadata=pairs)
    more = {**pairs, 'c': '3'}
    body = {'backup': {'volume_id': service.volume().id, 'metadata': more}}
    assert fault(member.post(PATH, body))[0] == 413
    path = f'{PATH}/{backup_id}/action'
    assert fault(member.post(path, {'update': {'metadata': more}}))[0] == 413
    assert show(member, backup_id)['metadata'] == pairs


# -- show


@pytest.mark.parametrize(('status', 'shown_as'), [
    *((status, status) for status in (
        'creating', 'available', 'restoring', 'deleting', 'error')),
    ('error_deleting', 'error'),
])
def test_statuses(service, member, status, shown_as):
    backup = service.record(status=status, fail_reason='why')
    shown = show(member, backup.id)
    assert (shown['status'], shown['fail_reason']) == (shown_as, 'why')
    assert listed(member, f'status={shown_as}') == [backup.id]


def test_sizes_and_times(service, member):
    at = datetime.datetime(2026, 1, 2, 3, 4, 5, 6, datetime.UTC)
    backup = service.record(
        logical_bytes=3 << 30, stored_bytes=12345, object_count=7, size_gb=3, data_timestamp=at)
    shown = show(member, backup.id)
    assert (shown['size'], shown['logical_bytes'], shown['stored_bytes'], shown['object_count'],
            shown['data_timestamp']) == (3, 3 << 30, 12345, 7, '2026-01-02T03:04:05.000006Z')


def test_progress_is_that_of_the_work_that_goes_on(service, member):
    volume = service.volume()
    backup_id = create(member, volume)
    queued = {'operation': 'create', 'bytes_done': 0, 'bytes_total': None,
              'bytes_per_second': None, 'seconds_left': None}
    assert show(member, backup_id)['progress'] == queued
    task = Task.claim_next(service.admin_context, 'manager', 'here', 600)
    started = datetime.datetime.now(datetime.UTC) - task.started_at
    task.progress(bytes_total=1 << 30, bytes_done=1 << 28)
    [in_list] = member.get(PATH).json['backups']
    shown = show(member, backup_id)['progress']
    took = datetime.datetime.now(datetime.UTC) - task.started_at
    assert (shown['operation'], shown['bytes_done'], shown['bytes_total']) == (
        'create', 1 << 28, 1 << 30)
    least, most = ((1 << 28) / max(span.total_seconds(), 0.001) for span in (took, started))
    assert round(least) <= shown['bytes_per_second'] <= round(most)
    left = 3 * (1 << 28) / shown['bytes_per_second']
    assert abs(shown['seconds_left'] - left) <= 1
    assert in_list['progress']['bytes_done'] == 1 << 28
    record = service.backup(backup_id)
    record.finish(task, states.AVAILABLE)
    assert show(member, backup_id)['progress'] is None


def test_of_several_operations_the_running_one_shows(service, member):
    backup = service.record()
    for _ in range(2):
        answer = member.post('/volume', {'volume': {'backup_id': backup.id}})
        assert answer.status_int == 201, answer.text
    first = Task.claim_next(service.admin_context, 'manager', 'here', 600)
    first.progress(bytes_total=100, bytes_done=42)
    shown = show(member, backup.id)['progress']
    assert (shown['operation'], shown['bytes_done']) == ('restore', 42)


def test_who_owns_a_backup_is_for_administrators(service, member, admin):
    backup = service.record()
    assert 'project_id' not in show(member, backup.id)
    shown = show(admin, backup.id)
    assert (shown['project_id'], shown['user_id']) == (PROJECT, 'alice')


# -- list


def test_lists_are_newest_first_and_whole(service, member):
    assert member.get(PATH).json == {'backups': []}
    made = [service.record(name=str(number)).id for number in range(3)]
    assert listed(member) == made[::-1]
    [first, *_] = member.get(PATH).json['backups']
    assert first == show(member, made[-1])


def test_backups_of_databases_are_not_those_of_volumes(service, member, fault):
    backup = service.record(kind='database')
    assert listed(member) == []
    path = f'{PATH}/{backup.id}'
    for answer in (
        member.get(path), member.delete(path),
        member.post(f'{path}/action', {'update': {'name': 'n'}}),
        member.post('/volume', {'volume': {'backup_id': backup.id}}),
    ):
        assert fault(answer)[0] == 404


def test_pages_follow_each_other(service, member):
    made = [service.record().id for _ in range(5)][::-1]
    answer = member.get(f'{PATH}?limit=2&status=available').json
    found = []
    while answer['backups']:
        assert len(answer['backups']) <= 2
        found += [backup['id'] for backup in answer['backups']]
        if 'backups_links' not in answer:
            break
        [link] = answer['backups_links']
        assert link['rel'] == 'next'
        parts = urllib.parse.urlsplit(link['href'])
        assert (parts.netloc, parts.path) == ('api.example', '/v1/volume/backup')
        assert urllib.parse.parse_qs(parts.query)['status'] == ['available']
        answer = member.get(f'{PATH}?{parts.query}').json
    assert found == made
    assert listed(member, f'marker={made[1]}') == made[2:]
    assert listed(member, 'limit=0') == []
    assert listed(member, 'limit=99999999999999999999') == made


def test_filters(service, member):
    one = service.record(name='a', metadata={'purpose': 'release', 'keep': '1y'})
    other = service.record(name='b', metadata={'purpose': 'daily'}, status='error')
    for query, wanted in (
        ('name=a', [one]), ('name=c', []), ('status=error', [other]), ('status=nonsense', []),
        (f'volume_id={one.source_id}', [one]), ('volume_id=x', []),
        (f'volume_id={one.source_id}&status=error', []),
        ('metadata[purpose]=release', [one]), ('metadata[purpose]=release&metadata[keep]=2y', []),
        ('metadata={"purpose": "daily"}', [other]), ('metadata={}', [other, one]),
        ('name=%F0%9F%92%BE', []),
    ):
        assert listed(member, query) == [backup.id for backup in wanted], query


@pytest.mark.parametrize('query', [
    'limit=x', 'limit=-1', 'limit=1.5', 'unknown=1', 'sort=name', 'metadata=x', 'metadata=[]',
    'metadata={"a": 1}', 'all_projects=perhaps', 'name=%00', 'name=%ff', 'metadata[]=x',
])
def test_bad_queries_are_400(member, fault, query):
    assert fault(member.get(f'{PATH}?{query}'))[0] == 400


@pytest.mark.parametrize('marker', [
    'x', '..', '', '6f519a48-3183-46cf-a32f-000000000001', 'x' * 5000, '%F0%9F%92%BE'])
def test_unknown_markers_are_404(member, fault, marker):
    assert fault(member.get(f'{PATH}?marker={marker}'))[0] == 404


def test_show_takes_no_query(service, member, fault):
    assert fault(member.get(f'{PATH}/{service.record().id}?x=1'))[0] == 400


# -- update


def test_update_changes_what_is_named(service, member):
    backup = service.record(name='a', description='d', metadata={'k': 'v', 'l': 'w'})
    answer = member.post(f'{PATH}/{backup.id}/action', {'update': {'name': ' b '}})
    assert (answer.status_int, answer.body) == (201, b'')
    shown = show(member, backup.id)
    assert (shown['name'], shown['description'], shown['metadata']) == (
        'b', 'd', {'k': 'v', 'l': 'w'})
    assert shown['updated_at']
    body = {'update': {'description': None, 'metadata': {'m': 'x'}}}
    assert member.post(f'{PATH}/{backup.id}/action', body).status_int == 201
    shown = show(member, backup.id)
    assert (shown['name'], shown['description'], shown['metadata']) == ('b', None, {'m': 'x'})


@pytest.mark.parametrize('body', [
    None, {}, [], 'x', 1, {'update': None}, {'update': []}, {'update': {'status': 'available'}},
    {'update': {'metadata': None}}, {'update': {'name': 5}}, {'explode': {}},
    {'update': {}, 'rollback': {}}, {'update': {}, 'x': None},
])
def test_bad_updates_are_400_and_change_nothing(service, member, fault, body):
    backup = service.record(name='a')
    assert fault(member.post(f'{PATH}/{backup.id}/action', body))[0] == 400
    assert show(member, backup.id)['updated_at'] is None


# -- delete


def test_delete_answers_with_the_id(service, member):
    backup = service.record()
    answer = member.delete(f'{PATH}/{backup.id}')
    assert (answer.status_int, answer.json) == (201, {'backup': {'id': backup.id}})
    shown = show(member, backup.id)
    assert (shown['status'], shown['progress']['operation']) == ('deleting', 'delete')


@pytest.mark.parametrize('status', ['creating', 'restoring', 'deleting'])
def test_a_busy_backup_is_409(service, member, fault, status):
    backup = service.record(status=status)
    assert fault(member.delete(f'{PATH}/{backup.id}'))[0] == 409
    assert service.tasks(backup.id) == []


def test_force_is_for_administrators(service, member, admin, fault):
    backup_id = create(member, service.volume())
    path = f'{PATH}/{backup_id}'
    assert fault(member.delete(f'{path}?force=true'))[0] == 403
    for query in ('force=maybe', 'cascade=true', 'force='):
        assert fault(admin.delete(f'{path}?{query}'))[0] == 400
    assert show(member, backup_id)['status'] == 'creating'
    assert admin.delete(f'{path}?force=true').status_int == 201
    assert show(member, backup_id)['status'] == 'deleting'
    assert {task.kind for task in service.tasks(backup_id)} == {'create', 'delete'}


def test_a_parent_may_go_before_its_child(service, member):
    parent = service.record()
    child = service.record(parent.source_id, parent_id=parent.id)
    assert member.delete(f'{PATH}/{parent.id}').status_int == 201
    service.backup(parent.id).destroy()
    assert show(member, child.id)['parent_id'] == parent.id


# -- who may do what


def test_tenants_are_apart(service, stranger, fault):
    backup = service.record()
    assert listed(stranger) == []
    assert listed(stranger, f'volume_id={backup.source_id}') == []
    path = f'{PATH}/{backup.id}'
    for answer in (
        stranger.get(path), stranger.delete(path), stranger.get(f'{PATH}?marker={backup.id}'),
        stranger.post(f'{path}/action', {'update': {'name': 'mine'}}),
    ):
        assert fault(answer) == (404, f'Backup {backup.id} could not be found.')
    assert service.backup(backup.id).name is None


def test_all_projects_are_for_administrators(service, member, admin, stranger, fault):
    ours, theirs = service.record(), service.record(project=OTHER_PROJECT)
    assert listed(admin) == [ours.id]
    assert listed(admin, 'all_projects=true') == [theirs.id, ours.id]
    assert listed(admin, 'all_projects=false') == [ours.id]
    for caller in (member, stranger):
        assert fault(caller.get(f'{PATH}?all_projects=1'))[0] == 403
    assert listed(member, 'all_projects=no') == [ours.id]


def test_readers_only_read(service, reader, fault):
    backup = service.record()
    path = f'{PATH}/{backup.id}'
    assert listed(reader) == [backup.id]
    assert show(reader, backup.id)
    for answer in (
        reader.post(PATH, {'backup': {'volume_id': service.volume().id}}), reader.delete(path),
        reader.post(f'{path}/action', {'update': {'name': 'n'}}),
        reader.post('/volume', {'volume': {'backup_id': backup.id}}),
    ):
        assert fault(answer)[0] == 403


# -- ids, methods and versions


@pytest.mark.parametrize('text', [
    '.', '..', '%2e%2e', '..%2f..%2fetc%2fpasswd', '%2f', 'a%2fb', '%20', 'a%20b', '%00', '%0a',
    '%F0%9F%92%BE', '%ff', 'x' * 10240, '1', 'detail', 'action', 'null', '%5c', ';', '*',
    '{6f519a48-3183-46cf-a32f-000000000001}', 'urn:uuid:6f519a48-3183-46cf-a32f-000000000001',
])
def test_what_is_no_id_is_404(service, member, fault, text):
    before = names_of_files(service)
    for method, path, body in (
        ('GET', f'{PATH}/{text}', None),
        ('DELETE', f'{PATH}/{text}', None),
        ('POST', f'{PATH}/{text}/action', {'update': {'name': 'n'}}),
    ):
        assert fault(member.request(method, path, body))[0] == 404, method
    assert names_of_files(service) == before


def names_of_files(service):
    return sorted(map(str, pathlib.Path(service.conf.state_path).rglob('*')))


def test_an_id_in_other_letters_is_the_same_id(service, member):
    backup = service.record()
    assert show(member, backup.id.upper())['id'] == backup.id
    assert show(member, backup.id.replace('-', ''))['id'] == backup.id


def test_other_methods_and_paths(service, member, fault):
    assert member.request('PUT', PATH, {}).headers['Allow'] == 'GET, POST'
    answer = member.request('PUT', f'{PATH}/{service.record().id}', {})
    assert (fault(answer)[0], answer.headers['Allow']) == (405, 'DELETE, GET')
    for path in ('/volumes', '/volume', '/nonsense', '/volume/backup/', '//', '/volume/x/y/z'):
        assert fault(member.get(path))[0] in (404, 405), path


def test_the_version_is_listed_and_described(member):
    listed_entry = [entry for entry in member.volumes.get('//').json['versions']
                    if entry['links'][-1]['href'].endswith('/v1/')][0]
    answer = member.get('/')
    assert answer.status_int == 200
    [entry] = answer.json['versions']
    assert entry == listed_entry
    for key in ('id', 'status', 'updated', 'links', 'version', 'min_version', 'media-types'):
        assert key in entry, key
    assert member.get('').status_int == 302
