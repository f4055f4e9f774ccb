# SPDX-License-Identifier: Apache-2.0
"""POST /backups: what is taken, what is refused, and in which order."""

import datetime
import uuid

import pytest

from backupsvc import states
from backupsvc.drivers import loader
from backupsvc.objects import quota
from backupsvc.objects.message import MessageList
from tests.fixtures.service import OTHER_PROJECT, PROJECT


def _create(client, volume_id, **fields):
    return client.post('/backups', {'backup': {'volume_id': volume_id, **fields}})



def test_answer_record_task_and_hold(service, member):
    volume = service.volume(size_gb=2)
    answer = _create(
        member, volume.id, name='  n ', description=' d ', container='c', incremental=False,
        force=False, snapshot_id=None, metadata={'k/x y': 'v'}, availability_zone=None)
    assert answer.status_int == 202
    summary = answer.json['backup']
    assert set(summary) == {'id', 'name', 'links'}
    assert summary['links'] == [
        {'rel': 'self',
         'href': f'http://api.example/v3/{PROJECT}/backups/{summary["id"]}'},
        {'rel': 'bookmark', 'href': f'http://api.example/{PROJECT}/backups/{summary["id"]}'}]

    shown = member.get(f'/backups/{summary["id"]}').json['backup']
    assert shown == {
        **shown, 'name': 'n', 'description': 'd', 'container': 'c', 'status': 'creating',
        'size': 2, 'object_count': 0, 'volume_id': volume.id, 'metadata': {'k/x y': 'v'},
        'snapshot_id': None, 'is_incremental': False, 'has_dependent_backups': False,
        'availability_zone': 'nova', 'fail_reason': None, 'updated_at': None,
        'data_timestamp': shown['created_at']}
    [task] = service.tasks(summary['id'])
    assert (task.kind, task.state, task.host_affinity) == ('create', 'queued', 'here')
    held = service.show_volume(volume.id)
    assert (held.status, held.previous_status) == ('backing-up', 'available')
    assert [hold.holder for hold in loader.volume_driver().list_holds(service.admin_context)
            ] == [task.id]


def test_only_the_volume_is_needed_and_nulls_are_nothing(service, member):
    volume = service.volume()
    answer = _create(
        member, volume.id, name=None, description=None, container=None, snapshot_id=None,
        metadata=None, availability_zone=None)
    shown = member.get(f'/backups/{answer.json["backup"]["id"]}').json['backup']
    assert (shown['name'], shown['description'], shown['metadata'], shown['container']) == (
        None, None, {}, 'volumebackups')


@pytest.mark.parametrize('field,version', [('metadata', '3.42'), ('availability_zone', '3.50')])
def test_fields_before_their_microversion_are_unknown(service, member, fault, field, version):
    volume = service.volume()
    value = {'a': 'b'} if field == 'metadata' else 'nova'
    answer = _create(member.at(version), volume.id, **{field: value})
    status, name, message = fault(answer)
    assert (status, name) == (400, 'badRequest')
    assert f"Additional properties are not allowed ('{field}' was unexpected)" in message
    later = f'3.{int(version[2:]) + 1}'
    assert _create(member.at(later), volume.id, **{field: value}).status_int == 202


def test_no_header_is_version_3_0(service, member):
    volume = service.volume()
    answer = _create(member.at(None), volume.id)
    assert answer.status_int == 202
    assert answer.headers['OpenStack-API-Version'] == 'volume 3.0'
    assert 'OpenStack-API-Version' in answer.headers['Vary']


@pytest.mark.parametrize('force', [True, 't', '1', 'True', 'yes', 'ON'])
def test_in_use_with_force(service, member, force):
    volume = service.volume()
    service.occupy(volume, 'in-use')
    assert _create(member, volume.id, force=force).status_int == 202
    assert service.show_volume(volume.id).previous_status == 'in-use'


@pytest.mark.parametrize('force', [1, 0, None, 'maybe', [], 'tr'])
def test_force_that_is_no_boolean(service, member, fault, force):
    volume = service.volume()
    status, _, message = fault(_create(member, volume.id, force=force))
    assert status == 400
    assert 'Invalid input for field/attribute force' in message


@pytest.mark.parametrize('force', [False, 'f', '0', 'no'])
def test_in_use_without_force(service, member, fault, force):
    volume = service.volume()
    service.occupy(volume, 'in-use')
    assert fault(_create(member, volume.id, force=force)) == (
        400, 'badRequest',
        'Invalid volume: Backing up an in-use volume must use the force flag.')
    assert service.show_volume(volume.id).status == 'in-use'


@pytest.mark.parametrize('status', ['error', 'maintenance', 'backing-up', 'restoring-backup'])
def test_volume_in_a_wrong_state(service, member, fault, status):
    volume = service.volume()
    service.occupy(volume, status)
    assert fault(_create(member, volume.id, force=True)) == (
        400, 'badRequest',
        'Invalid volume: Volume to be backed up must be available or in-use, but the current '
        f'status is "{status}".')


def test_volume_missing_or_of_another_project(service, member, stranger, fault):
    missing = str(uuid.uuid4())
    assert fault(_create(member, missing)) == (
        404, 'itemNotFound', f'Volume {missing} could not be found.')
    volume = service.volume()
    assert fault(_create(stranger, volume.id)) == (
        404, 'itemNotFound', f'Volume {volume.id} could not be found.')


def test_reader_may_not(service, reader, fault):
    volume = service.volume()
    assert fault(_create(reader, volume.id)) == (
        403, 'forbidden', "Policy doesn't allow backup:create to be performed.")
    assert service.show_volume(volume.id).status == 'available'


def test_snapshot_missing_foreign_or_not_available(service, member, fault):
    volume, other = service.volume(), service.volume()
    missing = str(uuid.uuid4())
    assert fault(_create(member, volume.id, snapshot_id=missing)) == (
        404, 'itemNotFound', f'Snapshot {missing} could not be found.')
    snapshot = service.snapshot(other)
    assert fault(_create(member, volume.id, snapshot_id=snapshot.id)) == (
        400, 'badRequest',
        f'Invalid volume: Volume {volume.id} does not match with snapshot.volume_id {other.id}.')
    loader.volume_driver().reset_snapshot(service.admin_context, snapshot.id, 'error')
    assert fault(_create(member, other.id, snapshot_id=snapshot.id)) == (
        400, 'badRequest',
        'Invalid snapshot: Snapshot to be backed up must be available, but the current status '
        'is "error".')


def test_snapshot_is_held_and_the_volume_may_be_in_any_state(service, member):
    volume = service.volume()
    snapshot = service.snapshot(volume)
    service.occupy(volume, 'error')
    answer = _create(member, volume.id, snapshot_id=snapshot.id)
    assert answer.status_int == 202
    assert service.show_volume(volume.id).status == 'error'
    driver = loader.volume_driver()
    assert driver.show_snapshot(service.admin_context, snapshot.id).status == 'backing-up'
    backup = service.backup(answer.json['backup']['id'])
    assert backup.snapshot_id == snapshot.id
    assert backup.data_timestamp == snapshot.created_at


# ---- order of checks ----


def test_policy_comes_before_the_snapshot(service, reader, fault):
    volume = service.volume()
    assert fault(_create(reader, volume.id, snapshot_id=str(uuid.uuid4())))[0] == 403


def test_schema_comes_before_the_volume(member, fault):
    status, _, message = fault(_create(member, str(uuid.uuid4()), force='maybe'))
    assert status == 400 and 'force' in message


def test_volume_state_comes_before_quota(service, member, fault):
    volume = service.volume()
    quota.set_limits(service.admin_context, PROJECT, {'backups': 0})
    service.occupy(volume, 'error')
    assert fault(_create(member, volume.id))[0] == 400


def test_quota_comes_before_the_parent(service, member, fault):
    volume = service.volume()
    quota.set_limits(service.admin_context, PROJECT, {'backups': 0})
    assert fault(_create(member, volume.id, incremental=True))[0] == 413


# ---- quota ----


def test_number_quota(service, member, fault):
    volume = service.volume()
    quota.set_limits(service.admin_context, PROJECT, {'backups': 0})
    answer = _create(member, volume.id)
    assert fault(answer) == (
        413, 'overLimit',
        'BackupLimitExceeded: Maximum number of backups allowed (0) exceeded')
    assert answer.json['overLimit']['retryAfter'] == '0'
    assert answer.headers['Retry-After'] == '0'
    assert service.show_volume(volume.id).status == 'available'


def test_size_quota(service, member, fault):
    quota.set_limits(service.admin_context, PROJECT, {'backup_gigabytes': 4})
    assert _create(member, service.volume(size_gb=3).id).status_int == 202
    answer = _create(member, service.volume(size_gb=2).id)
    assert fault(answer) == (
        413, 'overLimit',
        'VolumeBackupSizeExceedsAvailableQuota: Requested backup exceeds allowed Backup '
        'gigabytes quota. Requested 2G, quota is 4G and 3G has been consumed.')
    assert answer.headers['Retry-After'] == '0'


def test_refusals_cost_no_quota(service, member):
    volume = service.volume()
    quota.set_limits(service.admin_context, PROJECT, {'backups': 1})
    assert _create(member, volume.id, incremental=True).status_int == 400
    assert _create(member, volume.id, incremental=True).status_int == 400
    assert _create(member, volume.id).status_int == 202
    assert quota.usages(service.admin_context, PROJECT)['backups'] == 1


def test_minus_one_is_no_limit(service, member):
    quota.set_limits(
        service.admin_context, PROJECT, {'backups': -1, 'backup_gigabytes': -1})
    assert _create(member, service.volume().id).status_int == 202


# ---- parents ----


def test_incremental_without_any_backup(service, member, fault):
    volume = service.volume()
    assert fault(_create(member, volume.id, incremental=True)) == (
        400, 'badRequest',
        'Invalid backup: No backups available to do an incremental backup.')
    assert service.show_volume(volume.id).status == 'available'


def test_parent_is_the_newest_available_by_its_data(service, member):
    volume = service.volume()
    hours = [_ago(hours=n) for n in (1, 2, 3)]
    service.record(volume.id, data_timestamp=hours[2])
    # Made last, of the oldest state but one: the time of the data counts, not that of the row.
    wanted = service.record(volume.id, data_timestamp=hours[1])
    service.record(volume.id, data_timestamp=hours[0], status=states.ERROR)
    service.record(volume.id, project=OTHER_PROJECT, data_timestamp=hours[0])
    service.record(data_timestamp=hours[0])
    answer = _create(member, volume.id, incremental=True)
    made = service.backup(answer.json['backup']['id'])
    assert made.parent_id == wanted.id
    assert service.tasks(made.id)[0].arguments['parent_id'] == wanted.id
    assert member.get(f'/backups/{made.id}').json['backup']['is_incremental'] is True
    assert member.get(f'/backups/{wanted.id}').json['backup']['has_dependent_backups'] is True


def test_another_projects_backup_is_no_parent_even_for_its_volume(service, member, fault):
    volume = service.volume()
    service.record(volume.id, project=OTHER_PROJECT, data_timestamp=_ago(hours=1))
    assert fault(_create(member, volume.id, incremental=True))[0] == 400


def test_parent_of_a_snapshot_is_older_than_the_snapshot(service, member):
    volume = service.volume()
    older = service.record(volume.id, data_timestamp=_ago(hours=2))
    snapshot = service.snapshot(volume)
    service.record(volume.id, data_timestamp=_ago(hours=-1))
    answer = _create(member, volume.id, snapshot_id=snapshot.id, incremental=True)
    assert service.backup(answer.json['backup']['id']).parent_id == older.id


def test_snapshot_older_than_all_backups_has_no_parent(service, member, fault):
    volume = service.volume()
    snapshot = service.snapshot(volume)
    service.record(volume.id, data_timestamp=_ago(hours=-1))
    assert fault(_create(member, volume.id, snapshot_id=snapshot.id, incremental=True)) == (
        400, 'badRequest',
        'Invalid backup: No backups available to do an incremental backup.')


def test_backup_of_the_same_snapshot_is_no_parent(service, member, fault):
    volume = service.volume()
    snapshot = service.snapshot(volume)
    service.record(volume.id, data_timestamp=snapshot.created_at, snapshot_id=snapshot.id)
    assert fault(
        _create(member, volume.id, snapshot_id=snapshot.id, incremental=True))[0] == 400


def _ago(**delta):
    return datetime.datetime.now(datetime.UTC) - datetime.timedelta(**delta)


# ---- managers ----


def test_no_manager_alive_is_told_by_the_record(idle):
    member = idle.client()
    volume = idle.volume()
    answer = _create(member, volume.id)
    assert answer.status_int == 202
    shown = member.get(f'/backups/{answer.json["backup"]["id"]}').json['backup']
    assert (shown['status'], shown['fail_reason']) == (
        'error', 'Service not found for creating backup.')
    assert idle.tasks(shown['id']) == []
    assert idle.show_volume(volume.id).status == 'available'
    # It counts until it is deleted, as in Cinder.
    assert quota.usages(idle.admin_context, PROJECT)['backups'] == 1
    [message] = MessageList.get_all(idle.admin_context)
    assert (message.resource_id, message.event_id, message.project_id) == (
        shown['id'], 'VOLUME_VOLUME_BACKUP_013_024', PROJECT)


def test_manager_on_another_host_does_not_reach_a_volume_of_this_one(idle):
    idle.heartbeat(host='elsewhere')
    member = idle.client()
    answer = _create(member, idle.volume().id)
    shown = member.get(f'/backups/{answer.json["backup"]["id"]}').json['backup']
    assert shown['status'] == 'error'


def test_zone_without_a_manager(service, member):
    answer = _create(member, service.volume().id, availability_zone='mars')
    shown = member.get(f'/backups/{answer.json["backup"]["id"]}').json['backup']
    assert (shown['status'], shown['availability_zone']) == ('error', 'mars')


def test_zone_of_a_manager(service, member):
    answer = _create(member, service.volume().id, availability_zone='nova')
    shown = member.get(f'/backups/{answer.json["backup"]["id"]}').json['backup']
    assert (shown['status'], shown['availability_zone']) == ('creating', 'nova')


def test_two_at_once_of_one_volume(service, member, fault):
    volume = service.volume()
    assert _create(member, volume.id).status_int == 202
    assert fault(_create(member, volume.id))[2] == (
        'Invalid volume: Volume to be backed up must be available or in-use, but the current '
        'status is "backing-up".')
