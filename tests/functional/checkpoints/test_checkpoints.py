# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of a cluster with one manager, from the request to their removal."""

import pytest

from backupsvc import exception, states, version
from backupsvc.drivers import loader
from backupsvc.objects import quota
from backupsvc.objects.backup import BackupList
from backupsvc.objects.checkpoint import Checkpoint
from backupsvc.objects.task import Task, TaskList
from backupsvc.orchestration import backups, checkpoints, instances
from tests.fixtures.deployment import eventually
from tests.functional.flows.conftest import Frozen, same_bytes


def test_a_checkpoint_holds_every_partition_as_of_one_moment(cluster):
    cluster.machines.wait_for_writes(cluster.instance)
    shown = cluster.taken(7)
    assert [part.id for part in shown.partitions] == [1, 2, 3]
    for part in shown.partitions:
        assert (part.state, part.failure_reason) == (states.CHECKPOINT_COMPLETED, None)
        assert part.broker_version == version.version_string() and part.broker_id > 0
        assert part.created_at <= part.updated_at
        assert len(part.snapshot_id.split(',')) == (2 if part.id == 3 else 1)
    assert len({part.position for part in shown.partitions}) == 1
    members = cluster.members(7)
    assert len({backup.data_timestamp for found in members.values() for backup in found}) == 1
    assert [backup.source_id for backup in members[3]] == cluster.machines.volume_ids(
        cluster.instance)
    cluster.machines.wait_for_writes(cluster.instance)
    cluster.assert_nothing_is_left()


def test_members_are_backups_of_their_volumes_projects(cluster):
    cluster.taken(1)
    first, = cluster.members(1)[1]
    assert (first.project_id, first.repository_project_id, first.kind, first.snapshot_id) == (
        cluster.alone.project_id, cluster.alone.project_id, 'volume', None)
    assert (first.name, first.container, first.parent_id) == (
        'checkpoint-1-1', 'checkpoints', None)
    assert first.metadata == {'checkpoint_id': '1', 'partition_id': '1'}
    one, two = cluster.members(1)[3]
    assert [each.source_facts['attachment']['device'] for each in (one, two)] == [
        volume.device for volume in cluster.instance.volumes]
    usage = quota.usages(cluster.admin, cluster.rig.user.project_id)
    assert usage['backups'] == 4
    assert quota.audit(cluster.admin) == {}


def test_each_builds_on_the_last_completed_one(cluster):
    cluster.taken(1)
    cluster.taken(5)
    before = {backup.source_id: backup.id for found in cluster.members(1).values()
              for backup in found}
    for found in cluster.members(5).values():
        for backup in found:
            assert backup.parent_id == before[backup.source_id]
    alone, = cluster.members(5)[1]
    assert alone.new_bytes == 0
    positions = [cluster.get(number).partitions[0].position for number in (1, 5)]
    assert positions[0] < positions[1]


def test_restored_volumes_hold_what_was_there(cluster):
    cluster.machines.wait_for_writes(cluster.instance)
    cluster.taken(1)
    copies = cluster.restored(1)
    assert same_bytes(cluster.rig.path(cluster.alone.id), cluster.rig.path(
        copies[cluster.alone.id]))
    found = instances.check(cluster.admin, [
        copies[volume_id] for volume_id in cluster.machines.volume_ids(cluster.instance)])
    assert found.is_consistent, found.problems


def test_a_backup_goes_with_its_checkpoint_only(cluster):
    cluster.taken(1)
    backup, = cluster.members(1)[1]
    with pytest.raises(exception.BackupInCheckpoint, match='checkpoint 1 '):
        backups.delete(cluster.rig.user, backup.id)
    backups.force_delete(cluster.admin, backup.id)
    shown = cluster.ended(1)
    assert (shown.state, shown.failure_reason) == (
        states.CHECKPOINT_FAILED, 'Backup on partition 1 failed due to Volume '
        f'{cluster.alone.id}: its backup was deleted. ')


def test_deleting_removes_everything_and_frees_no_id(cluster):
    cluster.taken(3)
    record = Checkpoint.get_by_id(cluster.admin, 3)
    checkpoints.delete(cluster.admin, 3)
    with pytest.raises(exception.CheckpointNotFound):
        cluster.get(3)
    assert checkpoints.list_(cluster.admin) == []
    checkpoints.delete(cluster.admin, 3)
    eventually(lambda: not cluster.live(record))
    assert list(BackupList.get_all(cluster.admin)) == []
    with pytest.raises(exception.CheckpointIdTaken) as taken:
        cluster.take(3)
    assert str(taken.value) == (
        'Requested backup has id 3. The latest backup has id 3. Id of new backups must be higher '
        'than the previous one. ')
    cluster.taken(4)


def test_deleting_one_that_is_being_stored_cancels_it(cluster):
    cluster.take(1)
    mover = Frozen()
    record = Checkpoint.get_by_id(cluster.admin, 1)
    checkpoints.delete(cluster.admin, 1)
    mover.thaw()
    eventually(lambda: not cluster.live(record))
    assert list(BackupList.get_all(cluster.admin)) == []
    cluster.assert_nothing_is_left()
    cluster.taken(2)


def test_deleting_what_never_was_is_no_error(cluster):
    for number in (1, 0, -1, 2**63 - 1, 2**63, 10**30):
        checkpoints.delete(cluster.admin, number)


def test_a_volume_that_fails_fails_its_partition_alone(cluster):
    cluster.taken(1)
    cluster.set(concurrency=1)
    cluster.take(2)
    mover = Frozen()
    backup = next(backup for found in cluster.members(2).values() for backup in found
                  if cluster.rig.tasks(backup.id))
    backups.cancel_work(cluster.admin, backup.id)
    mover.thaw()
    shown = cluster.ended(2)
    assert shown.state == states.CHECKPOINT_FAILED
    assert shown.failure_reason == (
        f'Backup on partition 1 failed due to Volume {backup.source_id}: Cancelled. ')
    assert [part.state for part in shown.partitions] == [
        states.CHECKPOINT_FAILED, states.CHECKPOINT_COMPLETED, states.CHECKPOINT_COMPLETED]
    cluster.assert_nothing_is_left()
    # The next one builds on the last that was completed.
    cluster.taken(3)
    before = {each.source_id: each.id for found in cluster.members(1).values() for each in found}
    assert all(each.parent_id == before[each.source_id]
               for found in cluster.members(3).values() for each in found)


def test_a_missing_volume_fails_it_and_says_which(cluster):
    cluster.configure(('volume', cluster.alone.id), ('volume', 'no-such-volume'))
    cluster.take(1)
    shown = cluster.ended(1)
    assert [part.failure_reason for part in shown.partitions] == [
        'No snapshot was taken, because that of partition 2 was not.',
        'Volume no-such-volume could not be found.']
    assert shown.partitions[0].position is None and shown.partitions[0].snapshot_id is None
    cluster.assert_nothing_is_left()


def test_a_volume_that_nothing_keeps_from_being_written_to_is_refused(cluster):
    volume = cluster.rig.volume()
    loader.volume_driver().attach_volume(
        cluster.admin, volume.id, instance_id='b' * 36, host=None, mountpoint='/dev/vdb',
        mode='rw')
    on_host = cluster.rig.volume()
    loader.volume_driver().attach_volume(
        cluster.admin, on_host.id, instance_id=None, host='h', mountpoint='/dev/vdb', mode='rw')
    cluster.configure(('volume', volume.id))
    cluster.take(1)
    assert 'which the instance driver does not know' in cluster.ended(1).failure_reason
    cluster.configure(('volume', on_host.id))
    cluster.take(2)
    assert 'attached to a host and to no instance' in cluster.ended(2).failure_reason


def test_a_volume_of_two_partitions_is_refused(cluster):
    cluster.configure(('instance', cluster.instance.id),
                      ('volume', cluster.instance.volumes[0].volume_id))
    cluster.take(1)
    assert 'belongs to two partitions' in cluster.ended(1).failure_reason
    cluster.assert_nothing_is_left()


def test_a_partition_that_was_added_is_missing_in_older_ones(cluster):
    cluster.taken(1)
    cluster.configure(
        ('volume', cluster.alone.id), ('volume', cluster.writer.volumes[0].volume_id),
        ('instance', cluster.instance.id), ('volume', cluster.rig.volume().id))
    shown = cluster.get(1)
    assert shown.state == states.CHECKPOINT_INCOMPLETE
    assert shown.partitions[3] == checkpoints.PartitionState(4, states.CHECKPOINT_MISSING)
    assert cluster.taken(2).state == states.CHECKPOINT_COMPLETED


def test_a_busy_volume_is_waited_for(cluster):
    loader.volume_driver().acquire_volume(
        cluster.admin, cluster.alone.id, holder='somebody', status='backing-up',
        expected=('available',))
    cluster.take(1)
    share, = [task for task in TaskList.get_all(cluster.admin)
              if task.kind == states.TASK_CHECKPOINT]
    eventually(lambda: Task.get_by_id(cluster.admin, share.id).error)
    assert cluster.get(1).state == states.CHECKPOINT_IN_PROGRESS
    loader.volume_driver().release_volume(cluster.admin, cluster.alone.id, holder='somebody')
    assert cluster.ended(1).state == states.CHECKPOINT_COMPLETED


def test_checkpoints_are_taken_in_the_order_of_their_ids(cluster):
    for number in (1, 2, 3, 4):
        cluster.take(number)
    shown = [cluster.ended(number) for number in (1, 2, 3, 4)]
    assert {each.state for each in shown} == {states.CHECKPOINT_COMPLETED}
    positions = [each.partitions[0].position for each in shown]
    assert positions == sorted(positions) and len(set(positions)) == 4
    times = [cluster.members(number)[1][0].data_timestamp for number in (1, 2, 3, 4)]
    assert times == sorted(times)
