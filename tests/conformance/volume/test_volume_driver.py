# SPDX-License-Identifier: Apache-2.0
"""What every volume driver does, whatever cloud is behind it."""

import threading
import uuid

import pytest

from backupsvc import context, exception
from backupsvc.drivers.base import NewVolume
from tests.conformance.volume.conftest import OTHER_PROJECT, caller

GIB = 1024 ** 3
ADMIN = context.get_admin_context()
DEADLINE_S = 60


def make(driver, ctx=None, **fields):
    """Make a volume and wait for it."""
    ctx = ctx or caller()
    made = driver.create_volume(ctx, NewVolume(**{'size_gb': 1, **fields}))
    return driver.wait_volume(ctx, made.id, DEADLINE_S)


def task():
    return str(uuid.uuid4())


def read(source, offset, length):
    buffer = bytearray(length)
    source.read_into(offset, memoryview(buffer))
    return bytes(buffer)


def hold(driver, volume, holder, status='backing-up'):
    return driver.acquire_volume(
        caller(), volume.id, holder=holder, status=status, expected=('available', 'in-use'))


# -- volumes


def test_a_new_volume_has_what_was_asked_for(driver):
    volume = make(driver, size_gb=2, name='n', description='d', metadata={'k': 'v'})
    shown = driver.show_volume(caller(), volume.id)
    assert (shown.status, shown.size_gb, shown.name, shown.description) == (
        'available', 2, 'n', 'd')
    assert shown.metadata == {'k': 'v'}
    assert shown.project_id == caller().project_id
    assert shown.created_at.tzinfo is not None


def test_volumes_of_other_projects_do_not_exist(driver):
    volume = make(driver)
    with pytest.raises(exception.VolumeNotFound):
        driver.show_volume(caller(OTHER_PROJECT), volume.id)
    with pytest.raises(exception.VolumeNotFound):
        driver.acquire_volume(caller(OTHER_PROJECT), volume.id, holder=task(),
                              status='backing-up', expected=('available',))
    assert driver.show_volume(context.get_admin_context(), volume.id).id == volume.id


@pytest.mark.parametrize('volume_id', [
    pytest.param(str(uuid.uuid4()), id='unknown'), 'no-uuid', '../x', 'ü', ''])
def test_what_does_not_exist_is_not_found(driver, volume_id):
    with pytest.raises(exception.VolumeNotFound):
        driver.show_volume(caller(), volume_id)
    with pytest.raises(exception.SnapshotNotFound):
        driver.show_snapshot(caller(), volume_id)


def test_another_process_sees_the_same(deployment):
    volume = make(deployment.driver, name='n')
    holder = task()
    hold(deployment.driver, volume, holder)
    other = deployment.reopen()
    assert other.show_volume(caller(), volume.id).status == 'backing-up'
    with pytest.raises(exception.InvalidVolume):
        hold(other, volume, task())
    other.release_volume(caller(), volume.id, holder=holder)
    assert deployment.driver.show_volume(caller(), volume.id).status == 'available'


def test_delete_removes_and_may_be_repeated(driver):
    volume = make(driver)
    driver.delete_volume(caller(), volume.id)
    driver.delete_volume(caller(), volume.id)
    with pytest.raises(exception.VolumeNotFound):
        driver.show_volume(caller(), volume.id)


def test_delete_respects_holds_but_the_callers_own(driver):
    volume = make(driver)
    holder = task()
    hold(driver, volume, holder)
    with pytest.raises(exception.InvalidVolume):
        driver.delete_volume(caller(), volume.id)
    with pytest.raises(exception.InvalidVolume):
        driver.delete_volume(caller(), volume.id, holder=task())
    driver.delete_volume(caller(), volume.id, holder=holder)
    with pytest.raises(exception.VolumeNotFound):
        driver.show_volume(caller(), volume.id)


def test_delete_for_a_holder_respects_a_volume_that_it_lost(driver):
    volume = make(driver)
    holder = task()
    hold(driver, volume, holder)
    driver.release_volume(caller(), volume.id, holder=holder)
    with pytest.raises(exception.InvalidVolume):
        driver.delete_volume(caller(), volume.id, holder=holder)
    assert driver.show_volume(caller(), volume.id).status == 'available'


def test_update_restored_sets_what_is_given_and_leaves_the_rest(driver):
    volume = make(driver, name='before', description='before', metadata={'a': '1'})
    driver.update_restored(caller(), volume.id, name='after', metadata={'b': '2'}, bootable=True,
                           image_metadata={'image_name': 'cirros'})
    shown = driver.show_volume(caller(), volume.id)
    assert (shown.name, shown.description) == ('after', 'before')
    assert shown.metadata == {'b': '2'}
    assert shown.image_metadata == {'image_name': 'cirros'}
    assert shown.bootable


# -- holds


def test_a_hold_shows_and_is_given_back(driver):
    volume = make(driver)
    holder = task()
    held = hold(driver, volume, holder)
    assert (held.status, held.previous_status) == ('backing-up', 'available')
    found = [found for found in driver.list_holds(caller()) if found.resource_id == volume.id]
    assert [(found.holder, found.is_snapshot, found.status) for found in found] == [
        (holder, False, 'backing-up')]
    driver.release_volume(caller(), volume.id, holder=holder)
    assert driver.show_volume(caller(), volume.id).status == 'available'
    assert not [found for found in driver.list_holds(caller()) if found.resource_id == volume.id]


def test_release_can_name_the_status(driver):
    volume = make(driver)
    holder = task()
    hold(driver, volume, holder, 'restoring-backup')
    driver.release_volume(caller(), volume.id, holder=holder, status='error_restoring')
    assert driver.show_volume(caller(), volume.id).status == 'error_restoring'


def test_taking_again_and_giving_back_again_do_nothing(driver):
    volume = make(driver)
    holder = task()
    hold(driver, volume, holder)
    again = hold(driver, volume, holder)
    assert (again.status, again.previous_status) == ('backing-up', 'available')
    driver.release_volume(caller(), volume.id, holder=holder)
    driver.release_volume(caller(), volume.id, holder=holder, status='error')
    assert driver.show_volume(caller(), volume.id).status == 'available'


def test_somebody_elses_hold_is_not_given_back(driver):
    volume = make(driver)
    holder = task()
    hold(driver, volume, holder)
    driver.release_volume(caller(), volume.id, holder=task(), status='error')
    assert driver.show_volume(caller(), volume.id).status == 'backing-up'


def test_release_of_a_volume_that_is_gone_is_no_error(driver):
    driver.release_volume(caller(), str(uuid.uuid4()), holder=task())
    driver.release_snapshot(caller(), str(uuid.uuid4()), holder=task())


def test_a_hold_needs_an_expected_status(deployment):
    volume = make(deployment.driver)
    deployment.attach(volume.id)
    with pytest.raises(exception.InvalidVolume) as refused:
        deployment.driver.acquire_volume(
            caller(), volume.id, holder=task(), status='restoring-backup',
            expected=('available',))
    assert 'in-use' in str(refused.value)
    assert deployment.driver.show_volume(caller(), volume.id).status == 'in-use'


def test_one_of_many_gets_the_hold(deployment):
    volume = make(deployment.driver)
    drivers = [deployment.reopen() for _ in range(8)]
    start = threading.Barrier(len(drivers))
    won, lost = [], []

    def take(driver):
        holder = task()
        start.wait()
        try:
            hold(driver, volume, holder)
        except exception.InvalidVolume:
            lost.append(holder)
        else:
            won.append(holder)

    threads = [threading.Thread(target=take, args=(driver,)) for driver in drivers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(lost)) == (1, 7)
    found = [found.holder for found in deployment.driver.list_holds(caller())
             if found.resource_id == volume.id]
    assert found == won


def test_a_volume_made_for_a_task_is_its_from_the_start(driver):
    holder = task()
    volume = make(driver, holder=holder)
    assert volume.status == 'restoring-backup'
    with pytest.raises(exception.InvalidVolume):
        driver.acquire_volume(caller(), volume.id, holder=task(), status='backing-up',
                              expected=('available', 'restoring-backup'))
    driver.release_volume(caller(), volume.id, holder=holder, status='available')
    assert driver.show_volume(caller(), volume.id).status == 'available'


def test_a_volume_that_was_never_filled_does_not_become_available(driver):
    holder = task()
    volume = make(driver, holder=holder)
    driver.release_volume(caller(), volume.id, holder=holder)
    assert driver.show_volume(caller(), volume.id).status == 'error'


def test_a_hold_tells_whether_its_volume_was_made_for_it_and_not_written_yet(driver):
    holder = task()
    made, other = make(driver, holder=holder), make(driver)
    hold(driver, other, holder, 'restoring-backup')

    def unwritten():
        return {found.resource_id for found in driver.list_holds(caller()) if found.is_unwritten}

    assert unwritten() & {made.id, other.id} == {made.id}
    driver.open_target(caller(), made.id, holder=holder).close()
    assert not unwritten() & {made.id, other.id}


# -- bytes


def test_an_empty_volume_reads_as_zeros(driver):
    volume = make(driver)
    holder = task()
    hold(driver, volume, holder)
    source = driver.open_source(caller(), volume.id, snapshot_id=None, holder=holder)
    assert source.size_bytes == GIB
    assert read(source, GIB - 4096, 4096) == bytes(4096)
    source.close()


def test_what_was_written_is_read(deployment):
    driver = deployment.driver
    volume = make(driver)
    data = bytes(range(256)) * 32
    deployment.write(volume.id, 3 * 1024 ** 2, data)
    deployment.write(volume.id, GIB - len(data), data)
    holder = task()
    hold(driver, volume, holder)
    source = driver.open_source(caller(), volume.id, snapshot_id=None, holder=holder)
    assert read(source, 3 * 1024 ** 2, len(data)) == data
    assert read(source, GIB - len(data), len(data)) == data
    extents = list(source.extents())
    assert extents == sorted(extents, key=lambda extent: extent.offset)
    for offset in (3 * 1024 ** 2, GIB - len(data)):
        assert any(extent.offset <= offset
                   and offset + len(data) <= extent.offset + extent.length for extent in extents)
    source.close()


def test_only_the_holder_opens(driver):
    volume = make(driver)
    with pytest.raises(exception.InvalidVolume):
        driver.open_source(caller(), volume.id, snapshot_id=None, holder=task())
    with pytest.raises(exception.InvalidVolume):
        driver.open_target(caller(), volume.id, holder=task())
    hold(driver, volume, task())
    with pytest.raises(exception.InvalidVolume):
        driver.open_source(caller(), volume.id, snapshot_id=None, holder=task())
    with pytest.raises(exception.InvalidVolume):
        driver.open_target(caller(), volume.id, holder=task())


def test_a_target_keeps_what_is_written(driver):
    holder = task()
    volume = make(driver, holder=holder)
    target = driver.open_target(caller(), volume.id, holder=holder)
    assert target.size_bytes == GIB
    target.write(4096, memoryview(b'a' * 12288))
    target.zero(8192, 4096)
    target.flush()
    target.close()
    driver.release_volume(caller(), volume.id, holder=holder, status='available')
    reader = task()
    hold(driver, volume, reader)
    source = driver.open_source(caller(), volume.id, snapshot_id=None, holder=reader)
    assert read(source, 0, 20480) == (
        bytes(4096) + b'a' * 4096 + bytes(4096) + b'a' * 4096 + bytes(4096))
    source.close()


def test_a_target_is_zeroed_only_until_it_was_written(driver):
    holder = task()
    volume = make(driver, holder=holder)
    target = driver.open_target(caller(), volume.id, holder=holder)
    target.write(0, memoryview(b'x' * 4096))
    target.flush()
    target.close()
    again = driver.open_target(caller(), volume.id, holder=holder)
    assert not again.is_zeroed
    again.zero(0, 4096)
    again.close()
    source = driver.open_source(caller(), volume.id, snapshot_id=None, holder=holder)
    assert read(source, 0, 4096) == bytes(4096)
    source.close()


# -- volumes in use


def test_a_volume_in_use_is_read_as_of_one_moment(deployment):
    driver = deployment.driver
    volume = make(driver)
    deployment.write(volume.id, 0, b'before' * 1000)
    deployment.attach(volume.id)
    holder = task()
    hold(driver, volume, holder)
    source = driver.open_source(caller(), volume.id, snapshot_id=None, holder=holder)
    deployment.write(volume.id, 0, b'after!' * 1000)
    assert read(source, 0, 6000) == b'before' * 1000
    assert deployment.temporaries()
    source.close()
    assert not deployment.temporaries()
    driver.release_volume(caller(), volume.id, holder=holder)
    assert driver.show_volume(caller(), volume.id).status == 'in-use'


def test_release_removes_what_a_crash_left(deployment):
    driver = deployment.driver
    volume = make(driver)
    deployment.attach(volume.id)
    holder = task()
    hold(driver, volume, holder)
    driver.open_source(caller(), volume.id, snapshot_id=None, holder=holder)
    assert deployment.temporaries()
    deployment.reopen().release_volume(caller(), volume.id, holder=holder)
    assert not deployment.temporaries()
    assert driver.show_volume(caller(), volume.id).status == 'in-use'


def test_a_second_attempt_reads_the_same_moment(deployment):
    driver = deployment.driver
    volume = make(driver)
    deployment.write(volume.id, 0, b'before')
    deployment.attach(volume.id)
    holder = task()
    hold(driver, volume, holder)
    driver.open_source(caller(), volume.id, snapshot_id=None, holder=holder)
    deployment.write(volume.id, 0, b'after!')
    again = deployment.reopen().open_source(
        caller(), volume.id, snapshot_id=None, holder=holder)
    assert read(again, 0, 6) == b'before'
    again.close()
    assert not deployment.temporaries()


# -- snapshots that are taken for a task


def take(driver, volume, holder):
    """Take a snapshot of a volume that is held, and wait for it."""
    made = driver.take_snapshot(ADMIN, volume.id, holder=holder)
    assert made.volume_id == volume.id
    return driver.wait_snapshot(ADMIN, made.id, DEADLINE_S)


def keep(driver, snapshot, holder, **values):
    return driver.keep_snapshot(ADMIN, snapshot.id, holder=holder, **{
        'name': None, 'description': None, 'metadata': {}, **values})


def taken_by(driver, holder):
    return [(hold.resource_id, hold.is_snapshot) for hold in driver.list_holds(ADMIN)
            if hold.is_taken and hold.holder == holder]


def test_a_snapshot_is_taken_of_a_held_volume_only(driver):
    volume = make(driver)
    with pytest.raises(exception.InvalidVolume):
        driver.take_snapshot(ADMIN, volume.id, holder=task())
    hold(driver, volume, task())
    with pytest.raises(exception.InvalidVolume):
        driver.take_snapshot(ADMIN, volume.id, holder=task())


def test_a_taken_snapshot_keeps_its_moment_after_the_volume_is_given_back(deployment):
    driver = deployment.driver
    volume = make(driver)
    deployment.write(volume.id, 4096, b'before')
    deployment.attach(volume.id)
    holder, reader = task(), task()
    hold(driver, volume, holder)
    taken = take(driver, volume, holder)
    driver.release_volume(ADMIN, volume.id, holder=holder)
    deployment.write(volume.id, 4096, b'after!')
    assert driver.show_volume(caller(), volume.id).status == 'in-use'
    driver.acquire_snapshot(ADMIN, taken.id, holder=reader, status='backing-up',
                            expected=('available',))
    source = driver.open_source(ADMIN, volume.id, snapshot_id=taken.id, holder=reader)
    assert read(source, 4096, 6) == b'before'
    source.close()
    driver.release_snapshot(ADMIN, taken.id, holder=reader)
    assert taken_by(driver, holder) == [(taken.id, True)]


def test_a_taken_snapshot_is_taken_once_for_each_holder(deployment):
    volume = make(deployment.driver)
    holder = task()
    hold(deployment.driver, volume, holder)
    first = take(deployment.driver, volume, holder)
    assert take(deployment.reopen(), volume, holder).id == first.id


def test_taken_snapshots_are_not_the_users(driver):
    volume = make(driver)
    holder = task()
    hold(driver, volume, holder)
    taken = take(driver, volume, holder)
    assert driver.show_snapshot(ADMIN, taken.id).status == 'available'
    with pytest.raises(exception.SnapshotNotFound):
        driver.show_snapshot(caller(), taken.id)
    driver.release_volume(ADMIN, volume.id, holder=holder)
    driver.remove_taken(ADMIN, volume.id, holder=holder)
    with pytest.raises(exception.SnapshotNotFound):
        driver.show_snapshot(ADMIN, taken.id)


def test_a_kept_snapshot_is_the_users(driver):
    volume = make(driver)
    holder = task()
    hold(driver, volume, holder)
    taken = take(driver, volume, holder)
    kept = keep(driver, taken, holder, name='n', description='d', metadata={'k': 'v'})
    assert keep(driver, taken, holder, name='again').name == 'n'
    driver.release_volume(ADMIN, volume.id, holder=holder)
    driver.remove_taken(ADMIN, volume.id, holder=holder)
    shown = driver.show_snapshot(caller(), kept.id)
    assert (shown.status, shown.name, shown.description, shown.metadata) == (
        'available', 'n', 'd', {'k': 'v'})
    assert taken_by(driver, holder) == []
    driver.remove_snapshot(ADMIN, kept.id)
    driver.remove_snapshot(ADMIN, kept.id)
    with pytest.raises(exception.SnapshotNotFound):
        driver.show_snapshot(caller(), kept.id)


def test_only_its_holder_keeps_a_snapshot(driver):
    volume = make(driver)
    holder = task()
    hold(driver, volume, holder)
    taken = take(driver, volume, holder)
    with pytest.raises(exception.InvalidSnapshot):
        keep(driver, taken, task())
    driver.remove_taken(ADMIN, volume.id, holder=task())
    assert driver.show_snapshot(ADMIN, taken.id).status == 'available'
    driver.remove_taken(ADMIN, volume.id, holder=holder)
    driver.remove_taken(ADMIN, volume.id, holder=holder)
    with pytest.raises(exception.SnapshotNotFound):
        keep(driver, taken, holder)


def test_a_held_snapshot_is_not_removed_by_its_id(driver):
    volume = make(driver)
    holder = task()
    hold(driver, volume, holder)
    taken = take(driver, volume, holder)
    reader = task()
    driver.acquire_snapshot(ADMIN, taken.id, holder=reader, status='backing-up',
                            expected=('available',))
    with pytest.raises(exception.InvalidSnapshot):
        driver.remove_snapshot(ADMIN, taken.id)
    driver.release_snapshot(ADMIN, taken.id, holder=reader)
    driver.remove_snapshot(ADMIN, taken.id)
    assert taken_by(driver, holder) == []


def test_nothing_is_left_beside_the_volumes(deployment):
    driver = deployment.driver
    before = deployment.temporaries()
    volume = make(driver)
    holder = task()
    hold(driver, volume, holder)
    take(driver, volume, holder)
    assert deployment.temporaries() != before
    driver.remove_taken(ADMIN, volume.id, holder=holder)
    driver.release_volume(ADMIN, volume.id, holder=holder)
    assert deployment.temporaries() == before


# -- rollback


def test_a_volume_in_use_is_read_and_written_beside_its_snapshot(deployment):
    driver = deployment.driver
    volume = make(driver)
    deployment.write(volume.id, 4096, b'before')
    holder = task()
    hold(driver, volume, holder)
    kept = keep(driver, take(driver, volume, holder), holder)
    driver.release_volume(ADMIN, volume.id, holder=holder)
    deployment.write(volume.id, 4096, b'after!')
    deployment.attach(volume.id)
    holder = task()
    driver.acquire_volume(ADMIN, volume.id, holder=holder, status='reverting',
                          expected=('in-use',))
    driver.acquire_snapshot(ADMIN, kept.id, holder=holder, status='restoring',
                            expected=('available',))
    if not driver.revert_volume(ADMIN, volume.id, snapshot_id=kept.id, holder=holder):
        source = driver.open_source(ADMIN, volume.id, snapshot_id=kept.id, holder=holder)
        target = driver.open_target(ADMIN, volume.id, holder=holder)
        assert any(extent.offset <= 4096 < extent.offset + extent.length
                   for extent in target.extents())
        assert (read(source, 4096, 6), read(target, 4096, 6)) == (b'before', b'after!')
        target.write(4096, memoryview(b'before'))
        target.flush()
        assert read(target, 4096, 6) == b'before'
        target.close()
        source.close()
    driver.release_snapshot(ADMIN, kept.id, holder=holder)
    driver.release_volume(ADMIN, volume.id, holder=holder)
    assert driver.show_volume(caller(), volume.id).status == 'in-use'
    assert driver.show_snapshot(caller(), kept.id).status == 'available'
    hold(driver, volume, holder)
    reader = driver.open_source(ADMIN, volume.id, snapshot_id=None, holder=holder)
    assert read(reader, 4096, 6) == b'before'
    reader.close()
    assert not deployment.temporaries()
