# SPDX-License-Identifier: Apache-2.0
"""A campaign of SIGKILLs against the running service, and what must hold when it is over.

A user creates, restores and deletes backups all the time, without waiting for anything. Processes
are killed at random moments, requests in flight or not, and started again. In the end nothing may
be in flight, every backup must restore to what its source held, and every count and status must be
true.
"""

import dataclasses
import hashlib
import os
import pathlib
import random
import threading
import time
from collections.abc import Callable

from backupsvc import context as request_context
from backupsvc import states
from backupsvc.drivers import loader
from backupsvc.engine.source import RawFileTarget
from backupsvc.manager import repositories
from backupsvc.objects import quota
from backupsvc.objects.backup import BackupList
from backupsvc.objects.task import TaskList
from tests.fixtures import processes
from tests.fixtures.deployment import eventually

MIB = 1024 * 1024

#: For the configuration file: no quota stands in the way, but all of them are counted.
OPTIONS = """
[api]
auth_strategy = noauth

[quota]
backups = -1
backup_gigabytes = -1
volumes = -1
gigabytes = -1
snapshots = -1
"""
_BLOCK = 64 * 1024

#: Seconds that a service may take to start, or to do one thing of each kind, on a busy machine.
_PATIENCE_S = 300


@dataclasses.dataclass
class Tally:
    """What a campaign did, for the log of the test."""

    kills: dict[str, int] = dataclasses.field(default_factory=dict)
    asked: dict[str, int] = dataclasses.field(default_factory=dict)
    unanswered: int = 0
    done: dict[str, int] = dataclasses.field(default_factory=dict)


def digest(path: pathlib.Path) -> str:
    """Return a digest of a sparse file's contents, whatever its holes are."""
    found = hashlib.blake2b()
    with open(path, 'rb') as file:
        end, size = 0, os.fstat(file.fileno()).st_size
        while end < size:
            try:
                start = os.lseek(file.fileno(), end, os.SEEK_DATA)
            except OSError:  # only a hole is left
                break
            start -= start % _BLOCK
            end = os.lseek(file.fileno(), max(start, end), os.SEEK_HOLE)
            end = min(size, -(-end // _BLOCK) * _BLOCK)
            for offset in range(start, end, _BLOCK):
                data = os.pread(file.fileno(), _BLOCK, offset)
                if data.strip(b'\0'):
                    found.update(offset.to_bytes(8, 'big') + data)
    return found.hexdigest()


class Campaign:
    """One campaign.

    :param services: role → process; the one that has the movers is called ``manager``
    :param seed: of the choices; the moments depend on the machine as well
    """

    #: Kinds of task of which a campaign carries out at least one.
    KINDS = frozenset({
        states.TASK_CREATE, states.TASK_RESTORE, states.TASK_DELETE, states.TASK_PRUNE})

    def __init__(self, client: processes.Client, services: dict[str, processes.Process],
                 seed: int, volumes: int = 3, data_mib: int = 16):
        self.random = random.Random(seed)
        self.client = client
        self.services = services
        self.admin = request_context.get_admin_context()
        self.tally = Tally()
        self._number = 0
        self._ends = 0
        self._trouble: BaseException | None = None
        self._expected: dict[str, str] = {}  # name of a backup or restored volume → digest
        self.sources = [self._make_source(data_mib) for _ in range(volumes)]
        self._span_s = self._time_one()

    # Asking --------------------------------------------------------------------------------------

    def _ask(self, what: str, method: str, path: str, body=None):
        """Send a request whose answer may never come; None then."""
        self.tally.asked[what] = self.tally.asked.get(what, 0) + 1
        try:
            status, content = self.client(method, path, body)
        except processes.no_answer():
            self.tally.unanswered += 1
            return None
        assert status < 500, (what, status, content)
        return content if status < 400 else None

    def _make_source(self, data_mib: int) -> str:
        status, content = self.client('POST', '/volumes', {'volume': {'size': 1}})
        assert status == 202, content
        volume_id = content['volume']['id']
        eventually(lambda: self._volume_status(volume_id) == 'available')
        self._write(volume_id, [(0, data_mib * MIB)])
        return volume_id

    def _time_one(self) -> float:
        """Return how many seconds a backup takes here and now, from the request to its end."""
        began = time.monotonic()
        self.create()
        eventually(lambda: not self._live_tasks(), 120)
        assert self._backups('available'), 'the first backup failed; see the log'
        return time.monotonic() - began

    def _volume_status(self, volume_id: str) -> str | None:
        content = self._ask('show', 'GET', f'/volumes/{volume_id}')
        return content and content['volume']['status']

    def _path(self, volume_id: str) -> pathlib.Path:
        return loader.volume_driver().files.path(volume_id)

    def _write(self, volume_id: str, pieces: list[tuple[int, int]]) -> None:
        with open(self._path(volume_id), 'r+b') as file:
            for offset, size in pieces:
                file.seek(offset)
                file.write(self.random.randbytes(size))

    def _name(self, kind: str, expected: str) -> str:
        self._number += 1
        name = f'{kind}-{self._number}'
        self._expected[name] = expected
        return name

    def create(self) -> None:
        """Change a source that is free, and ask for a backup of it."""
        for volume_id in self.random.sample(self.sources, len(self.sources)):
            if self._volume_status(volume_id) == 'available':
                break
        else:
            return
        self._write(volume_id, [(self.random.randrange(0, 900) * MIB, 2 * MIB)])
        name = self._name('backup', digest(self._path(volume_id)))
        body = {'volume_id': volume_id, 'name': name}
        if self.random.random() < 0.7:
            body['incremental'] = True
            if self._ask('create', 'POST', '/backups', {'backup': body}) is not None:
                return
            body['incremental'] = False  # there is none to build on, or nobody answered
            if self._volume_status(volume_id) != 'available':
                return
        self._ask('create', 'POST', '/backups', {'backup': body})

    def _backups(self, status: str) -> list[dict]:
        content = self._ask('list', 'GET', f'/backups/detail?status={status}')
        return content['backups'] if content else []

    def restore(self) -> None:
        """Ask for a restore of a backup into a new volume."""
        found = self._backups('available')
        if found:
            backup = self.random.choice(found)
            name = self._name('restored', self._expected[backup['name']])
            self._ask('restore', 'POST', f'/backups/{backup["id"]}/restore',
                      {'restore': {'name': name}})

    def delete(self) -> None:
        """Ask for the deletion of a backup, while some others stay."""
        found = self._backups('available')
        if len(found) > 2:
            self._ask('delete', 'DELETE', f'/backups/{self.random.choice(found)["id"]}')

    def force_delete(self) -> None:
        """Cancel a backup that is being made or restored."""
        found = self._backups(self.random.choice(['creating', 'restoring']))
        if found:
            self._ask('force', 'POST', f'/backups/{self.random.choice(found)["id"]}/action',
                      {'os-force_delete': {}})

    # Killing -------------------------------------------------------------------------------------

    def run(self, kills: int) -> Tally:
        """Let the user ask and kill so many processes; then let the user go on until work of every
        kind was done.
        """
        over = threading.Event()
        user = threading.Thread(target=self._use, args=(over,), name='user')
        user.start()
        try:
            while user.is_alive() and sum(self.tally.kills.values()) < kills:
                self._pause()
                self._kill_one()
            eventually(lambda: not user.is_alive() or self._count_done() and
                       self.tally.done.keys() >= self.KINDS, _PATIENCE_S)
        finally:
            over.set()
            user.join()
        if self._trouble is not None:
            raise self._trouble
        return self.tally

    def _asks(self) -> list[Callable[[], None]]:
        """Return what the user asks for, as often as it is to be."""
        return [self.create] * 4 + [self.restore] * 3 + [self.delete] * 2 + [self.force_delete]

    def _use(self, over: threading.Event) -> None:
        """Ask for one thing after the other; a request may be in flight when its server dies."""
        chooser = random.Random(self.random.random())
        asks = self._asks()
        try:
            while not over.wait(chooser.uniform(0, self._span_s / 4)):
                chooser.choice(asks)()
                eventually(lambda: over.is_set() or self.client.is_up(), _PATIENCE_S)
        except BaseException as trouble:
            self._trouble = trouble

    def _pause(self) -> None:
        """Let a random time pass: mostly while movers work, sometimes before there are any, and
        now and then until some work has come to its end.
        """
        manager = self.services['manager']
        deadline = time.monotonic() + 4 * self._span_s
        if self.random.random() < 0.3:
            eventually(lambda: self._count_done() > self._ends or time.monotonic() > deadline, 60)
        self._ends = self._count_done()
        if self.random.random() < 0.8:
            eventually(lambda: manager.movers() or time.monotonic() > deadline, 60)
        time.sleep(self.random.uniform(0, min(self._span_s, 2.0)))

    def _count_done(self) -> int:
        """Return how many tasks were done so far."""
        done = [task.kind for task in TaskList.get_all(self.admin, {'state': states.DONE})]
        self.tally.done = {kind: done.count(kind) for kind in sorted(set(done))}
        return len(done)

    def _roles(self) -> list[str]:
        """Return what is killed, as often as it is to be."""
        return ['mover', 'mover', *self.services]

    def _kill_one(self) -> None:
        role = self.random.choice(self._roles())
        if role == 'mover':
            self._kill_idle()
            movers = self.services['manager'].movers()
            if not movers:
                return
            processes.kill(self.random.choice(movers))
        else:
            self.services[role].kill()
            self.services[role].start()
            eventually(self.client.is_up, _PATIENCE_S)
        self.tally.kills[role] = self.tally.kills.get(role, 0) + 1

    def _kill_idle(self) -> None:
        """Kill what waits for a job, sometimes: nobody may notice."""
        waiting = set(processes.children(self.services['manager'].pid)) - set(
            self.services['manager'].movers())
        if self.random.random() < 0.2:
            for pid in waiting:
                processes.kill(pid)

    # Judging -------------------------------------------------------------------------------------

    def settle(self, deadline_s: float = 600) -> None:
        """Wait until every task has ended and every hold is given back."""
        eventually(self.client.is_up, 60)
        eventually(lambda: not self._live_tasks(), deadline_s)
        eventually(lambda: not list(loader.volume_driver().list_holds(self.admin)), deadline_s)

    def _live_tasks(self) -> list:
        return list(TaskList.get_all(self.admin, {'state': list(states.TASK_LIVE)}))

    def judge(self, tmp_path: pathlib.Path) -> None:
        """Check everything that must hold once nothing is in flight."""
        found = list(BackupList.get_all(self.admin))
        for backup in found:
            assert backup.status == states.AVAILABLE, (backup.id, backup.status,
                                                       backup.fail_reason)
        self._judge_tasks()
        self._judge_volumes()
        assert quota.audit(self.admin) == {}
        if found:
            self._judge_repository(found, tmp_path)

    def _judge_tasks(self) -> None:
        for task in TaskList.get_all(self.admin):
            assert task.state in (states.DONE, states.CANCELLED), (
                task.kind, task.state, task.error)

    def _judge_volumes(self) -> None:
        for volume_id in self.sources:
            assert self._volume_status(volume_id) == 'available'
        content = self._ask('list', 'GET', '/volumes/detail')
        cancelled = {task.arguments['volume_id'] for task in TaskList.get_all(
            self.admin, {'kind': states.TASK_RESTORE, 'state': states.CANCELLED})}
        known = {task.arguments['volume_id'] for task in TaskList.get_all(
            self.admin, {'kind': states.TASK_RESTORE})}
        for volume in content['volumes']:
            if volume['id'] in self.sources:
                continue
            # The volume of a request that died before there was a task is removed.
            assert volume['id'] in known, volume
            if volume['id'] in cancelled:
                assert volume['status'] in ('error', 'available'), volume
                continue
            assert volume['status'] == 'available', volume
            assert digest(self._path(volume['id'])) == self._expected[volume['name']]

    def _judge_repository(self, found: list, tmp_path: pathlib.Path) -> None:
        first = found[0]
        repository = repositories.open_repository(
            self.admin, first.repository_project_id, first.container, driver=first.repository)
        try:
            report = repository.verify(full=True)
            assert report.problems == []
            assert {info.id for info in repository.list_manifests()} == {
                backup.manifest_id for backup in found}
            for backup in found:
                path = tmp_path / backup.id
                with open(path, 'wb') as file:
                    file.truncate(backup.logical_bytes)
                target = RawFileTarget(str(path))
                repository.restore(backup.manifest_id, target)
                target.close()
                assert digest(path) == self._expected[backup.name]
                path.unlink()
        finally:
            repository.close()
