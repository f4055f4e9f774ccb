# SPDX-License-Identifier: Apache-2.0
"""The volumes of an instance get snapshots of one moment, which are their user's."""

import pytest

from backupsvc import exception, states
from backupsvc.drivers import loader
from backupsvc.drivers.base import Listing, NewVolume
from backupsvc.objects import quota
from backupsvc.objects.instance_snapshot import InstanceSnapshot
from backupsvc.objects.task import Task
from backupsvc.orchestration import backups, instance_snapshots, instances, sets
from tests.fixtures.deployment import eventually


def listed(machines):
    return {one.id for one in loader.volume_driver().list_snapshots(
        machines.rig.user, Listing())}


def copies(machines, record):
    """Make a volume of each snapshot; return their ids."""
    driver = loader.volume_driver()
    made = [driver.create_volume(machines.rig.user, NewVolume(
        size_gb=1, snapshot_id=member.snapshot_id)).id for member in record.members]
    return [driver.wait_volume(machines.rig.user, volume_id, 60).id for volume_id in made]


def settled(machines, snapshot_id):
    eventually(lambda: not Task.live_for(machines.admin, snapshot_id))
    return InstanceSnapshot.get_by_id(machines.admin, snapshot_id, read_deleted=True)


def test_snapshots_of_a_running_instance_are_the_users_and_of_one_moment(machines):
    instance = machines.make(volumes=3)
    machines.wait_for_writes(instance)
    record = machines.taken(instance, name='before upgrade', metadata={'k': 'v'})
    machines.wait_for_writes(instance)
    members = [(member.volume_id, member.device) for member in record.members]
    assert members == [(volume.volume_id, volume.device) for volume in instance.volumes]
    assert listed(machines) == {member.snapshot_id for member in record.members}
    for member in record.members:
        shown = loader.volume_driver().show_snapshot(machines.rig.user, member.snapshot_id)
        assert (shown.status, shown.name, shown.metadata, shown.project_id) == (
            'available', 'before upgrade', {'k': 'v'}, machines.rig.user.project_id)
    found = instances.check(
        machines.admin, copies(machines, record), not_after=record.data_timestamp)
    assert found.is_consistent, found.problems
    machines.assert_nothing_is_held()
    shown = instance_snapshots.get(machines.rig.user, record.id)
    page = instance_snapshots.list_(
        machines.rig.user, sets.SetQuery(limit=5, filters={'instance_id': instance.id}))
    assert [item.record.id for item in page.items] == [shown.record.id]
    assert len(page.items[0].members) == 3
    assert not any(quota.usages(machines.admin, machines.rig.user.project_id).values())


def test_a_deleted_snapshot_takes_its_members_along(machines):
    record = machines.taken(machines.make(is_started=False))
    first = record.members[0].snapshot_id
    loader.volume_driver().delete_snapshot(machines.rig.user, first)  # its user was quicker
    instance_snapshots.delete(machines.rig.user, record.id)
    assert settled(machines, record.id).deleted
    assert listed(machines) == set()
    machines.assert_nothing_is_held()
    with pytest.raises(exception.InstanceSnapshotNotFound):
        instance_snapshots.get(machines.rig.user, record.id)


def test_a_member_that_is_being_backed_up_keeps_the_snapshot(make_machines):
    machines = make_machines(max_attempts=1)
    record = machines.taken(machines.make(is_started=False))
    member = record.members[1]
    driver = loader.volume_driver()
    driver.acquire_snapshot(machines.admin, member.snapshot_id, holder='9' * 32,
                            status='backing-up', expected=('available',))
    with pytest.raises(exception.InvalidSnapshot, match=member.snapshot_id):
        instance_snapshots.delete(machines.rig.user, record.id)
    instance_snapshots.delete(machines.admin, record.id, force=True)
    failed = settled(machines, record.id)
    assert failed.status == states.ERROR and failed.fail_reason
    driver.release_snapshot(machines.admin, member.snapshot_id, holder='9' * 32)
    instance_snapshots.delete(machines.rig.user, record.id)
    assert settled(machines, record.id).deleted
    assert listed(machines) == set()


def test_a_member_is_backed_up_like_any_snapshot(machines):
    instance = machines.make(is_started=False)
    record = machines.taken(instance)
    member = record.members[0]
    backup = machines.rig.settled(backups.create(machines.rig.user, backups.NewBackup(
        source_id=member.volume_id, snapshot_id=member.snapshot_id, origin='test')).id)
    assert (backup.status, backup.snapshot_id) == (states.AVAILABLE, member.snapshot_id)


def test_all_snapshots_have_to_fit_the_quota(machines):
    project = machines.rig.user.project_id
    instance = machines.make(is_started=False)
    quota.set_limits(machines.admin, project, {'snapshots': 1})
    with pytest.raises(exception.SnapshotLimitExceeded):
        machines.take(instance)
    quota.set_limits(machines.admin, project, {'snapshots': -1, 'gigabytes': 3})
    with pytest.raises(exception.VolumeSizeExceedsAvailableQuota):
        machines.take(instance)
    machines.assert_nothing_is_held()


def test_quota_that_runs_out_meanwhile_undoes_what_was_kept(make_machines):
    machines = make_machines(is_managed=False, max_attempts=1)
    machines.rig.start()
    instance = machines.make()
    machines.rig.stop()
    snapshot_id = machines.take(instance)
    quota.set_limits(machines.admin, machines.rig.user.project_id, {'snapshots': 1})
    machines.rig.start()
    failed = settled(machines, snapshot_id)
    assert failed.status == states.ERROR
    assert 'snapshots' in failed.fail_reason
    assert listed(machines) == set()
    machines.assert_nothing_is_held()
    machines.wait_for_writes(instance)
    instance_snapshots.delete(machines.rig.user, snapshot_id)
    assert settled(machines, snapshot_id).deleted


def test_a_volume_attached_meanwhile_fails_the_snapshot(make_machines):
    machines = make_machines(is_managed=False, max_attempts=1)
    machines.rig.start()
    instance = machines.make(is_started=False)
    machines.rig.stop()
    snapshot_id = machines.take(instance)
    instances.attach(machines.rig.user, instance.id, machines.rig.volume().id)
    machines.rig.start()
    failed = settled(machines, snapshot_id)
    assert (failed.status, 'Other volumes' in failed.fail_reason) == (states.ERROR, True)
    machines.assert_nothing_is_held()
