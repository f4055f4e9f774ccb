# SPDX-License-Identifier: Apache-2.0
"""What happens when work is cancelled, handed over, killed, or fails."""

import os

from backupsvc import states
from backupsvc.drivers import loader
from backupsvc.drivers.base import NewVolume
from backupsvc.objects import quota
from backupsvc.objects.message import MessageList
from backupsvc.objects.task import Task
from backupsvc.orchestration import backups, restores
from tests.fixtures.deployment import eventually
from tests.functional.flows.conftest import MIB, Frozen, noise, same_bytes


def only_task(rig, backup_id, kind):
    task, = [task for task in rig.tasks(backup_id) if task.kind == kind]
    return task


def test_force_delete_of_a_running_create_cancels_it(rig):
    source = rig.volume((0, noise(1, MIB)))
    backup = rig.create(source.id)
    mover = Frozen()
    backups.force_delete(rig.admin, backup.id)
    mover.thaw()
    assert rig.settled(backup.id).deleted
    assert only_task(rig, backup.id, states.TASK_CREATE).state == states.CANCELLED
    assert only_task(rig, backup.id, states.TASK_DELETE).state == states.DONE
    assert rig.show(source.id).status == 'available'
    assert quota.audit(rig.admin) == {}
    assert quota.usages(rig.admin, rig.user.project_id)['backups'] == 0


def test_reset_of_a_restoring_backup_aborts_the_restore(rig):
    source = rig.volume((0, noise(2, MIB)))
    backup = rig.backed_up(source.id)
    restored = restores.restore(rig.user, backup.id)
    mover = Frozen()
    backups.reset_status(rig.admin, backup.id, 'available')
    mover.thaw()
    assert rig.settled(backup.id).status == states.AVAILABLE
    assert only_task(rig, backup.id, states.TASK_RESTORE).state == states.CANCELLED
    assert rig.show(restored.volume_id).status == 'error'
    assert same_bytes(rig.path(source.id), rig.path(rig.restore(backup.id).id))


def test_stopped_manager_hands_its_work_to_the_next(rig):
    source = rig.volume((0, noise(3, MIB)))
    backup = rig.create(source.id)
    mover = Frozen()
    mover.thaw()
    rig.stop()
    assert mover.is_gone()
    task = only_task(rig, backup.id, states.TASK_CREATE)
    if task.state == states.QUEUED:  # it may have been quicker than the stop
        assert (task.owner, task.attempt) == (None, 0)
        assert rig.read(backup.id).status == states.CREATING
        assert rig.show(source.id).status == 'backing-up'
    rig.start()
    assert rig.settled(backup.id).status == states.AVAILABLE
    assert same_bytes(rig.path(source.id), rig.path(rig.restore(backup.id).id))


def test_mover_that_does_not_stop_in_time_is_killed_and_its_work_handed_over(make_rig):
    rig = make_rig(graceful_timeout=1)
    rig.start()
    source = rig.volume((0, noise(4, MIB)))
    backup = rig.create(source.id)
    mover = Frozen()
    rig.stop()
    assert mover.is_gone()
    assert only_task(rig, backup.id, states.TASK_CREATE).state == states.QUEUED
    rig.start()
    assert rig.settled(backup.id).status == states.AVAILABLE


def test_killed_mover_is_followed_by_another(rig):
    source = rig.volume((0, noise(5, MIB)))
    backup = rig.create(source.id)
    Frozen().kill()
    assert rig.settled(backup.id).status == states.AVAILABLE
    assert only_task(rig, backup.id, states.TASK_CREATE).attempt == 2
    assert same_bytes(rig.path(source.id), rig.path(rig.restore(backup.id).id))


def test_mover_that_always_dies_ends_in_an_error_that_says_so(make_rig):
    rig = make_rig(max_attempts=1)
    rig.start()
    source = rig.volume((0, noise(6, MIB)))
    backup = rig.create(source.id)
    Frozen().kill()
    backup = rig.settled(backup.id)
    assert backup.status == states.ERROR
    assert 'ended unexpectedly (SIGKILL)' in backup.fail_reason
    assert rig.show(source.id).status == 'available'
    message, = eventually(lambda: MessageList.get_all(rig.user, {'resource_id': backup.id}))
    assert message.action_id == '013'


def test_killed_restore_starts_over(rig):
    source = rig.volume((0, noise(7, 2 * MIB)))
    backup = rig.backed_up(source.id)
    restored = restores.restore(rig.user, backup.id)
    Frozen().kill()
    assert rig.settled(backup.id).status == states.AVAILABLE
    assert rig.show(restored.volume_id).status == 'available'
    assert same_bytes(rig.path(source.id), rig.path(restored.volume_id))


def test_volume_that_was_given_back_is_never_written_again(rig):
    source = rig.volume((0, noise(12, MIB)))
    backup = rig.backed_up(source.id)
    target = rig.volume((0, b'old'))
    rig.stop()
    restores.restore(rig.user, backup.id, target.id)
    # A manager that restored the volume, gave it back and died before it could say so.
    held = Task.claim_next(rig.admin, 'node-1:dead', 'node-1', 3600)
    held.progress(phase='describe', resume_point={'restored': True})
    loader.volume_driver().release_volume(
        rig.admin, target.id, holder=held.id, status='available')
    rig.write(target.id, (0, b'what the user wrote since'))
    rig.start()
    assert rig.settled(backup.id).status == states.AVAILABLE
    assert rig.show(target.id).status == 'available'
    with open(rig.path(target.id), 'rb') as file:
        assert file.read(25) == b'what the user wrote since'


def test_lost_lease_kills_the_mover_and_leaves_the_record_to_the_new_owner(rig):
    source = rig.volume((0, noise(8, MIB)))
    backup = rig.create(source.id)
    mover = Frozen()
    task = only_task(rig, backup.id, states.TASK_CREATE)
    Task.release_owned(rig.admin, 'node-1:')
    held = Task.claim(rig.admin, task.id, 'node-1:other', 'node-1', 3600)
    eventually(mover.is_gone)
    assert rig.read(backup.id).status == states.CREATING
    assert rig.show(source.id).status == 'backing-up'
    held.release()
    assert rig.settled(backup.id).status == states.AVAILABLE


def test_damaged_repository_fails_the_restore_and_names_the_object(make_rig):
    rig = make_rig(max_attempts=1)
    rig.start()
    source = rig.volume((0, noise(9, MIB)))
    backup = rig.backed_up(source.id)
    packs = [path for path in (rig.path(source.id).parents[1] / 'repositories').rglob('*')
             if path.is_file() and '/packs/' in str(path)]
    for pack in packs:
        os.chmod(pack, 0o600)
        with open(pack, 'r+b') as file:
            file.seek(1000)
            file.write(b'damage')
    target = rig.volume((0, b'old'))
    volume = rig.restore(backup.id, target.id)
    backup = rig.settled(backup.id)
    assert volume.status == 'error_restoring'
    assert backup.status == states.AVAILABLE
    assert 'packs/' in backup.fail_reason
    message, = eventually(lambda: MessageList.get_all(rig.user, {'resource_id': backup.id}))
    assert message.action_id == '015'


def test_failed_restore_leaves_a_new_volume_in_error(rig):
    source = rig.volume((0, noise(10, MIB)))
    backup = rig.backed_up(source.id)
    for path in (rig.path(source.id).parents[1] / 'repositories').rglob('*'):
        if path.is_file() and '/packs/' in str(path):
            path.unlink()
    assert rig.restore(backup.id).status == 'error'
    assert rig.read(backup.id).status == states.AVAILABLE


def test_vanished_volume_fails_the_create_with_the_reason(rig):
    source = rig.volume((0, b'x'))
    rig.stop()
    backup = rig.create(source.id)
    driver = loader.volume_driver()
    driver.remove_volume(rig.admin, source.id, force=True)
    rig.start()
    backup = rig.settled(backup.id)
    assert backup.status == states.ERROR
    assert source.id in backup.fail_reason


def test_hold_of_a_task_that_never_came_to_be_is_given_back(rig):
    volume = rig.volume()
    loader.volume_driver().acquire_volume(
        rig.user, volume.id, holder='0' * 32, status='backing-up', expected=('available',))
    eventually(lambda: rig.show(volume.id).status == 'available')


def test_volume_that_was_made_for_a_task_that_never_came_to_be_is_removed(rig):
    driver = loader.volume_driver()
    volume = driver.create_volume(rig.user, NewVolume(size_gb=1, holder='2' * 32))
    eventually(lambda: not driver.count_volumes(rig.user, {'id': volume.id}))
    assert not rig.path(volume.id).exists()
    assert not driver.usage(rig.user.project_id)['volumes']


def test_volume_with_restored_data_is_kept_whatever_became_of_its_task(make_rig):
    rig = make_rig(hold_grace=0, hold_sweep_interval=0.1)
    driver = loader.volume_driver()
    volume = driver.create_volume(rig.user, NewVolume(size_gb=1, holder='3' * 32))
    driver.open_target(rig.admin, volume.id, holder='3' * 32).close()
    rig.write(volume.id, (0, b'restored'))
    rig.start()
    eventually(lambda: rig.show(volume.id).status == 'error')
    assert rig.path(volume.id).read_bytes()[:8] == b'restored'


def test_hold_of_a_live_task_is_left_alone(make_rig):
    rig = make_rig(hold_grace=0, hold_sweep_interval=0.1)
    rig.start()
    volume = rig.volume()
    task = backups.new_task(rig.user, states.TASK_CREATE, volume.id, arguments={},
                            host='elsewhere')
    task.create()
    driver = loader.volume_driver()
    driver.acquire_volume(
        rig.user, volume.id, holder=task.id, status='backing-up', expected=('available',))
    other = rig.volume()
    driver.acquire_volume(
        rig.user, other.id, holder='1' * 32, status='backing-up', expected=('available',))
    eventually(lambda: rig.show(other.id).status == 'available')  # so a sweep has been
    assert rig.show(volume.id).status == 'backing-up'


def test_hold_of_an_ended_restore_shows_that_nothing_was_restored(rig):
    volume = loader.volume_driver().create_volume(rig.user, NewVolume(size_gb=1))
    task = backups.new_task(rig.user, states.TASK_RESTORE, volume.id, host='elsewhere',
                            arguments={'volume_id': volume.id, 'new_volume': False})
    task.create()
    loader.volume_driver().acquire_volume(
        rig.user, volume.id, holder=task.id, status='restoring-backup', expected=('available',))
    held = Task.claim(rig.admin, task.id, 'elsewhere:1', 'elsewhere', 60)
    held.fail('the end')
    eventually(lambda: rig.show(volume.id).status == 'error_restoring')


def test_broker_that_is_away_delays_nothing_but_the_wake(make_rig):
    rig = make_rig(transport_url='rabbit://nobody:none@127.0.0.1:1/')
    rig.start()
    source = rig.volume((0, noise(11, MIB)))
    assert rig.backed_up(source.id).status == states.AVAILABLE


def test_manager_clears_up_at_its_start_what_killed_processes_left(make_rig):
    rig = make_rig()
    volume = rig.volume()
    with loader.volume_driver().catalogue.transaction() as connection:  # killed in a deletion
        connection.execute('DELETE FROM volumes WHERE id = ?', [volume.id])
    assert rig.path(volume.id).exists()
    rig.start()
    eventually(lambda: not rig.path(volume.id).exists())


def test_manager_says_what_a_driver_lacks_and_starts(make_rig, caplog):
    rig = make_rig()
    os.rmdir(rig.conf.repository_posix.path)
    rig.start()
    eventually(lambda: '[repository_posix] path' in caplog.text)
