# SPDX-License-Identifier: Apache-2.0
"""This service in the catalog in place of Cinder: for clients, for Nova and for Glance."""

import contextlib
import io
import json
import os
import uuid

import pytest
import requests
from cinderclient import client as cinder_client
from openstackclient import shell as openstack_shell

from tests.fixtures import cinder_volumes, processes
from tests.fixtures import cloud as fixture
from tests.fixtures.service import wait_until

pytestmark = pytest.mark.cloud

PAGE = 'in-cinders-place.rst'
VERSION = 'volume 3.71'


def _cinder(cloud) -> str:
    """Return Cinder's own address, without the version."""
    endpoint = cloud.session.get_endpoint(
        service_type='block-storage', interface='internal', region_name=cloud.config.region_name)
    return endpoint.partition('/v3')[0]


@pytest.fixture(scope='module')
def service(cloud, tmp_path_factory):
    with fixture.Service(
            tmp_path_factory.mktemp('place'), fixture.authtoken(cloud),
            cinder_volumes.section(cloud, endpoint=f'{_cinder(cloud)}/v3')) as running:
        yield running


@pytest.fixture(scope='module')
def region(cloud, service):
    """A region with the endpoints of the cloud's, in which Cinder's place is taken."""
    name = f'backupsvc-{uuid.uuid4().hex[:8]}'
    made = cloud.identity.create_region(id=name)
    endpoints = [
        cloud.identity.create_endpoint(
            service_id=each.service_id, interface=each.interface, url=each.url, region_id=name)
        for each in list(cloud.identity.endpoints()) if
        each.region_id == cloud.config.region_name]
    try:
        fixture.guide(PAGE, 'take-the-place', REGION=name, BACKUPSVC_URL=service.url)
        yield name
    finally:
        for endpoint in endpoints:
            cloud.identity.delete_endpoint(endpoint)
        cloud.identity.delete_region(made)


@pytest.fixture
def project(cloud):
    with fixture.project(cloud) as made:
        try:
            yield made
        finally:
            cinder_volumes.clear(cloud, made.id)


@pytest.fixture
def osc(project, region, monkeypatch):
    """Run ``openstack …`` as a user of the region, and return what it prints as JSON."""
    for name in [name for name in os.environ if name.startswith('OS_')]:
        monkeypatch.delenv(name)
    for name, value in {**project.auth, 'region_name': region}.items():
        monkeypatch.setenv(f'OS_{name.upper()}', value)

    def run(*args):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = openstack_shell.main(['--os-volume-api-version', '3.70', *args])
        assert not status, f'{args}: {out.getvalue()}{err.getvalue()}'
        return json.loads(out.getvalue()) if '-f' in args else out.getvalue()
    return run


def _volume(user, **options):
    made = user.block_storage.create_volume(size=1, **options)
    return user.block_storage.wait_for_status(made, 'available', interval=0.3, wait=120)


def _gone(find):
    wait_until(lambda: find() is None, 120)


# ---- what is Cinder's ----


def test_what_is_not_about_backups_is_answered_as_by_cinder(service, cloud, project):
    user = project.connect()
    user.block_storage.create_volume(size=1, name='one', metadata={'k': 'v'})
    headers = {'X-Auth-Token': user.auth_token}
    for version in (None, 'volume 3.0', 'volume 3.50', VERSION, 'compute 2.1, volume 3.60'):
        if version:
            headers['OpenStack-API-Version'] = version
        for path in ('/volumes?limit=1', '/types', '/snapshots', '/attachments', '/extensions',
                     '/os-availability-zone', '/group_types', '/volumes?limit=x',
                     f'/volumes/{uuid.uuid4()}'):
            ours, direct = (
                requests.get(f'{base}/v3/{project.id}{path}', headers=headers, timeout=60)
                for base in (service.url, _cinder(cloud)))
            assert ours.status_code == direct.status_code, path
            assert ours.headers['OpenStack-API-Version'] == direct.headers[
                'OpenStack-API-Version'], path
            assert ours.text.replace(service.url, _cinder(cloud)).replace(' ', '') == (
                direct.text.replace(' ', '')), path


def test_the_life_of_a_volume(service, project):
    user = project.connect(service).block_storage
    volume = user.create_volume(size=1, name='data', metadata={'a': 'b'})
    user.wait_for_status(volume, 'available', interval=0.3)
    user.extend_volume(volume, 2)
    wait_until(lambda: (found := user.get_volume(volume.id)).size == 2
               and found.status == 'available')
    user.update_volume(volume, name='other')
    snapshot = user.create_snapshot(volume_id=volume.id, name='s')
    user.wait_for_status(snapshot, 'available', interval=0.3)
    copy = user.create_volume(size=2, snapshot_id=snapshot.id)
    user.wait_for_status(copy, 'available', interval=0.3)
    for delete, find, each in ((user.delete_volume, user.find_volume, copy),
                               (user.delete_snapshot, user.find_snapshot, snapshot),
                               (user.delete_volume, user.find_volume, volume)):
        delete(each)
        _gone(lambda find=find, each=each: find(each.id))


def test_who_may_not_is_refused_before_cinder_is_asked(service, cloud, project):
    token = project.connect().auth_token
    with fixture.project(cloud) as other:
        for url, sent, status in (
                (f'/v3/{project.id}/volumes', None, 401),
                (f'/v3/{project.id}/volumes', 'no-such-token', 401),
                (f'/v3/{other.id}/volumes', token, 400)):
            answer = requests.get(f'{service.url}{url}', timeout=60,
                                  headers={'X-Auth-Token': sent} if sent else {})
            assert answer.status_code == status


# ---- clients, by the catalog ----


def test_the_openstack_command(osc, cloud, service):
    volume = osc('volume', 'create', '--size', '1', 'data', '-f', 'json')
    wait_until(lambda: osc('volume', 'show', 'data', '-f', 'json')['status'] == 'available')
    cinder_volumes.write(volume['id'], 5 << 20, os.urandom(3 << 20))
    assert [row['Name'] for row in osc('volume', 'list', '-f', 'json')] == ['data']
    backup = osc('volume', 'backup', 'create', '--name', 'b', 'data', '-f', 'json')

    def status():
        return osc('volume', 'backup', 'show', 'b', '-f', 'json')

    wait_until(lambda: status()['status'] != 'creating', 120)
    assert status()['status'] == 'available', status()
    assert [row['ID'] for row in osc('volume', 'backup', 'list', '-f', 'json')] == [backup['id']]
    osc('volume', 'backup', 'restore', 'b', 'copy', '-f', 'json')
    wait_until(lambda: status()['status'] != 'restoring', 120)
    copy = osc('volume', 'show', 'copy', '-f', 'json')
    assert cinder_volumes.content(copy['id']) == cinder_volumes.content(volume['id'])
    osc('volume', 'backup', 'delete', 'b')
    wait_until(lambda: osc('volume', 'backup', 'list', '-f', 'json') == [], 120)
    # It was made here and nowhere else.
    assert requests.get(
        f'{_cinder(cloud)}/v3/backups?all_tenants=1', timeout=60,
        headers={'X-Auth-Token': cloud.auth_token}).json() == {'backups': []}


def test_cinderclient(project, region):
    client = cinder_client.Client('3.71', session=project.connect().session, region_name=region)
    volume = client.volumes.create(1, name='data')
    wait_until(lambda: client.volumes.get(volume.id).status == 'available')
    backup = client.backups.create(volume.id, name='b')
    wait_until(lambda: client.backups.get(backup.id).status != 'creating', 120)
    found = client.backups.get(backup.id)
    assert found.status == 'available', found.fail_reason
    limits = {each.name: each.value for each in client.limits.get().absolute}
    assert (limits['totalBackupsUsed'], limits['totalVolumesUsed']) == (1, 1)


# ---- other services ----


@contextlib.contextmanager
def _for_other_services(cloud, service):
    """Take Cinder's place where the cloud's own services look: at every endpoint of the type."""
    kinds = {each.id for each in cloud.identity.services() if each.type == 'volumev3'}
    taken = [(each, each.url) for each in cloud.identity.endpoints() if each.service_id in kinds
             and each.region_id == cloud.config.region_name and each.interface == 'internal']
    try:
        for endpoint, _ in taken:
            cloud.identity.update_endpoint(endpoint, url=f'{service.url}/v3/%(project_id)s')
        yield
    finally:
        for endpoint, url in taken:
            cloud.identity.update_endpoint(endpoint, url=url)


def _forwarded(service, method, path):
    return [line for line in service.log().splitlines() if f' {method} ' in line and path in line]


def test_nova_attaches_and_detaches_through_us(service, cloud, project):
    flavor = next(each for each in cloud.compute.flavors() if each.name == 'm1.nano')
    image = next(iter(cloud.image.images(name='img1')), None) or cloud.create_image(
        'img1', data=os.urandom(1 << 20), disk_format='raw', container_format='bare',
        visibility='public', wait=True)
    with _for_other_services(cloud, service):
        user = project.connect()
        volume = _volume(user)
        server = user.compute.create_server(
            name='one', flavor_id=flavor.id, image_id=image.id, networks='none')
        try:
            user.compute.wait_for_server(server, interval=0.5, wait=120)
            user.compute.create_volume_attachment(server, volume_id=volume.id)
            user.block_storage.wait_for_status(volume, 'in-use', interval=0.3)
            assert _forwarded(service, 'POST', '/attachments')
            [attached] = user.compute.volume_attachments(server)
            assert attached.volume_id == volume.id
            # Cinder lets only services take a volume from a server: both tokens have come through.
            user.compute.delete_volume_attachment(server, volume.id)
            user.block_storage.wait_for_status(volume, 'available', interval=0.3)
            assert _forwarded(service, 'DELETE', '/attachments/')
        finally:
            user.compute.delete_server(server)
            user.compute.wait_for_delete(server, interval=0.5)


def test_glance_and_volumes(service, project):
    user = project.connect(service)
    volume = _volume(user)
    cinder_volumes.write(volume.id, 0, os.urandom(1 << 20))
    made = user.block_storage.upload_volume_to_image(
        volume, f'of-{volume.id}', disk_format='raw', container_format='bare')
    image = user.image.get_image(made['image_id'])
    user.image.wait_for_status(image, 'active', interval=0.5, wait=180)
    user.block_storage.wait_for_status(volume, 'available', interval=0.3)
    copy = _volume(user, image_id=image.id)
    assert cinder_volumes.content(copy.id) == cinder_volumes.content(volume.id)
    user.image.delete_image(image)
    for each in (copy, volume):
        user.block_storage.delete_volume(each)
        _gone(lambda each=each: user.block_storage.find_volume(each.id))


def test_without_cinder_backups_are_still_listed(cloud, project, tmp_path_factory):
    with fixture.Service(
            tmp_path_factory.mktemp('alone'), fixture.authtoken(cloud), cinder_volumes.section(
                cloud, endpoint=f'http://127.0.0.1:{processes.free_port()}/v3')) as running:
        user = project.connect(running)
        headers = {'X-Auth-Token': user.auth_token, 'OpenStack-API-Version': VERSION}
        answer = requests.get(f'{running.url}/v3/volumes', headers=headers, timeout=60)
        assert answer.status_code == 502
        assert 'Block Storage service (Cinder)' in answer.text
        assert list(user.block_storage.backups()) == []
        refused = requests.post(
            f'{running.url}/v3/{project.id}/backups', headers=headers, timeout=60,
            json={'backup': {'volume_id': str(uuid.uuid4())}})
        assert refused.status_code == 503
        assert 'Cinder' in refused.text
