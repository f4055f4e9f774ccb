# SPDX-License-Identifier: Apache-2.0
"""A campaign of SIGKILLs while checkpoints of a cluster are taken and deleted.

Instances write to all partitions all the time. In the end no id was given twice, every checkpoint
that is there is whole and of one moment, and nothing is held, taken, in progress or still.
"""

import collections
import http.client
import json
import pathlib
import random
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy

from backupsvc import context as request_context
from backupsvc import states
from backupsvc.db import engine, models
from backupsvc.drivers import loader
from backupsvc.drivers.base import NewVolume
from backupsvc.engine.source import RawFileTarget
from backupsvc.manager import repositories
from backupsvc.objects import quota
from backupsvc.objects.backup import BackupList
from backupsvc.objects.checkpoint import Checkpoint
from backupsvc.objects.task import TaskList
from backupsvc.orchestration import instances
from tests.fixtures import deployment, processes
from tests.fixtures.deployment import eventually
from tests.functional.kill.campaign import MIB

_PATIENCE_S = 300


class Operator:
    """Requests to the management application; no retries, no interpretation."""

    def __init__(self, port: int):
        self._port = port

    def __call__(self, method: str, path: str = '', body: Any = None) -> tuple[int, Any]:
        """Return (status, decoded body).

        :raises OSError, http.client.HTTPException: no answer came
        """
        connection = http.client.HTTPConnection('127.0.0.1', self._port, timeout=60)
        try:
            connection.request(method, f'/actuator/backups{path}',
                               body=None if body is None else json.dumps(body),
                               headers={'Content-Type': 'application/json'})
            response = connection.getresponse()
            content = response.read()
            return response.status, json.loads(content) if content else None
        finally:
            connection.close()

    def is_up(self) -> bool:
        try:
            return self('GET')[0] == 200
        except (OSError, http.client.HTTPException):
            return False


def make_machines() -> list[str]:
    """Make two running instances of two volumes each, and return their ids."""
    user = deployment.user_context()
    admin = request_context.get_admin_context()
    found = []
    for _ in range(2):
        instance = loader.instance_driver().create_instance(user, name='machine')
        for _ in range(2):
            volume = loader.volume_driver().create_volume(user, NewVolume(size_gb=1))
            path = loader.volume_driver().files.path(volume.id)
            with open(path, 'r+b') as file:
                file.seek(64 * MIB)
                file.write(random.Random(volume.id).randbytes(4 * MIB))
            instances.attach(user, instance.id, volume.id)
        instances.start(admin, instance.id)
        found.append(instance.id)
    return found


def partitions_of(machines: list[str], brokers: Sequence[str]) -> str:
    """Return the configuration of a cluster: the volumes of the first instance, and the second.

    :param brokers: of each partition
    """
    admin = request_context.get_admin_context()
    first = loader.instance_driver().show_instance(admin, machines[0]).volumes
    found = (f'1=volume:{first[0].volume_id}', f'2=volume:{first[1].volume_id}',
             f'3=instance:{machines[1]}')
    return ','.join(f'{partition}@{broker}'
                    for partition, broker in zip(found, brokers, strict=True))


class CheckpointCampaign:
    """One campaign.

    :param operator: of the service
    :param services: name → process, each of which may be killed and has the movers of a manager
    :param machines: ids of the instances that write to the partitions
    """

    def __init__(self, operator: Operator, services: Mapping[str, processes.Process],
                 machines: list[str], seed: int):
        self._random = random.Random(seed)
        self._operator = operator
        self._services = services
        self._machines = machines
        self._admin = request_context.get_admin_context()
        self._instances = loader.instance_driver()
        self._highest = 0
        self.accepted: list[int] = []
        self.tally: collections.Counter[str] = collections.Counter()
        self._trouble: BaseException | None = None

    # Asking and killing --------------------------------------------------------------------------

    def run(self, kills: int) -> collections.Counter[str]:
        """Kill so many times while the operator asks for one thing after the other."""
        over = threading.Event()
        user = threading.Thread(target=self._use, args=(over,), name='operator')
        user.start()
        try:
            while user.is_alive() and self._count_kills() < kills:
                self._pause()
                self._kill()
        finally:
            over.set()
            user.join()
        if self._trouble is not None:
            raise self._trouble
        return self.tally

    def _count_kills(self) -> int:
        return sum(count for what, count in self.tally.items() if what.startswith('kill '))

    def _use(self, over: threading.Event) -> None:
        chooser = random.Random(self._random.random())
        try:
            while not over.wait(chooser.uniform(0, 1.0)):
                if chooser.random() < 0.8:
                    self._take(chooser)
                else:
                    self._delete(chooser)
                eventually(lambda: over.is_set() or self._operator.is_up(), _PATIENCE_S)
        except BaseException as trouble:
            self._trouble = trouble

    def _take(self, chooser: random.Random) -> None:
        """Ask for a checkpoint; mostly of a new id, sometimes of a spent one."""
        number = max(1, self._highest + chooser.choice([1, 1, 1, 7, 0, -1]))
        self._highest = max(self._highest, number)
        try:
            status, content = self._operator('POST', body={'backupId': number})
        except processes.no_answer():
            self.tally['unanswered'] += 1
            return
        # A manager that is about to begin or end is no reason to go on: 502, 503, 504.
        assert status in (202, 409, 502, 503, 504), (status, content)
        self.tally[f'POST {status}'] += 1
        if status == 202:
            self.accepted.append(number)

    def _delete(self, chooser: random.Random) -> None:
        number = chooser.choice(self.accepted) if self.accepted else 1
        try:
            status, content = self._operator('DELETE', f'/{number}')
        except processes.no_answer():
            self.tally['unanswered'] += 1
            return
        assert status == 204, (status, content)
        self.tally['DELETE'] += 1

    def _pause(self) -> None:
        """Let a random time pass: sometimes until something is in flight."""
        chance = self._random.random()
        if chance < 0.4:
            deadline = time.monotonic() + 10
            wanted = self._random.choice(
                [states.GATHERING, states.QUIESCING, states.STORING])
            eventually(lambda: time.monotonic() > deadline or any(
                record.phase == wanted for record in Checkpoint.get_all(
                    self._admin, status=states.CHECKPOINT_IN_PROGRESS)), 30)
            time.sleep(self._random.uniform(0, 0.1))
        else:
            time.sleep(self._random.uniform(0, 3.0))

    def _kill(self) -> None:
        movers = [pid for process in self._services.values() for pid in process.movers()]
        if movers and self._random.random() < 0.25:
            processes.kill(self._random.choice(movers))
            self.tally['kill mover'] += 1
            return
        name = self._random.choice(list(self._services))
        self._services[name].kill()
        time.sleep(self._random.choice([0, 0, 1]))
        self._services[name].start()
        eventually(self._operator.is_up, _PATIENCE_S)
        self.tally[f'kill {name}'] += 1

    # Judging -------------------------------------------------------------------------------------

    def settle(self, deadline_s: float = 300) -> None:
        """Wait until nothing is in flight, held, taken or quiesced."""
        eventually(self._operator.is_up, 60)
        eventually(lambda: not list(TaskList.get_all(
            self._admin, {'state': list(states.TASK_LIVE)})), deadline_s)
        eventually(lambda: not list(loader.volume_driver().list_holds(self._admin)), deadline_s)
        eventually(lambda: not list(self._instances.list_holds(self._admin)), deadline_s)

    def judge(self, tmp_path: pathlib.Path) -> None:
        """Check everything that must hold once nothing is in flight."""
        self._judge_ids()
        records = [Checkpoint.get_by_id(self._admin, record.id)
                   for record in Checkpoint.get_all(self._admin)]
        for record in records:
            assert record.status == states.CHECKPOINT_COMPLETED, [
                part.fail_reason for part in record.partitions]
        assert quota.audit(self._admin) == {}
        self._judge_machines()
        self._judge_copies(records, tmp_path)

    def _judge_ids(self) -> None:
        with engine.get_engine().connect() as connection:
            rows = connection.execute(sqlalchemy.select(models.checkpoint_log).order_by(
                models.checkpoint_log.c.position)).all()
        assert [row.position for row in rows] == list(range(1, len(rows) + 1))
        reserved = [row.checkpoint_id for row in rows if row.event == 'reserved']
        assert reserved == sorted(set(reserved))
        assert len(self.accepted) == len(set(self.accepted))
        assert set(self.accepted) <= set(reserved)
        taken = [row.checkpoint_id for row in rows if row.event == 'taken']
        assert taken == sorted(set(taken))  # in the order of their ids, and each once

    def _judge_machines(self) -> None:
        for instance_id in self._machines:
            assert self._instances.show_instance(self._admin, instance_id).status == 'ACTIVE'
            volume_ids = [volume.volume_id for volume in self._instances.show_instance(
                self._admin, instance_id).volumes]
            before = instances.check(self._admin, volume_ids)
            assert before.is_consistent, before.problems
            eventually(lambda volume_ids=volume_ids, before=before: all(
                now.last > then.last for now, then in zip(
                    instances.check(self._admin, volume_ids).volumes, before.volumes,
                    strict=True)))

    def _judge_copies(self, records: list[Checkpoint], tmp_path: pathlib.Path) -> None:
        known = list(BackupList.get_all(self._admin))
        share_ids = {part.share_id for record in records for part in record.partitions}
        assert {backup.set_id for backup in known} == share_ids
        if not known:
            return
        first = known[0]
        repository = repositories.open_repository(
            self._admin, first.repository_project_id, first.container, driver=first.repository)
        try:
            report = repository.verify(full=True)
            assert report.problems == []
            by_id = {backup.id: backup for backup in known}
            for record in records:
                self._judge_record(record, by_id, repository, tmp_path)
        finally:
            repository.close()

    def _judge_record(self, record: Checkpoint, by_id: dict, repository: Any,
                      tmp_path: pathlib.Path) -> None:
        """Check that the volumes of each instance are of the moment of the checkpoint."""
        members = [member for part in record.partitions for member in part.members]
        for instance_id in self._machines:
            paths = {}
            for member in members:
                if member['instance_id'] != instance_id:
                    continue
                backup = by_id[member['backup_id']]
                path = tmp_path / backup.id
                with open(path, 'wb') as file:
                    file.truncate(backup.logical_bytes)
                target = RawFileTarget(str(path), is_synced=False)
                repository.restore(backup.manifest_id, target)
                target.close()
                paths[member['volume_id']] = str(path)
            found = self._instances.check_volumes(paths, not_after=record.data_timestamp)
            assert found.is_consistent, found.problems
            for path in paths.values():
                pathlib.Path(path).unlink()
