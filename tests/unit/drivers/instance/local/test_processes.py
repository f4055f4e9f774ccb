# SPDX-License-Identifier: Apache-2.0
"""The local driver and real processes that end, fail, hang, or are somebody else's."""

import concurrent.futures
import contextlib
import fcntl
import json
import multiprocessing
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid

import pytest

from backupsvc import conf as service_conf
from backupsvc import context, exception
from backupsvc.drivers import loader
from backupsvc.drivers.base import Listing
from backupsvc.drivers.instance.local import processes
from tests.fixtures.deployment import eventually
from tests.fixtures.processes import is_running

PROJECT = '0b5c0000000000000000000000000001'
ADMIN = context.RequestContext(project_id=PROJECT, is_admin=True, overwrite=False)


class Machine:
    """A driver over a state directory, and one instance that runs there."""

    def __init__(self, state_path):
        self.state_path = state_path
        self.conf = service_conf.new_config()
        driver_class = loader.load_class('instance', 'local')
        for group, options in driver_class.list_opts():
            self.conf.register_opts(options, group=group)
        self.conf([], project='backupsvc', default_config_files=[], default_config_dirs=[])
        self.conf.set_override('state_path', str(state_path))
        self.conf.set_override('write_interval', 0.001, group='instance_local')
        self.conf.set_override('log_size_kb', 64, group='instance_local')
        self.driver = driver_class(self.conf)
        self.id = None

    def boot(self):
        self.id = self.driver.create_instance(ADMIN, name='web').id
        for letter in 'ab':
            volume_id = str(uuid.uuid4())
            with open(self.state_path / volume_id, 'wb') as file:
                file.truncate(1024 ** 2)
            self.driver.attach_volume(ADMIN, self.id, volume_id, device=f'/dev/vd{letter}')
        return self.start()

    def start(self):
        self.driver.start_instance(ADMIN, self.id, lambda each: str(self.state_path / each))
        return self.pid

    @property
    def directory(self):
        return self.state_path / 'instances' / self.id

    @property
    def pid(self):
        return processes.pid(self.directory)

    @property
    def shown(self):
        return self.driver.show_instance(ADMIN, self.id)

    def check(self):
        return self.driver.check_volumes({
            volume.volume_id: str(self.state_path / volume.volume_id)
            for volume in self.shown.volumes})


@pytest.fixture
def machine(tmp_path):
    (tmp_path / 'state').mkdir()
    machine = Machine(tmp_path / 'state')
    machine.boot()
    yield machine
    for instance in machine.driver.list_instances(ADMIN, Listing()):
        machine.driver.stop_instance(ADMIN, instance.id, force=True)


def test_a_writer_that_was_killed_is_shut_off(machine):
    pid = machine.pid
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not is_running(pid))
    assert (machine.shown.status, machine.shown.fault) == ('SHUTOFF', None)
    assert machine.check().is_consistent
    assert machine.start() != pid
    assert machine.shown.status == 'ACTIVE'


def test_a_writer_that_failed_is_in_error_and_says_why(machine):
    """No file of the process may grow beyond the first bytes of the log any more."""
    pid = machine.pid
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, 4096))
    eventually(lambda: not is_running(pid))
    assert machine.shown.status == 'ERROR'
    assert 'File too large' in machine.shown.fault
    assert 'File too large' in (machine.directory / 'writer.log').read_text()
    with pytest.raises(exception.InvalidInstance) as refused:
        machine.driver.pause_instance(ADMIN, machine.id)
    assert 'File too large' in refused.value.message
    assert machine.check().is_consistent
    machine.start()
    assert (machine.shown.status, machine.shown.fault) == ('ACTIVE', None)


def test_stopping_one_in_error_ends_the_error(machine):
    pid = machine.pid
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, 4096))
    eventually(lambda: not is_running(pid))
    assert machine.driver.stop_instance(ADMIN, machine.id).status == 'SHUTOFF'


def test_the_number_of_another_process_is_left_alone(machine):
    """The writer is gone, and its process id is by now somebody else's."""
    machine.driver.stop_instance(ADMIN, machine.id)
    with subprocess.Popen(['sleep', '600'], start_new_session=True) as stranger:
        try:
            (machine.directory / 'writer.json').write_text(json.dumps({
                'state': 'running', 'fault': None, 'pid': stranger.pid, 'next': [5, 1]}))
            (machine.directory / 'writer.lock').write_text(str(stranger.pid))
            assert machine.shown.status == 'SHUTOFF'
            machine.driver.quiesce(ADMIN, machine.id, holder='a')
            machine.driver.unquiesce(ADMIN, machine.id, holder='a')
            machine.driver.stop_instance(ADMIN, machine.id)
            machine.driver.stop_instance(ADMIN, machine.id, force=True)
            state = pathlib.Path(f'/proc/{stranger.pid}/stat').read_text().split()[2]
            assert stranger.poll() is None and state == 'S'
            machine.start()
            assert machine.pid != stranger.pid
        finally:
            stranger.kill()


def test_a_state_directory_that_was_moved_takes_its_instances_along(machine):
    pid = machine.pid
    moved = machine.state_path.parent / 'moved'
    machine.state_path.rename(moved)
    there = Machine(moved)
    there.id = machine.id
    assert (there.shown.status, there.pid) == ('ACTIVE', pid)
    there.driver.quiesce(ADMIN, there.id, holder='a')
    before = there.check()
    assert before.is_consistent
    there.driver.unquiesce(ADMIN, there.id, holder='a')
    assert there.driver.suspend_instance(ADMIN, there.id).status == 'SUSPENDED'
    assert not is_running(pid)
    resumed = there.driver.resume_instance(ADMIN, there.id, lambda each: str(moved / each))
    assert resumed.status == 'ACTIVE'
    there.driver.stop_instance(ADMIN, there.id)
    assert there.check().is_consistent and not machine.state_path.exists()


def test_a_copied_state_directory_has_no_running_instances(machine):
    pid = machine.pid
    machine.driver.quiesce(ADMIN, machine.id, holder='a')
    shutil.copytree(machine.state_path, machine.state_path.parent / 'copy')
    machine.driver.unquiesce(ADMIN, machine.id, holder='a')
    copy = Machine(machine.state_path.parent / 'copy')
    copy.id = machine.id
    assert copy.shown.status == 'SHUTOFF'
    assert copy.driver.stop_instance(ADMIN, copy.id, force=True).status == 'SHUTOFF'
    assert copy.check().is_consistent
    assert machine.shown.status == 'ACTIVE' and is_running(pid)


def test_a_stop_ends_behind_a_whole_round(machine):
    for _ in range(8):
        before = machine.check()
        eventually(lambda: machine.check() != before)  # noqa: B023 - ends in the round
        machine.driver.stop_instance(ADMIN, machine.id)
        first, second = machine.check().volumes
        assert first.last == second.last
        machine.start()


def test_a_writer_ends_with_its_directory(machine):
    pid = machine.pid
    shutil.rmtree(machine.directory)
    eventually(lambda: not is_running(pid))


def run_and_die(machine, statement):
    """Run a statement in another process, which kills itself with SIGKILL right behind it."""
    code = f"""
import os, signal, pathlib
from tests.unit.drivers.instance.local import test_processes as here
machine = here.Machine(pathlib.Path({str(machine.state_path)!r}))
machine.id = {machine.id!r}
{statement}
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, '-W', 'ignore', '-c', code], capture_output=True,
                          text=True, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr


def test_an_instance_outlives_the_process_that_started_it(machine):
    machine.driver.stop_instance(ADMIN, machine.id)
    run_and_die(machine, 'machine.start()')
    assert machine.shown.status == 'ACTIVE'
    assert os.getsid(machine.pid) != os.getsid(0)
    before = machine.check()
    eventually(lambda: machine.check() != before)
    machine.driver.stop_instance(ADMIN, machine.id)
    assert machine.check().is_consistent


def test_a_standstill_outlives_the_process_that_asked_for_it(machine):
    run_and_die(machine, 'machine.driver.quiesce(here.ADMIN, machine.id, holder="a")')
    state = pathlib.Path(f'/proc/{machine.pid}/stat').read_text().rpartition(')')[2].split()[0]
    assert state == 'T'
    assert machine.shown.status == 'ACTIVE'
    assert [hold.holder for hold in machine.driver.list_holds(ADMIN)] == ['a']
    before = machine.check()
    assert machine.driver.quiesce(ADMIN, machine.id, holder='a')
    assert machine.check() == before and before.is_consistent
    machine.driver.unquiesce(ADMIN, machine.id, holder='a')
    eventually(lambda: machine.check() != before)


def test_a_status_does_not_flicker_while_an_instance_is_quiesced(machine):
    seen, is_over = set(), threading.Event()

    def look():
        while not is_over.is_set():
            seen.add(machine.shown.status)

    with concurrent.futures.ThreadPoolExecutor() as pool:
        looking = pool.submit(look)
        for number in range(50):
            machine.driver.quiesce(ADMIN, machine.id, holder=str(number))
            machine.driver.unquiesce(ADMIN, machine.id, holder=str(number))
        is_over.set()
        looking.result()
    assert seen == {'ACTIVE'}


@contextlib.contextmanager
def stubborn(directory):
    """Have a process in the place of the writer that does not stand still until the block ends: it
    waits in the kernel for a child to start, as for a disk that does not answer.
    """
    fifo = directory / 'fifo'
    os.mkfifo(fifo)
    code = f"""
import fcntl, os
lock = os.open('writer.lock', os.O_RDWR | os.O_CREAT)
fcntl.lockf(lock, fcntl.LOCK_EX)
os.posix_spawn('/bin/true', ['true'], {{}},
               file_actions=[(os.POSIX_SPAWN_OPEN, 9, {str(fifo)!r}, os.O_RDONLY, 0)])
open('went-on', 'w').close()
input()
"""
    with subprocess.Popen([sys.executable, '-c', code], cwd=directory,
                          stdin=subprocess.PIPE) as process:
        try:
            eventually(lambda: processes.pid(directory) == process.pid)
            eventually(lambda: pathlib.Path(
                f'/proc/{process.pid}/stat').read_text().split()[2] == 'D')
            yield
            with open(fifo, 'w'):
                eventually((directory / 'went-on').exists)
            assert processes.is_still(directory) is False
        finally:
            process.kill()


def test_a_process_that_does_not_stand_still_goes_on(machine):
    machine.driver.stop_instance(ADMIN, machine.id)
    machine.conf.set_override('timeout', 0.2, group='instance_local')
    with stubborn(machine.directory):
        with pytest.raises(exception.DriverFailed):
            machine.driver.quiesce(ADMIN, machine.id, holder='a')
        assert list(machine.driver.list_holds(ADMIN)) == []


def test_a_standstill_is_somebody_s_from_its_beginning(machine):
    """Whoever asks is killed while the process does not stand still yet."""
    machine.driver.stop_instance(ADMIN, machine.id)
    with stubborn(machine.directory):
        asking = multiprocessing.get_context('fork').Process(
            target=machine.driver.quiesce, args=(ADMIN, machine.id), kwargs={'holder': 'a'})
        asking.start()
        try:
            eventually(lambda: list(machine.driver.list_holds(ADMIN)))
        finally:
            asking.kill()
            asking.join()
        assert [hold.holder for hold in machine.driver.list_holds(ADMIN)] == ['a']
        machine.driver.unquiesce(ADMIN, machine.id, holder='a')


def test_what_a_killed_creation_or_deletion_left_is_removed(machine):
    instances = machine.state_path / 'instances'
    for name in (f'{uuid.uuid4()}.part', f'{uuid.uuid4()}.gone'):
        (instances / name).mkdir()
        (instances / name / 'instance.json').write_text('{}')
        os.utime(instances / name, (time.time() - 3600,) * 2)
    young = instances / f'{uuid.uuid4()}.part'
    young.mkdir()
    assert [found.id for found in machine.driver.list_instances(ADMIN, Listing())] == [machine.id]
    made = machine.driver.create_instance(ADMIN, name='next')
    assert {path.name for path in instances.iterdir()} == {machine.id, made.id, young.name}


def test_a_directory_that_cannot_be_made_is_named(tmp_path):
    machine = Machine(tmp_path / 'state')
    (tmp_path / 'state').write_text('a file')
    with pytest.raises(exception.DriverFailed) as failed:
        machine.driver.create_instance(ADMIN, name='web')
    assert '[instance_local] directory' in failed.value.message


def test_a_log_that_a_volume_has_no_room_for_is_refused(machine):
    machine.driver.stop_instance(ADMIN, machine.id)
    machine.conf.set_override('log_size_kb', 1024, group='instance_local')
    with pytest.raises(exception.InvalidInstance) as refused:
        machine.driver.start_instance(
            ADMIN, machine.id, lambda each: str(machine.state_path / each), new_log=True)
    assert 'too small' in refused.value.message
    assert (machine.state_path / machine.shown.volumes[0].volume_id).stat().st_size == 1024 ** 2
    machine.start()


def test_a_volume_that_is_restored_into_is_not_written_to(machine):
    """A restore locks the raw file for itself."""
    machine.driver.stop_instance(ADMIN, machine.id)
    before = machine.check()
    with open(machine.state_path / machine.shown.volumes[1].volume_id, 'rb') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(exception.InvalidInstance):
            machine.start()
    assert machine.check() == before
    machine.start()
    with open(machine.state_path / machine.shown.volumes[1].volume_id, 'rb') as file:
        with pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
