# SPDX-License-Identifier: Apache-2.0
"""Instances that really write to their volumes, for tests of sets and rollbacks."""

import contextlib

from backupsvc import states
from backupsvc.drivers import loader
from backupsvc.drivers.base import Listing
from backupsvc.objects.backup_set import BackupSet
from backupsvc.objects.instance_snapshot import InstanceSnapshot
from backupsvc.objects.task import Task
from backupsvc.orchestration import instance_backups, instance_snapshots, instances, rollbacks
from tests.fixtures.deployment import eventually

#: Records at a pace and in a space that suit a test.
OPTIONS = '\n[instance_local]\nwrite_interval = 0.001\nlog_size_kb = 256\n'


class Machines:
    """What tests do with instances of a rig, in short words."""

    def __init__(self, rig):
        self.rig = rig
        self.admin = rig.admin

    @property
    def driver(self):
        return loader.instance_driver()

    def make(self, volumes=2, is_started=True, **values):
        """Make an instance with volumes of 1 GiB; return it."""
        instance = self.driver.create_instance(self.rig.user, name='web')
        for number in range(volumes):
            volume = self.rig.volume(**values)
            instances.attach(self.rig.user, instance.id, volume.id, is_boot=number == 0)
        if is_started:
            instances.start(self.admin, instance.id)
        return self.show(instance.id)

    def show(self, instance_id):
        return self.driver.show_instance(self.rig.user, instance_id)

    def volume_ids(self, instance):
        return [volume.volume_id for volume in instance.volumes]

    def stop(self, instance):
        self.driver.stop_instance(self.admin, instance.id)

    def written(self, instance):
        """Return the number of the last record of each volume."""
        found = instances.check(self.admin, self.volume_ids(instance))
        assert found.is_consistent, found.problems
        return [volume.last for volume in found.volumes]

    def wait_for_writes(self, instance):
        """Return when a running instance has written something more to each volume."""
        before = self.written(instance)
        eventually(lambda: all(
            now > then for now, then in zip(self.written(instance), before, strict=True)))

    def end(self):
        for instance in self.driver.list_instances(self.admin, Listing()):
            self.driver.stop_instance(self.admin, instance.id, force=True)

    # What there is to be seen from outside ------------------------------------------------------

    def assert_nothing_is_held(self):
        """No volume, snapshot or instance is held, and no snapshot is taken for anybody."""
        assert list(loader.volume_driver().list_holds(self.admin)) == []
        assert list(self.driver.list_holds(self.admin)) == []
        with loader.volume_driver().catalogue.reading() as connection:
            known = {row['id'] for row in connection.execute(
                'SELECT id FROM volumes UNION ALL'
                ' SELECT id FROM snapshots WHERE made_for IS NULL')}
        files = {path.stem for path in loader.volume_driver().directory.iterdir()
                 if path.suffix in ('.raw', '.part')}
        assert files == known

    # Sets ----------------------------------------------------------------------------------------

    def back_up(self, instance, **values):
        return instance_backups.create(self.rig.user, instance_backups.NewInstanceBackup(
            instance_id=instance.id, origin='test', **values)).record.id

    def settled(self, set_id, deadline_s=60):
        """Return the record of an instance backup once no task of it or its members is left."""
        eventually(lambda: not Task.live_for(self.admin, set_id), deadline_s)
        record = BackupSet.get_by_id(self.admin, set_id, read_deleted=True)
        eventually(lambda: not any(
            Task.live_for(self.admin, member.id) for member in record.members()))
        return record

    def backed_up(self, instance, **values):
        record = self.settled(self.back_up(instance, **values))
        assert (record.status, record.fail_reason) == (states.AVAILABLE, None)
        return record

    def take(self, instance, **values):
        return instance_snapshots.create(
            self.rig.user, instance_snapshots.NewInstanceSnapshot(
                instance_id=instance.id, origin='test', **values)).record.id

    def taken(self, instance, **values):
        snapshot_id = self.take(instance, **values)
        eventually(lambda: not Task.live_for(self.admin, snapshot_id))
        record = InstanceSnapshot.get_by_id(self.admin, snapshot_id, read_deleted=True)
        assert (record.status, record.fail_reason) == (states.AVAILABLE, None)
        return record

    def roll_back(self, volume_id, snapshot_id):
        """Ask for a rollback, and return the volume when it has ended."""
        rollbacks.rollback(self.rig.user, volume_id, snapshot_id)
        eventually(lambda: not Task.live_for(self.admin, volume_id))
        return self.rig.show(volume_id)


@contextlib.contextmanager
def running(rig):
    """Give the machines of a rig, and power them off in the end."""
    machines = Machines(rig)
    try:
        yield machines
    finally:
        rig.stop()
        machines.end()
