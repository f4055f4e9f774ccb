# SPDX-License-Identifier: Apache-2.0
"""What a driver does beside that, when it runs the instances itself."""

import os
import threading
import uuid

import pytest

from backupsvc import context, exception
from backupsvc.drivers.base import Listing
from tests.conformance.instance.conftest import OTHER_PROJECT, caller
from tests.conformance.instance.test_instance_driver import task

VERBS = ('start', 'stop', 'pause', 'suspend', 'resume', 'attach', 'detach', 'delete')

#: status → what may be done in it, and the status that follows; the rest is refused
ALLOWED = {
    'ACTIVE': {'start': 'ACTIVE', 'stop': 'SHUTOFF', 'pause': 'PAUSED', 'suspend': 'SUSPENDED'},
    'SHUTOFF': {'start': 'ACTIVE', 'stop': 'SHUTOFF', 'attach': 'SHUTOFF', 'detach': 'SHUTOFF'},
    'PAUSED': {'stop': 'SHUTOFF', 'suspend': 'SUSPENDED', 'resume': 'ACTIVE'},
    'SUSPENDED': {'stop': 'SHUTOFF', 'resume': 'ACTIVE'},
}


def act(local, verb, instance, ctx=None):
    """Do something to an instance; return what the driver does."""
    driver, ctx, paths = local.driver, ctx or caller(), local.paths.__getitem__
    return {
        'start': lambda: driver.start_instance(ctx, instance.id, paths),
        'stop': lambda: driver.stop_instance(ctx, instance.id),
        'pause': lambda: driver.pause_instance(ctx, instance.id),
        'suspend': lambda: driver.suspend_instance(ctx, instance.id),
        'resume': lambda: driver.resume_instance(ctx, instance.id, paths),
        'attach': lambda: driver.attach_volume(ctx, instance.id, task(), device='/dev/vdx'),
        'detach': lambda: driver.detach_volume(
            ctx, instance.id, instance.volumes[-1].volume_id),
        'delete': lambda: driver.delete_instance(ctx, instance.id),
    }[verb]()


def checked(local, instance):
    return local.driver.check_volumes(
        {volume.volume_id: local.paths[volume.volume_id] for volume in instance.volumes})


def quiet(local, instance):
    """Return what an instance has written, while it does not write; it is consistent."""
    holder = task()
    local.driver.quiesce(caller(), instance.id, holder=holder)
    try:
        check = checked(local, instance)
    finally:
        local.driver.unquiesce(caller(), instance.id, holder=holder)
    assert check.is_consistent, check
    return check


@pytest.mark.parametrize('status', ALLOWED)
def test_what_may_be_done_in_which_status(local, status):
    for verb in VERBS:
        instance = local.boot()
        local.bring(instance.id, status)
        expected = ALLOWED[status].get(verb)
        if expected is not None:
            assert act(local, verb, instance).status == expected, verb
            after = local.driver.show_instance(caller(), instance.id)
            assert after.status == expected, verb
        else:
            with pytest.raises(exception.InvalidInstance):
                act(local, verb, instance)
            after = local.driver.show_instance(caller(), instance.id)
            assert (after.status, after.volumes) == (status, instance.volumes), verb
        assert quiet(local, instance).is_consistent


@pytest.mark.parametrize('status', ALLOWED)
def test_a_quiesced_instance_is_left_alone(local, status):
    instance = local.boot()
    local.bring(instance.id, status)
    holder = task()
    local.driver.quiesce(caller(), instance.id, holder=holder)
    for verb in VERBS:
        with pytest.raises(exception.InvalidInstance) as refused:
            act(local, verb, instance)
        assert holder in refused.value.message
    shown = local.driver.show_instance(caller(), instance.id)
    assert (shown.status, shown.volumes) == (status, instance.volumes)
    local.driver.unquiesce(caller(), instance.id, holder=holder)
    local.driver.stop_instance(caller(), instance.id)


def test_the_plug_can_be_pulled_of_a_quiesced_one(local):
    instance = local.boot()
    local.driver.quiesce(caller(), instance.id, holder=task())
    before = checked(local, instance)
    local.driver.stop_instance(caller(), instance.id, force=True)
    assert local.driver.show_instance(caller(), instance.id).status == 'SHUTOFF'
    assert checked(local, instance) == before
    with pytest.raises(exception.InvalidInstance):
        act(local, 'start', instance)


@pytest.mark.parametrize('verb', VERBS)
def test_verbs_keep_tenants_apart(local, verb):
    instance = local.boot()
    with pytest.raises(exception.InstanceNotFound):
        act(local, verb, instance, caller(OTHER_PROJECT))
    assert local.driver.show_instance(caller(), instance.id).status == 'ACTIVE'


def test_volumes_come_and_go(local):
    driver = local.driver
    instance = driver.create_instance(caller(), name='web')
    assert (instance.status, instance.volumes) == ('SHUTOFF', ())
    data, boot = task(), task()
    driver.attach_volume(caller(), instance.id, data, device='/dev/vdb')
    driver.attach_volume(caller(), instance.id, boot, device='/dev/vda', is_boot=True)
    for volume_id, device, is_boot in ((data, '/dev/vdc', False), (task(), '/dev/vdb', False),
                                       (task(), '/dev/vdc', True)):
        with pytest.raises(exception.InvalidInstance):
            driver.attach_volume(
                caller(), instance.id, volume_id, device=device, is_boot=is_boot)
    shown = driver.show_instance(caller(), instance.id)
    assert [(volume.volume_id, volume.device, volume.is_boot) for volume in shown.volumes] == [
        (boot, '/dev/vda', True), (data, '/dev/vdb', False)]
    with pytest.raises(exception.InvalidInstance):
        driver.delete_instance(caller(), instance.id)
    for volume_id in (boot, data, data):
        driver.detach_volume(caller(), instance.id, volume_id)
    driver.delete_instance(caller(), instance.id)
    with pytest.raises(exception.InstanceNotFound):
        driver.show_instance(caller(), instance.id)
    assert driver.list_instances(caller(), Listing()) == []


def test_concurrent_attachments_are_all_there(local):
    instance = local.driver.create_instance(caller(), name='web')
    wanted = {f'/dev/vd{letter}' for letter in 'abcdefgh'}
    threads = [
        threading.Thread(target=local.reopen().attach_volume,
                         args=(caller(), instance.id, task()), kwargs={'device': device})
        for device in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    shown = local.driver.show_instance(caller(), instance.id)
    assert {volume.device for volume in shown.volumes} == wanted


def test_nothing_starts_without_volumes(local):
    instance = local.driver.create_instance(caller(), name='web')
    with pytest.raises(exception.InvalidInstance):
        act(local, 'start', instance)


def test_what_the_caller_says_of_a_volume_ends_a_start(local):
    instance = local.boot()
    local.driver.stop_instance(caller(), instance.id)
    before = checked(local, instance)

    def refuse(volume_id):
        raise exception.InvalidVolume(reason=f'{volume_id} is reverting')

    with pytest.raises(exception.InvalidVolume):
        local.driver.start_instance(caller(), instance.id, refuse)
    assert local.driver.show_instance(caller(), instance.id).status == 'SHUTOFF'
    assert checked(local, instance) == before


@pytest.mark.parametrize('status', ('SHUTOFF', 'PAUSED', 'SUSPENDED'))
def test_an_instance_goes_on_where_it_was(local, status):
    instance = local.boot(volumes=3)
    local.others_write(instance)
    local.bring(instance.id, status)
    before = checked(local, instance)
    local.bring(instance.id, 'ACTIVE')
    local.others_write(instance)
    after = quiet(local, instance)
    assert [volume.last for volume in after.volumes] > [volume.last for volume in before.volumes]


def test_an_instance_that_was_killed_goes_on_where_it_was(local):
    instance = local.boot(volumes=3)
    for _ in range(5):
        local.others_write(instance, rounds=3)
        local.driver.stop_instance(caller(), instance.id, force=True)
        assert checked(local, instance).is_consistent
        assert local.driver.show_instance(caller(), instance.id).status == 'SHUTOFF'
        act(local, 'start', instance)
    quiet(local, instance)


def copy_of(local, volume_id):
    """Return what a volume holds now."""
    with open(local.paths[volume_id], 'rb') as file:
        return file.read(1024 ** 2)


def put_back(local, volume_id, content):
    fd = os.open(local.paths[volume_id], os.O_WRONLY)
    try:
        os.pwrite(fd, content, 0)
    finally:
        os.close(fd)


def test_volumes_of_different_times_are_told_and_refused(local):
    """The first volume is put back alone, then the others too."""
    instance = local.boot(volumes=3)
    local.others_write(instance)
    local.driver.stop_instance(caller(), instance.id)
    volume_ids = [volume.volume_id for volume in instance.volumes]
    old = {volume_id: copy_of(local, volume_id) for volume_id in volume_ids}
    before = checked(local, instance)
    act(local, 'start', instance)
    local.others_write(instance)
    local.driver.stop_instance(caller(), instance.id)

    put_back(local, volume_ids[0], old[volume_ids[0]])
    check = checked(local, instance)
    assert not check.is_consistent and check.problems
    with pytest.raises(exception.InvalidInstance) as refused:
        act(local, 'start', instance)
    assert volume_ids[0] in refused.value.message
    assert local.driver.show_instance(caller(), instance.id).status == 'SHUTOFF'

    for volume_id in volume_ids[1:]:
        put_back(local, volume_id, old[volume_id])
    assert checked(local, instance) == before
    assert act(local, 'start', instance).status == 'ACTIVE'
    quiet(local, instance)


def test_a_new_log_begins_over_volumes_of_different_times(local):
    instance = local.boot(volumes=2)
    old = copy_of(local, instance.volumes[0].volume_id)
    local.others_write(instance)
    local.driver.stop_instance(caller(), instance.id)
    put_back(local, instance.volumes[0].volume_id, old)
    started = local.driver.start_instance(
        caller(), instance.id, local.paths.__getitem__, new_log=True)
    assert started.status == 'ACTIVE'
    local.others_write(instance)
    quiet(local, instance)


def test_volumes_with_other_data_are_not_written_to(local):
    instance = local.boot(volumes=2)
    local.driver.stop_instance(caller(), instance.id)
    volume_id = instance.volumes[1].volume_id
    put_back(local, volume_id, b'somebody\'s file system'.ljust(4096, b'.'))
    before = copy_of(local, volume_id)
    with pytest.raises(exception.InvalidInstance):
        act(local, 'start', instance)
    assert copy_of(local, volume_id) == before


def test_a_suspended_instance_notices_that_its_volumes_changed(local):
    instance = local.boot(volumes=2)
    local.driver.suspend_instance(caller(), instance.id)
    old = {volume.volume_id: copy_of(local, volume.volume_id) for volume in instance.volumes}
    act(local, 'resume', instance)
    local.others_write(instance)
    local.driver.suspend_instance(caller(), instance.id)
    for volume_id, content in old.items():
        put_back(local, volume_id, content)
    with pytest.raises(exception.InvalidInstance):
        act(local, 'resume', instance)
    assert local.driver.show_instance(caller(), instance.id).status == 'SUSPENDED'
    local.driver.stop_instance(caller(), instance.id)
    assert act(local, 'start', instance).status == 'ACTIVE'


def test_copies_may_be_attached_in_another_order(local):
    """As when the members of a backup were restored to volumes of a new instance."""
    instance = local.boot(volumes=3)
    local.others_write(instance)
    local.driver.stop_instance(caller(), instance.id)
    before = checked(local, instance)
    admin = context.get_admin_context()
    new = local.driver.create_instance(caller(), name='restored')
    for device, volume in zip(('/dev/vda', '/dev/vdb', '/dev/vdc'), reversed(instance.volumes),
                              strict=True):
        local.driver.detach_volume(admin, instance.id, volume.volume_id)
        new = local.driver.attach_volume(admin, new.id, volume.volume_id, device=device)
    assert act(local, 'start', new).status == 'ACTIVE'
    local.others_write(new)
    after = quiet(local, new)
    lasts = {volume.volume_id: volume.last for volume in after.volumes}
    assert all(lasts[volume.volume_id] > volume.last for volume in before.volumes)


def test_the_ring_overwrites_its_oldest_records(local):
    local.driver.conf.set_override('log_size_kb', 4, group='instance_local')
    instance = local.boot(volumes=2)
    local.others_write(instance, rounds=30)
    check = quiet(local, instance)
    assert check.volumes[0].last > 4 * 1024 / 512


def test_a_record_after_the_point_in_time_is_told(local):
    instance = local.boot(volumes=2)
    local.others_write(instance)
    local.driver.stop_instance(caller(), instance.id)
    paths = {volume.volume_id: local.paths[volume.volume_id] for volume in instance.volumes}
    last_at = max(volume.last_at for volume in checked(local, instance).volumes)
    assert local.driver.check_volumes(paths, not_after=last_at).is_consistent
    earlier = min(volume.last_at for volume in checked(local, instance).volumes)
    late = local.driver.check_volumes(paths, not_after=earlier)
    assert not late.is_consistent
    assert [bool(volume.problems) for volume in late.volumes] == [False, True]


def test_a_file_that_is_gone_cannot_be_checked(local, tmp_path):
    with pytest.raises(exception.DriverFailed):
        local.driver.check_volumes({str(uuid.uuid4()): str(tmp_path / 'none')})
