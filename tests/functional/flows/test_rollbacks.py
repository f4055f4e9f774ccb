# SPDX-License-Identifier: Apache-2.0
"""A volume holds again what its snapshot does, or says that it may not."""

import os

import pytest

from backupsvc import exception, states
from backupsvc.drivers import loader
from backupsvc.objects.message import MessageList
from backupsvc.objects.task import Task
from backupsvc.orchestration import instances, rollbacks
from tests.fixtures.deployment import eventually
from tests.functional.flows.conftest import MIB, Frozen, noise, same_bytes


def snapshot(machines, volume_id):
    """Make a snapshot as a user does, of a volume in use or not."""
    driver = loader.volume_driver()
    made = driver.create_snapshot(machines.rig.user, volume_id, name='s', description=None,
                                  metadata={}, force=True)
    return driver.wait_snapshot(machines.rig.user, made.id, 60)


def changed(machines, **attached):
    """Return a volume that was written to after its snapshot, and that snapshot."""
    volume = machines.rig.volume((0, noise(1, 6 * MIB)), (700 * MIB, b'kept'))
    taken = snapshot(machines, volume.id)
    machines.rig.write(volume.id, (2 * MIB + 5, noise(2, MIB)), (500 * MIB, noise(3, MIB)))
    return volume.id, taken.id


def equals(machines, volume_id, snapshot_id):
    return same_bytes(machines.rig.path(volume_id), machines.rig.path(snapshot_id))


def task_of(machines, volume_id):
    return machines.rig.tasks(volume_id)[-1]


def test_the_story_of_an_instance_that_goes_back(machines):
    """Stop, roll every volume back (the one it boots from included), start again."""
    instance = machines.make()
    machines.wait_for_writes(instance)
    record = machines.taken(instance)
    then = machines.written(instance)
    machines.wait_for_writes(instance)
    first = record.members[0]
    with pytest.raises(exception.InvalidInstance, match='ACTIVE'):
        rollbacks.rollback(machines.rig.user, first.volume_id, first.snapshot_id)
    assert machines.rig.show(first.volume_id).status == 'in-use'
    machines.stop(instance)
    for member in record.members:
        volume = machines.roll_back(member.volume_id, member.snapshot_id)
        assert volume.status == 'in-use' and len(volume.attachments) == 1
        assert equals(machines, member.volume_id, member.snapshot_id)
    back = machines.written(instance)
    assert all(now <= before for now, before in zip(back, then, strict=True))
    instances.start(machines.admin, instance.id)
    machines.wait_for_writes(instance)
    machines.assert_nothing_is_held()


def test_an_available_volume_goes_back_and_only_what_differs_is_written(machines):
    volume_id, snapshot_id = changed(machines)
    assert machines.roll_back(volume_id, snapshot_id).status == 'available'
    assert equals(machines, volume_id, snapshot_id)
    assert os.stat(machines.rig.path(volume_id)).st_blocks * 512 < 8 * MIB
    task = task_of(machines, volume_id)
    assert task.state == states.DONE
    assert task.bytes_stored <= 3 * MIB
    assert loader.volume_driver().show_snapshot(
        machines.rig.user, snapshot_id).status == 'available'
    machines.assert_nothing_is_held()


def test_a_volume_that_grew_keeps_its_size_and_the_new_part_is_empty(machines):
    volume_id, snapshot_id = changed(machines)
    loader.volume_driver().extend_volume(machines.rig.user, volume_id, 2)
    machines.rig.write(volume_id, (1500 * MIB, b'beyond'))
    assert machines.roll_back(volume_id, snapshot_id).size_gb == 2
    with open(machines.rig.path(volume_id), 'rb') as file:
        assert os.pread(file.fileno(), 6 * MIB, 0) == noise(1, 6 * MIB)
        assert os.pread(file.fileno(), MIB, 1500 * MIB) == bytes(MIB)


def test_what_does_not_allow_a_rollback(machines):
    volume_id, snapshot_id = changed(machines)
    other, _ = changed(machines)
    driver = loader.volume_driver()
    roll_back = rollbacks.rollback
    with pytest.raises(exception.InvalidSnapshot, match='not of volume'):
        roll_back(machines.rig.user, other, snapshot_id)
    with pytest.raises(exception.SnapshotNotFound):
        roll_back(machines.rig.user, volume_id, 'no-snapshot')
    with pytest.raises(exception.VolumeNotFound):
        roll_back(machines.rig.user, 'no-volume', snapshot_id)
    driver.acquire_snapshot(machines.admin, snapshot_id, holder='9' * 32, status='backing-up',
                            expected=('available',))
    with pytest.raises(exception.InvalidSnapshot, match='backing-up'):
        roll_back(machines.rig.user, volume_id, snapshot_id)
    driver.release_snapshot(machines.admin, snapshot_id, holder='9' * 32)
    driver.acquire_volume(machines.admin, volume_id, holder='9' * 32, status='backing-up',
                          expected=('available',))
    with pytest.raises(exception.InvalidVolume, match='backing-up'):
        roll_back(machines.rig.user, volume_id, snapshot_id)
    driver.release_volume(machines.admin, volume_id, holder='9' * 32, status='error')
    with pytest.raises(exception.InvalidVolume, match='error'):
        roll_back(machines.rig.user, volume_id, snapshot_id)
    driver.reset_volume(machines.admin, volume_id, status='available', attachments=None)
    driver.attach_volume(machines.admin, volume_id, instance_id='8' * 32, host=None,
                         mountpoint='/dev/vdb', mode='rw')
    with pytest.raises(exception.InvalidInstance, match='could not be found'):
        roll_back(machines.rig.user, volume_id, snapshot_id)
    driver.detach_volume(machines.admin, volume_id, attachment_id=None)
    driver.attach_volume(machines.admin, volume_id, instance_id=None, host='far', mode='rw',
                         mountpoint='/dev/vdb')
    with pytest.raises(exception.InvalidVolume, match='far'):
        roll_back(machines.rig.user, volume_id, snapshot_id)
    machines.assert_nothing_is_held()


def test_an_instance_is_not_started_while_its_volume_is_rolled_back(machines):
    instance = machines.make(is_started=False)
    volume_id = machines.volume_ids(instance)[0]
    taken = snapshot(machines, volume_id)
    rollbacks.rollback(machines.rig.user, volume_id, taken.id)
    mover = Frozen()
    assert machines.rig.show(volume_id).status == 'reverting'
    with pytest.raises(exception.InvalidInstance):
        instances.start(machines.admin, instance.id)
    mover.thaw()
    eventually(lambda: machines.rig.show(volume_id).status == 'in-use')
    eventually(lambda: not list(machines.driver.list_holds(machines.admin)))
    instances.start(machines.admin, instance.id)


def test_an_instance_that_was_started_meanwhile_stays_untouched(make_machines):
    machines = make_machines(is_managed=False, max_attempts=1)
    machines.rig.start()
    instance = machines.make(is_started=False)
    machines.rig.stop()
    first, second = machines.volume_ids(instance)
    taken = snapshot(machines, first)
    rollbacks.rollback(machines.rig.user, first, taken.id)
    # By hand, as if another cloud's instance service did not ask anybody.
    driver = loader.volume_driver()
    machines.driver.start_instance(
        machines.admin, instance.id, lambda volume_id: str(driver.files.path(volume_id)))
    machines.rig.start()
    eventually(lambda: not Task.live_for(machines.admin, first))
    task = task_of(machines, first)
    assert (task.state, 'ACTIVE' in task.error) == (states.FAILED, True)
    assert machines.rig.show(first).status == 'in-use'  # nothing was written
    machines.wait_for_writes(instance)
    machines.assert_nothing_is_held()


def test_a_failure_half_way_leaves_an_error_and_repeating_it_succeeds(make_machines):
    machines = make_machines(max_attempts=1)
    instance = machines.make(is_started=False)
    volume_id = machines.volume_ids(instance)[0]
    machines.rig.write(volume_id, (0, noise(1, 6 * MIB)))
    taken = snapshot(machines, volume_id)
    machines.rig.write(volume_id, (MIB, noise(2, 4 * MIB)))
    rollbacks.rollback(machines.rig.user, volume_id, taken.id)
    Frozen().kill()
    eventually(lambda: not Task.live_for(machines.admin, volume_id))
    volume = machines.rig.show(volume_id)
    assert (volume.status, len(volume.attachments)) == ('error', 1)
    assert 'SIGKILL' in task_of(machines, volume_id).error
    assert loader.volume_driver().show_snapshot(
        machines.rig.user, taken.id).status == 'available'
    message, = eventually(lambda: MessageList.get_all(
        machines.rig.user, {'resource_id': volume_id}))
    assert message.resource_type == 'VOLUME'
    machines.assert_nothing_is_held()
    assert machines.roll_back(volume_id, taken.id).status == 'in-use'
    assert equals(machines, volume_id, taken.id)


def test_a_killed_mover_is_followed_by_another(machines):
    volume_id, snapshot_id = changed(machines)
    rollbacks.rollback(machines.rig.user, volume_id, snapshot_id)
    Frozen().kill()
    eventually(lambda: not Task.live_for(machines.admin, volume_id))
    assert machines.rig.show(volume_id).status == 'available'
    assert equals(machines, volume_id, snapshot_id)
    assert task_of(machines, volume_id).attempt == 2


def test_a_volume_that_was_given_back_is_never_written_again(machines):
    volume_id, snapshot_id = changed(machines)
    machines.rig.stop()
    rollbacks.rollback(machines.rig.user, volume_id, snapshot_id)
    # A manager that rolled the volume back, gave it back and died before it could say so.
    held = Task.claim_next(machines.admin, 'node-1:dead', 'node-1', 3600)
    held.progress(phase='rollback', resume_point={'began': True, 'rolled_back': True})
    loader.volume_driver().release_volume(
        machines.admin, volume_id, holder=held.id, status='available')
    machines.rig.write(volume_id, (0, b'what the user wrote since'))
    machines.rig.start()
    eventually(lambda: not Task.live_for(machines.admin, volume_id))
    assert task_of(machines, volume_id).state == states.DONE
    with open(machines.rig.path(volume_id), 'rb') as file:
        assert file.read(25) == b'what the user wrote since'
    machines.assert_nothing_is_held()


@pytest.mark.parametrize(('point', 'status'), [
    (None, 'available'), ({'began': True}, 'error'),
    ({'began': True, 'rolled_back': True}, 'available')])
def test_the_hold_of_an_ended_rollback_shows_how_far_it_came(machines, point, status):
    volume_id, snapshot_id = changed(machines)
    machines.rig.stop()
    rollbacks.rollback(machines.rig.user, volume_id, snapshot_id)
    held = Task.claim_next(machines.admin, 'node-1:dead', 'node-1', 3600)
    held.progress(resume_point=point)
    held.fail('the end')
    machines.rig.start()
    eventually(lambda: not list(loader.volume_driver().list_holds(machines.admin)))
    assert machines.rig.show(volume_id).status == status
    assert loader.volume_driver().show_snapshot(
        machines.rig.user, snapshot_id).status == 'available'
