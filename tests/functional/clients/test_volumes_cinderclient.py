# SPDX-License-Identifier: Apache-2.0
"""python-cinderclient, library and shell, against the running service: what is not backups."""

import uuid

import pytest
from cinderclient import exceptions

from tests.fixtures.service import wait_until
from tests.fixtures.standalone import PROJECT

pytestmark = pytest.mark.xdist_group('clients')


@pytest.fixture
def cinder_volume(library):
    """A volume with a name of its own, removed with its snapshots in the end."""
    client = library()
    made = client.volumes.create(1, name=f'v-{uuid.uuid4().hex[:8]}', metadata={'k': 'v'})
    yield client.volumes.get(made.id)
    for found in client.volumes.list(search_opts={'name': made.name}):
        client.volumes.reset_state(found.id, 'available', attach_status='detached')
        client.volumes.delete(found.id, cascade=True)


def _status(manager, resource_id, status):
    return wait_until(lambda: manager.get(resource_id).status == status)


# -- library


def test_a_volumes_life(library, cinder_volume):
    client = library()
    assert (cinder_volume.status, cinder_volume.size, cinder_volume.metadata) == (
        'available', 1, {'k': 'v'})
    client.volumes.update(cinder_volume, name=cinder_volume.name, description='new')
    client.volumes.extend(cinder_volume, 2)
    client.volumes.set_bootable(cinder_volume, True)
    client.volumes.set_metadata(cinder_volume, {'x': 'y'})
    client.volumes.delete_metadata(cinder_volume, ['k'])
    found = client.volumes.find(name=cinder_volume.name)
    assert (found.description, found.size, found.bootable, found.metadata) == (
        'new', 2, 'true', {'x': 'y'})
    clone = client.volumes.create(
        None, source_volid=cinder_volume.id, name=cinder_volume.name)
    _status(client.volumes, clone.id, 'available')
    assert client.volumes.get(clone.id).size == 2
    client.volumes.delete(clone)
    with pytest.raises(exceptions.NotFound):
        client.volumes.get(clone.id)


def test_attach_and_detach(library, cinder_volume):
    client, server = library(), str(uuid.uuid4())
    client.volumes.reserve(cinder_volume)
    client.volumes.attach(cinder_volume, server, '/dev/vdb')
    attached = client.volumes.get(cinder_volume.id)
    assert (attached.status, attached.attachments[0]['server_id']) == ('in-use', server)
    with pytest.raises(exceptions.BadRequest):
        client.volumes.delete(cinder_volume)
    client.volumes.begin_detaching(cinder_volume)
    client.volumes.detach(cinder_volume, attached.attachments[0]['attachment_id'])
    assert client.volumes.get(cinder_volume.id).status == 'available'


def test_lists_and_pages(library, cinder_volume):
    client = library()
    for _ in range(2):
        client.volumes.create(1, name=cinder_volume.name)
    wanted = {'name': cinder_volume.name}
    assert len(client.volumes.list(search_opts=wanted)) == 3
    assert len(client.volumes.list(search_opts=wanted, limit=2)) == 2
    assert len({one.id for one in client.volumes.list(search_opts=wanted, limit=1)}) == 1
    found = client.volumes.list(
        search_opts={**wanted, 'metadata': {'k': 'v'}}, sort='created_at:asc')
    assert [one.id for one in found] == [cinder_volume.id]
    items, count = client.volumes.list(search_opts={**wanted, 'with_count': True}, limit=1)
    assert (len(items), count) == (1, 3)


def test_snapshots(library, cinder_volume):
    client = library()
    made = client.volume_snapshots.create(cinder_volume.id, name='s', metadata={'a': '1'})
    _status(client.volume_snapshots, made.id, 'available')
    assert [one.id for one in client.volume_snapshots.list(
        search_opts={'volume_id': cinder_volume.id})] == [made.id]
    client.volume_snapshots.update(made, name='t')
    client.volume_snapshots.set_metadata(made, {'b': '2'})
    found = client.volume_snapshots.get(made.id)
    assert (found.name, found.metadata) == ('t', {'a': '1', 'b': '2'})
    with pytest.raises(exceptions.BadRequest) as refused:
        client.volumes.delete(cinder_volume)
    assert 'have snapshots' in str(refused.value)
    client.volume_snapshots.delete(made)
    with pytest.raises(exceptions.NotFound):
        client.volume_snapshots.get(made.id)


def test_around_volumes(library):
    client = library()
    assert client.volume_types.default().name == '__DEFAULT__'
    assert [zone.zoneName for zone in client.availability_zones.list()] == ['nova']
    absolute = {limit.name: limit.value for limit in client.limits.get().absolute}
    assert absolute['maxTotalBackups'] == client.quotas.get(PROJECT).backups
    assert absolute['totalBackupGigabytesUsed'] >= 0
    assert [(one.host, one.state) for one in client.services.list(binary='cinder-backup')] == [
        ('standalone', 'up')]
    assert isinstance(client.messages.list(), list)
    assert client.quota_classes.get('default').volumes == client.quotas.defaults(
        PROJECT).volumes


def test_quotas(library):
    project = uuid.uuid4().hex
    client = library(project=project)
    assert client.quotas.update(project, backups=11, volumes=12).volumes == 12
    assert client.quotas.get(project).backups == 11
    assert client.quotas.get(project, usage=True).volumes['limit'] == 12
    client.quotas.delete(project)
    assert client.quotas.get(project).backups == client.quotas.defaults(project).backups
    client.quotas.update(project, gigabytes=0)
    with pytest.raises(exceptions.OverLimit) as refused:
        client.volumes.create(1)
    assert 'quota' in str(refused.value)


def test_errors_are_the_clients_own(library):
    client = library()
    member = library(roles='member')
    with pytest.raises(exceptions.NotFound):
        client.volumes.get(str(uuid.uuid4()))
    with pytest.raises(exceptions.BadRequest):
        client.volumes.create(1, volume_type=None, availability_zone='moon')
    with pytest.raises(exceptions.Forbidden) as refused:
        member.services.list()
    assert 'volume_extension:services:index' in str(refused.value)
    assert refused.value.request_id.startswith('req-')


# -- shell


def test_shell(cinder, cinder_volume):
    name = cinder_volume.name
    assert name in cinder('list').out
    assert cinder_volume.id in cinder('show', name).out
    cinder('extend', name, '2')
    cinder('metadata', name, 'set', 'a=b')
    cinder('rename', name, name, '--description', 'd')
    shown = cinder('show', name).out
    assert "a : b" in shown and '| d ' in shown
    assert 'Volume in total: 1' in cinder('list', '--filters', f'name={name}', '--with-count').out
    cinder('reset-state', name, '--state', 'error')
    assert 'error' in cinder('list', '--status', 'error').out
    cinder('reset-state', name, '--state', 'available')


def test_shell_snapshots(cinder, library, cinder_volume):
    cinder('snapshot-create', cinder_volume.name, '--name', f's-{cinder_volume.name}')
    wait_until(lambda: 'available' in cinder(
        'snapshot-list', '--volume-id', cinder_volume.id).out)
    refused = cinder('delete', cinder_volume.name, fails=True)
    assert 'have snapshots' in refused.out + refused.err
    cinder('snapshot-delete', f's-{cinder_volume.name}')


@pytest.mark.parametrize(('command', 'expected'), [
    (['type-list'], '__DEFAULT__'), (['type-default'], '__DEFAULT__'),
    (['availability-zone-list'], 'available'), (['absolute-limits'], 'maxTotalBackups'),
    (['service-list'], 'cinder-backup'), (['quota-show', PROJECT], 'backup_gigabytes'),
    (['quota-usage', PROJECT], 'Reserved'), (['quota-defaults', PROJECT], 'snapshots'),
    (['quota-class-show', 'default'], 'volumes'), (['message-list'], 'Event ID'),
    (['summary'], 'total_count'), (['list-extensions'], 'os-quota-sets'),
    (['list-filters', '--resource', 'backup'], 'name~')])
def test_shell_shows(cinder, command, expected):
    assert expected in cinder(*command).out


def test_shell_at_the_first_version(cinder, cinder_volume):
    assert cinder_volume.id in cinder('show', cinder_volume.name, version='3.0').out
    assert 'absolute' in cinder('help', 'absolute-limits').out
