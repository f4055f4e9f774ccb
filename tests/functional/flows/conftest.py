# SPDX-License-Identifier: Apache-2.0
"""A manager in this process with real movers, and what a user does with it by use cases."""

import os
import random
import signal

import pytest

from backupsvc import context as request_context
from backupsvc import states
from backupsvc.drivers import loader
from backupsvc.drivers.base import NewVolume
from backupsvc.manager import service
from backupsvc.objects.backup import Backup
from backupsvc.objects.task import Task, TaskList
from backupsvc.orchestration import backups, restores
from tests.fixtures import deployment, processes
from tests.fixtures.deployment import eventually

MIB = 1024 * 1024


class Rig:
    """One deployment, and short words for what tests do with it."""

    def __init__(self, conf):
        self.conf = conf
        self.user = deployment.user_context()
        self.admin = request_context.get_admin_context()
        self.manager = None

    def start(self):
        """Start a manager and wait until the API would find it."""
        self.manager = service.ManagerService(self.conf)
        self.manager.start()
        from backupsvc.orchestration import placement
        eventually(lambda: placement.pick('nova', self.conf.host))
        return self.manager

    def stop(self):
        if self.manager is not None:
            self.manager.stop()
            self.manager = None

    def path(self, volume_id):
        return loader.volume_driver().files.path(volume_id)

    def volume(self, *pieces, **values):
        """Make a volume of 1 GiB that holds (offset, bytes) pieces."""
        volume = loader.volume_driver().create_volume(
            self.user, NewVolume(size_gb=1, **values))
        self.write(volume.id, *pieces)
        return volume

    def write(self, volume_id, *pieces):
        with open(self.path(volume_id), 'r+b') as file:
            for offset, data in pieces:
                file.seek(offset)
                file.write(data)

    def show(self, volume_id):
        return loader.volume_driver().show_volume(self.user, volume_id)

    def create(self, volume_id, **values):
        return backups.create(self.user, backups.NewBackup(
            source_id=volume_id, origin='test', **values))

    def read(self, backup_id):
        return Backup.get_by_id(self.admin, backup_id, read_deleted=True)

    def settled(self, backup_id, deadline_s=60):
        """Return the backup once no task of it is left."""
        eventually(lambda: not Task.live_for(self.admin, backup_id), deadline_s)
        return self.read(backup_id)

    def backed_up(self, volume_id, **values):
        backup = self.settled(self.create(volume_id, **values).id)
        assert (backup.status, backup.fail_reason) == (states.AVAILABLE, None)
        return backup

    def restore(self, backup_id, volume_id=None, name=None):
        """Restore, wait for the end, and return the volume."""
        restored = restores.restore(self.user, backup_id, volume_id, name)
        self.settled(backup_id)
        return self.show(restored.volume_id)

    def tasks(self, resource_id):
        return list(TaskList.get_all(self.admin, {'resource_id': resource_id}))


def movers():
    """Return the process ids of this process's movers."""
    return processes.children(os.getpid())


class Frozen:
    """The next mover, stopped at its very start until ``thaw``; so a test can act meanwhile."""

    def __init__(self):
        self.pid, = eventually(movers)
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self):
        os.kill(self.pid, signal.SIGCONT)

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)

    def is_gone(self):
        return self.pid not in movers()


def noise(seed, size):
    """Return ``size`` bytes that nothing compresses."""
    return random.Random(seed).randbytes(size)


def same_bytes(one, other):
    """Tell whether two files hold the same; holes of both are not read."""
    with open(one, 'rb') as first, open(other, 'rb') as second:
        if os.fstat(first.fileno()).st_size != os.fstat(second.fileno()).st_size:
            return False
        return all(
            os.pread(first.fileno(), size, offset) == os.pread(second.fileno(), size, offset)
            for file in (first, second) for offset, size in _data(file.fileno()))


def _data(fd):
    """Yield (offset, size) of what is no hole, in pieces."""
    end, total = 0, os.fstat(fd).st_size
    while end < total:
        try:
            start = os.lseek(fd, end, os.SEEK_DATA)
        except OSError:  # only a hole is left
            return
        end = os.lseek(fd, start, os.SEEK_HOLE)
        for offset in range(start, end, 4 * MIB):
            yield offset, min(4 * MIB, end - offset)


@pytest.fixture
def make_rig(tmp_path):
    """Return what makes the one rig of a test, with ``[manager]`` options."""
    from contextlib import ExitStack
    with ExitStack() as stack:
        def make(extra='', **options):
            conf = stack.enter_context(
                deployment.deployed(deployment.write_config(tmp_path, extra=extra, **options)))
            rig = Rig(conf)
            stack.callback(rig.stop)
            return rig
        yield make


@pytest.fixture
def rig(make_rig):
    """A rig with a running manager."""
    rig = make_rig()
    rig.start()
    return rig


@pytest.fixture
def make_machines(make_rig):
    """Return what makes the one rig of a test with instances that run."""
    from contextlib import ExitStack

    from tests.functional.flows import instances
    with ExitStack() as stack:
        def make(extra='', is_managed=True, **options):
            rig = make_rig(extra=instances.OPTIONS + extra, **options)
            machines = stack.enter_context(instances.running(rig))
            if is_managed:
                rig.start()
            return machines
        yield make


@pytest.fixture
def machines(make_machines):
    """Instances beside a rig with a running manager."""
    return make_machines()
