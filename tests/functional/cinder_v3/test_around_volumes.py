# SPDX-License-Identifier: Apache-2.0
"""Types, zones, limits, quotas, services, messages and extensions over HTTP."""

import uuid

import pytest

from backupsvc.orchestration import messages
from tests.fixtures.service import wait_until

# -- types and zones


def test_types(member, fault):
    [default] = member.get('/types?is_public=None').json['volume_types']
    assert default['name'] == '__DEFAULT__'
    assert member.get('/types/default').json['volume_type'] == default
    assert member.get(f'/types/{default["id"]}').json['volume_type'] == default
    assert member.get(f'/types/{default["id"]}/extra_specs').json == {'extra_specs': {}}
    assert member.get(f'/types/{default["id"]}/encryption').json == {}
    for path in ('', '/extra_specs', '/encryption'):
        assert fault(member.get(f'/types/gold{path}')) == (
            404, 'itemNotFound', 'Volume type gold could not be found.')


def test_zones(member):
    assert member.get('/os-availability-zone').json == {
        'availabilityZoneInfo': [{'zoneName': 'nova', 'zoneState': {'available': True}}]}


def test_extensions(member):
    aliases = {one['alias'] for one in member.get('/extensions').json['extensions']}
    assert {'backups', 'os-quota-sets'} <= aliases


# -- limits and quotas


def test_limits_count_what_there_is(service, member, stranger):
    volume = service.volume(size_gb=3)
    service.snapshot(volume)
    service.record(volume.id)
    absolute = member.get('/limits').json['limits']['absolute']
    assert absolute == {
        'maxTotalVolumes': 10, 'totalVolumesUsed': 1,
        'maxTotalSnapshots': 10, 'totalSnapshotsUsed': 1,
        'maxTotalVolumeGigabytes': 1000, 'totalGigabytesUsed': 6,
        'maxTotalBackups': 10, 'totalBackupsUsed': 1,
        'maxTotalBackupGigabytes': 1000, 'totalBackupGigabytesUsed': 1,
    }
    assert stranger.get('/limits').json['limits']['absolute']['totalVolumesUsed'] == 0


def test_quotas_are_shown_with_and_without_usage(service, member):
    service.volume(size_gb=3)
    path = f'/os-quota-sets/{member.project}'
    plain = member.get(path).json['quota_set']
    assert plain == {
        'id': member.project, 'volumes': 10, 'snapshots': 10, 'gigabytes': 1000, 'backups': 10,
        'per_volume_gigabytes': -1, 'backup_gigabytes': 1000, 'groups': 0,
        'volumes___DEFAULT__': -1, 'snapshots___DEFAULT__': -1, 'gigabytes___DEFAULT__': -1}
    used = member.get(f'{path}?usage=True').json['quota_set']
    assert used.pop('id') == member.project
    assert set(used) == set(plain) - {'id'}
    assert used['gigabytes'] == {'limit': 1000, 'in_use': 3, 'reserved': 0}
    assert member.get(f'{path}?usage=False').json['quota_set'] == plain


def test_quotas_are_set_for_a_project_and_forgotten(member, stranger, admin, fault):
    path = f'/os-quota-sets/{member.project}'
    answer = admin.put(path, {'quota_set': {'volumes': 5, 'backups': '7', 'tenant_id': 'x'}})
    assert answer.status_int == 200
    assert 'id' not in answer.json['quota_set']
    shown = member.get(path).json['quota_set']
    assert (shown['volumes'], shown['backups'], shown['gigabytes']) == (5, 7, 1000)
    assert stranger.get(
        f'/os-quota-sets/{stranger.project}').json['quota_set']['volumes'] == 10
    assert member.get(f'{path}/defaults').json['quota_set']['volumes'] == 10
    assert fault(member.delete(path))[0] == 403
    deleted = admin.delete(path)
    assert (deleted.status_int, deleted.body) == (200, b'')
    assert member.get(path).json['quota_set']['volumes'] == 10


def test_only_administrators_set_quotas_or_see_those_of_others(member, reader, stranger, fault):
    path = f'/os-quota-sets/{member.project}'
    assert fault(member.put(path, {'quota_set': {'volumes': 5}}))[0] == 403
    assert fault(stranger.get(path))[0] == 403
    assert fault(stranger.get(f'{path}/defaults'))[0] == 403
    assert reader.get(path).status_int == 200


@pytest.mark.parametrize('body', [
    {}, {'quota_set': None}, {'quota_set': {'volumes': -2}}, {'quota_set': {'volumes': 'x'}},
    {'quota_set': {'volumes': None}}, {'quota_set': {'volumes': 2 ** 31}},
    {'quota_set': {'volumes': True}}, {'quota_set': {'volumes': 1.5}}])
def test_bad_quotas_are_400(member, admin, fault, body):
    path = f'/os-quota-sets/{member.project}'
    assert fault(admin.put(path, body))[0] == 400
    assert member.get(path).json['quota_set']['volumes'] == 10


def test_unknown_quotas_are_named(member, admin, fault):
    status, _, message = fault(admin.put(
        f'/os-quota-sets/{member.project}', {'quota_set': {'shoes': 5, 'volumes': 5}}))
    assert (status, message) == (
        400, 'Invalid input received: Bad key(s) in quota set: shoes')
    assert member.get(f'/os-quota-sets/{member.project}').json['quota_set']['volumes'] == 10


def test_the_default_class_holds_for_everybody(member, admin, fault):
    path = '/os-quota-class-sets/default'
    assert fault(member.get(path))[0] == 403
    assert fault(member.put(path, {'quota_class_set': {'volumes': 1}}))[0] == 403
    answer = admin.put(path, {'quota_class_set': {'volumes': 3}})
    assert answer.json['quota_class_set']['volumes'] == 3
    shown = admin.get(path).json['quota_class_set']
    assert shown.pop('id') == 'default'
    assert (shown['volumes'], shown['backups']) == (3, 10)
    assert member.get(f'/os-quota-sets/{member.project}').json['quota_set']['volumes'] == 3
    assert fault(admin.put(path, {'quota_class_set': {'shoes': 3}}))[0] == 400


# -- services


def test_managers_are_backup_services(service, member, admin, fault):
    service.heartbeat('there', 'east')
    rows = admin.get('/os-services').json['services']
    assert [(row['binary'], row['host'], row['zone'], row['status'], row['state'])
            for row in rows] == [
        ('cinder-backup', 'here', 'nova', 'enabled', 'up'),
        ('cinder-backup', 'there', 'east', 'enabled', 'up')]
    assert 'cluster' in rows[0]
    assert 'cluster' not in admin.at('3.6').get('/os-services').json['services'][0]
    assert len(admin.get('/os-services?binary=cinder-backup').json['services']) == 2
    assert admin.get('/os-services?binary=cinder-volume').json['services'] == []
    [row] = admin.get('/os-services?host=there').json['services']
    assert row['host'] == 'there'
    assert fault(member.get('/os-services'))[0] == 403


def test_a_manager_that_is_not_heard_of_is_down(service, admin):
    service.conf.set_override('service_down_time', 1, group='manager')
    wait_until(lambda: admin.get('/os-services').json['services'][0]['state'] == 'down')
    service.heartbeat()
    assert admin.get('/os-services').json['services'][0]['state'] == 'up'


def test_managers_are_disabled_and_enabled(admin, member, fault):
    named = {'host': 'here', 'binary': 'cinder-backup'}
    answer = admin.put('/os-services/disable-log-reason', {**named, 'disabled_reason': 'why'})
    assert answer.json['status'] == 'disabled'
    [row] = admin.get('/os-services').json['services']
    assert (row['status'], row['disabled_reason']) == ('disabled', 'why')
    volume = member.post('/volumes', {'volume': {'size': 1}}).json['volume']
    backup = member.post('/backups', {'backup': {'volume_id': volume['id']}}).json['backup']
    shown = member.get(f'/backups/{backup["id"]}').json['backup']
    assert (shown['status'], shown['fail_reason']) == (
        'error', 'Service not found for creating backup.')
    assert admin.put('/os-services/enable', named).json['status'] == 'enabled'
    [row] = admin.get('/os-services').json['services']
    assert (row['status'], row['disabled_reason']) == ('enabled', None)
    assert admin.put('/os-services/disable', named).json['disabled'] is True
    assert fault(member.put('/os-services/enable', named))[0] == 403


@pytest.mark.parametrize(('body', 'status'), [
    ({'host': 'here'}, 400), ({'binary': 'cinder-backup'}, 400), ({}, 400),
    ({'host': 'moon', 'binary': 'cinder-backup'}, 404),
    ({'host': 'here', 'binary': 'cinder-volume'}, 404)])
def test_services_that_do_not_exist(admin, fault, body, status):
    assert fault(admin.put('/os-services/disable', body))[0] == status


# -- messages


@pytest.fixture
def message(service, member):
    backup_id = str(uuid.uuid4())
    messages.create(
        service.context(), messages.BACKUP_CREATE, messages.CREATE_FAILED, backup_id)
    [found] = member.get('/messages').json['messages']
    assert found['resource_uuid'] == backup_id
    return found


def test_messages(member, stranger, message, fault):
    assert message['user_message'] == 'create backup:The backup could not be stored.'
    assert (message['resource_type'], message['message_level']) == ('VOLUME_BACKUP', 'ERROR')
    assert message['guaranteed_until'] > message['created_at']
    path = f'/messages/{message["id"]}'
    assert member.get(path).json['message'] == message
    assert stranger.get('/messages').json['messages'] == []
    for answer in (stranger.get(path), stranger.delete(path)):
        assert fault(answer)[0] == 404
    deleted = member.delete(path)
    assert (deleted.status_int, deleted.body) == (204, b'')
    assert fault(member.get(path))[0] == 404
    assert member.get('/messages').json['messages'] == []


def test_messages_came_with_a_microversion(member, message, fault):
    old = member.at('3.2')
    for answer in (old.get('/messages'), old.get(f'/messages/{message["id"]}'),
                   old.delete(f'/messages/{message["id"]}')):
        assert fault(answer)[0] == 404


def test_messages_are_filtered(member, message):
    found = f'/messages?resource_uuid={message["resource_uuid"]}&resource_type=VOLUME_BACKUP'
    assert len(member.get(found).json['messages']) == 1
    assert member.get(f'/messages?resource_uuid={uuid.uuid4()}').json['messages'] == []
    assert len(member.get('/messages?limit=1').json['messages']) == 1
    assert member.get(f'/messages?marker={message["id"]}').json['messages'] == []


def test_readers_do_not_delete_messages(reader, message, fault):
    assert fault(reader.delete(f'/messages/{message["id"]}'))[0] == 403
