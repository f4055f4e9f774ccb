# SPDX-License-Identifier: Apache-2.0
"""A campaign of SIGKILLs while instances are backed up, their sets deleted, snapshots of them
taken, and volumes rolled back.

The instances write all the time. In the end no instance stands still, no snapshot is left that
nobody knows of, every set is whole and of one moment, and what was rolled back is what its
snapshot holds.
"""

import pathlib
import time

from backupsvc import states
from backupsvc.drivers import loader
from backupsvc.drivers.base import Listing
from backupsvc.engine.source import RawFileTarget
from backupsvc.manager import repositories
from backupsvc.objects import quota
from backupsvc.objects.backup import BackupList
from backupsvc.objects.backup_set import BackupSet
from backupsvc.objects.instance_snapshot import InstanceSnapshot
from backupsvc.objects.task import TaskList
from backupsvc.orchestration import instance_backups, instances
from tests.fixtures import deployment, processes
from tests.fixtures.deployment import eventually
from tests.functional.kill.campaign import MIB, Campaign, digest

#: Beside those of the campaign: records at a pace and in a space that suit a test.
OPTIONS = """
[instance_local]
write_interval = 0.005
log_size_kb = 128
"""


class SetCampaign(Campaign):
    """One campaign; the arguments are those of ``Campaign``."""

    KINDS = frozenset({
        states.TASK_CREATE, states.TASK_CREATE_SET, states.TASK_DELETE_SET, states.TASK_SNAPSHOT,
        states.TASK_DELETE_SNAPSHOT, states.TASK_ROLLBACK})

    def __init__(self, client: processes.Client, services: dict[str, processes.Process],
                 seed: int):
        self.user = deployment.user_context()
        self._is_wanted = False  # whether the volume that goes back is to equal its snapshot
        super().__init__(client, services, seed, volumes=0)
        self.machines.append(self._make_machine(3))
        self.off = self._make_machine(1, is_started=False)
        self.goes_back, = self._volume_ids(self.off)
        self._write(self.goes_back, [(0, 8 * MIB)])
        self.base = self._make_base()

    @property
    def _instances(self):
        return loader.instance_driver()

    def _make_machine(self, volumes: int, is_started: bool = True) -> str:
        instance = self._instances.create_instance(self.user, name='machine')
        for _ in range(volumes):
            volume_id = self._make_source(0)
            instances.attach(self.user, instance.id, volume_id)
        if is_started:
            instances.start(self.admin, instance.id)
        return instance.id

    def _volume_ids(self, instance_id: str) -> list[str]:
        return [volume.volume_id for volume in self._instances.show_instance(
            self.admin, instance_id).volumes]

    def _make_base(self) -> str:
        driver = loader.volume_driver()
        made = driver.create_snapshot(self.user, self.goes_back, name='base', description=None,
                                      metadata={}, force=True)
        return driver.wait_snapshot(self.user, made.id, 60).id

    def end(self) -> None:
        """Power the instances off."""
        for instance in self._instances.list_instances(self.admin, Listing()):
            self._instances.stop_instance(self.admin, instance.id, force=True)

    # Asking --------------------------------------------------------------------------------------

    def create(self) -> None:
        """Ask for a backup of an instance."""
        if not hasattr(self, 'machines'):
            self.machines = [self._make_machine(2)]
        self._ask('back up', 'POST', '/v1/instance/backup', {'backup': {
            'instance_id': self.random.choice(self.machines), 'name': 'set',
            'incremental': self.random.random() < 0.5}})

    def _choose(self, what: str, status: str) -> str | None:
        content = self._ask(f'list {what}s', 'GET', f'/v1/instance/{what}?status={status}')
        found = content[f'{what}s'] if content else []
        return self.random.choice(found)['id'] if found else None

    def delete(self) -> None:
        """Ask for the deletion of a set."""
        set_id = self._choose('backup', 'available')
        if set_id:
            self._ask('delete', 'DELETE', f'/v1/instance/backup/{set_id}')

    def force_delete(self) -> None:
        """Cancel a set that is being made, as an administrator."""
        set_id = self._choose('backup', 'creating')
        if set_id:
            self.tally.asked['force'] = self.tally.asked.get('force', 0) + 1
            instance_backups.delete(self.admin, set_id, force=True)

    def snapshot(self) -> None:
        """Ask for a snapshot of an instance."""
        self._ask('snapshot', 'POST', '/v1/instance/snapshot', {'snapshot': {
            'instance_id': self.random.choice(self.machines), 'name': 'snapshot'}})

    def delete_snapshot(self) -> None:
        """Ask for the deletion of an instance snapshot."""
        snapshot_id = self._choose('snapshot', 'available')
        if snapshot_id:
            self._ask('delete snapshot', 'DELETE', f'/v1/instance/snapshot/{snapshot_id}')

    def roll_back(self) -> None:
        """Change a volume that nothing is being done with, and ask for it to go back."""
        if self._volume_status(self.goes_back) == 'in-use':
            self._is_wanted = False
            self._write(self.goes_back, [(self.random.randrange(0, 900) * MIB, 2 * MIB)
                                         for _ in range(4)])
        answer = self._ask('roll back', 'POST', f'/v1/volume/{self.goes_back}/action',
                           {'rollback': {'snapshot_id': self.base}})
        self._is_wanted = self._is_wanted or answer is not None

    def _asks(self):
        return ([self.create] * 5 + [self.roll_back] * 3 + [self.delete] * 2
                + [self.snapshot] * 2 + [self.delete_snapshot, self.force_delete])

    def _pause(self) -> None:
        """Let the user ask for something, and then a random time pass: now and then a short one,
        while instances stand still, or until some work has come to its end.
        """
        asked = sum(self.tally.asked.values())
        eventually(lambda: sum(self.tally.asked.values()) > asked + 2 or self._trouble, 120)
        chance = self.random.random()
        if chance < 0.3:
            time.sleep(self.random.uniform(0, 0.3))
        elif chance < 0.6:
            before, deadline = self._count_done(), time.monotonic() + 30
            eventually(lambda: self._count_done() > before or time.monotonic() > deadline, 60)
        else:
            super()._pause()

    # Judging -------------------------------------------------------------------------------------

    def settle(self, deadline_s: float = 180) -> None:
        """Wait until nothing is in flight, held, taken or quiesced."""
        super().settle(deadline_s)
        eventually(lambda: not list(self._instances.list_holds(self.admin)), deadline_s)

    def judge(self, tmp_path: pathlib.Path) -> None:
        """Check everything that must hold once nothing is in flight."""
        self._judge_tasks()
        assert quota.audit(self.admin) == {}
        self._judge_instances()
        self._judge_rollback()
        self._judge_snapshots()
        self._judge_sets(tmp_path)

    def _judge_instances(self) -> None:
        for instance_id in self.machines:
            volume_ids = self._volume_ids(instance_id)
            for volume_id in volume_ids:
                assert self._volume_status(volume_id) == 'in-use'
            before = instances.check(self.admin, volume_ids)
            assert before.is_consistent, before.problems
            eventually(lambda volume_ids=volume_ids, before=before: all(
                now.last > then.last for now, then in zip(
                    instances.check(self.admin, volume_ids).volumes, before.volumes,
                    strict=True)))

    def _judge_rollback(self) -> None:
        base = digest(self._path(self.base))
        tasks = list(TaskList.get_all(
            self.admin, {'kind': states.TASK_ROLLBACK, 'state': states.DONE}))
        assert self._volume_status(self.goes_back) == 'in-use'
        if self._is_wanted:
            assert tasks and digest(self._path(self.goes_back)) == base
        self.roll_back()
        self.settle()
        assert digest(self._path(self.goes_back)) == base == digest(self._path(self.base))

    def _judge_snapshots(self) -> None:
        records = InstanceSnapshot.get_all(self.admin)
        for record in records:
            assert (record.status, record.fail_reason) == (states.AVAILABLE, None), record.id
        driver = loader.volume_driver()
        known = {member.snapshot_id for record in records for member in record.members}
        assert {one.id for one in driver.list_snapshots(self.admin, Listing())} == {
            self.base, *known}
        with driver.catalogue.reading() as connection:
            rows = {row['id'] for row in connection.execute(
                'SELECT id FROM volumes UNION ALL SELECT id FROM snapshots')}
        files = {path.stem for path in driver.directory.iterdir() if path.suffix == '.raw'}
        # Removed after its row: a file whose remover was killed goes when the driver starts.
        driver.remove_orphans()
        assert {path.stem for path in driver.directory.iterdir()
                if path.suffix == '.raw'} == rows <= files
        for record in records:
            found = self._instances.check_volumes(
                {member.volume_id: str(self._path(member.snapshot_id))
                 for member in record.members}, not_after=record.data_timestamp)
            assert found.is_consistent, found.problems

    def _judge_sets(self, tmp_path: pathlib.Path) -> None:
        records = BackupSet.get_all(self.admin)
        members = list(BackupList.get_all(self.admin))
        assert {member.set_id for member in members} == {record.id for record in records}
        for member in members:
            assert member.status == states.AVAILABLE, (member.id, member.fail_reason)
        if not members:
            return
        first = members[0]
        repository = repositories.open_repository(
            self.admin, first.repository_project_id, first.container, driver=first.repository)
        try:
            report = repository.verify(full=True)
            assert report.problems == []
            assert {info.id for info in repository.list_manifests()} == {
                member.manifest_id for member in members}
            for record in records:
                self._judge_set(record, repository, tmp_path)
        finally:
            repository.close()

    def _judge_set(self, record, repository, tmp_path: pathlib.Path) -> None:
        assert (record.status, record.fail_reason) == (states.AVAILABLE, None), record.id
        members = record.members()
        assert [member.source_id for member in members] == self._volume_ids(record.instance_id)
        paths = {}
        for member in members:
            path = tmp_path / member.id
            with open(path, 'wb') as file:
                file.truncate(member.logical_bytes)
            target = RawFileTarget(str(path), is_synced=False)
            repository.restore(member.manifest_id, target)
            target.close()
            paths[member.source_id] = str(path)
        found = self._instances.check_volumes(paths, not_after=record.data_timestamp)
        assert found.is_consistent, found.problems
        for path in paths.values():
            pathlib.Path(path).unlink()
