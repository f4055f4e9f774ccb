# SPDX-License-Identifier: Apache-2.0
"""openstacksdk against the running service: every call about backups."""

import uuid

import pytest
from openstack import exceptions

from tests.fixtures.service import wait_until

pytestmark = pytest.mark.xdist_group('clients')


def _available(sdk, backup_id):
    return wait_until(lambda: _settled(sdk.get_backup(backup_id)))


def _settled(backup):
    assert backup.status != 'error', backup.fail_reason
    return backup if backup.status == 'available' else None


def _restored(sdk, volume_id):
    def look():
        volume = sdk.get_volume(volume_id)
        assert not volume.status.startswith('error')
        return volume if volume.status == 'available' else None
    return wait_until(look)


@pytest.fixture
def backup(sdk, volume):
    made = sdk.create_backup(
        volume_id=volume.id, name=f'b-{volume.name}', description='d',
        metadata={'team': volume.name, 'a/b c': 'd'})
    return _available(sdk, made.id)


def test_life_of_a_backup(sdk, standalone, volume, backup, same_bytes):
    assert backup.is_incremental is False
    assert backup.metadata == {'team': volume.name, 'a/b c': 'd'}
    assert backup.size == 1 and backup.object_count > 0
    assert sdk.find_backup(backup.name).id == backup.id
    assert [one.id for one in sdk.backups(name=backup.name)] == [backup.id]
    assert [one.id for one in sdk.backups(details=False, volume_id=volume.id)] == [backup.id]

    with standalone.volume_path(volume.id).open('r+b') as file:
        file.seek(500_000_000)
        file.write(b'changed' * 1000)
    child = sdk.create_backup(volume_id=volume.id, name='child', is_incremental=True)
    child = _available(sdk, child.id)
    assert child.is_incremental is True
    assert sdk.get_backup(backup.id).has_dependent_backups is True
    sdk.delete_backup(backup, ignore_missing=False)
    sdk.wait_for_delete(backup, wait=60)

    answer = sdk.restore_backup(child, name='fresh')
    made = _restored(sdk, answer.volume_id)
    assert made.name == 'fresh'
    assert made.metadata['src_backup_id'] == child.id
    assert same_bytes(volume.id, made.id)
    sdk.delete_backup(child, ignore_missing=False)
    sdk.wait_for_delete(child, wait=60)
    assert sdk.find_backup('child', ignore_missing=True) is None


def test_restore_to_an_existing_volume(sdk, volume, backup, same_bytes):
    target = sdk.create_volume(size=2, name='target')
    wait_until(lambda: sdk.get_volume(target.id).status == 'available')
    sdk.restore_backup(backup.id, volume=target.id)
    _restored(sdk, target.id)
    assert sdk.get_volume(target.id).name == 'target'
    other = sdk.create_volume(size=1, name='same size')
    wait_until(lambda: sdk.get_volume(other.id).status == 'available')
    sdk.restore_backup(backup.id, volume=other.id)
    _restored(sdk, other.id)
    assert same_bytes(volume.id, other.id)


def test_metadata_calls_carry_no_microversion_and_work(sdk, backup):
    assert sdk.fetch_backup_metadata(backup).metadata == backup.metadata
    sdk.set_backup_metadata(backup, tier='gold', team='x')
    assert sdk.get_backup(backup.id).metadata == {
        'team': 'x', 'a/b c': 'd', 'tier': 'gold'}
    sdk.delete_backup_metadata(backup, ['tier', 'team'])
    assert sdk.get_backup(backup.id).metadata == {'a/b c': 'd'}


def test_keys_with_slashes_are_deleted_by_their_whole_name(sdk, backup):
    sdk.delete_backup_metadata(backup, ['a/b c'])
    assert 'a/b c' not in sdk.get_backup(backup.id).metadata
    assert len(sdk.get_backup(backup.id).metadata) == 1


def test_update_reset_and_force_delete(sdk, backup):
    sdk.update_backup(backup, name='other', description='')
    assert sdk.get_backup(backup.id).name == 'other'
    sdk.reset_backup_status(backup, 'error')
    assert sdk.get_backup(backup.id).status == 'error'
    sdk.delete_backup(backup, ignore_missing=False, force=True)
    sdk.wait_for_delete(backup, wait=60)


def test_pages_end(sdk, backup):
    assert backup.id in [one.id for one in sdk.backups(limit=1)]


def test_export_and_its_broken_import(sdk, backup):
    record = sdk.export_backup(backup)['backup-record']
    assert record['backup_service'].startswith('cinder.backup.drivers')
    with pytest.raises(exceptions.BadRequestException) as refused:
        sdk.import_backup(record['backup_service'], record['backup_url'])
    assert '/backups/import_record' in str(refused.value)


def test_errors_are_the_clients_own(sdk, volume, backup):
    missing = str(uuid.uuid4())
    with pytest.raises(exceptions.NotFoundException) as refused:
        sdk.get_backup(missing)
    assert f'Backup {missing} could not be found.' in str(refused.value)
    assert sdk.find_backup('no such name') is None
    with pytest.raises(exceptions.NotFoundException):
        sdk.delete_backup(missing, ignore_missing=False)
    assert sdk.delete_backup(missing, ignore_missing=True) is None
    with pytest.raises(exceptions.BadRequestException):
        sdk.restore_backup(backup, volume=missing.replace('-', '_'))
    with pytest.raises(exceptions.NotFoundException):
        sdk.restore_backup(backup, volume=missing)
    with pytest.raises(exceptions.SDKException):
        sdk.restore_backup(backup)
    with pytest.raises(exceptions.BadRequestException):
        sdk.create_backup(volume_id=volume.id, metadata={'bad+key': 'x'})
