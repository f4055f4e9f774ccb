# SPDX-License-Identifier: Apache-2.0
"""Volumes over HTTP, where the volume driver serves them: answers, and who may do what."""

import json
import urllib.parse
import uuid

import pytest


def make(client, **fields):
    answer = client.post('/volumes', {'volume': {'size': 1, **fields}})
    assert answer.status_int == 202, answer.text
    return answer.json['volume']


def show(client, volume_id):
    return client.get(f'/volumes/{volume_id}').json['volume']


def act(client, volume, action, arguments=None):
    return client.post(f'/volumes/{volume["id"]}/action', {action: arguments})


# -- create and show


def test_a_volume_has_what_was_asked_for(member):
    created = make(member, name=' data ', description='d', metadata={'k': 'v'}, size=2)
    shown = show(member, created['id'])
    for name, value in {'name': 'data', 'description': 'd', 'metadata': {'k': 'v'}, 'size': 2,
                        'status': 'available', 'bootable': 'false', 'attachments': [],
                        'user_id': 'alice', 'availability_zone': 'nova'}.items():
        assert shown[name] == value, name
    assert shown['links'][0]['href'].endswith(
        f'/v3/{member.project}/volumes/{created["id"]}')
    assert shown['os-vol-tenant-attr:tenant_id'] == member.project
    assert 'os-vol-tenant-attr:tenant_id' not in created


@pytest.mark.parametrize(('version', 'field', 'is_there'), [
    ('3.12', 'group_id', False), ('3.13', 'group_id', True),
    ('3.47', 'shared_targets', False), ('3.48', 'shared_targets', True),
    ('3.62', 'volume_type_id', False), ('3.63', 'volume_type_id', True),
    ('3.64', 'consumes_quota', False), ('3.65', 'consumes_quota', True),
    ('3.71', 'provider_id', False),
])
def test_fields_come_with_their_microversion(member, version, field, is_there):
    volume = make(member)
    assert (field in show(member.at(version), volume['id'])) is is_there


def test_administrators_see_more(member, admin):
    volume = make(member)
    shown = show(admin, volume['id'])
    assert shown['os-vol-host-attr:host'] == 'here@local#local'
    assert shown['provider_id'] is None
    assert 'os-vol-host-attr:host' not in show(member, volume['id'])


@pytest.mark.parametrize('body', [
    None, {}, [], 'x', {'volume': None}, {'volume': []}, {'volume': {}},
    {'volume': {'size': 0}}, {'volume': {'size': -1}}, {'volume': {'size': 'x'}},
    {'volume': {'size': 1.5}}, {'volume': {'size': True}}, {'volume': {'size': 2 ** 40}},
    {'volume': {'size': 1, 'name': 'n' * 256}}, {'volume': {'size': 1, 'name': 5}},
    {'volume': {'size': 1, 'metadata': {'k': None}}},
    {'volume': {'size': 1, 'metadata': {'k' * 256: 'v'}}},
    {'volume': {'size': 1}, 'x': 1},
    {'volume': {'size': 1, 'snapshot_id': 'no-uuid'}},
    {'volume': {'size': 1, 'imageRef': str(uuid.uuid4())}},
    {'volume': {'size': 1, 'availability_zone': 'moon'}},
    {'volume': {'size': 1, 'snapshot_id': str(uuid.uuid4()),
                'source_volid': str(uuid.uuid4())}},
])
def test_bad_creates_are_400(member, fault, body):
    status, name, _ = fault(member.post('/volumes', body))
    assert (status, name) == (400, 'badRequest')
    assert member.get('/volumes').json['volumes'] == []


def test_keys_that_mean_nothing_are_not_looked_at(member):
    make(member, **{"'backup_id": 'x', 'shoe size': 44})


@pytest.mark.parametrize('field', ['snapshot_id', 'source_volid', 'backup_id'])
def test_create_from_what_does_not_exist_is_404(member, fault, field):
    assert fault(member.post(
        '/volumes', {'volume': {'size': 1, field: str(uuid.uuid4())}}))[0] == 404


def test_an_unknown_type_is_404(member, fault):
    status, _, message = fault(member.post(
        '/volumes', {'volume': {'size': 1, 'volume_type': 'gold'}}))
    assert (status, message) == (404, 'Volume type gold could not be found.')


def test_backup_id_comes_with_its_microversion(member, fault):
    body = {'volume': {'size': 1, 'backup_id': str(uuid.uuid4())}}
    assert fault(member.at('3.45').post('/volumes', body))[0] == 400
    assert fault(member.at('3.46').post('/volumes', body))[0] == 404


def test_a_volume_of_a_backup_is_being_restored(service, member):
    source = service.volume()
    backup = service.record(source.id)
    answer = member.post('/volumes', {'volume': {'backup_id': backup.id, 'name': 'n', 'size': 2}})
    assert answer.status_int == 202, answer.text
    volume = show(member, answer.json['volume']['id'])
    assert (volume['status'], volume['size'], volume['name']) == ('restoring-backup', 2, 'n')
    [task] = service.tasks(backup.id)
    assert task.arguments['volume_id'] == volume['id']


def test_several_volumes_may_be_made_of_one_backup_at_once(service, member):
    backup = service.record(service.volume().id)
    for _ in range(3):
        answer = member.post('/volumes', {'volume': {'backup_id': backup.id}})
        assert answer.status_int == 202, answer.text
    assert len(service.tasks(backup.id)) == 3


def test_quota_refuses_a_volume_of_a_backup(service, member, admin, fault):
    backup = service.record(service.volume().id)
    admin.put(f'/os-quota-sets/{member.project}', {'quota_set': {'volumes': 1}})
    assert fault(member.post('/volumes', {'volume': {'backup_id': backup.id}}))[0] == 413
    assert fault(member.post(f'/backups/{backup.id}/restore', {'restore': {}}))[0] == 413
    assert service.tasks(backup.id) == []
    assert service.backup(backup.id).status == 'available'


def test_clones_take_size_and_boot_flag_of_their_origin(service, member):
    volume = make(member, size=2)
    act(member, volume, 'os-set_bootable', {'bootable': True})
    act(member, volume, 'os-set_image_metadata', {'metadata': {'os': 'x'}})
    answer = member.post('/volumes', {'volume': {'source_volid': volume['id']}})
    clone = show(member, answer.json['volume']['id'])
    assert (clone['size'], clone['bootable'], clone['source_volid']) == (2, 'true', volume['id'])
    assert clone['volume_image_metadata'] == {'os': 'x'}


@pytest.mark.parametrize('volume_id', [
    'x', 'ü', 'a b', '0', pytest.param(str(uuid.uuid4()), id='unknown'), 'a.json', '%00'])
def test_what_does_not_exist_is_404(member, fault, volume_id):
    assert fault(member.get(f'/volumes/{urllib.parse.quote(volume_id)}'))[:2] == (
        404, 'itemNotFound')


def test_volumes_of_others_do_not_exist(member, stranger, fault):
    volume = make(member)
    path = f'/volumes/{volume["id"]}'
    for answer in (stranger.get(path), stranger.delete(path),
                   stranger.put(path, {'volume': {'name': 'x'}}),
                   stranger.get(f'{path}/metadata'),
                   act(stranger, volume, 'os-extend', {'new_size': 2}),
                   stranger.post('/snapshots', {'snapshot': {'volume_id': volume['id']}}),
                   stranger.post('/volumes', {'volume': {'source_volid': volume['id']}})):
        assert fault(answer)[0] == 404
    assert show(member, volume['id'])['name'] is None


def test_readers_only_read(member, reader, fault):
    volume = make(member)
    path = f'/volumes/{volume["id"]}'
    assert reader.get(path).status_int == 200
    assert reader.get('/volumes/detail').json['volumes'][0]['id'] == volume['id']
    for answer in (reader.post('/volumes', {'volume': {'size': 1}}), reader.delete(path),
                   reader.put(path, {'volume': {'name': 'x'}}),
                   act(reader, volume, 'os-extend', {'new_size': 2}),
                   reader.put(f'{path}/metadata', {'metadata': {}})):
        status, _, message = fault(answer)
        assert status == 403
        assert message.startswith("Policy doesn't allow volume")


@pytest.mark.parametrize(('action', 'arguments'), [
    ('os-force_delete', None), ('os-reset_status', {'status': 'error'}),
    ('os-force_detach', None)])
def test_members_do_not_administrate(member, fault, action, arguments):
    volume = make(member)
    assert fault(act(member, volume, action, arguments))[0] == 403
    assert show(member, volume['id'])['status'] == 'available'


# -- lists


def names(answer):
    assert answer.status_int == 200, answer.text
    return [volume['name'] for volume in answer.json['volumes']]


@pytest.fixture
def three(member):
    return [make(member, name=name, size=size, metadata={'n': name})
            for name, size in (('a', 3), ('b', 1), ('c', 2))]


@pytest.mark.parametrize(('query', 'expected'), [
    ('', 'cba'), ('sort=name:asc', 'abc'), ('sort=size', 'acb'), ('sort=size:asc,name', 'bca'),
    ('sort_key=name&sort_dir=desc', 'cba'), ('limit=2', 'cb'), ('limit=0', ''),
    ('offset=1', 'ba'), ('name=b', 'b'), ('name~=b', 'b'), ('status=available', 'cba'),
    ('status=error', ''), ('metadata={"n":"a"}', 'a'), ("metadata={'n':'a'}", 'a'),
    ('metadata[n]=c', 'c'), ('bootable=true', ''), ('bootable=false', 'cba'), ('size=3', 'a'),
    ('availability_zone=nova', 'cba'),
])
def test_lists(member, three, query, expected):
    for path in ('/volumes', '/volumes/detail'):
        quoted = urllib.parse.quote(query, safe='=&')
        assert names(member.get(f'{path}?{quoted}')) == list(expected), path


@pytest.mark.parametrize('query', [
    'limit=x', 'limit=-1', 'offset=x', 'sort=shoe', 'sort=name:up', 'sort=name&sort_key=name',
    'shoe=44', 'metadata=x', 'bootable=x', 'with_count=x'])
def test_bad_queries_are_400(member, three, fault, query):
    assert fault(member.get(f'/volumes/detail?{query}'))[0] == 400


def test_pages_follow_links(member, three):
    found, path = [], '/volumes?limit=2'
    while path:
        body = member.get(path).json
        found += [volume['name'] for volume in body['volumes']]
        links = body.get('volumes_links')
        path = links and links[0]['href'].partition(f'/v3/{member.project}')[2]
    assert found == ['c', 'b', 'a']


def test_a_foreign_marker_is_404(member, stranger, three, fault):
    other = make(stranger)
    assert fault(member.get(f'/volumes?marker={other["id"]}'))[0] == 404


def test_count_comes_with_its_microversion(member, three):
    assert member.get('/volumes?limit=1&with_count=true').json['count'] == 3
    assert member.get('/volumes/detail?limit=1&with_count=true&size=1').json['count'] == 1
    assert 'count' not in member.at('3.44').get('/volumes?limit=1').json


def test_all_tenants_is_for_administrators(member, stranger, admin, three, fault):
    make(stranger, name='d')
    assert len(names(admin.get('/volumes?all_tenants=1'))) == 4
    assert len(names(admin.get(f'/volumes?all_tenants=1&project_id={stranger.project}'))) == 1
    assert len(names(admin.get('/volumes'))) == 3
    assert len(names(member.get('/volumes?all_tenants=1'))) == 3
    assert fault(admin.get('/volumes?all_tenants=x'))[0] == 400


def test_summary(member, three, fault):
    summary = member.get('/volumes/summary').json['volume-summary']
    assert summary == {'total_count': 3, 'total_size': 6, 'metadata': {'n': ['a', 'b', 'c']}}
    assert 'metadata' not in member.at('3.35').get('/volumes/summary').json['volume-summary']
    # Below its microversion the word is an id like any other.
    assert fault(member.at('3.11').get('/volumes/summary'))[0] == 404


def test_urls_do_not_need_the_project(member, three):
    assert names(member.request('GET', '//v3/volumes')) == ['c', 'b', 'a']


# -- update, metadata


def test_update(member):
    volume = make(member, name='a', description='d', metadata={'k': 'v'})
    path = f'/volumes/{volume["id"]}'
    answer = member.put(path, {'volume': {'name': 'b'}})
    assert answer.status_int == 200
    assert (answer.json['volume']['name'], answer.json['volume']['description']) == ('b', 'd')
    member.put(path, {'volume': {'description': None, 'metadata': {'x': 'y'}}})
    shown = show(member, volume['id'])
    assert (shown['name'], shown['description'], shown['metadata']) == ('b', None, {'x': 'y'})


@pytest.mark.parametrize('body', [{'volume': None}, {'volume': {'size': 5}},
                                  {'volume': {'status': 'error'}}, {}, []])
def test_bad_updates_are_400(member, fault, body):
    volume = make(member)
    assert fault(member.put(f'/volumes/{volume["id"]}', body))[0] == 400


def test_metadata(member, fault):
    volume = make(member, metadata={'a': '1'})
    path = f'/volumes/{volume["id"]}/metadata'
    assert member.get(path).json == {'metadata': {'a': '1'}}
    assert member.post(path, {'metadata': {'b': '2'}}).json == {'metadata': {'a': '1', 'b': '2'}}
    assert member.put(path, {'metadata': {'c/d': '3'}}).json == {'metadata': {'c/d': '3'}}
    assert member.get(f'{path}/c/d').json == {'meta': {'c/d': '3'}}
    assert member.put(f'{path}/e', {'meta': {'e': '5'}}).json == {'meta': {'e': '5'}}
    assert fault(member.put(f'{path}/e', {'meta': {'f': '5'}}))[0] == 400
    assert fault(member.put(f'{path}/e', {'meta': {}}))[0] == 400
    deleted = member.delete(f'{path}/e')
    assert (deleted.status_int, deleted.body) == (200, b'')
    assert fault(member.delete(f'{path}/e')) == (
        404, 'itemNotFound', f'Volume {volume["id"]} has no metadata with key e.')
    assert show(member, volume['id'])['metadata'] == {'c/d': '3'}


# -- delete


def test_delete(member, fault):
    volume = make(member)
    answer = member.delete(f'/volumes/{volume["id"]}')
    assert (answer.status_int, answer.body) == (202, b'')
    assert fault(member.get(f'/volumes/{volume["id"]}'))[0] == 404


def test_delete_is_refused_with_snapshots_and_cascades(service, member, fault):
    source = service.volume()
    service.snapshot(source)
    status, _, message = fault(member.delete(f'/volumes/{source.id}'))
    assert status == 400
    assert message.startswith('Invalid volume: Volume status must be available or error or ')
    assert member.delete(f'/volumes/{source.id}?cascade=True').status_int == 202
    assert member.get('/snapshots').json['snapshots'] == []


@pytest.mark.parametrize('status', ['backing-up', 'restoring-backup', 'in-use', 'creating'])
def test_only_free_volumes_are_deleted(service, member, fault, status):
    source = service.volume()
    service.occupy(source, status)
    if status == 'creating':
        # Nobody makes it any more, which the next look at it finds out.
        assert show(member, source.id)['status'] == 'available'
        return
    assert fault(member.delete(f'/volumes/{source.id}'))[0] == 400


def test_force_in_delete_is_an_administrators_and_came_later(service, member, admin, fault):
    source = service.volume()
    service.occupy(source, 'in-use')
    path = f'/volumes/{source.id}?force=True'
    assert fault(member.delete(path))[0] == 403
    assert fault(admin.at('3.22').delete(path))[0] == 400
    assert admin.delete(path).status_int == 202


def test_force_delete(service, member, admin, fault):
    volume = make(member)
    act(admin, volume, 'os-reset_status', {'status': 'error_deleting'})
    assert fault(member.delete(f'/volumes/{volume["id"]}'))[0] == 400
    assert act(admin, volume, 'os-force_delete', {}).status_int == 202
    assert fault(member.get(f'/volumes/{volume["id"]}'))[0] == 404


# -- actions


def test_extend(member, fault):
    volume = make(member)
    answer = act(member, volume, 'os-extend', {'new_size': 3})
    assert (answer.status_int, answer.body) == (202, b'')
    assert show(member, volume['id'])['size'] == 3
    for size in (3, 2, 0, 'x', None):
        assert fault(act(member, volume, 'os-extend', {'new_size': size}))[0] == 400
    assert fault(act(member, volume, 'os-extend', {'new_size': 2000}))[0] == 413


def test_attach_and_detach(member, fault):
    volume, server = make(member), str(uuid.uuid4())
    attach = {'instance_uuid': server, 'mountpoint': '/dev/vdb', 'mode': 'rw'}
    assert act(member, volume, 'os-attach', attach).status_int == 202
    shown = show(member, volume['id'])
    [attachment] = shown['attachments']
    assert (shown['status'], attachment['server_id'], attachment['device']) == (
        'in-use', server, '/dev/vdb')
    assert fault(act(member, volume, 'os-attach', attach))[0] == 400
    assert fault(member.delete(f'/volumes/{volume["id"]}'))[0] == 400
    detach = {'attachment_id': attachment['attachment_id']}
    assert act(member, volume, 'os-detach', detach).status_int == 202
    shown = show(member, volume['id'])
    assert (shown['status'], shown['attachments']) == ('available', [])


def test_attach_is_to_an_instance_or_to_a_host(member, fault):
    volume = make(member)
    assert fault(act(member, volume, 'os-attach', {'mountpoint': '/dev/vdb'}))[0] == 400
    assert fault(act(member, volume, 'os-attach', {
        'mountpoint': '/dev/vdb', 'host_name': 'h', 'instance_uuid': str(uuid.uuid4())}))[0] == 400
    assert act(member, volume, 'os-attach', {
        'mountpoint': '/dev/vdb', 'host_name': 'h'}).status_int == 202


def test_steps_of_attaching(member, fault):
    volume = make(member)

    def status():
        return show(member, volume['id'])['status']

    assert act(member, volume, 'os-reserve').status_int == 202
    assert status() == 'attaching'
    assert fault(act(member, volume, 'os-reserve'))[0] == 400
    assert act(member, volume, 'os-unreserve').status_int == 202
    assert status() == 'available'
    act(member, volume, 'os-attach', {'mountpoint': '/dev/vdb', 'host_name': 'h'})
    assert act(member, volume, 'os-begin_detaching').status_int == 202
    assert status() == 'detaching'
    assert act(member, volume, 'os-roll_detaching').status_int == 202
    assert status() == 'in-use'


def test_flags(member, fault):
    volume = make(member)
    assert act(member, volume, 'os-set_bootable', {'bootable': True}).status_int == 200
    assert act(member, volume, 'os-update_readonly_flag', {'readonly': True}).status_int == 202
    shown = show(member, volume['id'])
    assert (shown['bootable'], shown['metadata']) == ('true', {'readonly': 'True'})
    for value in (1, 'maybe', None):
        assert fault(act(member, volume, 'os-set_bootable', {'bootable': value}))[0] == 400


def test_image_metadata(member, fault):
    volume = make(member)
    answer = act(member, volume, 'os-set_image_metadata', {'metadata': {'os': 'x', 'a': 'b'}})
    assert (answer.status_int, answer.json) == (200, {'metadata': {'os': 'x', 'a': 'b'}})
    assert act(member, volume, 'os-unset_image_metadata', {'key': 'a'}).status_int == 200
    assert fault(act(member, volume, 'os-unset_image_metadata', {'key': 'a'}))[0] == 404
    assert act(member, volume, 'os-show_image_metadata').json == {'metadata': {'os': 'x'}}


def test_reset_status(member, admin, fault):
    volume = make(member)
    assert act(admin, volume, 'os-reset_status', {'status': 'in-use'}).status_int == 202
    assert show(member, volume['id'])['status'] == 'in-use'
    assert act(admin, volume, 'os-reset_status', {'status': 'AVAILABLE'}).status_int == 202
    assert show(member, volume['id'])['status'] == 'available'
    for arguments in ({}, {'status': 'great'}, {'status': 5}, {'attach_status': 'x'}, None):
        assert fault(act(admin, volume, 'os-reset_status', arguments))[0] == 400


def test_retype(member, fault):
    volume = make(member)
    assert act(member, volume, 'os-retype', {'new_type': '__DEFAULT__'}).status_int == 202
    assert fault(act(member, volume, 'os-retype', {'new_type': 'gold'}))[0] == 404


def test_unknown_actions(member, fault):
    volume = make(member)
    assert fault(act(member, volume, 'os-explode'))[2].startswith(
        'There is no such action: os-explode')
    assert fault(member.post(f'/volumes/{volume["id"]}/action', {}))[0] == 400


# -- quotas


def test_quota_of_volumes(member, admin, fault):
    admin.put(f'/os-quota-sets/{member.project}', {'quota_set': {'volumes': 1}})
    first = make(member)
    answer = member.post('/volumes', {'volume': {'size': 1}})
    status, name, message = fault(answer)
    assert (status, name) == (413, 'overLimit')
    assert 'Maximum number of volumes allowed (1) exceeded' in message
    assert answer.headers['Retry-After'] == '0'
    member.delete(f'/volumes/{first["id"]}')
    make(member)


def test_quota_of_gigabytes(member, admin, fault):
    admin.put(f'/os-quota-sets/{member.project}', {'quota_set': {'gigabytes': 3}})
    volume = make(member, size=2)
    for answer in (member.post('/volumes', {'volume': {'size': 2}}),
                   act(member, volume, 'os-extend', {'new_size': 4}),
                   member.post('/snapshots', {'snapshot': {'volume_id': volume['id']}})):
        status, _, message = fault(answer)
        assert status == 413
        assert 'Requested 2G, quota is 3G and 2G has been consumed.' in message


def test_other_projects_do_not_count(member, stranger, admin):
    admin.put(f'/os-quota-sets/{member.project}', {'quota_set': {'volumes': 1}})
    make(stranger)
    make(stranger)
    make(member)


def test_answers_are_json(member):
    volume = make(member, name='ü\U0001f600')
    answer = member.get(f'/volumes/{volume["id"]}')
    assert answer.content_type == 'application/json'
    assert json.loads(answer.body)['volume']['name'] == 'ü\U0001f600'
