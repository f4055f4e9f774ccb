# SPDX-License-Identifier: Apache-2.0
"""What managers do about checkpoints by themselves: those due, kept, shared, or stuck."""

import datetime

import pytest

from backupsvc import exception, rpc, states
from backupsvc.db import engine, models
from backupsvc.drivers import loader
from backupsvc.manager import checkpoints as upkeep
from backupsvc.manager import service
from backupsvc.manager.flows import moments
from backupsvc.objects.checkpoint import Checkpoint
from backupsvc.objects.service import Service
from backupsvc.objects.task import Task, TaskList
from backupsvc.orchestration import checkpoints, placement
from tests.fixtures.deployment import eventually

NOW = datetime.datetime.now(datetime.UTC)


def taken_by_schedule(cluster):
    return [record.id for record in Checkpoint.get_all(cluster.admin)][::-1]


def age(checkpoint_id, **ages):
    """Make a checkpoint that was begun some time ago."""
    with engine.get_engine().begin() as connection:
        connection.execute(models.checkpoints.update().where(
            models.checkpoints.c.id == checkpoint_id).values(
                created_at=NOW - datetime.timedelta(**ages)))


@pytest.fixture
def other(cluster):
    """Another manager, of the name node-2, that is stopped in the end."""
    manager = service.ManagerService(cluster.rig.conf, host='node-2')
    manager.start()
    eventually(lambda: placement.pick('nova', 'node-2'))
    yield manager
    manager.stop()


def share_between(cluster):
    """Give one partition to this manager and one to the other."""
    cluster.configure(('volume', cluster.writer.volumes[0].volume_id),
                      ('instance', cluster.instance.id, 'node-2'))


# Schedule ----------------------------------------------------------------------------------------


def test_an_interval_begins_at_once_and_goes_on(cluster):
    cluster.set(schedule='PT1H')
    before = checkpoints._id_of_now()
    upkeep.look(cluster.admin, NOW)
    first, = taken_by_schedule(cluster)
    assert before <= first <= checkpoints._id_of_now()
    cluster.ended(first)
    upkeep.look(cluster.admin, NOW)
    assert taken_by_schedule(cluster) == [first]
    age(first, hours=5)
    upkeep.look(cluster.admin, NOW)
    first_again, second = taken_by_schedule(cluster)
    assert first_again == first < second
    cluster.ended(second)
    upkeep.look(cluster.admin, NOW)  # one for all the times that have passed
    assert taken_by_schedule(cluster) == [first, second]
    assert checkpoints.state(cluster.admin).checkpoints[0].is_scheduled


def test_a_cron_expression_counts_from_the_start_of_the_manager(cluster):
    cluster.set(schedule='* * * * *')
    upkeep.look(cluster.admin, datetime.datetime.now(datetime.UTC))
    assert taken_by_schedule(cluster) == []
    upkeep.look(cluster.admin, NOW - datetime.timedelta(minutes=2))
    first, = taken_by_schedule(cluster)
    cluster.ended(first)


def test_who_takes_by_schedule_takes_no_ids(cluster):
    cluster.set(schedule='P1D')
    with pytest.raises(exception.CheckpointIdGiven):
        cluster.take(1)
    one = checkpoints.create(cluster.admin)
    two = checkpoints.create(cluster.admin)
    assert one < two
    assert {cluster.ended(number).state for number in (one, two)} == {'COMPLETED'}
    cluster.set(schedule='')
    for number in (None, 0, -1, 2**63):
        with pytest.raises(exception.CheckpointIdMissing):
            cluster.take(number)


def test_one_that_is_due_waits_for_the_end_of_the_one_before(cluster):
    loader.volume_driver().acquire_volume(
        cluster.admin, cluster.alone.id, holder='somebody', status='backing-up',
        expected=('available',))
    cluster.take(1)
    cluster.set(schedule='PT1S')
    upkeep.look(cluster.admin, NOW)
    assert taken_by_schedule(cluster) == [1]
    checkpoints.delete(cluster.admin, 1)
    loader.volume_driver().release_volume(cluster.admin, cluster.alone.id, holder='somebody')
    upkeep.look(cluster.admin, NOW)
    second, = taken_by_schedule(cluster)
    cluster.ended(second)


# Retention ---------------------------------------------------------------------------------------


def test_what_is_kept_no_longer_is_deleted(cluster):
    for number in (1, 2, 3):
        cluster.taken(number)
    cluster.set(retention_count=2)
    upkeep.look(cluster.admin, NOW)
    assert taken_by_schedule(cluster) == [2, 3]
    cluster.set(retention_count=0, retention_window='P1D')
    age(2, days=2)
    age(3, days=2)
    upkeep.look(cluster.admin, NOW)
    assert taken_by_schedule(cluster) == [3]
    eventually(lambda: not TaskList.get_all(
        cluster.admin, {'state': states.TASK_LIVE}).objects)
    assert len(cluster.members(3)[3]) == 2
    cluster.assert_nothing_is_left()


# Several managers --------------------------------------------------------------------------------


def test_two_managers_take_one_checkpoint(cluster, other):
    share_between(cluster)
    shown = cluster.taken(1)
    assert len({part.broker_id for part in shown.partitions}) == 2
    assert len({part.position for part in shown.partitions}) == 1
    cluster.taken(2)
    cluster.assert_nothing_is_left()


def test_nothing_is_begun_where_a_manager_is_missing(cluster, other):
    share_between(cluster)
    other.stop()
    cluster.set(call_timeout=1)
    with pytest.raises(exception.CallTimedOut, match='node-2'):
        cluster.take(1)
    Service(cluster.admin, host='node-2', binary=placement.BINARY).destroy()
    with pytest.raises(exception.MessageNotSent, match=(
            'Expected to send request to all 2 partitions, but found only 1 partitions')):
        cluster.take(1)
    assert Checkpoint.last_id(cluster.admin) == 0
    rpc.reset()


def test_who_waits_for_the_others_lets_go_in_time(make_cluster, monkeypatch):
    """A manager that has joined and then hangs keeps nobody from writing for long."""
    cluster = make_cluster(quiesce_timeout=1)
    writer, instance = cluster.machines.make(volumes=1), cluster.machines.make(volumes=1)
    other = service.ManagerService(cluster.rig.conf, host='node-2')
    other.start()
    eventually(lambda: placement.pick('nova', 'node-2'))
    cluster.configure(('instance', writer.id), ('instance', instance.id, 'node-2'))
    is_hanging = []
    begin = moments.standstill.Standstill.begin

    def hang(self, blame):
        if self._plan.instance_ids == [instance.id] and not is_hanging:
            is_hanging.append(self)
            self._work.wait(4)
        begin(self, blame)

    monkeypatch.setattr(moments.standstill.Standstill, 'begin', hang)
    try:
        cluster.take(1)
        eventually(lambda: is_hanging)
        eventually(lambda: list(cluster.machines.driver.list_holds(cluster.admin)))
        # The one that waits goes on although the other has not come.
        eventually(lambda: not list(cluster.machines.driver.list_holds(cluster.admin)), 3)
        assert cluster.get(1).state == states.CHECKPOINT_IN_PROGRESS
        assert cluster.ended(1).state == states.CHECKPOINT_COMPLETED  # in a later round
        assert Checkpoint.get_by_id(cluster.admin, 1).round > 0
        cluster.assert_nothing_is_left()
    finally:
        other.stop()


def test_what_fails_at_one_manager_fails_at_all(cluster, other):
    cluster.configure(('volume', cluster.writer.volumes[0].volume_id),
                      ('volume', 'no-such-volume', 'node-2'))
    cluster.take(1)
    shown = cluster.ended(1)
    assert [part.failure_reason for part in shown.partitions] == [
        'No snapshot was taken, because that of partition 2 was not.',
        'Volume no-such-volume could not be found.']
    cluster.assert_nothing_is_left()


# Dead managers -----------------------------------------------------------------------------------


def test_a_share_whose_manager_died_fails_where_nobody_reaches_its_volumes(cluster, other):
    share_between(cluster)
    driver, volume = loader.volume_driver(), cluster.instance.volumes[0].volume_id
    # somebody else uses it, so that the share cannot be done before its manager is stopped
    driver.acquire_volume(cluster.admin, volume, holder='somebody', status='backing-up',
                          expected=('available', 'in-use'))
    cluster.take(1)
    other.stop()
    driver.release_volume(cluster.admin, volume, holder='somebody')
    upkeep.watch(cluster.admin)
    assert cluster.get(1).state == states.CHECKPOINT_IN_PROGRESS
    cluster.set(takeover_timeout=1)
    with engine.get_engine().begin() as connection:
        connection.execute(models.services.update().where(
            models.services.c.host == 'node-2').values(
                last_seen_at=NOW - datetime.timedelta(hours=1)))
    upkeep.watch(cluster.admin)
    shown = cluster.get(1)
    assert shown.state == states.CHECKPOINT_FAILED
    assert 'The manager node-2 does not answer, and nobody else reaches its volumes' in (
        shown.failure_reason)


def test_a_share_goes_to_any_manager_where_all_reach_its_volumes(cluster, other, monkeypatch):
    share_between(cluster)
    monkeypatch.setattr(type(loader.volume_driver()), 'is_host_local', False)
    monkeypatch.setattr(type(loader.instance_driver()), 'is_host_local', False)
    monkeypatch.setattr(moments, '_JOIN_S', 0.2)
    loader.volume_driver().acquire_volume(
        cluster.admin, cluster.writer.volumes[0].volume_id, holder='somebody',
        status='backing-up', expected=('in-use',))
    cluster.take(1)
    other.stop()
    Service(cluster.admin, host='node-2', binary=placement.BINARY).destroy()
    loader.volume_driver().release_volume(
        cluster.admin, cluster.writer.volumes[0].volume_id, holder='somebody')
    assert cluster.get(1).state == states.CHECKPOINT_IN_PROGRESS
    upkeep.watch(cluster.admin)
    shown = cluster.ended(1)
    assert (shown.state, shown.failure_reason) == (states.CHECKPOINT_COMPLETED, None)
    assert len({part.broker_id for part in shown.partitions}) == 1
    record = Checkpoint.get_by_id(cluster.admin, 1)
    assert {part.host for part in record.partitions} == {cluster.rig.conf.host}
    cluster.assert_nothing_is_left()


def test_a_share_that_nobody_works_on_fails(make_cluster):
    cluster = make_cluster(is_managed=False)
    volume = cluster.rig.volume()
    cluster.configure(('volume', volume.id))
    record = Checkpoint(cluster.admin, is_scheduled=False)
    task = Task(cluster.admin, kind=states.TASK_CHECKPOINT, id='t' * 36, resource_id='s' * 36)
    record.create(1, 0, [checkpoints.CheckpointPartition(
        cluster.admin, partition_id=1, kind='volume', source_id=volume.id, share_id='s' * 36,
        host='node-1')], [task])
    Service.heartbeat(cluster.admin, 'node-1', placement.BINARY)
    upkeep.watch(cluster.admin)
    assert cluster.get(1).state == states.CHECKPOINT_IN_PROGRESS
    assert Task.cancel_idle(cluster.admin, task.id)
    upkeep.watch(cluster.admin)
    assert cluster.get(1).failure_reason == (
        'Backup on partition 1 failed due to Nobody works on it any more. ')
