# SPDX-License-Identifier: Apache-2.0
"""openstacksdk against the running service: what is not backups."""

import uuid

import pytest
from openstack import exceptions

from tests.fixtures.service import wait_until
from tests.fixtures.standalone import PROJECT

pytestmark = pytest.mark.xdist_group('clients')


@pytest.fixture
def name():
    return f'v-{uuid.uuid4().hex[:8]}'


@pytest.fixture
def made(sdk, name):
    """A volume, removed with its snapshots in the end."""
    volume = sdk.create_volume(size=1, name=name, metadata={'k': 'v'})
    yield sdk.wait_for_status(volume, 'available', wait=60)
    for found in sdk.volumes(name=name):
        sdk.delete_volume(found, cascade=True)


def test_a_volumes_life(sdk, name, made):
    assert (made.size, made.metadata, made.is_bootable) == (1, {'k': 'v'}, False)
    assert sdk.find_volume(name, ignore_missing=False).id == made.id
    assert sdk.find_volume('no such volume') is None
    sdk.update_volume(made, description='new')
    sdk.extend_volume(made, 2)
    sdk.set_volume_bootable_status(made, True)
    sdk.set_volume_metadata(made, x='y')
    sdk.delete_volume_metadata(sdk.get_volume(made.id), keys=['k'])
    found = sdk.get_volume(made.id)
    assert (found.description, found.size, found.is_bootable, found.metadata) == (
        'new', 2, True, {'x': 'y'})
    clone = sdk.create_volume(source_volume_id=made.id, name=name, size=2)
    sdk.wait_for_status(clone, 'available', wait=60)
    sdk.delete_volume(clone)
    sdk.wait_for_delete(clone, wait=60)
    with pytest.raises(exceptions.NotFoundException):
        sdk.get_volume(clone.id)


def test_lists_follow_pages(sdk, name, made):
    for _ in range(2):
        sdk.create_volume(size=1, name=name)
    assert len(list(sdk.volumes(name=name))) == 3
    assert len({volume.id for volume in sdk.volumes(name=name, limit=1)}) == 3
    assert len(list(sdk.volumes(details=False, name=name, status='error'))) == 0


def test_snapshots(sdk, name, made):
    snapshot = sdk.create_snapshot(volume_id=made.id, name=name)
    sdk.wait_for_status(snapshot, 'available', wait=60)
    assert sdk.find_snapshot(name, ignore_missing=False).id == snapshot.id
    assert [one.id for one in sdk.snapshots(volume_id=made.id)] == [snapshot.id]
    sdk.set_snapshot_metadata(snapshot, a='b')
    sdk.update_snapshot(snapshot, description='d')
    found = sdk.get_snapshot(snapshot.id)
    assert (found.metadata, found.description) == ({'a': 'b'}, 'd')
    copy = sdk.create_volume(snapshot_id=snapshot.id, name=name, size=1)
    sdk.wait_for_status(copy, 'available', wait=60)
    with pytest.raises(exceptions.BadRequestException) as refused:
        sdk.delete_volume(made)
    assert 'have snapshots' in str(refused.value)
    sdk.delete_snapshot(snapshot)
    sdk.wait_for_delete(snapshot, wait=60)


def test_around_volumes(sdk):
    assert [one.name for one in sdk.types()] == ['__DEFAULT__']
    assert sdk.find_type('__DEFAULT__', ignore_missing=False).is_public
    assert [zone.name for zone in sdk.availability_zones()] == ['nova']
    limits, quotas = sdk.get_limits().absolute, sdk.get_quota_set(PROJECT)
    assert limits.max_total_backups == quotas.backups
    assert limits.max_total_volumes == quotas.volumes
    assert [(one.host, one.state) for one in sdk.services()] == [('standalone', 'up')]
    assert {one.alias for one in sdk.extensions()} >= {'backups'}
    assert sdk.get_quota_set(PROJECT, usage=True).usage['backups'] >= 0
    assert sdk.get_quota_class_set('default').volumes == sdk.get_quota_set_defaults(
        PROJECT).volumes
    assert [one.filters for one in sdk.resource_filters(resource='backup')]


def test_quotas(sdk):
    project = uuid.uuid4().hex
    assert sdk.update_quota_set(project, backups=11).backups == 11
    assert sdk.get_quota_set(project).backups == 11
    default = sdk.get_quota_set_defaults(project).backups
    assert default != 11
    sdk.revert_quota_set(project)
    assert sdk.get_quota_set(project).backups == default


def test_resetting_and_attaching(sdk, made):
    sdk.reset_volume_status(made, 'error', None, None)
    assert sdk.get_volume(made.id).status == 'error'
    sdk.reset_volume_status(made, 'available', None, None)
    sdk.attach_volume(made, '/dev/vdb', instance=str(uuid.uuid4()))
    attached = wait_until(lambda: sdk.get_volume(made.id))
    assert attached.status == 'in-use'
    sdk.detach_volume(made, attached.attachments[0]['attachment_id'])
    assert sdk.get_volume(made.id).status == 'available'


def test_errors_are_the_clients_own(sdk):
    with pytest.raises(exceptions.NotFoundException):
        sdk.get_volume(str(uuid.uuid4()))
    with pytest.raises(exceptions.BadRequestException) as refused:
        sdk.create_volume(size=0)
    assert refused.value.response.status_code == 400
