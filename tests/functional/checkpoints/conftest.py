# SPDX-License-Identifier: Apache-2.0
"""A cluster whose partitions are volumes and instances that are written to all the time."""

import pytest

from backupsvc import states
from backupsvc.objects.backup import BackupList
from backupsvc.objects.checkpoint import Checkpoint
from backupsvc.objects.task import Task
from backupsvc.orchestration import checkpoints, restores
from tests.fixtures.deployment import eventually
from tests.functional.flows.conftest import make_machines, make_rig  # noqa: F401


class Cluster:
    """What tests do with the checkpoints of a rig, in short words."""

    def __init__(self, machines):
        self.machines = machines
        self.rig = machines.rig
        self.admin = machines.admin

    def configure(self, *partitions, **options):
        """Make (kind, resource id) pairs the partitions 1, 2, … of the cluster; a third value is
        the manager.
        """
        host = self.rig.conf.host
        self.rig.conf.set_override('partitions', ', '.join(
            f'{number}={each[0]}:{each[1]}@{each[2] if len(each) > 2 else host}'
            for number, each in enumerate(partitions, 1)), group='actuator')
        self.set(**options)

    def set(self, **options):
        for name, value in options.items():
            self.rig.conf.set_override(name, value, group='actuator')

    def take(self, checkpoint_id):
        return checkpoints.create(self.admin, checkpoint_id)

    def get(self, checkpoint_id):
        return checkpoints.get(self.admin, checkpoint_id)

    def ended(self, checkpoint_id, deadline_s=60):
        """Return a checkpoint once it has ended and nobody works on it."""
        record = Checkpoint.get_by_id(self.admin, checkpoint_id, read_deleted=True)
        eventually(lambda: not self.live(record), deadline_s)
        return self.get(checkpoint_id)

    def live(self, record):
        """Return the live tasks of a checkpoint, of its shares and its backups."""
        share_ids = {part.share_id for part in record.partitions}
        members = BackupList.of_sets(self.admin, share_ids)
        ids = [record.uuid, *share_ids, *(each.id for found in members.values() for each in found)]
        return [task for each in ids for task in Task.live_for(self.admin, each)]

    def taken(self, checkpoint_id):
        """Take a checkpoint that succeeds, and return it."""
        self.take(checkpoint_id)
        shown = self.ended(checkpoint_id)
        assert (shown.state, shown.failure_reason) == (states.CHECKPOINT_COMPLETED, None)
        return shown

    def members(self, checkpoint_id):
        """Return partition id → its backups."""
        record = Checkpoint.get_by_id(self.admin, checkpoint_id, read_deleted=True)
        return {part.partition_id: [self.rig.read(member['backup_id']) for member in part.members]
                for part in record.partitions}

    def restored(self, checkpoint_id):
        """Restore all partitions; return source volume id → new volume id."""
        copies = {}
        for found in self.members(checkpoint_id).values():
            for backup in found:
                copies[backup.source_id] = restores.restore(self.rig.user, backup.id).volume_id
                self.rig.settled(backup.id)
        return copies

    def assert_nothing_is_left(self):
        eventually(lambda: not list(self.machines.driver.list_holds(self.admin)))
        self.machines.assert_nothing_is_held()


@pytest.fixture
def make_cluster(make_machines):  # noqa: F811
    """Return what makes the one cluster of a test, with ``[manager]`` options."""
    def make(extra='', **options):
        return Cluster(make_machines(extra=extra, **options))
    return make


@pytest.fixture
def cluster(make_cluster):
    """A cluster of two volumes, one of them attached, and an instance with two volumes."""
    cluster = make_cluster()
    alone = cluster.rig.volume((0, b'alone'))
    writer = cluster.machines.make(volumes=1)
    instance = cluster.machines.make(volumes=2)
    cluster.configure(('volume', alone.id), ('volume', writer.volumes[0].volume_id),
                      ('instance', instance.id))
    cluster.alone, cluster.writer, cluster.instance = alone, writer, instance
    return cluster
