# SPDX-License-Identifier: Apache-2.0
"""Servers of the cloud: seen with their volumes, kept as they are, and backed up whole."""

import contextlib
import uuid

import pytest
import requests

from backupsvc import conf as service_conf
from backupsvc import context, exception
from backupsvc.drivers import loader
from backupsvc.drivers.base import Listing
from backupsvc.orchestration import sets
from tests.fixtures import cinder_volumes
from tests.fixtures import cloud as fixture
from tests.fixtures.service import wait_until

pytestmark = pytest.mark.cloud

MIB = 1 << 20
ADMIN = context.get_admin_context()

#: Status of a server → what brings it there from ACTIVE.
WAYS = {
    'ACTIVE': None, 'PAUSED': 'pause_server', 'SUSPENDED': 'suspend_server',
    'SHUTOFF': 'stop_server', 'SHELVED_OFFLOADED': 'shelve_server',
}


def section(cloud):
    return (fixture.section('instance', driver='nova')
            + fixture.section('instance_nova', fixture.service_user(cloud), interface='public'))


@pytest.fixture(scope='module')
def project(cloud):
    with fixture.project(cloud) as made:
        yield made
        user = made.connect()
        for server in user.compute.servers():
            user.compute.unlock_server(server)
            user.compute.delete_server(server, force=True)
        wait_until(lambda: not list(user.compute.servers()), 120)
        cinder_volumes.clear(cloud, made.id)


@pytest.fixture(scope='module')
def user(project):
    return project.connect()


def new_volume(user, **fields):
    volume = user.block_storage.create_volume(size=1, **fields)
    return user.block_storage.wait_for_status(volume, 'available', interval=0.2)


def new_server(user, name, volumes=1, image=None):
    """Make a server that boots from a volume, or from an image, with further volumes."""
    flavor = next(each for each in user.compute.flavors()
                  if (each.disk == 0) == (image is None))
    boot = {'image_id': image} if image else {'block_device_mapping': [{
        'boot_index': 0, 'uuid': new_volume(user).id, 'source_type': 'volume',
        'destination_type': 'volume'}]}
    if image is None:
        user.block_storage.set_volume_bootable_status(boot['block_device_mapping'][0]['uuid'],
                                                      True)
    server = user.compute.create_server(name=name, flavor_id=flavor.id, networks='none', **boot)
    server = user.compute.wait_for_server(server, interval=0.3, wait=120)
    for _ in range(volumes if image else volumes - 1):
        volume = new_volume(user)
        user.compute.create_volume_attachment(server, volume_id=volume.id)
        user.block_storage.wait_for_status(volume, 'in-use', interval=0.2)
    return server


@pytest.fixture(scope='module')
def image(cloud):
    found = next(cloud.image.images(visibility='public'), None)
    return (found or cloud.image.create_image(
        name='tiny', disk_format='raw', container_format='bare', visibility='public',
        data=b'\0' * MIB)).id


@pytest.fixture(scope='module')
def server(user):
    return new_server(user, 'web', volumes=3)


@pytest.fixture
def driver(cloud, tmp_path):
    conf = service_conf.new_config()
    loader.register_options(conf)
    path = tmp_path / 'backupsvc.conf'
    path.write_text(section(cloud))
    conf(['--config-file', str(path)], project='backupsvc', default_config_dirs=[])
    service_conf.install(conf)
    loader.reset()
    yield loader.instance_driver()
    loader.reset()


@contextlib.contextmanager
def brought(user, server, status):
    """Have a server in a status until the end of the block."""
    way = WAYS[status]
    if way:
        getattr(user.compute, way)(server)
        user.compute.wait_for_server(server, status=status, interval=0.3, wait=120)
    try:
        yield
    finally:
        back = {'PAUSED': 'unpause_server', 'SUSPENDED': 'resume_server',
                'SHUTOFF': 'start_server', 'SHELVED_OFFLOADED': 'unshelve_server'}.get(status)
        if back:
            getattr(user.compute, back)(server)
            user.compute.wait_for_server(server, interval=0.3, wait=120)


def caller(project):
    return context.RequestContext(user_id=project.user_id, project_id=project.id,
                                  roles=['member'], is_admin=False, overwrite=False)


def test_setup(driver):
    driver.check_setup()


def test_a_server_is_shown_with_its_volumes(driver, project, user, server):
    found = driver.show_instance(caller(project), server.id)
    assert (found.name, found.status, found.project_id, found.user_id, found.task_state) == (
        'web', 'ACTIVE', project.id, project.user_id, None)
    attached = {each.volume_id: each.device for each in user.compute.volume_attachments(server)}
    assert {each.volume_id: each.device for each in found.volumes} == attached
    assert [each.device[-1] for each in found.volumes] == ['a', 'b', 'c']
    assert [each.is_boot for each in found.volumes] == [True, False, False]
    assert found.created_at.tzinfo is not None


def test_a_server_from_an_image_boots_from_no_volume(driver, project, user, image):
    made = new_server(user, 'from-image', image=image)
    assert [each.is_boot for each in driver.show_instance(ADMIN, made.id).volumes] == [False]


def test_a_server_without_volumes_is_refused(driver, user, image):
    made = new_server(user, 'no-volumes', volumes=0, image=image)
    with pytest.raises(exception.InvalidInstance, match='has no volumes'):
        sets.check(driver.show_instance(ADMIN, made.id))


@pytest.mark.parametrize('status', WAYS)
def test_statuses(driver, user, server, status):
    with brought(user, server, status):
        found = driver.show_instance(ADMIN, server.id)
        assert found.status == status
        if status in sets.ACCEPTED:
            sets.check(found)
        else:
            with pytest.raises(exception.InvalidInstance, match=status):
                sets.check(found)


def test_a_server_in_error_is_refused(driver, cloud, user, server):
    cloud.compute.reset_server_state(server, 'error')
    try:
        with pytest.raises(exception.InvalidInstance, match='ERROR'):
            sets.check(driver.show_instance(ADMIN, server.id))
    finally:
        cloud.compute.reset_server_state(server, 'active')


def test_other_tenants_see_nothing(driver, server):
    stranger = context.RequestContext(user_id='x', project_id=uuid.uuid4().hex, roles=['member'],
                                      is_admin=False, overwrite=False)
    with pytest.raises(exception.InstanceNotFound):
        driver.show_instance(stranger, server.id)
    assert driver.list_instances(stranger, Listing()) == []
    for wrong in ('', 'web', '../flavors', str(uuid.uuid4())):
        with pytest.raises(exception.InstanceNotFound):
            driver.show_instance(ADMIN, wrong)


def test_lists(driver, project, user, server):
    def listed(**fields):
        return [each.id for each in driver.list_instances(caller(project), Listing(**fields))]

    every = listed(sort=(('name', 'asc'),))
    assert set(every) == {each.id for each in user.compute.servers()}
    assert listed(sort=(('name', 'asc'),), limit=1, marker=every[0]) == every[1:2]
    assert listed(filters={'name': 'web'}) == [server.id]
    assert listed(filters={'name~': 'we', 'status': ['ACTIVE', 'ERROR']}) == [server.id]
    assert listed(filters={'colour': 'red'}) == []


@pytest.mark.parametrize(('status', 'is_still'), [
    ('ACTIVE', False), ('SHUTOFF', True), ('PAUSED', True)])
def test_nobody_changes_a_server_meanwhile(driver, user, server, status, is_still):
    first, second = str(uuid.uuid4()), str(uuid.uuid4())
    with brought(user, server, status):
        assert driver.quiesce(ADMIN, server.id, holder=first) is is_still
        assert driver.quiesce(ADMIN, server.id, holder=first) is is_still
        driver.quiesce(ADMIN, server.id, holder=second)
        assert driver.show_instance(ADMIN, server.id).status == status
        with pytest.raises(Exception, match='locked'):
            user.compute.create_volume_attachment(server, volume_id=str(uuid.uuid4()))
        driver.unquiesce(ADMIN, server.id, holder=first)
        held = [each for each in driver.list_holds(ADMIN) if each.resource_id == server.id]
        assert [each.holder for each in held] == [second]
        driver.unquiesce(ADMIN, server.id, holder=str(uuid.uuid4()))
        assert user.compute.get_server(server).is_locked
        driver.unquiesce(ADMIN, server.id, holder=second)
        driver.unquiesce(ADMIN, server.id, holder=second)
        assert not user.compute.get_server(server).is_locked
        assert driver.show_instance(ADMIN, server.id).status == status


def test_a_lock_of_its_owner_stays(driver, user, server):
    user.compute.lock_server(server, locked_reason='mine')
    holder = str(uuid.uuid4())
    driver.quiesce(ADMIN, server.id, holder=holder)
    driver.unquiesce(ADMIN, server.id, holder=holder)
    found = user.compute.get_server(server)
    assert found.is_locked
    user.compute.unlock_server(server)


def test_a_server_is_backed_up_whole(cloud, project, user, server, tmp_path):
    attached = [each.volume_id for each in user.compute.volume_attachments(server)]
    for number, volume_id in enumerate(attached):
        cinder_volumes.write(volume_id, number * MIB, bytes([number + 1]) * MIB)
    with fixture.Service(
            tmp_path, fixture.authtoken(cloud), cinder_volumes.section(cloud),
            section(cloud)) as service:
        def ask(method, path, body=None):
            answer = requests.request(
                method, f'{service.url}/v1/instance/backup{path}', json=body, timeout=60,
                headers={'X-Auth-Token': user.auth_token})
            assert answer.status_code < 400, answer.text
            return answer.json()

        made = ask('POST', '', {'backup': {'instance_id': server.id}})['backup']['id']
        found = wait_until(lambda: (shown := ask('GET', f'/{made}')['backup'])['status']
                           in ('available', 'error') and shown, 240)
        assert found['status'] == 'available', found
        assert not user.compute.get_server(server).is_locked
        backups = {each.volume_id: each.id for each in
                   project.connect(service).block_storage.backups(details=True)}
        assert set(backups) == set(attached)
        own = project.connect(service)
        for volume_id in attached:
            restored = own.block_storage.restore_backup(backups[volume_id], name='restored')
            fixture.ended(own, backups[volume_id], 'available')
            assert cinder_volumes.content(restored.volume_id) == cinder_volumes.content(volume_id)
