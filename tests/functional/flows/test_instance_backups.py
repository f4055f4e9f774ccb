# SPDX-License-Identifier: Apache-2.0
"""An instance's volumes are backed up as of one moment, all or none of them."""

import os
import resource
import signal

import pytest

from backupsvc import exception, states
from backupsvc.drivers import loader
from backupsvc.drivers.instance.local import processes
from backupsvc.objects import quota
from backupsvc.objects.backup import BackupList
from backupsvc.objects.message import MessageList
from backupsvc.objects.task import Task
from backupsvc.orchestration import backups, instance_backups, instances, sets
from tests.fixtures.deployment import eventually
from tests.functional.flows.conftest import MIB, Frozen, movers, noise, same_bytes


def restored(machines, record):
    """Restore every member of a set by itself; return the volumes' ids."""
    return [machines.rig.restore(member.id).id for member in record.members()]


# What is in a set --------------------------------------------------------------------------------


def test_the_volumes_of_a_running_instance_are_of_one_moment(make_machines):
    machines = make_machines(hold_sweep_interval=3600)  # which would remove what is left
    instance = machines.make(volumes=3)
    machines.wait_for_writes(instance)
    before = machines.written(instance)
    record = machines.backed_up(instance, name='nightly', metadata={'tier': 'gold'})
    machines.wait_for_writes(instance)
    assert machines.show(instance.id).status == 'ACTIVE'
    assert record.is_consistent
    copies = restored(machines, record)
    found = instances.check(machines.admin, copies, not_after=record.data_timestamp)
    assert found.is_consistent, found.problems
    assert all(volume.last >= then for volume, then in zip(found.volumes, before, strict=True))
    machines.assert_nothing_is_held()


def test_members_are_ordinary_backups_of_the_set(machines):
    instance = machines.make()
    record = machines.backed_up(instance, name='nightly', description='d', metadata={'a': 'b'})
    members = record.members()
    assert [member.source_id for member in members] == machines.volume_ids(instance)
    assert [member.name for member in members] == ['nightly-vda', 'nightly-vdb']
    for position, member in enumerate(members):
        assert (member.status, member.set_id, member.kind, member.snapshot_id) == (
            states.AVAILABLE, record.id, 'volume', None)
        assert member.metadata == {'a': 'b'}
        assert member.data_timestamp == record.data_timestamp
        assert member.source_facts['attachment'] == {
            'instance_id': instance.id, 'is_boot': position == 0,
            'device': instance.volumes[position].device}
    page = backups.list_(machines.rig.user, backups.BackupQuery(limit=10, with_count=True))
    assert (page.count, {backup.set_id for backup in page.backups}) == (2, {record.id})
    assert quota.usages(machines.admin, machines.rig.user.project_id) == {
        'backups': 2, 'backup_gigabytes': 2}
    assert quota.audit(machines.admin) == {}


@pytest.mark.parametrize('status', ['SHUTOFF', 'PAUSED', 'SUSPENDED'])
def test_an_instance_that_stands_still_is_backed_up_and_stays_so(machines, status):
    instance = machines.make()
    {'SHUTOFF': machines.driver.stop_instance, 'PAUSED': machines.driver.pause_instance,
     'SUSPENDED': machines.driver.suspend_instance}[status](machines.admin, instance.id)
    record = machines.backed_up(instance)
    assert machines.show(instance.id).status == status
    for member, copy in zip(record.members(), restored(machines, record), strict=True):
        assert same_bytes(machines.rig.path(member.source_id), machines.rig.path(copy))
    machines.assert_nothing_is_held()


def test_incremental_builds_on_the_latest_of_each_volume_and_else_is_full(machines):
    instance = machines.make(is_started=False)
    first_id, second_id = machines.volume_ids(instance)
    machines.rig.write(first_id, (8 * MIB, noise(1, 8 * MIB)))
    machines.rig.write(second_id, (8 * MIB, noise(2, 8 * MIB)))
    parent = machines.rig.backed_up(first_id, force=True)
    first, second = machines.backed_up(instance, incremental=True).members()
    assert (first.parent_id, second.parent_id) == (parent.id, None)
    assert first.new_bytes == 0
    again = machines.backed_up(instance, incremental=True)
    assert [member.parent_id for member in again.members()] == [first.id, second.id]
    assert again.is_incremental
    assert [member.parent_id for member in machines.backed_up(instance).members()] == [None, None]


def test_a_running_set_shows_its_progress(make_machines):
    machines = make_machines(workers=1)
    instance = machines.make()
    set_id = machines.back_up(instance)
    mover = Frozen()
    shown = instance_backups.get(machines.rig.user, set_id)
    assert shown.record.status == states.CREATING
    assert [member.status for member in shown.members] == [states.CREATING] * 2
    assert shown.progress is not None and shown.progress.bytes_total == 2048 * MIB
    mover.thaw()
    machines.settled(set_id)
    shown = instance_backups.get(machines.rig.user, set_id)
    assert shown.progress is None
    page = instance_backups.list_(machines.rig.user, sets.SetQuery(
        limit=10, filters={'instance_id': instance.id}, with_count=True))
    assert (page.count, [item.record.id for item in page.items]) == (1, [set_id])
    assert [len(item.members) for item in page.items] == [2]


# What is refused ---------------------------------------------------------------------------------


def test_an_instance_in_another_state_is_refused(machines):
    instance = machines.make()
    # It may write no further than this to any file: it fails.
    pid = processes.pid(machines.rig.path('x').parents[1] / 'instances' / instance.id)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, 4096))
    eventually(lambda: machines.show(instance.id).status == 'ERROR')
    with pytest.raises(exception.InvalidInstance, match='ERROR'):
        machines.back_up(instance)
    with pytest.raises(exception.InvalidInstance, match='ERROR'):
        machines.take(instance)
    with pytest.raises(exception.InvalidInstance, match='no volumes'):
        machines.back_up(machines.make(volumes=0, is_started=False))
    with pytest.raises(exception.InstanceNotFound):
        instance_backups.create(machines.rig.user, instance_backups.NewInstanceBackup(
            instance_id='no-instance', origin='test'))


def test_a_volume_in_work_is_refused_and_nothing_is_left_held(machines):
    instance = machines.make(is_started=False)
    second = machines.volume_ids(instance)[1]
    driver = loader.volume_driver()
    driver.acquire_volume(machines.admin, second, holder='9' * 32, status='backing-up',
                          expected=('in-use',))
    with pytest.raises(exception.InvalidVolume, match=second):
        machines.back_up(instance)
    driver.release_volume(machines.admin, second, holder='9' * 32)
    machines.assert_nothing_is_held()
    assert BackupList.count(machines.admin) == 0


def test_all_members_have_to_fit_the_quota(machines):
    project = machines.rig.user.project_id
    instance = machines.make(is_started=False)
    quota.set_limits(machines.admin, project, {'backups': 1})
    with pytest.raises(exception.BackupLimitExceeded):
        machines.back_up(instance)
    quota.set_limits(machines.admin, project, {'backups': 2, 'backup_gigabytes': 1})
    with pytest.raises(exception.VolumeBackupSizeExceedsAvailableQuota):
        machines.back_up(instance)
    quota.set_limits(machines.admin, project, {'backup_gigabytes': 2})
    machines.backed_up(instance)
    assert quota.usages(machines.admin, project) == {'backups': 2, 'backup_gigabytes': 2}


def test_without_a_manager_nothing_is_recorded(make_machines):
    machines = make_machines(is_managed=False)
    instance = machines.make(is_started=False)
    with pytest.raises(exception.ServiceNotFound):
        machines.back_up(instance)
    machines.assert_nothing_is_held()


# Failures ----------------------------------------------------------------------------------------


def damage(machines, volume_id):
    """Make the snapshot that was taken of a volume unreadable: longer than its volume."""
    row, = [row for row in loader.volume_driver().catalogue.taken()
            if row['volume_id'] == volume_id]
    os.truncate(loader.volume_driver().files.path(row['id']), 2048 * MIB)


def test_a_failing_member_fails_the_set_and_undoes_the_rest(make_machines):
    machines = make_machines(workers=1, max_attempts=1)
    instance = machines.make()
    first_id, second_id = machines.volume_ids(instance)
    set_id = machines.back_up(instance)
    mover = Frozen()
    damage(machines, second_id)
    mover.thaw()
    record = machines.settled(set_id)
    assert record.status == states.ERROR
    assert record.fail_reason.startswith(f'Volume {second_id}: The file')
    failed, = record.members()
    assert (failed.source_id, failed.status) == (second_id, states.ERROR)
    assert BackupList.count(machines.admin, {'source_id': first_id}) == 0
    assert machines.rig.tasks(set_id)[0].state == states.FAILED
    assert machines.show(instance.id).status == 'ACTIVE'
    assert quota.usages(machines.admin, machines.rig.user.project_id)['backups'] == 1
    machines.assert_nothing_is_held()
    message, = eventually(lambda: MessageList.get_all(
        machines.rig.user, {'resource_id': set_id}))
    assert message.resource_type == 'INSTANCE_BACKUP'
    instance_backups.delete(machines.rig.user, set_id)
    assert machines.settled(set_id).deleted
    assert BackupList.count(machines.admin) == 0


def test_a_member_whose_mover_always_dies_fails_the_set(make_machines):
    machines = make_machines(workers=1, max_attempts=1)
    instance = machines.make()
    set_id = machines.back_up(instance)
    Frozen().kill()
    record = machines.settled(set_id)
    assert record.status == states.ERROR
    assert 'ended unexpectedly (SIGKILL)' in record.fail_reason
    machines.assert_nothing_is_held()


def test_the_death_of_one_mover_costs_one_attempt_of_one_member(machines):
    instance = machines.make(volumes=3)
    set_id = machines.back_up(instance)
    pid = eventually(movers)[0]
    os.kill(pid, signal.SIGKILL)
    record = machines.settled(set_id)
    assert record.status == states.AVAILABLE
    attempts = sorted(machines.rig.tasks(member.id)[0].attempt for member in record.members())
    assert attempts in ([1, 1, 2], [1, 1, 1])  # it may have ended just before


def test_a_snapshot_that_takes_too_long_fails_the_set_and_lets_the_instance_go_on(
        make_machines):
    machines = make_machines(max_attempts=1, quiesce_timeout=1)
    instance = machines.make()
    machines.driver.suspend_instance(machines.admin, instance.id)
    second = machines.volume_ids(instance)[1]
    with loader.volume_driver().files.locked(second, shared=False):  # so that no copy begins
        set_id = machines.back_up(instance)
        eventually(lambda: machines.rig.tasks(set_id)[0].state == states.FAILED)
    instances.resume(machines.admin, instance.id)
    machines.wait_for_writes(instance)
    record = machines.settled(set_id)
    assert record.status == states.ERROR
    assert f'Volume {second}' in record.fail_reason and 'still being made' in record.fail_reason
    assert record.members() == []
    assert quota.usages(machines.admin, machines.rig.user.project_id)['backups'] == 0
    eventually(lambda: not list(loader.volume_driver().list_holds(machines.admin)))


def test_an_instance_goes_on_until_the_next_attempt(make_machines):
    machines = make_machines(retry_interval=600, quiesce_timeout=1, hold_sweep_interval=3600)
    instance = machines.make()
    machines.driver.suspend_instance(machines.admin, instance.id)
    second = machines.volume_ids(instance)[1]
    with loader.volume_driver().files.locked(second, shared=False):  # so that no copy begins
        set_id = machines.back_up(instance)
        eventually(lambda: machines.rig.tasks(set_id)[0].error)
    assert machines.rig.tasks(set_id)[0].state == states.QUEUED
    assert list(machines.driver.list_holds(machines.admin)) == []
    assert Task.hasten(machines.admin, set_id)
    assert machines.settled(set_id).status == states.AVAILABLE
    machines.assert_nothing_is_held()


# Interruptions -----------------------------------------------------------------------------------


def test_a_set_whose_manager_stops_goes_on_with_the_next(make_machines):
    machines = make_machines(workers=1)
    instance = machines.make()
    set_id = machines.back_up(instance)
    Frozen().thaw()
    machines.rig.stop()
    machines.rig.start()
    record = machines.settled(set_id)
    assert record.status == states.AVAILABLE
    found = instances.check(
        machines.admin, restored(machines, record), not_after=record.data_timestamp)
    assert found.is_consistent, found.problems
    machines.assert_nothing_is_held()


def test_snapshots_of_an_attempt_that_died_are_of_another_moment(make_machines):
    """A manager that took some, not all, and died with the instance quiesced."""
    machines = make_machines(is_managed=False)
    machines.rig.start()
    instance = machines.make()
    machines.rig.stop()
    set_id = machines.back_up(instance)
    dead = Task.claim(machines.admin, machines.rig.tasks(set_id)[0].id, 'node-1:dead', 'node-1',
                      3600)
    machines.driver.quiesce(machines.admin, instance.id, holder=dead.id)
    first = machines.volume_ids(instance)[0]
    driver = loader.volume_driver()
    old = driver.take_snapshot(machines.admin, first, holder=dead.id)
    driver.wait_snapshot(machines.admin, old.id, 60)
    machines.driver.unquiesce(machines.admin, instance.id, holder=dead.id)
    machines.wait_for_writes(instance)
    machines.driver.quiesce(machines.admin, instance.id, holder=dead.id)
    machines.rig.start()
    record = machines.settled(set_id)
    assert record.status == states.AVAILABLE
    found = instances.check(
        machines.admin, restored(machines, record), not_after=record.data_timestamp)
    assert found.is_consistent, found.problems
    machines.wait_for_writes(instance)
    machines.assert_nothing_is_held()


def test_a_forced_delete_cancels_a_set_that_is_being_made(make_machines):
    machines = make_machines(workers=1)
    instance = machines.make()
    set_id = machines.back_up(instance)
    mover = Frozen()
    with pytest.raises(exception.InvalidBackup, match='creating'):
        instance_backups.delete(machines.rig.user, set_id)
    instance_backups.delete(machines.admin, set_id, force=True)
    mover.thaw()
    record = machines.settled(set_id)
    assert record.deleted
    assert BackupList.count(machines.admin) == 0
    assert {task.kind: task.state for task in machines.rig.tasks(set_id)} == {
        'create_set': states.CANCELLED, 'delete_set': states.DONE}
    assert quota.usages(machines.admin, machines.rig.user.project_id) == {
        'backups': 0, 'backup_gigabytes': 0}
    machines.assert_nothing_is_held()
    assert machines.show(instance.id).status == 'ACTIVE'


def test_what_a_set_left_behind_is_swept(make_machines):
    """A task that ended without giving anything back, as after a failure of the driver."""
    machines = make_machines(hold_sweep_interval=0.2)
    instance = machines.make()
    task = sets.new_task(machines.rig.user, states.TASK_CREATE_SET, instance.id, arguments={},
                         host='elsewhere')
    task.create()
    volume_id = machines.volume_ids(instance)[0]
    driver = loader.volume_driver()
    driver.acquire_volume(machines.admin, volume_id, holder=task.id, status='backing-up',
                          expected=('in-use',))
    machines.driver.quiesce(machines.admin, instance.id, holder=task.id)
    driver.take_snapshot(machines.admin, volume_id, holder=task.id)
    assert len(list(driver.list_holds(machines.admin))) == 2
    Task.claim(machines.admin, task.id, 'elsewhere:1', 'elsewhere', 60).fail('the end')
    eventually(lambda: not list(driver.list_holds(machines.admin))
               and not list(machines.driver.list_holds(machines.admin)))
    machines.wait_for_writes(instance)
    assert machines.rig.show(volume_id).status == 'in-use'
    machines.assert_nothing_is_held()


# Deletion ----------------------------------------------------------------------------------------


def test_a_deleted_set_takes_its_members_along(machines):
    from backupsvc.manager import repositories
    instance = machines.make(is_started=False)
    record = machines.backed_up(instance)
    first = record.members()[0]
    instance_backups.delete(machines.rig.user, record.id)
    with pytest.raises(exception.InvalidBackup):
        instance_backups.delete(machines.rig.user, record.id)
    assert machines.settled(record.id).deleted
    with pytest.raises(exception.InstanceBackupNotFound):
        instance_backups.get(machines.rig.user, record.id)
    assert BackupList.count(machines.admin) == 0
    repository = repositories.open_repository(
        machines.admin, first.repository_project_id, first.container, driver=first.repository)
    assert list(repository.list_manifests()) == []
    assert not any(quota.usages(machines.admin, machines.rig.user.project_id).values())


def test_a_member_is_not_deleted_alone(machines):
    record = machines.backed_up(machines.make(is_started=False))
    first, second = record.members()
    with pytest.raises(exception.BackupInSet, match=record.id):
        backups.delete(machines.rig.user, first.id)
    backups.force_delete(machines.admin, first.id)
    assert machines.rig.settled(first.id).deleted
    shown = instance_backups.get(machines.rig.user, record.id)
    assert shown.record.status == states.ERROR
    assert first.source_id in shown.record.fail_reason
    assert [member.id for member in shown.members] == [second.id]
    instance_backups.delete(machines.rig.user, record.id)
    assert machines.settled(record.id).deleted


def test_a_member_that_is_being_restored_keeps_the_set(machines):
    from backupsvc.orchestration import restores
    record = machines.backed_up(machines.make(is_started=False))
    first = record.members()[0]
    restores.restore(machines.rig.user, first.id)
    mover = Frozen()
    with pytest.raises(exception.InvalidBackup, match=first.id):
        instance_backups.delete(machines.rig.user, record.id)
    mover.thaw()
    machines.rig.settled(first.id)
    instance_backups.delete(machines.rig.user, record.id)
    assert machines.settled(record.id).deleted


def test_a_set_whose_member_cannot_be_removed_says_so_and_can_be_deleted_again(make_machines):
    machines = make_machines(max_attempts=1)
    record = machines.backed_up(machines.make(is_started=False))
    member = record.members()[0]
    root = machines.rig.path(member.source_id).parents[1] / 'repositories'
    manifests, = {path.parent for path in root.rglob('*') if '/manifests/' in str(path)
                  and path.is_file()} or [None]
    away = manifests.with_name('away')
    manifests.rename(away)
    manifests.write_text('in the way')
    instance_backups.delete(machines.rig.user, record.id)
    failed = machines.settled(record.id)
    assert failed.status == states.ERROR
    assert 'Volume ' in failed.fail_reason
    manifests.unlink()
    away.rename(manifests)
    instance_backups.delete(machines.rig.user, record.id)
    assert machines.settled(record.id).deleted
    assert BackupList.count(machines.admin) == 0


def test_others_see_nothing_and_readers_change_nothing(machines):
    from backupsvc import context as request_context
    instance = machines.make(is_started=False)
    record = machines.backed_up(instance)
    stranger = request_context.RequestContext(
        user_id='s', project_id='f' * 32, roles=['member', 'reader'], is_admin=False,
        overwrite=False)
    for call in (instance_backups.get, instance_backups.delete):
        with pytest.raises(exception.InstanceBackupNotFound):
            call(stranger, record.id)
    with pytest.raises(exception.InstanceNotFound):
        instance_backups.create(stranger, instance_backups.NewInstanceBackup(
            instance_id=instance.id, origin='test'))
    assert instance_backups.list_(stranger, sets.SetQuery(limit=5)).items == []
    reader = request_context.RequestContext(
        user_id='r', project_id=machines.rig.user.project_id, roles=['reader'], is_admin=False,
        overwrite=False)
    assert instance_backups.get(reader, record.id).record.id == record.id
    with pytest.raises(exception.PolicyNotAuthorized):
        instance_backups.delete(reader, record.id)
    with pytest.raises(exception.PolicyNotAuthorized):
        instance_backups.update(reader, record.id, changes={'name': 'x'})
    with pytest.raises(exception.PolicyNotAuthorized):
        instance_backups.delete(machines.rig.user, record.id, force=True)


def test_names_and_metadata_of_a_set_change(machines):
    record = machines.backed_up(machines.make(is_started=False), name='a')
    shown = instance_backups.update(
        machines.rig.user, record.id, changes={'name': 'b'}, metadata={'k': 'v'})
    assert (shown.record.name, shown.record.metadata) == ('b', {'k': 'v'})
    assert [member.name for member in shown.members] == ['a-vda', 'a-vdb']
