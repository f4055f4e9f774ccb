# SPDX-License-Identifier: Apache-2.0
"""What is the file driver's own: its files, its catalogue between processes, and what crashes
leave.
"""

import fcntl
import multiprocessing
import os
import signal
import sqlite3
import stat
import threading
import time
import uuid

import pytest

from backupsvc import conf as service_conf
from backupsvc import context, exception
from backupsvc.drivers.base import Listing, NewVolume
from backupsvc.drivers.volume.file import catalogue, files
from backupsvc.drivers.volume.file.driver import FileVolumeDriver

GIB = 1024 ** 3
PROJECT = '0b5c0000000000000000000000000001'


def caller():
    return context.RequestContext(
        user_id='alice', project_id=PROJECT, roles=['member'], is_admin=False, overwrite=False)


def wait_until(condition, deadline_s=60):
    give_up_at = time.monotonic() + deadline_s
    while not (value := condition()):
        assert time.monotonic() < give_up_at
    return value


def configure(directory):
    conf = service_conf.new_config()
    for group, options in FileVolumeDriver.list_opts():
        conf.register_opts(options, group=group)
    conf([], project='backupsvc', default_config_files=[], default_config_dirs=[])
    conf.set_override('directory', str(directory), group='volume_file')
    service_conf.install(conf)
    return conf


@pytest.fixture
def directory(tmp_path):
    return tmp_path / 'volumes'


@pytest.fixture
def driver(directory):
    return FileVolumeDriver(configure(directory))


def names(directory):
    return sorted(path.name for path in directory.iterdir() if path.suffix in ('.raw', '.part'))


def kill_while(function, *args):
    """Run a function in a process of its own and kill it once it says that it is there."""
    parent, child = multiprocessing.Pipe()
    process = multiprocessing.get_context('fork').Process(target=function, args=(child, *args))
    process.start()
    assert parent.poll(60)
    said = parent.recv()
    os.kill(process.pid, signal.SIGKILL)
    process.join(60)
    return said


# -- files


def test_files_are_sparse_and_private(driver, directory):
    volume = driver.create_volume(caller(), NewVolume(size_gb=100))
    found = os.stat(driver.raw_path(caller(), volume.id))
    assert found.st_size == 100 * GIB
    assert found.st_blocks == 0
    assert stat.S_IMODE(found.st_mode) == 0o600
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((directory / 'catalogue.sqlite').stat().st_mode) & 0o077 == 0


def test_copies_keep_holes(driver):
    volume = driver.create_volume(caller(), NewVolume(size_gb=10))
    with open(driver.raw_path(caller(), volume.id), 'r+b') as file:
        file.seek(5 * GIB)
        file.write(b'x' * 65536)
    made = driver.create_snapshot(caller(), volume.id, name=None, description=None, metadata={},
                                  force=False)
    wait_until(lambda: driver.show_snapshot(caller(), made.id).status == 'available')
    path = driver.files.path(made.id)
    assert path.stat().st_size == 10 * GIB
    assert path.stat().st_blocks * 512 <= 1024 ** 2
    with open(path, 'rb') as file:
        file.seek(5 * GIB)
        assert file.read(65537) == b'x' * 65536 + b'\0'


@pytest.mark.parametrize('in_kernel', [True, False])
def test_copy_is_equal_with_and_without_the_kernels_help(tmp_path, monkeypatch, in_kernel):
    if not in_kernel:
        def refuse(*args):
            raise OSError(18, 'cross-device')
        monkeypatch.setattr(os, 'copy_file_range', refuse)
    source, target = tmp_path / 'source', tmp_path / 'target'
    with open(source, 'wb') as file:
        for offset in (0, 3 << 20, (20 << 20) + 123):
            file.seek(offset)
            file.write(os.urandom(70001))
        file.truncate(30 << 20)
    with open(source, 'rb') as one, open(target, 'w+b') as two:
        files.copy(one.fileno(), two.fileno())
    assert target.read_bytes() == source.read_bytes()
    assert target.stat().st_blocks <= source.stat().st_blocks + 64


def test_a_file_made_shorter_by_a_tool_is_a_whole_volume_again(driver):
    volume = driver.create_volume(caller(), NewVolume(size_gb=1))
    path = driver.raw_path(caller(), volume.id)
    with open(path, 'wb') as file:
        file.write(b'image')
    holder = str(uuid.uuid4())
    driver.acquire_volume(caller(), volume.id, holder=holder, status='backing-up',
                          expected=('available',))
    source = driver.open_source(caller(), volume.id, snapshot_id=None, holder=holder)
    assert source.size_bytes == GIB
    source.close()


def test_a_file_longer_than_its_volume_is_refused_and_not_cut(driver):
    volume = driver.create_volume(caller(), NewVolume(size_gb=1))
    path = driver.raw_path(caller(), volume.id)
    os.truncate(path, GIB + 1)
    holder = str(uuid.uuid4())
    driver.acquire_volume(caller(), volume.id, holder=holder, status='backing-up',
                          expected=('available',))
    with pytest.raises(exception.DriverFailed) as refused:
        driver.open_source(caller(), volume.id, snapshot_id=None, holder=holder)
    assert str(GIB + 1) in str(refused.value)
    assert os.path.getsize(path) == GIB + 1


def test_a_missing_file_is_named(driver):
    volume = driver.create_volume(caller(), NewVolume(size_gb=1))
    path = driver.raw_path(caller(), volume.id)
    os.unlink(path)
    with pytest.raises(exception.DriverFailed) as refused:
        driver.raw_path(caller(), volume.id)
    assert path in str(refused.value)


def test_a_directory_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / 'file').write_text('')
    driver = FileVolumeDriver(configure(tmp_path / 'file' / 'below'))
    with pytest.raises(exception.DriverFailed) as refused:
        driver.check_setup()
    assert '[volume_file] directory' in str(refused.value)


def test_a_target_waits_for_copies_of_its_file(driver):
    holder = str(uuid.uuid4())
    volume = driver.create_volume(caller(), NewVolume(size_gb=1, holder=holder))
    opened = threading.Event()

    def open_target():
        driver.open_target(caller(), volume.id, holder=holder).close()
        opened.set()

    with driver.files.locked(volume.id, shared=True):
        thread = threading.Thread(target=open_target)
        thread.start()
        assert not opened.wait(0.3)
    assert opened.wait(60)
    thread.join()


def test_a_second_writer_waits_for_the_first(driver):
    holder = str(uuid.uuid4())
    volume = driver.create_volume(caller(), NewVolume(size_gb=1, holder=holder))
    first = driver.open_target(caller(), volume.id, holder=holder)
    with open(driver.raw_path(caller(), volume.id), 'rb') as file:
        with pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        first.close()
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)


# -- what crashes leave


def test_a_copy_whose_process_was_killed_ends_in_error(driver, directory):
    driver.check_setup()

    def make(pipe):
        mine = FileVolumeDriver(driver.conf)
        origin = mine.create_volume(caller(), NewVolume(size_gb=1))
        # The lock makes the copy wait for ever, so that it is killed in the middle.
        with mine.files.locked(origin.id, shared=False):
            made = mine.create_volume(caller(), NewVolume(size_gb=1, source_volid=origin.id))
            pipe.send((made.id, made.status))
            signal.pause()

    made_id, status = kill_while(make)
    assert status == 'creating'
    assert driver.show_volume(caller(), made_id).status == 'error'
    driver.remove_volume(caller(), made_id)
    assert f'{made_id}.part' not in names(directory)


def test_a_copy_that_is_going_on_is_not_taken_for_dead(driver):
    origin = driver.create_volume(caller(), NewVolume(size_gb=1))
    other = FileVolumeDriver(driver.conf)
    with driver.files.locked(origin.id, shared=False):
        made = driver.create_volume(caller(), NewVolume(size_gb=1, source_volid=origin.id))
        assert other.show_volume(caller(), made.id).status == 'creating'
        listed = {one.id: one.status for one in other.list_volumes(caller(), Listing())}
        assert listed[made.id] == 'creating'
    wait_until(lambda: other.show_volume(caller(), made.id).status == 'available')


def test_a_file_that_was_whole_before_the_kill_is_available(driver):
    """The process died between the rename of the file and the change of its row."""
    volume = driver.create_volume(caller(), NewVolume(size_gb=1))
    with driver.catalogue.transaction() as connection:
        connection.execute("UPDATE volumes SET status = 'creating'")
    assert FileVolumeDriver(driver.conf).show_volume(
        caller(), volume.id).status == 'available'


def test_orphans_are_removed_and_nothing_else(driver, directory):
    volume, removed = (driver.create_volume(caller(), NewVolume(size_gb=1)) for _ in range(2))
    snapshot = driver.create_snapshot(
        caller(), removed.id, name=None, description=None, metadata={}, force=False)
    with driver.catalogue.transaction() as connection:  # of processes killed in a deletion
        connection.execute('DELETE FROM snapshots WHERE id = ?', [snapshot.id])
        connection.execute('DELETE FROM volumes WHERE id = ?', [removed.id])
    unknown = directory / f'{uuid.uuid4()}.raw'
    unknown.write_bytes(b'of a catalogue that is gone')
    old, young = directory / f'{uuid.uuid4()}.part', directory / f'{uuid.uuid4()}.part'
    for path in (old, young):
        path.write_bytes(b'left by a kill in a creation')
    os.utime(old, (0, 0))
    (directory / 'notes.txt').write_text('not ours')
    working = driver.files.begin('made-right-now')
    os.utime(directory / 'made-right-now.part', (0, 0))
    driver.check_setup()
    assert names(directory) == sorted([
        f'{volume.id}.raw', unknown.name, young.name, 'made-right-now.part'])
    assert (directory / 'notes.txt').exists()
    os.close(working)


# -- the catalogue


def test_a_child_process_uses_its_own_connections(driver):
    volume = driver.create_volume(caller(), NewVolume(size_gb=1, name='parent'))

    with driver.catalogue.reading() as connection:
        carried = id(connection)

    def work(pipe):
        with driver.catalogue.reading() as connection:
            own = id(connection) != carried
        driver.update_volume(caller(), volume.id, name='child')
        pipe.send((own, driver.show_volume(caller(), volume.id).name))

    parent, child = multiprocessing.Pipe()
    process = multiprocessing.get_context('fork').Process(target=work, args=(child,))
    process.start()
    process.join(60)
    assert process.exitcode == 0
    assert parent.recv() == (True, 'child')
    assert driver.show_volume(caller(), volume.id).name == 'child'


def test_a_kill_in_a_transaction_leaves_the_row_as_it_was(driver):
    volume = driver.create_volume(caller(), NewVolume(size_gb=1, name='before'))

    def work(pipe):
        mine = FileVolumeDriver(driver.conf)
        with mine.catalogue.transaction() as connection:
            connection.execute("UPDATE volumes SET name = 'after'")
            pipe.send(True)
            signal.pause()

    kill_while(work)
    assert driver.show_volume(caller(), volume.id).name == 'before'
    assert driver.update_volume(caller(), volume.id, name='later').name == 'later'


def test_processes_share_one_count_of_the_quota(driver):
    driver.check_setup()

    def work(pipe):
        mine = FileVolumeDriver(driver.conf)
        made = 0
        for _ in range(10):
            try:
                mine.create_volume(caller(), NewVolume(size_gb=1, limits={'volumes': 12}))
                made += 1
            except exception.VolumeLimitExceeded:
                pass
        pipe.send(made)

    ends = [multiprocessing.Pipe() for _ in range(3)]
    fork = multiprocessing.get_context('fork')
    processes = [fork.Process(target=work, args=(child,)) for _, child in ends]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert sum(parent.recv() for parent, _ in ends) == 12
    assert driver.usage(PROJECT)['volumes'] == 12


def test_an_error_gives_the_connection_up_and_changes_nothing(driver):
    volume = driver.create_volume(caller(), NewVolume(size_gb=1))
    with pytest.raises(sqlite3.OperationalError):
        with driver.catalogue.transaction() as connection:
            connection.execute("UPDATE volumes SET name = 'x'")
            connection.execute('no SQL')
    assert driver.show_volume(caller(), volume.id).name is None


def test_the_last_page_costs_what_the_first_does(driver):
    """Counted in rows that SQLite walks over, by the plan: the index is searched, not scanned."""
    store = driver.catalogue
    with store.transaction() as connection:
        for number in range(3000):
            catalogue.insert(connection, 'volumes', {
                'id': str(uuid.UUID(int=number)), 'project_id': PROJECT, 'status': 'available',
                'size_gb': 1, 'created_at': f'2026-01-01T00:00:{number // 60:02d}.{number:06d}'})
    marker = store.get('volumes', str(uuid.UUID(int=10)))

    def steps(marker):
        counted = 0

        def step():
            nonlocal counted
            counted += 1
        with store.reading() as connection:
            connection.set_progress_handler(step, 100)
        store.page('volumes', {'project_id': PROJECT}, [('created_at', 'desc')], 10, marker, 0)
        with store.reading() as connection:
            connection.set_progress_handler(None, 100)
        return counted

    assert steps(marker) <= steps(None) + 20
