# SPDX-License-Identifier: Apache-2.0
"""Volumes of the cloud: backed up, in use or not, restored equal, and nothing left behind."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import uuid

import pytest

from backupsvc import context
from backupsvc.drivers.base import NewVolume
from tests.fixtures import cinder_volumes
from tests.fixtures import cloud as fixture
from tests.fixtures.service import wait_until

pytestmark = pytest.mark.cloud

MIB = 1 << 20


@pytest.fixture(scope='module')
def project(cloud):
    with fixture.project(cloud) as made:
        cinder_volumes.lift_quotas(cloud, made.id)
        try:
            yield made
        finally:
            cinder_volumes.clear(cloud, made.id)


def started(cloud, directory, **options):
    return fixture.Service(directory, fixture.section('api', auth_strategy='noauth'),
                           cinder_volumes.section(cloud, **options))


@pytest.fixture(scope='module')
def service(cloud, tmp_path_factory):
    with started(cloud, tmp_path_factory.mktemp('plain')) as running:
        yield running


@pytest.fixture(scope='module')
def comparing(cloud, tmp_path_factory):
    """A service that keeps snapshots to compare with."""
    with started(cloud, tmp_path_factory.mktemp('kept'), keep_snapshots=True,
                 deployment=f'kept-{os.getpid()}') as running:
        yield running


def new_volume(user, mib, **fields):
    volume = user.block_storage.create_volume(size=1, **fields)
    user.block_storage.wait_for_status(volume, 'available', interval=0.2)
    for start in range(0, mib, 4):
        cinder_volumes.write(volume.id, start * MIB, os.urandom(min(4, mib - start) * MIB))
    return volume.id


def backed_up(user, volume_id, **fields):
    made = user.block_storage.create_backup(volume_id=volume_id, **fields)
    return fixture.ended(user, made.id, 'available')


def restored(cloud, user, backup_id, **target):
    """Return a volume that a backup was restored to, as Cinder shows it."""
    known = {volume.id for volume in user.block_storage.volumes()}
    user.block_storage.restore_backup(backup_id, **(target or {'name': 'restored'}))
    fixture.ended(user, backup_id, 'available')
    made = {volume.id for volume in user.block_storage.volumes()} - known
    volume_id = target.get('volume_id') or made.pop()
    shown = cinder_volumes.show(cloud, volume_id)
    assert shown['status'] == 'available'
    return shown


def test_a_chain_restores_equal_to_a_new_volume_and_to_an_old_one(cloud, project, service):
    user = project.connect(service)
    volume_id = new_volume(user, 8, metadata={'k': 'v'}, name='source')
    cloud.block_storage.set_volume_bootable_status(volume_id, True)
    cloud.block_storage.set_volume_image_metadata(volume_id, image_name='cirros')
    backed_up(user, volume_id)
    assert cinder_volumes.show(cloud, volume_id)['status'] == 'available'
    cinder_volumes.write(volume_id, 900 * MIB, os.urandom(MIB))
    wanted = cinder_volumes.content(volume_id)
    last = backed_up(user, volume_id, is_incremental=True)
    cinder_volumes.write(volume_id, 0, b'later' * 1000)

    new = restored(cloud, user, last.id)
    assert cinder_volumes.content(new['id']) == wanted
    assert new['metadata'] == {'k': 'v', 'src_backup_id': last.id}
    assert new['bootable'] == 'true'
    assert new['volume_image_metadata'] == {'image_name': 'cirros'}
    assert new['volume_type'] == cinder_volumes.show(cloud, volume_id)['volume_type']
    assert new['os-vol-tenant-attr:tenant_id'] == project.id

    restored(cloud, user, last.id, volume_id=volume_id)
    assert cinder_volumes.content(volume_id) == wanted
    assert not cinder_volumes.temporaries(cloud, project.id)


def test_a_volume_in_use_is_backed_up_with_force_as_of_one_moment(cloud, project, service):
    user = project.connect(service)
    volume_id = new_volume(user, 64)
    attachment = cinder_volumes.attach(cloud, volume_id)
    wanted = cinder_volumes.content(volume_id)
    made = user.block_storage.create_backup(volume_id=volume_id, force=True)
    assert cinder_volumes.show(cloud, volume_id)['status'] == 'backing-up'
    wait_until(lambda: cinder_volumes.temporaries(cloud, project.id), 60)
    cinder_volumes.write(volume_id, 60 * MIB, b'later' * 100000)
    fixture.ended(user, made.id, 'available')
    assert cinder_volumes.show(cloud, volume_id)['status'] == 'in-use'
    assert not cinder_volumes.temporaries(cloud, project.id)
    new = restored(cloud, user, made.id)
    assert cinder_volumes.content(new['id']) == wanted
    cinder_volumes.detach(cloud, attachment)
    assert cinder_volumes.show(cloud, volume_id)['status'] == 'available'


def test_a_snapshot_is_read_through_a_volume_of_its_own(cloud, project, service):
    user = project.connect(service)
    volume_id = new_volume(user, 4)
    wanted = cinder_volumes.content(volume_id)
    snapshot = user.block_storage.create_snapshot(volume_id=volume_id)
    user.block_storage.wait_for_status(snapshot, 'available', interval=0.2)
    cinder_volumes.write(volume_id, 0, b'later' * 1000)
    made = backed_up(user, volume_id, snapshot_id=snapshot.id)
    assert user.block_storage.get_snapshot(snapshot.id).status == 'available'
    assert not cinder_volumes.temporaries(cloud, project.id)
    assert cinder_volumes.content(restored(cloud, user, made.id)['id']) == wanted


def scribble(volume_id, choice):
    """Write, overwrite and discard here and there, as a file system does."""
    with cinder_volumes.image(volume_id) as image:
        for _ in range(choice.randint(1, 12)):
            length = choice.choice((512, 4096, 65536, 70001, MIB, 5 * MIB))
            offset = choice.randrange(0, 64 * MIB)
            if choice.random() < 0.25:
                image.write_zeroes(offset, length)
            else:
                image.write(choice.randbytes(length), offset)
        image.flush()


def facts_of(service, backup_id):
    """Return how a backup was read, by its record."""
    with sqlite3.connect(service.directory / 'backupsvc.sqlite') as records:
        facts, read_bytes = records.execute(
            'SELECT source_facts, read_bytes FROM backups WHERE id = ?', [backup_id]).fetchone()
    return json.loads(facts)['read'], read_bytes


@pytest.mark.parametrize('seed', [1, 2])
def test_what_changed_is_read_alone_and_is_all_that_changed(cloud, project, comparing, seed):
    user = project.connect(comparing)
    choice = random.Random(seed)
    volume_id = new_volume(user, 64)
    made = backed_up(user, volume_id)
    assert facts_of(comparing, made.id)[0] == 'all'
    attachment = None
    for number in range(4):
        scribble(volume_id, choice)
        if number == 2:
            attachment = cinder_volumes.attach(cloud, volume_id)
        wanted = cinder_volumes.content(volume_id)
        made = backed_up(user, volume_id, is_incremental=True, force=True)
        how, read_bytes = facts_of(comparing, made.id)
        assert how == 'changed'
        assert read_bytes < 64 * MIB
        assert cinder_volumes.content(restored(cloud, user, made.id)['id']) == wanted
    cinder_volumes.detach(cloud, attachment)
    assert len(cinder_volumes.kept(cloud, volume_id)) == 2


def test_without_the_kept_snapshot_all_is_read_and_the_record_says_so(cloud, project, comparing):
    user = project.connect(comparing)
    volume_id = new_volume(user, 4)
    backed_up(user, volume_id)
    for snapshot_id in cinder_volumes.kept(cloud, volume_id):
        cinder_volumes.remove_snapshot(cloud, snapshot_id)
    cinder_volumes.write(volume_id, MIB, os.urandom(MIB))
    wanted = cinder_volumes.content(volume_id)
    made = backed_up(user, volume_id, is_incremental=True)
    assert facts_of(comparing, made.id)[0] == 'all'
    assert cinder_volumes.content(restored(cloud, user, made.id)['id']) == wanted


@pytest.mark.parametrize('victim', ['service', 'mover'])
def test_a_kill_in_the_middle_leaves_nothing(cloud, project, tmp_path, victim):
    running = started(cloud, tmp_path)
    with running:
        user = project.connect(running)
        volume_id = new_volume(user, 512)
        attachment = cinder_volumes.attach(cloud, volume_id)
        wanted = cinder_volumes.content(volume_id)
        made = user.block_storage.create_backup(volume_id=volume_id, force=True)
        wait_until(lambda: cinder_volumes.temporaries(cloud, project.id)
                   and mover_of(running.pid), 60)
        if victim == 'mover':
            os.kill(mover_of(running.pid), signal.SIGKILL)
            fixture.ended(user, made.id, 'available')
        else:
            os.kill(running.pid, signal.SIGKILL)
    if victim == 'service':
        assert cinder_volumes.temporaries(cloud, project.id)
        assert cinder_volumes.show(cloud, volume_id)['status'] == 'backing-up'
        running = started(cloud, tmp_path)
    with running:
        user = project.connect(running)
        fixture.ended(user, made.id, 'available')
        wait_until(lambda: cinder_volumes.show(cloud, volume_id)['status'] == 'in-use', 60)
        assert not cinder_volumes.temporaries(cloud, project.id)
        assert cinder_volumes.content(restored(cloud, user, made.id)['id']) == wanted
        cinder_volumes.detach(cloud, attachment)


def mover_of(pid):
    """Return the process that archives for a service, if it has begun."""
    found = subprocess.run(['pgrep', '-P', str(pid), 'mover archive'], capture_output=True,
                           text=True, check=False).stdout.split()
    return int(found[0]) if found else None


MOVER = """
import sys
from backupsvc import conf as service_conf, context
from backupsvc.drivers import loader
conf = service_conf.new_config()
loader.register_options(conf)
conf([], project='backupsvc', default_config_files=[sys.argv[1]], default_config_dirs=[])
service_conf.install(conf)
source = loader.volume_driver().open_source(
    context.get_admin_context(), sys.argv[2], snapshot_id=None, holder=sys.argv[3])
buffer = bytearray(5)
source.read_into(4096, memoryview(buffer))
source.close()
print(bytes(buffer).decode(), sys.modules.get('eventlet'))
"""


@pytest.fixture
def driven(tmp_path):
    made = cinder_volumes.Driven(tmp_path, snapshot_access='volume')
    yield made
    made.close()


@pytest.mark.parametrize('is_attached', [False, True])
def test_a_mover_opens_what_is_held_without_the_book_and_without_eventlet(
        cloud, driven, tmp_path, is_attached):
    member = context.RequestContext(project_id=driven.project_ids[0], roles=['member'],
                                    is_admin=False, overwrite=False)
    volume = driven.driver.create_volume(member, NewVolume(size_gb=1))
    driven.driver.wait_volume(member, volume.id, 60)
    cinder_volumes.write(volume.id, 4096, b'hello')
    if is_attached:
        cinder_volumes.attach(cloud, volume.id)
    holder = str(uuid.uuid4())

    def move():
        return subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', MOVER, str(tmp_path / 'backupsvc.conf'),
             volume.id, holder], capture_output=True, text=True, check=False)

    assert 'is not held' in move().stderr
    driven.driver.acquire_volume(member, volume.id, holder=holder, status='backing-up',
                                 expected=('available', 'in-use'))
    done = move()
    assert done.stdout == 'hello None\n', done.stderr
    driven.driver.release_volume(member, volume.id, holder=holder)
    assert driven.driver.show_volume(member, volume.id).status == (
        'in-use' if is_attached else 'available')
    assert not cinder_volumes.temporaries(cloud, *driven.project_ids)
