# SPDX-License-Identifier: Apache-2.0
"""What a driver does beside that, when it is the cloud's volume service itself."""

import os
import threading
import time
import uuid

import pytest

from backupsvc import context, exception
from backupsvc.drivers.base import Listing, NewVolume
from tests.conformance.volume.conftest import OTHER_PROJECT, PROJECT, caller
from tests.conformance.volume.test_volume_driver import hold, make, read, task

GIB = 1024 ** 3


def snapshot(driver, volume, ctx=None, **fields):
    """Make a snapshot and wait for it."""
    ctx = ctx or caller()
    made = driver.create_snapshot(ctx, volume.id, **{
        'name': None, 'description': None, 'metadata': {}, 'force': False, **fields})
    give_up_at = time.monotonic() + 60
    while (shown := driver.show_snapshot(ctx, made.id)).status == 'creating':
        assert time.monotonic() < give_up_at
    return shown


def ids(driver, **listing):
    return [volume.id for volume in driver.list_volumes(caller(), Listing(**listing))]


def test_pages_by_marker_hold_every_volume_once(local):
    made = {make(local, name=name).id for name in 'bca'} | {
        make(local, name=None).id, make(local, name='a').id}
    for sort in ([('name', 'asc')], [('name', 'desc')], [('created_at', 'asc')],
                 [('size_gb', 'asc'), ('name', 'desc')]):
        found, marker = [], None
        while page := ids(local, sort=sort, limit=2, marker=marker):
            found += page
            marker = page[-1]
        assert found == ids(local, sort=sort)
        assert sorted(found) == sorted(made)


def test_sorted_as_asked(local):
    first, second = make(local, name='b', size_gb=2), make(local, name='a', size_gb=1)
    assert ids(local) == [second.id, first.id]
    assert ids(local, sort=[('name', 'desc')]) == [first.id, second.id]
    assert ids(local, sort=[('size_gb', 'asc')]) == [second.id, first.id]
    assert ids(local, sort=[('name', 'desc')], offset=1) == [second.id]


def test_the_marker_must_be_visible(local):
    make(local)
    foreign = make(local, caller(OTHER_PROJECT))
    with pytest.raises(exception.VolumeNotFound):
        ids(local, marker=foreign.id)


def test_filters(local):
    one = make(local, name='data-one', metadata={'a': '1', 'b': '2'}, bootable=True)
    two = make(local, name='data_two', metadata={'a': '1'}, size_gb=2)
    make(local, caller(OTHER_PROJECT), name='data-one', metadata={'a': '1', 'b': '2'})
    hold(local, two, task())
    cases = [
        ({'name': 'data-one'}, [one]),
        ({'name': 'Data-one'}, []),
        ({'name~': 'data'}, [one, two]),
        ({'name~': 'a_t'}, [two]),
        ({'name~': '%'}, []),
        ({'status': ['available', 'error']}, [one]),
        ({'status': 'backing-up'}, [two]),
        ({'size_gb': '2'}, [two]),
        ({'bootable': True}, [one]),
        ({'metadata': {'a': '1'}}, [one, two]),
        ({'metadata': {'a': '1', 'b': '2'}}, [one]),
        ({'metadata': {'a': '2'}}, []),
        ({'metadata': {}}, [one, two]),
        ({'shoe size': '1'}, []),
        ({'name': "x' OR '1'='1"}, []),
    ]
    for filters, expected in cases:
        found = ids(local, filters=filters)
        assert sorted(found) == sorted(volume.id for volume in expected), filters
        assert local.count_volumes(caller(), filters) == len(expected), filters


def test_lists_show_the_own_project_only(local):
    own = make(local)
    make(local, caller(OTHER_PROJECT))
    assert ids(local) == [own.id]
    assert ids(local, filters={'project_id': OTHER_PROJECT}) == [own.id]
    everything = local.list_volumes(context.get_admin_context(), Listing())
    assert len(everything) == 2


def test_update(local):
    volume = make(local, name='a', metadata={'k': 'v'})
    updated = local.update_volume(caller(), volume.id, name='b', bootable=True)
    assert (updated.name, updated.bootable, updated.metadata) == ('b', True, {'k': 'v'})
    assert updated.updated_at >= volume.created_at
    with pytest.raises(exception.VolumeNotFound):
        local.update_volume(caller(OTHER_PROJECT), volume.id, name='c')


def test_metadata(local):
    volume = make(local, metadata={'a': '1'})
    assert local.set_volume_metadata(caller(), volume.id, {'b': '2'}) == {'a': '1', 'b': '2'}
    assert local.set_volume_metadata(
        caller(), volume.id, {'c': '3'}, replace=True) == {'c': '3'}
    local.set_volume_metadata(caller(), volume.id, {'os': 'x'}, image=True)
    shown = local.show_volume(caller(), volume.id)
    assert (shown.metadata, shown.image_metadata) == ({'c': '3'}, {'os': 'x'})
    local.delete_volume_metadata(caller(), volume.id, 'c')
    with pytest.raises(exception.VolumeMetadataNotFound):
        local.delete_volume_metadata(caller(), volume.id, 'c')
    assert local.show_volume(caller(), volume.id).metadata == {}


def test_metadata_set_by_many_at_once_is_all_there(local):
    volume = make(local)
    threads = [
        threading.Thread(target=local.set_volume_metadata,
                         args=(caller(), volume.id, {f'key{number}': 'v'}))
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(local.show_volume(caller(), volume.id).metadata) == 8


def test_extend_adds_zeros(deployment, local):
    volume = make(local)
    deployment.write(volume.id, GIB - 5, b'hello')
    local.extend_volume(caller(), volume.id, 2)
    holder = task()
    hold(local, volume, holder)
    source = local.open_source(caller(), volume.id, snapshot_id=None, holder=holder)
    assert source.size_bytes == 2 * GIB
    assert read(source, GIB - 5, 10) == b'hello' + bytes(5)
    source.close()


def test_extend_refuses(local):
    volume = make(local, size_gb=2)
    for size_gb in (1, 2):
        with pytest.raises(exception.InvalidInput):
            local.extend_volume(caller(), volume.id, size_gb)
    with pytest.raises(exception.VolumeSizeExceedsAvailableQuota):
        local.extend_volume(caller(), volume.id, 4, limits={'gigabytes': 3})
    hold(local, volume, task())
    with pytest.raises(exception.InvalidVolume):
        local.extend_volume(caller(), volume.id, 3)
    assert local.show_volume(caller(), volume.id).size_gb == 2


def test_attach_and_detach(local):
    volume = make(local)
    local.attach_volume(caller(), volume.id, instance_id=str(uuid.uuid4()), host=None,
                        mountpoint='/dev/vdb', mode='rw')
    shown = local.show_volume(caller(), volume.id)
    assert shown.status == 'in-use'
    assert shown.attachments[0]['device'] == '/dev/vdb'
    with pytest.raises(exception.InvalidVolume):
        local.attach_volume(caller(), volume.id, instance_id=str(uuid.uuid4()), host=None,
                            mountpoint='/dev/vdc', mode='rw')
    with pytest.raises(exception.InvalidVolume):
        local.detach_volume(caller(), volume.id, attachment_id=str(uuid.uuid4()))
    local.detach_volume(
        caller(), volume.id, attachment_id=shown.attachments[0]['attachment_id'])
    shown = local.show_volume(caller(), volume.id)
    assert (shown.status, shown.attachments) == ('available', ())


def test_transition_is_compare_and_swap(local):
    volume = make(local)
    local.transition_volume(caller(), volume.id, expected=('available',), status='attaching')
    with pytest.raises(exception.InvalidVolume):
        local.transition_volume(
            caller(), volume.id, expected=('available',), status='attaching')
    assert local.show_volume(caller(), volume.id).status == 'attaching'


def test_reset_takes_the_volume_from_its_holder(local):
    volume = make(local)
    holder = task()
    hold(local, volume, holder)
    local.reset_volume(caller(), volume.id, status='error', attachments=None)
    local.release_volume(caller(), volume.id, holder=holder, status='available')
    assert local.show_volume(caller(), volume.id).status == 'error'
    with pytest.raises(exception.InvalidVolume):
        local.open_source(caller(), volume.id, snapshot_id=None, holder=holder)


def test_users_delete_only_what_is_free(local):
    held, attached, parent, free = (make(local) for _ in range(4))
    hold(local, held, task())
    local.attach_volume(caller(), attached.id, instance_id=str(uuid.uuid4()), host=None,
                        mountpoint='/dev/vdb', mode='rw')
    child = snapshot(local, parent)
    for volume in (held, attached, parent):
        with pytest.raises(exception.InvalidVolume):
            local.remove_volume(caller(), volume.id)
        assert local.show_volume(caller(), volume.id)
    local.remove_volume(caller(), free.id)
    with pytest.raises(exception.VolumeNotFound):
        local.remove_volume(caller(), free.id)
    local.remove_volume(caller(), parent.id, cascade=True)
    with pytest.raises(exception.SnapshotNotFound):
        local.show_snapshot(caller(), child.id)
    local.remove_volume(caller(), held.id, force=True)
    with pytest.raises(exception.VolumeNotFound):
        local.show_volume(caller(), held.id)


def test_an_attached_volume_is_not_deleted_whatever_its_status(deployment, local):
    volume = make(local)
    deployment.attach(volume.id)
    local.reset_volume(caller(), volume.id, status='available', attachments=None)
    with pytest.raises(exception.InvalidVolume):
        local.remove_volume(caller(), volume.id)
    local.reset_volume(caller(), volume.id, status='available', attachments=False)
    local.remove_volume(caller(), volume.id)


def test_a_held_snapshot_stands_in_the_way_of_cascade(local):
    volume = make(local)
    child = snapshot(local, volume)
    local.acquire_snapshot(caller(), child.id, holder=task(), status='backing-up',
                           expected=('available',))
    with pytest.raises(exception.InvalidVolume):
        local.remove_volume(caller(), volume.id, cascade=True)
    with pytest.raises(exception.InvalidSnapshot):
        local.delete_snapshot(caller(), child.id)
    assert local.show_snapshot(caller(), child.id).status == 'backing-up'


def test_nothing_is_left_of_deleted_volumes(deployment, local):
    volume = make(local)
    deployment.write(volume.id, 0, b'x')
    child = snapshot(local, volume)
    path = local.raw_path(caller(), volume.id)
    local.delete_snapshot(caller(), child.id)
    local.remove_volume(caller(), volume.id)
    with pytest.raises(FileNotFoundError):
        os.stat(path)
    assert not deployment.temporaries()


# -- snapshots


def test_a_snapshot_keeps_its_moment(deployment, local):
    volume = make(local)
    deployment.write(volume.id, 0, b'before')
    child = snapshot(local, volume, name='s', metadata={'k': 'v'})
    assert (child.name, child.metadata, child.size_gb, child.status) == (
        's', {'k': 'v'}, 1, 'available')
    deployment.write(volume.id, 0, b'after!')
    holder = task()
    local.acquire_snapshot(caller(), child.id, holder=holder, status='backing-up',
                           expected=('available',))
    assert local.show_volume(caller(), volume.id).status == 'available'
    source = local.open_source(caller(), volume.id, snapshot_id=child.id, holder=holder)
    assert read(source, 0, 6) == b'before'
    source.close()
    local.release_snapshot(caller(), child.id, holder=holder)
    assert local.show_snapshot(caller(), child.id).status == 'available'


def test_a_snapshot_is_held_by_one(local):
    child = snapshot(local, make(local))
    holder = task()
    local.acquire_snapshot(caller(), child.id, holder=holder, status='backing-up',
                           expected=('available',))
    with pytest.raises(exception.InvalidSnapshot):
        local.acquire_snapshot(caller(), child.id, holder=task(), status='backing-up',
                               expected=('available', 'backing-up'))
    found = [found for found in local.list_holds(caller()) if found.resource_id == child.id]
    assert [(one.holder, one.is_snapshot) for one in found] == [(holder, True)]
    with pytest.raises(exception.InvalidSnapshot):
        local.open_source(caller(), child.volume_id, snapshot_id=child.id, holder=task())


def test_snapshots_of_volumes_in_use_need_force(deployment, local):
    volume = make(local)
    deployment.attach(volume.id)
    with pytest.raises(exception.InvalidVolume):
        snapshot(local, volume)
    assert snapshot(local, volume, force=True).status == 'available'


def test_snapshots_are_listed_and_temporary_ones_are_not(deployment, local):
    volume = make(local)
    first, second = snapshot(local, volume, name='a'), snapshot(local, volume, name='b')
    deployment.attach(volume.id)
    holder = task()
    hold(local, volume, holder)
    source = local.open_source(caller(), volume.id, snapshot_id=None, holder=holder)
    found = [one.id for one in local.list_snapshots(caller(), Listing(sort=[('name', 'asc')]))]
    assert found == [first.id, second.id]
    assert local.count_snapshots(caller(), {'volume_id': volume.id}) == 2
    assert local.count_snapshots(caller(), {'volume_id': str(uuid.uuid4())}) == 0
    assert local.usage(PROJECT)['snapshots'] == 2
    source.close()


def test_volumes_are_made_of_snapshots_and_volumes(deployment, local):
    volume = make(local)
    deployment.write(volume.id, 4096, b'content')
    child = snapshot(local, volume)
    for fields in ({'snapshot_id': child.id}, {'source_volid': volume.id}):
        clone = make(local, size_gb=2, **fields)
        holder = task()
        hold(local, clone, holder)
        source = local.open_source(caller(), clone.id, snapshot_id=None, holder=holder)
        assert source.size_bytes == 2 * GIB
        assert read(source, 4096, 7) == b'content'
        assert read(source, GIB, 4096) == bytes(4096)
        source.close()
    with pytest.raises(exception.SnapshotNotFound):
        make(local, caller(OTHER_PROJECT), snapshot_id=child.id)
    with pytest.raises(exception.VolumeNotFound):
        make(local, caller(OTHER_PROJECT), source_volid=volume.id)


def test_a_clone_is_not_smaller_than_its_origin(local):
    volume = make(local, size_gb=2)
    child = snapshot(local, volume)
    for fields in ({'snapshot_id': child.id}, {'source_volid': volume.id}):
        with pytest.raises(exception.InvalidInput):
            make(local, size_gb=1, **fields)


# -- quotas


def test_quotas_are_kept_when_many_ask_at_once(local):
    start = threading.Barrier(6)
    refused = []

    def create():
        start.wait()
        try:
            local.create_volume(caller(), NewVolume(size_gb=1, limits={'volumes': 2}))
        except exception.VolumeLimitExceeded as error:
            refused.append(error)

    threads = [threading.Thread(target=create) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(refused), len(ids(local))) == (4, 2)
    assert refused[0].details['limit'] == 2


def test_quota_errors_name_what_ran_out(local):
    volume = make(local, size_gb=2)
    with pytest.raises(exception.VolumeSizeExceedsAvailableQuota) as refused:
        make(local, size_gb=2, limits={'gigabytes': 3})
    assert (refused.value.details['in_use'], refused.value.details['limit']) == (2, 3)
    with pytest.raises(exception.SnapshotLimitExceeded):
        snapshot(local, volume, limits={'snapshots': 0})
    with pytest.raises(exception.VolumeSizeExceedsAvailableQuota):
        snapshot(local, volume, limits={'gigabytes': 3})
    with pytest.raises(exception.VolumeSizeExceedsAvailableQuota):
        make(local, size_gb=2, limits={'per_volume_gigabytes': 1})
    make(local, size_gb=2, limits={'gigabytes': -1, 'volumes': -1})
    used = local.usage(PROJECT)
    name = local.list_types()[0].name
    assert (used['volumes'], used['snapshots'], used['gigabytes']) == (2, 0, 4)
    assert (used[f'volumes_{name}'], used[f'gigabytes_{name}']) == (2, 4)


def test_quotas_of_one_type(local):
    default = local.list_types()[0]
    gold = local.create_type('gold', description=None, is_public=True, extra_specs={})
    limits = {'volumes_gold': 1, f'gigabytes_{default.name}': 1, 'snapshots_gold': 0}
    golden = make(local, volume_type=gold.id, limits=limits)
    with pytest.raises(exception.VolumeLimitExceeded):
        make(local, volume_type='gold', limits=limits)
    make(local, limits=limits)
    with pytest.raises(exception.VolumeSizeExceedsAvailableQuota):
        make(local, limits=limits)
    with pytest.raises(exception.SnapshotLimitExceeded):
        snapshot(local, golden, limits=limits)


def test_a_refused_volume_leaves_nothing(deployment, local):
    with pytest.raises(exception.VolumeLimitExceeded):
        make(local, limits={'volumes': 0})
    assert not ids(local)
    assert not deployment.temporaries()


def test_types_and_zones(local):
    types = local.list_types()
    assert [one.is_default for one in types].count(True) == 1
    volume = make(local, volume_type=types[0].id)
    assert volume.volume_type == types[0].name
    assert volume.availability_zone in local.list_zones()
    with pytest.raises(exception.VolumeTypeNotFound):
        make(local, volume_type='gold')
    with pytest.raises(exception.InvalidInput):
        make(local, availability_zone='moon')


def test_types_are_added_changed_and_removed(local):
    gold = local.create_type('gold', description='d', is_public=False, extra_specs={'a': 'b'})
    assert (gold.name, gold.description, gold.is_public, gold.is_default) == (
        'gold', 'd', False, False)
    assert gold in local.list_types()
    with pytest.raises(exception.VolumeTypeExists):
        local.create_type('gold', description=None, is_public=True, extra_specs={})
    changed = local.update_type(gold.id, description='e', is_public=True)
    assert (changed.description, changed.is_public, changed.extra_specs) == (
        'e', True, {'a': 'b'})
    volume = make(local, volume_type='gold')
    with pytest.raises(exception.VolumeTypeInUse):
        local.delete_type(gold.id)
    local.remove_volume(caller(), volume.id)
    local.delete_type(gold.id)
    for change in (local.delete_type, local.update_type):
        with pytest.raises(exception.VolumeTypeNotFound):
            change(gold.id)


# -- transfers


def test_a_volume_goes_to_another_project_with_its_snapshots(local):
    volume = make(local, size_gb=2)
    child = snapshot(local, volume)
    offer = local.create_transfer(caller(), volume.id, name='o', no_snapshots=False)
    assert local.show_volume(caller(), volume.id).status == 'awaiting-transfer'
    assert [one.id for one in local.list_transfers(caller(), Listing())] == [offer.id]
    assert local.show_transfer(caller(), offer.id).auth_key is None
    other = caller(OTHER_PROJECT)
    assert local.list_transfers(other, Listing()) == []
    with pytest.raises(exception.TransferNotFound):
        local.show_transfer(other, offer.id)
    with pytest.raises(exception.InvalidInput):
        local.accept_transfer(other, offer.id, 'wrong')
    with pytest.raises(exception.VolumeSizeExceedsAvailableQuota):
        local.accept_transfer(other, offer.id, offer.auth_key, limits={'gigabytes': 3})
    local.accept_transfer(other, offer.id, offer.auth_key, limits={'gigabytes': 4})
    assert local.show_volume(other, volume.id).status == 'available'
    assert local.show_snapshot(other, child.id).project_id == OTHER_PROJECT
    assert (local.usage(PROJECT)['volumes'], local.usage(OTHER_PROJECT)['gigabytes']) == (0, 4)
    with pytest.raises(exception.VolumeNotFound):
        local.show_volume(caller(), volume.id)
    with pytest.raises(exception.TransferNotFound):
        local.accept_transfer(other, offer.id, offer.auth_key)


def test_an_offer_is_withdrawn(local):
    volume = make(local)
    offer = local.create_transfer(caller(), volume.id, name=None, no_snapshots=True)
    for forbidden in (lambda: hold(local, volume, task()),
                      lambda: local.remove_volume(caller(), volume.id),
                      lambda: local.create_transfer(
                          caller(), volume.id, name=None, no_snapshots=True)):
        with pytest.raises(exception.InvalidVolume):
            forbidden()
    with pytest.raises(exception.TransferNotFound):
        local.delete_transfer(caller(OTHER_PROJECT), offer.id)
    local.delete_transfer(caller(), offer.id)
    assert local.show_volume(caller(), volume.id).status == 'available'
    with pytest.raises(exception.TransferNotFound):
        local.accept_transfer(caller(OTHER_PROJECT), offer.id, offer.auth_key)


# -- snapshots that are taken for a task


def test_taken_snapshots_count_and_show_once_they_are_kept(local):
    admin = context.get_admin_context()
    volume, holder = make(local), task()
    hold(local, volume, holder)
    taken = local.take_snapshot(admin, volume.id, holder=holder)
    local.wait_snapshot(admin, taken.id, 60)
    assert local.usage(PROJECT)['snapshots'] == 0
    assert local.count_snapshots(caller(), {}) == 0
    wanted = {'holder': holder, 'name': None, 'description': None, 'metadata': {}}
    with pytest.raises(exception.SnapshotLimitExceeded):
        local.keep_snapshot(admin, taken.id, **wanted, limits={'snapshots': 0})
    assert local.usage(PROJECT)['snapshots'] == 0
    local.keep_snapshot(admin, taken.id, **wanted, limits={'snapshots': 1})
    assert local.usage(PROJECT)['snapshots'] == 1
    assert [one.id for one in local.list_snapshots(caller(), Listing())] == [taken.id]
