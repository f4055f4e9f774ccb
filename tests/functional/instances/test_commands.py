# SPDX-License-Identifier: Apache-2.0
"""``backupsvc-manage instance`` over the volumes of a state directory."""

import datetime
import json
import uuid

import pytest

from backupsvc import context, exception, objects
from backupsvc.cmd import manage, standalone
from backupsvc.drivers import loader
from backupsvc.drivers.base import Listing, NewVolume
from backupsvc.orchestration import instances, volumes
from backupsvc.policies import volumes as policies
from tests.fixtures import database as databases
from tests.fixtures import deployment
from tests.fixtures.deployment import eventually

ADMIN = context.RequestContext(project_id=standalone.PROJECT, is_admin=True, overwrite=False)


class Commands:
    """The command over one configuration."""

    def __init__(self, config_file, capsys):
        self._config_file = config_file
        self._capsys = capsys

    def text(self, *arguments, status=0):
        """Run it and return what it prints; on standard error where it fails."""
        assert manage.main(
            ['--config-file', self._config_file, 'instance', *arguments]) == status
        shown = self._capsys.readouterr()
        assert status or not shown.err
        return shown.out or shown.err

    def __call__(self, *arguments, status=0):
        """Run it and return the JSON that it prints."""
        return json.loads(self.text(*arguments, '--json', status=status))


@pytest.fixture
def instance(tmp_path, capsys):
    path = deployment.write_config(tmp_path, extra=(
        '[instance_local]\nwrite_interval = 0.001\nlog_size_kb = 64\n'))
    databases.copy_template(tmp_path / 'backupsvc.sqlite')
    objects.register_all()
    with deployment.deployed(path):
        yield Commands(path, capsys)
        driver = loader.instance_driver()
        for found in driver.list_instances(context.get_admin_context(), Listing()):
            driver.stop_instance(ADMIN, found.id, force=True)


def new_volume(**values):
    return loader.volume_driver().create_volume(ADMIN, NewVolume(size_gb=1, **values)).id


def volume(volume_id):
    return loader.volume_driver().show_volume(ADMIN, volume_id)


def test_a_life(instance):
    volume_ids = [new_volume() for _ in range(3)]
    created = instance('create', 'web', '--volume', volume_ids[0], '--volume', volume_ids[1])
    assert (created['name'], created['status']) == ('web', 'SHUTOFF')
    assert created['project_id'] == standalone.PROJECT
    attached = instance('attach', 'web', volume_ids[2], '--device', '/dev/vdx', '--boot')
    assert attached['volumes'] == [
        {'volume_id': volume_ids[0], 'device': '/dev/vda', 'is_boot': False},
        {'volume_id': volume_ids[1], 'device': '/dev/vdb', 'is_boot': False},
        {'volume_id': volume_ids[2], 'device': '/dev/vdx', 'is_boot': True}]
    for volume_id in volume_ids:
        assert volume(volume_id).status == 'in-use'
        attachment, = volume(volume_id).attachments
        assert attachment['server_id'] == created['id']
    for verb, status in (('start', 'ACTIVE'), ('pause', 'PAUSED'), ('resume', 'ACTIVE'),
                         ('suspend', 'SUSPENDED'), ('resume', 'ACTIVE')):
        assert instance(verb, created['id'])['status'] == status
        assert instance('show', 'web')['status'] == status
    eventually(lambda: instance('check', *volume_ids)['volumes'][0]['last'] > 3)
    assert instance('stop', 'web')['status'] == 'SHUTOFF'
    assert instance('detach', 'web', volume_ids[0])['volumes'] == attached['volumes'][1:]
    assert volume(volume_ids[0]).status == 'available'
    instance('start', 'web', '--new-log')
    instance.text('delete', 'web')
    assert instance('list') == []
    assert {volume(volume_id).status for volume_id in volume_ids} == {'available'}
    assert 'could not be found' in instance.text('show', 'web', status=1)


def test_tables_show_what_the_json_has(instance):
    volume_id = new_volume()
    made = instance('create', 'web', '--volume', volume_id)
    other = instance('create', 'db', '--project', uuid.uuid4().hex)
    lines = instance.text('list').splitlines()
    assert {line.split()[0] for line in lines} == {made['id'], other['id']}
    line, = instance.text('list', '--project', standalone.PROJECT).splitlines()
    for piece in ('web', 'SHUTOFF', '1 volume '):
        assert piece in line
    shown = instance.text('show', 'web')
    for piece in (made['id'], 'SHUTOFF', f'{volume_id} at /dev/vda'):
        assert piece in shown


def test_a_name_of_two_is_not_guessed(instance):
    ids = [instance('create', 'web')['id'] for _ in range(2)]
    assert '2 instances' in instance.text('delete', 'web', status=1)
    for each in ids:
        instance.text('delete', each)


def test_check_says_whether_copies_are_of_one_time(instance):
    """Copies that are made one after the other, without and with the instance standing still."""
    volume_ids = [new_volume() for _ in range(3)]
    made = instance('create', 'web', *(
        word for volume_id in volume_ids for word in ('--volume', volume_id)))
    driver, began = loader.instance_driver(), datetime.datetime.now(datetime.UTC)
    instance('start', 'web')

    def last(volume_id):
        path = loader.volume_driver().raw_path(ADMIN, volume_id)
        written, = driver.check_volumes({volume_id: path}).volumes
        return written.last

    def copies():
        found = []
        for volume_id in volume_ids:
            found.append(new_volume(source_volid=volume_id))
            loader.volume_driver().wait_volume(ADMIN, found[-1], 60)
            if not list(driver.list_holds(ADMIN)):
                before = last(volume_id)
                eventually(lambda: last(volume_id) > before + 2)  # noqa: B023 - ends in the round
        return found

    eventually(lambda: last(volume_ids[2]) > 5)
    driver.quiesce(ADMIN, made['id'], holder='test')
    still = copies()
    now = datetime.datetime.now(datetime.UTC)
    driver.unquiesce(ADMIN, made['id'], holder='test')
    moving = copies()

    checked = instance('check', *still, '--not-after', now.isoformat())
    assert checked['is_consistent'] and not checked['problems']
    assert 'The volumes are of one point in time.' in instance.text('check', *still)
    late = instance('check', *still, '--not-after', began.isoformat(), status=1)
    assert not late['is_consistent'] and all(each['problems'] for each in late['volumes']), late
    torn = instance('check', *moving, status=1)
    assert not torn['is_consistent'] and torn['problems']
    assert 'NOT of one point in time' in instance.text('check', *moving, status=1)
    mixed = instance('check', *still[:2], moving[2], status=1)
    assert not mixed['is_consistent']


def test_check_lets_a_running_instance_go_on(instance):
    volume_ids = [new_volume() for _ in range(2)]
    instance('create', 'web', '--volume', volume_ids[0], '--volume', volume_ids[1])
    instance('start', 'web')
    before = instance('check', *volume_ids)
    assert before['is_consistent']
    assert list(loader.instance_driver().list_holds(ADMIN)) == []
    eventually(lambda: instance('check', *volume_ids) != before)


def test_volumes_of_others_are_not_attached(instance):
    foreign = loader.volume_driver().create_volume(
        context.RequestContext(project_id=uuid.uuid4().hex, is_admin=True, overwrite=False),
        NewVolume(size_gb=1)).id
    taken = new_volume()
    instance('create', 'web')
    instance('create', 'db', '--volume', taken)
    instance.text('attach', 'web', foreign, status=1)
    assert 'in-use' in instance.text('attach', 'web', taken, status=1)
    instance.text('attach', 'web', str(uuid.uuid4()), status=1)
    assert instance('show', 'web')['volumes'] == []
    assert volume(taken).status == 'in-use'
    assert instance('show', 'db')['volumes'][0]['volume_id'] == taken


def test_what_the_instance_refuses_leaves_the_volume_alone(instance):
    running, free = new_volume(), new_volume()
    instance('create', 'web', '--volume', running)
    instance('start', 'web')
    instance.text('attach', 'web', free, status=1)
    instance.text('detach', 'web', running, status=1)
    assert volume(free).status == 'available'
    assert volume(running).status == 'in-use'


def test_the_volume_api_does_not_take_a_volume_from_under_an_instance(instance):
    volume_id = new_volume()
    instance('create', 'web', '--volume', volume_id)
    attachment, = volume(volume_id).attachments
    for attachment_id in (None, attachment['attachment_id']):
        with pytest.raises(exception.InvalidVolume):
            volumes.detach(ADMIN, volume_id, attachment_id)
    assert volume(volume_id).status == 'in-use'
    volumes.detach(ADMIN, volume_id, None, policies.FORCE_DETACH)
    assert volume(volume_id).status == 'available'
    instance.text('start', 'web', status=1)
    instance('detach', 'web', volume_id)


@pytest.mark.parametrize('status', ('reverting', 'available'))
def test_start_and_resume_want_every_volume_in_use(instance, status):
    volume_ids = [new_volume() for _ in range(2)]
    instance('create', 'web', '--volume', volume_ids[0], '--volume', volume_ids[1])
    driver = loader.volume_driver()
    driver.reset_volume(ADMIN, volume_ids[1], status=status, attachments=None)
    assert status in instance.text('start', 'web', status=1)
    assert instance('show', 'web')['status'] == 'SHUTOFF'
    driver.reset_volume(ADMIN, volume_ids[1], status='in-use', attachments=None)
    instance('start', 'web')
    instance('suspend', 'web')
    driver.reset_volume(ADMIN, volume_ids[1], status=status, attachments=None)
    assert status in instance.text('resume', 'web', status=1)
    assert instance('show', 'web')['status'] == 'SUSPENDED'


def test_an_attachment_that_was_left_half_done_is_mended_by_the_same_command(instance):
    """The volume is in use by the instance, and the instance does not know."""
    made, half = instance('create', 'web'), new_volume()

    def interrupt():
        loader.volume_driver().attach_volume(
            ADMIN, half, instance_id=made['id'], host=None, mountpoint='/dev/vdk', mode='rw')

    interrupt()
    attached = instance('attach', 'web', half)
    assert [each['device'] for each in attached['volumes']] == ['/dev/vdk']
    instance('detach', 'web', half)
    interrupt()
    instance('detach', 'web', half)
    assert volume(half).status == 'available'


def test_deletion_goes_on_where_it_was_interrupted(instance):
    """The volume is gone already, as after a forced deletion of it."""
    volume_ids = [new_volume() for _ in range(2)]
    instance('create', 'web', '--volume', volume_ids[0], '--volume', volume_ids[1])
    loader.volume_driver().remove_volume(ADMIN, volume_ids[0], force=True)
    instance.text('delete', 'web')
    assert instance('list') == []
    assert volume(volume_ids[1]).status == 'available'


def test_a_driver_that_does_not_run_instances_itself_says_so(instance, monkeypatch):
    monkeypatch.setattr(type(loader.instance_driver()), 'serves_instances', False)
    assert 'does not run instances itself' in instance.text('list', status=1)
    with pytest.raises(exception.Unsupported):
        instances.local()
