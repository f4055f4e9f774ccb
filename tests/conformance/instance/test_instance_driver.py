# SPDX-License-Identifier: Apache-2.0
"""What every instance driver does."""

import uuid

import pytest

from backupsvc import context, exception
from backupsvc.drivers.base import Listing
from tests.conformance.instance.conftest import OTHER_PROJECT, PROJECT, caller

STATUSES = ('ACTIVE', 'SHUTOFF', 'PAUSED', 'SUSPENDED')

#: What is no id of an instance, whatever the driver keeps them in.
NO_IDS = ('', '.', '..', '../..', '/', 'web', 'a/b', '%2e%2e', 'ü', 'x' * 10_000, 'a\0b',
          '6f519a48-3183-46cf-a32f-000000000001')


def task():
    return str(uuid.uuid4())


def test_an_instance_is_shown_with_its_volumes_in_order_of_device(deployment, driver):
    booted = deployment.boot(name='web', volumes=3)
    shown = driver.show_instance(caller(), booted.id)
    assert (shown.project_id, shown.name, shown.status) == (PROJECT, 'web', 'ACTIVE')
    assert shown.task_state is None and shown.fault is None
    assert shown.created_at.tzinfo is not None
    devices = [volume.device for volume in shown.volumes]
    assert len(set(devices)) == 3 and devices == sorted(devices)
    assert [volume.is_boot for volume in shown.volumes] == [True, False, False]
    assert len({volume.volume_id for volume in shown.volumes}) == 3


@pytest.mark.parametrize('status', STATUSES)
def test_a_status_is_what_the_instance_is_in(deployment, driver, status):
    instance = deployment.boot()
    deployment.bring(instance.id, status)
    assert driver.show_instance(caller(), instance.id).status == status
    assert deployment.reopen().show_instance(caller(), instance.id).status == status


def test_tenants_are_apart(deployment, driver):
    ours, theirs = deployment.boot(PROJECT), deployment.boot(OTHER_PROJECT)
    with pytest.raises(exception.InstanceNotFound):
        driver.show_instance(caller(OTHER_PROJECT), ours.id)
    with pytest.raises(exception.InstanceNotFound):
        driver.quiesce(caller(OTHER_PROJECT), ours.id, holder=task())
    assert [found.id for found in driver.list_instances(caller(), Listing())] == [ours.id]
    asked_for = Listing({'project_id': OTHER_PROJECT})
    assert theirs.id not in {found.id for found in driver.list_instances(caller(), asked_for)}
    admin = context.get_admin_context()
    assert driver.show_instance(admin, theirs.id).project_id == OTHER_PROJECT
    assert {found.id for found in driver.list_instances(admin, Listing())} == {ours.id, theirs.id}
    assert [found.id for found in driver.list_instances(admin, asked_for)] == [theirs.id]


@pytest.mark.parametrize('instance_id', NO_IDS, ids=[repr(each)[:12] for each in NO_IDS])
def test_what_is_no_id_is_not_found(driver, instance_id):
    with pytest.raises(exception.InstanceNotFound):
        driver.show_instance(caller(), instance_id)
    with pytest.raises(exception.InstanceNotFound):
        driver.quiesce(caller(), instance_id, holder=task())
    with pytest.raises(exception.InstanceNotFound):
        driver.list_instances(caller(), Listing(marker=instance_id))
    driver.unquiesce(caller(), instance_id, holder=task())


def test_pages_by_marker_hold_every_instance_once(deployment, driver):
    made = {deployment.boot(name=name, volumes=1).id for name in ('b', 'a', None, 'a', 'c')}
    for sort in ([('name', 'asc')], [('name', 'desc')], [('created_at', 'desc')],
                 [('status', 'asc'), ('name', 'desc')]):
        found, marker = [], None
        while page := driver.list_instances(
                caller(), Listing(sort=sort, limit=2, marker=marker)):
            found += page
            marker = page[-1].id
        assert {instance.id for instance in found} == made and len(found) == len(made)
        whole = driver.list_instances(caller(), Listing(sort=sort))
        assert [instance.id for instance in whole] == [instance.id for instance in found]
        if sort[0][0] == 'name':
            names = [instance.name or '' for instance in found]
            assert names == sorted(names, reverse=sort[0][1] == 'desc')
    assert len(driver.list_instances(caller(), Listing(offset=2))) == 3


def test_filters_leave_what_they_name(deployment, driver):
    web, standby = deployment.boot(name='web', volumes=1), deployment.boot(name='db', volumes=1)
    deployment.bring(standby.id, 'SHUTOFF')

    def ids(**filters):
        return {found.id for found in driver.list_instances(caller(), Listing(filters))}

    assert ids(name='web') == {web.id}
    assert ids(status='SHUTOFF') == {standby.id}
    assert ids(status=['SHUTOFF', 'ACTIVE']) == {web.id, standby.id}
    assert ids(id=web.id, name='db') == set()
    assert ids(colour='red') == set()


@pytest.mark.parametrize('status', STATUSES)
def test_quiescing_leaves_the_status_and_ends(deployment, driver, status):
    instance = deployment.boot()
    deployment.bring(instance.id, status)
    holder = task()
    driver.quiesce(caller(), instance.id, holder=holder)
    assert driver.show_instance(caller(), instance.id).status == status
    [hold] = driver.list_holds(context.get_admin_context())
    assert (hold.holder, hold.resource_id, hold.is_snapshot) == (holder, instance.id, False)
    assert hold.since.tzinfo is not None
    driver.unquiesce(caller(), instance.id, holder=holder)
    assert driver.show_instance(caller(), instance.id).status == status
    assert list(driver.list_holds(context.get_admin_context())) == []


def test_a_quiesced_instance_writes_nothing_until_it_may_go_on(deployment, driver):
    instance, other = deployment.boot(), deployment.boot()
    holder = task()
    if not driver.quiesce(caller(), instance.id, holder=holder):
        pytest.skip(f'{deployment.name} does not promise a standstill')
    before = deployment.written(instance.id)
    deployment.others_write(other)
    assert deployment.written(instance.id) == before
    driver.unquiesce(caller(), instance.id, holder=holder)
    deployment.others_write(instance)


@pytest.mark.parametrize('status', ('PAUSED', 'SUSPENDED', 'SHUTOFF'))
def test_what_stood_still_before_still_does_afterwards(deployment, driver, status):
    instance, other = deployment.boot(), deployment.boot()
    deployment.bring(instance.id, status)
    before = deployment.written(instance.id)
    holder = task()
    driver.quiesce(caller(), instance.id, holder=holder)
    driver.unquiesce(caller(), instance.id, holder=holder)
    deployment.others_write(other)
    assert deployment.written(instance.id) == before


def test_quiescing_may_be_repeated_by_another_process(deployment, driver):
    """As by the manager that takes over the task of one that was killed."""
    instance, other = deployment.boot(), deployment.boot()
    holder = task()
    is_still = driver.quiesce(caller(), instance.id, holder=holder)
    before = deployment.written(instance.id)
    second = deployment.reopen()
    assert second.quiesce(caller(), instance.id, holder=holder) == is_still
    assert len(list(second.list_holds(context.get_admin_context()))) == 1
    if is_still:
        deployment.others_write(other)
        assert deployment.written(instance.id) == before
    second.unquiesce(caller(), instance.id, holder=holder)
    second.unquiesce(caller(), instance.id, holder=holder)
    driver.unquiesce(caller(), instance.id, holder=holder)
    assert list(driver.list_holds(context.get_admin_context())) == []
    deployment.others_write(instance)


def test_the_last_holder_ends_it(deployment, driver):
    instance, other = deployment.boot(), deployment.boot()
    first, second, stranger = task(), task(), task()
    is_still = driver.quiesce(caller(), instance.id, holder=first)
    driver.quiesce(caller(), instance.id, holder=second)
    before = deployment.written(instance.id)
    driver.unquiesce(caller(), instance.id, holder=stranger)
    driver.unquiesce(caller(), instance.id, holder=first)
    assert [hold.holder for hold in driver.list_holds(context.get_admin_context())] == [second]
    if is_still:
        deployment.others_write(other)
        assert deployment.written(instance.id) == before
    driver.unquiesce(caller(), instance.id, holder=second)
    deployment.others_write(instance)
