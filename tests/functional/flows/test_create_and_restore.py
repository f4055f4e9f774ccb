# SPDX-License-Identifier: Apache-2.0
"""A backup is made, restored and deleted, with real movers, and every byte is where it was."""

import os

from backupsvc import states
from backupsvc.drivers import loader
from tests.fixtures.deployment import eventually
from tests.functional.flows.conftest import MIB, noise, same_bytes


def test_restored_bytes_are_the_source_s(rig):
    source = rig.volume((0, noise(1, 3 * MIB)), (512 * MIB, noise(2, MIB)), (1023 * MIB, b'end'))
    backup = rig.backed_up(source.id)
    restored = rig.restore(backup.id)
    assert restored.status == 'available'
    assert same_bytes(rig.path(source.id), rig.path(restored.id))
    assert rig.show(source.id).status == 'available'


def test_restored_holes_are_holes(rig):
    source = rig.volume((512 * MIB, noise(3, MIB)))
    restored = rig.restore(rig.backed_up(source.id).id)
    assert os.stat(rig.path(restored.id)).st_blocks * 512 < 4 * MIB


def test_record_tells_what_the_backup_cost(rig):
    source = rig.volume((0, noise(4, 2 * MIB)))
    backup = rig.backed_up(source.id)
    task, = rig.tasks(backup.id)
    assert backup.size_gb == 1
    assert backup.logical_bytes == 1024 * MIB
    assert 2 * MIB <= backup.new_bytes < 3 * MIB
    assert backup.object_count > 0
    assert task.state == states.DONE
    assert (task.bytes_done, task.bytes_total) == (1024 * MIB, 1024 * MIB)
    assert task.bytes_new == backup.new_bytes


def test_incremental_stores_the_change_and_stands_without_its_parent(rig):
    source = rig.volume((0, noise(5, 8 * MIB)))
    full = rig.backed_up(source.id)
    rig.write(source.id, (4 * MIB, noise(6, 64 * 1024)))
    increment = rig.backed_up(source.id, parent='latest')
    assert increment.parent_id == full.id
    assert increment.new_bytes < MIB
    from backupsvc.orchestration import backups
    backups.delete(rig.user, full.id)
    assert rig.settled(full.id).deleted
    restored = rig.restore(increment.id)
    assert same_bytes(rig.path(source.id), rig.path(restored.id))


def test_existing_volume_is_overwritten_whole(rig):
    source = rig.volume((0, noise(7, MIB)))
    backup = rig.backed_up(source.id)
    target = rig.volume((0, noise(8, 4 * MIB)), (900 * MIB, noise(9, MIB)), name='mine')
    restored = rig.restore(backup.id, target.id)
    assert (restored.status, restored.name) == ('available', 'mine')
    assert same_bytes(rig.path(source.id), rig.path(target.id))


def test_new_volume_carries_what_cinder_carries(rig):
    source = rig.volume((0, b'data'), name='disk', description='of mine', bootable=True,
                        metadata={'tier': 'gold'}, image_metadata={'os': 'debian'})
    backup = rig.backed_up(source.id)
    loader.volume_driver().delete_volume(rig.user, source.id)
    restored = rig.restore(backup.id)
    assert (restored.name, restored.description) == ('disk', 'of mine')
    assert restored.metadata == {'tier': 'gold', 'src_backup_id': backup.id}
    assert restored.image_metadata == {'os': 'debian'}
    assert restored.bootable


def test_new_volume_is_of_the_type_of_its_source_while_there_is_one(rig):
    driver = loader.volume_driver()
    made = driver.create_type('fast', description=None, is_public=True, extra_specs={})
    source = rig.volume((0, b'data'), volume_type='fast')
    backup = rig.backed_up(source.id)
    assert backup.source_facts['read'] == 'all'
    restored = rig.restore(backup.id)
    assert rig.show(restored.id).volume_type == 'fast'
    for volume in (source, restored):
        driver.delete_volume(rig.admin, volume.id)
    driver.delete_type(made.id)
    assert rig.show(rig.restore(backup.id).id).volume_type == '__DEFAULT__'


def test_ciphertext_is_not_written_where_another_key_is_used(rig):
    source = rig.volume((0, b'ciphertext'))
    backup = rig.backed_up(source.id)
    backup.encryption_key_id = '0b5c0000-0000-0000-0000-00000000000e'
    backup.save()
    target = rig.volume((0, b'plain'))
    restored = rig.restore(backup.id, target.id)
    assert restored.status == 'error_restoring'
    assert rig.path(target.id).read_bytes()[:5] == b'plain'
    assert 'key' in rig.read(backup.id).fail_reason


def test_chosen_name_stays(rig):
    source = rig.volume((0, b'data'), name='disk')
    restored = rig.restore(rig.backed_up(source.id).id, name='chosen')
    assert restored.name == 'chosen'
    assert restored.metadata['src_backup_id']


def test_snapshot_is_backed_up_while_its_volume_stays_as_it_is(rig):
    source = rig.volume((0, noise(10, MIB)))
    snapshot = loader.volume_driver().create_snapshot(
        rig.user, source.id, name=None, description=None, metadata={}, force=False)
    eventually(lambda: loader.volume_driver().show_snapshot(
        rig.user, snapshot.id).status == 'available')
    before = noise(10, MIB)
    rig.write(source.id, (0, noise(11, MIB)))
    backup = rig.create(source.id, snapshot_id=snapshot.id)
    assert rig.show(source.id).status == 'available'
    assert rig.settled(backup.id).status == states.AVAILABLE
    restored = rig.restore(backup.id)
    with open(rig.path(restored.id), 'rb') as file:
        assert file.read(MIB) == before
    assert loader.volume_driver().show_snapshot(rig.user, snapshot.id).status == 'available'


def test_deleted_backup_leaves_no_manifest_and_no_quota(rig):
    from backupsvc.manager import repositories
    from backupsvc.objects import quota
    from backupsvc.orchestration import backups
    source = rig.volume((0, noise(12, MIB)))
    backup = rig.backed_up(source.id)
    backups.delete(rig.user, backup.id)
    assert rig.settled(backup.id).deleted
    repository = repositories.open_repository(
        rig.admin, backup.repository_project_id, backup.container, driver=backup.repository)
    assert list(repository.list_manifests()) == []
    assert quota.usages(rig.admin, rig.user.project_id) in (
        {}, {'backups': 0, 'backup_gigabytes': 0})


def test_two_projects_share_no_repository(rig):
    from backupsvc.manager import repositories
    source = rig.volume((0, noise(13, MIB)))
    backup = rig.backed_up(source.id)
    assert backup.repository_project_id == rig.user.project_id
    ours = repositories.open_repository(
        rig.admin, rig.user.project_id, backup.container, driver=backup.repository)
    theirs = repositories.open_repository(
        rig.admin, 'f' * 32, backup.container, driver=backup.repository, create=True)
    assert [info.id for info in ours.list_manifests()] == [backup.id]
    assert list(theirs.list_manifests()) == []
