# SPDX-License-Identifier: Apache-2.0
"""What is restored from a checkpoint is of one moment, by the data of all partitions together.

Two instances write all the while. One of them writes to the volumes that are partitions 1 and 2,
in turn and with one sequence of numbers for both; the other is partition 3. The time in each
record puts the records of both into one order. ``BACKUPSVC_CONSISTENCY_RUNS`` says how many
checkpoints are taken, by default two.
"""

import os
import random
import time

import pytest

from backupsvc.drivers import loader
from backupsvc.drivers.instance.local import processes
from backupsvc.manager import service
from backupsvc.manager.flows import moments
from backupsvc.objects.checkpoint import Checkpoint
from backupsvc.orchestration import instances, placement
from tests.fixtures import written_records
from tests.fixtures.deployment import eventually
from tests.functional.flows.conftest import MIB, noise

RUNS = int(os.environ.get('BACKUPSVC_CONSISTENCY_RUNS', '2'))


@pytest.fixture(params=[1, 2], ids=['one manager', 'two managers'])
def cluster(request, make_cluster):
    """Three partitions of one or two managers; their snapshots do not take the same time."""
    cluster = make_cluster(written_records.OPTIONS, hold_grace=600)
    other = service.ManagerService(cluster.rig.conf, host='node-2')
    if request.param == 2:
        other.start()
        eventually(lambda: placement.pick('nova', 'node-2'))
    draw = random.Random(20)
    cluster.writers = []
    for _ in range(2):
        instance = cluster.machines.make(volumes=2, is_started=False)
        for volume_id in cluster.machines.volume_ids(instance):
            cluster.rig.write(
                volume_id, (128 * MIB, noise(draw.random(), draw.randint(1, 12) * MIB)))
        cluster.writers.append(instances.start(cluster.admin, instance.id))
    first, second = cluster.machines.volume_ids(cluster.writers[0])
    cluster.configure(
        ('volume', first), ('volume', second, *['node-2'] * (request.param - 1)),
        ('instance', cluster.writers[1].id, *['node-2'] * (request.param - 1)))
    yield cluster
    if request.param == 2:
        other.stop()


class Copies:
    """The records in the copies of what one instance writes to, beside the volumes, which have
    gone on.
    """

    def __init__(self, cluster, instance, copies):
        self._rig = cluster.rig
        self.volume_ids = cluster.machines.volume_ids(instance)
        paths = {volume_id: str(cluster.rig.path(copies[volume_id]))
                 for volume_id in self.volume_ids}
        self.problems = loader.instance_driver().check_volumes(paths)
        self.logs = {volume_id: written_records.read_log(path, volume_id)
                     for volume_id, path in paths.items()}
        self.last_ns = max(log.last_ns for log in self.logs.values())

    @property
    def is_consistent(self):
        return self.problems.is_consistent

    def missing_ns(self):
        """Return the time of the first record that is in no copy and was not under way."""
        number, position = written_records.first_missing(list(self.logs.values()))
        (volume_id, log), = [(volume_id, log) for volume_id, log in self.logs.items()
                             if log.header.position == position]
        return eventually(lambda: written_records.time_of(
            self._rig.path(volume_id), log.header, number))


def of_one_moment(cluster, checkpoint_id):
    """Restore a checkpoint; return what is wrong with it, and how many records it holds."""
    shown = cluster.taken(checkpoint_id)
    moment = Checkpoint.get_by_id(cluster.admin, checkpoint_id).data_timestamp
    assert len({part.position for part in shown.partitions}) == 1
    restored = cluster.restored(checkpoint_id)
    copies = [Copies(cluster, instance, restored) for instance in cluster.writers]
    wrong = [each.problems for each in copies if not each.is_consistent]
    if not wrong:
        at_ns = moment.timestamp() * 1e9
        for each in copies:
            if each.last_ns > at_ns:
                wrong.append(f'a record of {each.last_ns} is past the moment {at_ns}')
            if each.missing_ns() < at_ns:
                wrong.append(f'a record from before the moment {at_ns} is missing')
    for volume_id in restored.values():
        loader.volume_driver().remove_volume(cluster.admin, volume_id)
    return wrong, sum(log.last for each in copies for log in each.logs.values())


def test_every_checkpoint_is_of_one_moment(cluster):
    before = 0
    for number in range(1, RUNS + 1):
        for instance in cluster.writers:
            cluster.machines.wait_for_writes(instance)
        wrong, found = of_one_moment(cluster, number)
        assert wrong == []
        assert found > before
        before = found
    for instance in cluster.writers:
        assert cluster.machines.show(instance.id).status == 'ACTIVE'
    cluster.assert_nothing_is_left()


def _seen(cluster, runs=8):
    """Tell whether one of some checkpoints is found not to be of one moment."""
    return any(of_one_moment(cluster, number)[0] for number in range(1, runs + 1))


def test_without_a_standstill_the_check_fails(cluster, monkeypatch):
    """What would be seen if nothing stood still."""
    monkeypatch.setattr(processes, 'freeze', lambda directory, deadline_s: True)
    assert _seen(cluster)


@pytest.mark.parametrize('cluster', [2], indirect=True, ids=['two managers'])
def test_without_one_standstill_of_all_managers_the_check_fails(cluster, monkeypatch):
    """What would be seen if each manager had its own standstill, one after the other."""
    await_standstill = moments._await_standstill

    def stand_still_again(work, record, still, at):
        await_standstill(work, record, still, at)
        if len(still._plan.members) > 1:
            for instance_id in still._plan.instance_ids:
                cluster.machines.driver.unquiesce(
                    work.context, instance_id, holder=work.holder)
            time.sleep(0.5)
            for instance_id in still._plan.instance_ids:
                cluster.machines.driver.quiesce(work.context, instance_id, holder=work.holder)

    monkeypatch.setattr(moments, '_await_standstill', stand_still_again)
    assert _seen(cluster)
