# SPDX-License-Identifier: Apache-2.0
"""Ids of checkpoints are spent once and rise; their shares agree on every step."""

import datetime
import itertools
import json
import subprocess
import sys
import threading
import uuid

import pytest
import sqlalchemy

from backupsvc import exception, states
from backupsvc.db import checkpoints as db
from backupsvc.db import engine, models, purge
from backupsvc.objects.backup import BackupList
from backupsvc.objects.checkpoint import Checkpoint, CheckpointPartition
from backupsvc.objects.task import Task
from backupsvc.orchestration import checkpoints
from tests.functional.db import records
from tests.functional.db.test_lists import _statements


def create(admin, checkpoint_id=None, shares=1, at_least=0, **values):
    """Write a checkpoint with two partitions for each share."""
    record = Checkpoint(admin, **{'is_scheduled': False, **values})
    share_ids = [str(uuid.uuid4()) for _ in range(shares)]
    record.create(checkpoint_id, at_least, [
        CheckpointPartition(
            admin, partition_id=number, kind='volume', source_id=str(uuid.uuid4()),
            share_id=share_id, host=f'node-{place}', broker_id=place, broker_version='1')
        for place, share_id in enumerate(share_ids) for number in (2 * place + 1, 2 * place + 2)
    ], [records.new_task(admin, states.TASK_CHECKPOINT, resource_id=share_id)
        for share_id in share_ids])
    return record


def claimed(admin, record):
    """Return share id → its task, claimed."""
    found = {}
    for share_id in sorted({part.share_id for part in record.partitions}):
        first, = Task.live_for(admin, share_id)
        found[share_id] = Task.claim(admin, first.id, 'one', 'testhost', records.LEASE_S)
    return found


def again(admin, record):
    return Checkpoint.get_by_id(admin, record.id, read_deleted=True)


def stored(admin, record):
    """Take a checkpoint of one share to the end."""
    for share_id, task in claimed(admin, record).items():
        record.report(share_id, states.JOINED, task)
        record.report(share_id, states.TAKEN, task, members={
            part.partition_id: [{'volume_id': 'v', 'snapshot_id': f's{part.partition_id}',
                                 'backup_id': f'b{record.id}'}]
            for part in record.partitions})
        task.finish()
    record.complete([part.partition_id for part in record.partitions])
    return again(admin, record)


# Ids ---------------------------------------------------------------------------------------------


def test_ids_rise_and_are_spent_for_ever(admin):
    assert Checkpoint.last_id(admin) == 0
    assert create(admin, 5).id == 5
    for number in (5, 4, 1):
        with pytest.raises(exception.CheckpointIdTaken) as taken:
            create(admin, number)
        assert taken.value.details == {'requested': number, 'latest': 5}
    assert create(admin, 2**62).id == 2**62
    Checkpoint.destroy(admin, 5, records.new_task(admin, states.TASK_DELETE_CHECKPOINT))
    with pytest.raises(exception.CheckpointIdTaken):
        create(admin, 5)
    assert create(admin, db.ID_MAX).id == db.ID_MAX == Checkpoint.last_id(admin)
    with pytest.raises(exception.CheckpointIdTaken):
        create(admin)


def test_an_id_stays_spent_when_everything_was_purged(admin):
    create(admin, 7)
    Checkpoint.destroy(admin, 7, records.new_task(admin, states.TASK_DELETE_CHECKPOINT))
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)
    assert purge.purge(admin, later)['checkpoints'] == 1
    with pytest.raises(exception.CheckpointNotFound):
        Checkpoint.get_by_id(admin, 7, read_deleted=True)
    with pytest.raises(exception.CheckpointIdTaken):
        create(admin, 7)
    with engine.get_engine().connect() as connection:
        events = connection.execute(sqlalchemy.select(
            models.checkpoint_log.c.checkpoint_id, models.checkpoint_log.c.event).order_by(
                models.checkpoint_log.c.position)).all()
    assert [tuple(row) for row in events] == [(7, 'reserved'), (7, 'failed'), (7, 'deleted')]


def test_ids_that_are_made_follow_the_last_one(admin):
    assert [create(admin, at_least=at_least).id for at_least in (100, 50, 100, 1000)] == [
        100, 101, 102, 1000]


def test_of_those_who_want_one_id_at_once_one_gets_it(admin):
    """And of neighbours nobody gets one below another's that was given before."""
    wanted = [number for number in (20, 21, 22, 23) for _ in range(4)]
    outcomes = []
    start = threading.Barrier(len(wanted))

    def run(number):
        start.wait()
        try:
            outcomes.append((number, create(admin, number).id, None))
        except exception.CheckpointIdTaken as taken:
            outcomes.append((number, None, taken.details))

    threads = [threading.Thread(target=run, args=(number,)) for number in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    _judge(admin, wanted, outcomes)


_WANT = '''
import json, sys
from backupsvc import conf, context, exception, objects
from tests.functional.db import test_checkpoints
config = conf.new_config()
config([], default_config_files=[], default_config_dirs=[])
config.set_override('connection', sys.argv[1], 'database')
conf.install(config)
objects.register_all()
admin = context.get_admin_context()
test_checkpoints.Checkpoint.last_id(admin)
print('ready', flush=True)
sys.stdin.readline()
for number in (30, 31, 32, 33):
    try:
        print(json.dumps([number, test_checkpoints.create(admin, number).id, None]))
    except exception.CheckpointIdTaken as taken:
        print(json.dumps([number, None, taken.details]))
'''


def test_of_processes_that_want_the_same_ids_at_once_one_gets_each(admin, any_database):
    wants = [subprocess.Popen(
        [sys.executable, '-W', 'ignore', '-c', _WANT, any_database.database.connection],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)]
    for want in wants:
        assert want.stdout.readline() == 'ready\n'
    for want in wants:
        want.stdin.write('go\n')
        want.stdin.flush()
    answers = [want.communicate(timeout=120) for want in wants]
    assert [want.returncode for want in wants] == [0] * 4, answers
    outcomes = [json.loads(line) for out, _ in answers for line in out.splitlines()]
    _judge(admin, [30, 31, 32, 33] * 4, outcomes)


def _judge(admin, wanted, outcomes):
    assert len(outcomes) == len(wanted)
    given = [number for number, got, _ in outcomes if got is not None]
    assert len(given) == len(set(given)) and max(given) == max(wanted)
    with engine.get_engine().connect() as connection:
        spent = list(connection.scalars(sqlalchemy.select(
            models.checkpoint_log.c.checkpoint_id).order_by(models.checkpoint_log.c.position)))
    assert spent == sorted(given)
    for number, got, details in outcomes:
        if got is None:
            assert details['requested'] == number <= details['latest'] <= max(wanted)
            assert details['latest'] in given


# Lists -------------------------------------------------------------------------------------------


def test_a_thousand_take_as_many_statements_as_one(admin):
    create(admin, 1)
    with _statements() as few:
        assert len(Checkpoint.get_all(admin)) == 1
    _insert_many(admin, 1000)
    with _statements() as many:
        found = Checkpoint.get_all(admin)
    assert len(many) == len(few) == 2
    assert [record.id for record in found] == list(range(1001, 0, -1))
    assert {len(record.partitions) for record in found} == {2}


def _insert_many(admin, count):
    now = datetime.datetime.now(datetime.UTC)
    common = {'created_at': now, 'status': states.CHECKPOINT_COMPLETED}
    with engine.get_engine().begin() as connection:
        connection.execute(models.checkpoints.insert(), [
            {**common, 'id': number, 'uuid': str(uuid.uuid4()), 'phase': states.STORING}
            for number in range(2, count + 2)])
        connection.execute(models.checkpoint_partitions.insert(), [
            {**common, 'checkpoint_id': number, 'partition_id': part, 'kind': 'volume',
             'source_id': 's', 'share_id': str(uuid.uuid4()), 'host': 'h',
             'members': [{'snapshot_id': 'x' * 36}]}
            for number in range(2, count + 2) for part in (1, 2)])


@pytest.mark.parametrize(('prefix', 'found'), [
    ('', [2**62, 1234, 123, 20, 12, 2, 1]), ('1', [1234, 123, 12, 1]), ('12', [1234, 123, 12]),
    ('2', [20, 2]), ('4', [2**62]), ('0', []), ('x', []), ('-1', []), ('٣', []),
    (str(2**63), []), ('9' * 30, [])])
def test_a_prefix_selects_by_digits(admin, prefix, found):
    for number in (1, 2, 12, 20, 123, 1234, 2**62):
        create(admin, number)
    assert [record.id for record in Checkpoint.get_all(admin, prefix)] == found


def test_lists_leave_members_out_and_status_selects(admin):
    stored(admin, create(admin, 1))
    create(admin, 2)
    done, = Checkpoint.get_all(admin, status=states.CHECKPOINT_COMPLETED)
    assert done.id == 1 and not done.partitions[0].obj_attr_is_set('members')
    assert again(admin, done).partitions[0].members[0]['snapshot_id'] == 's1'


@pytest.mark.parametrize('number', [0, -1, 2, 2**63, 10**40])
def test_what_is_not_there_is_not_found(admin, number):
    create(admin, 1)
    with pytest.raises(exception.CheckpointNotFound):
        Checkpoint.get_by_id(admin, number)
    assert Checkpoint.destroy(
        admin, number, records.new_task(admin, states.TASK_DELETE_CHECKPOINT)) is None


# Rounds ------------------------------------------------------------------------------------------


def test_a_share_alone_needs_nobody(admin):
    record = create(admin, 3)
    (share_id, task), = claimed(admin, record).items()
    record.report(share_id, states.JOINED, task)
    assert record.phase == states.QUIESCING
    at = datetime.datetime.now(datetime.UTC)
    record.report(share_id, states.TAKEN, task, resume_point={'taken': 0}, at=at)
    shown = again(admin, record)
    assert (shown.phase, shown.data_timestamp, shown.position) == (states.STORING, at, 2)
    assert Task.get_by_id(admin, task.id).resume_point == {'taken': 0}


def test_a_phase_begins_when_all_shares_have_come_so_far(admin):
    record = create(admin, 1, shares=3)
    tasks = claimed(admin, record)
    at = datetime.datetime.now(datetime.UTC)
    for step, before, after in ((states.JOINED, states.GATHERING, states.QUIESCING),
                                (states.STILL, states.QUIESCING, states.TAKING),
                                (states.TAKEN, states.TAKING, states.STORING)):
        *first, last = tasks.items()
        for share_id, task in first:
            record.report(share_id, step, task, at=at)
            assert again(admin, record).phase == before
        record.report(*last[:1], step, last[1], at=at)
        assert again(admin, record).phase == after
    assert again(admin, record).data_timestamp == at


def test_shares_that_report_at_once_never_miss_each_other(admin):
    record = create(admin, 1, shares=4)
    tasks = claimed(admin, record)
    start = threading.Barrier(4)
    errors = []

    def run(share_id, task):
        mine = again(admin, record)
        try:
            for step in (states.JOINED, states.STILL, states.TAKEN):
                start.wait(30)
                mine.report(share_id, step, task)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=item) for item in tasks.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert again(admin, record).phase == states.STORING


def test_a_new_round_voids_the_steps_of_the_old_one(admin):
    record = create(admin, 1, shares=2)
    (one, first), (two, second) = claimed(admin, record).items()
    mine, other = again(admin, record), again(admin, record)
    mine.report(one, states.JOINED, first)
    other.report(two, states.JOINED, second)
    assert mine.begin_round() is True
    assert other.begin_round() is False  # by somebody else, already
    with pytest.raises(exception.CheckpointChanged):
        other.report(two, states.STILL, second)
    other = again(admin, record)
    assert (other.phase, other.round) == (states.GATHERING, 1)
    other.report(two, states.JOINED, second)
    assert again(admin, record).phase == states.GATHERING  # the other's step is of round 0


def test_who_leaves_is_waited_for_unless_others_rely_on_it(admin):
    record = create(admin, 1, shares=2)
    (one, first), (two, second) = claimed(admin, record).items()
    mine, other = again(admin, record), again(admin, record)
    mine.report(one, states.JOINED, first)
    assert mine.leave(one) is True
    other.report(two, states.JOINED, second)
    assert again(admin, record).phase == states.GATHERING
    mine.report(one, states.JOINED, first)
    assert again(admin, record).phase == states.QUIESCING
    assert other.leave(two) is False


def test_who_lost_its_task_reports_nothing(admin):
    record = create(admin, 1)
    (share_id, task), = claimed(admin, record).items()
    task.release(delay_s=0)
    with pytest.raises(exception.LeaseLost):
        record.report(share_id, states.JOINED, task)
    with pytest.raises(exception.LeaseLost):
        record.begin_storing(task, {}, {}, [records.new_backup(
            admin, id=str(uuid.uuid4()), project_id='p')])
    with pytest.raises(exception.LeaseLost):
        record.queue(task, [records.new_task(admin, resource_id='x')])
    assert again(admin, record).phase == states.GATHERING
    assert list(BackupList.get_all(admin)) == []


# Ends --------------------------------------------------------------------------------------------


def test_a_checkpoint_ends_with_the_last_of_its_partitions(admin):
    record = create(admin, 1, shares=2)
    record.complete([1, 2])
    assert again(admin, record).status == states.CHECKPOINT_IN_PROGRESS
    record.fail_unfinished({1: 'too late', 3: 'R' * 300})
    record.complete([3])
    shown = again(admin, record)
    assert shown.status == states.CHECKPOINT_IN_PROGRESS
    assert [part.status for part in shown.partitions] == [
        states.CHECKPOINT_COMPLETED] * 2 + [
            states.CHECKPOINT_FAILED, states.CHECKPOINT_IN_PROGRESS]
    assert shown.partitions[0].fail_reason is None
    assert shown.partitions[2].fail_reason == 'R' * 255
    record.complete([4])
    assert again(admin, record).status == states.CHECKPOINT_FAILED


def test_a_completed_one_may_fail_later_and_no_failed_one_is_completed(admin):
    record = stored(admin, create(admin, 1))
    record.fail({2: 'its backup was deleted'})
    assert again(admin, record).status == states.CHECKPOINT_FAILED
    record.complete([2])
    shown = again(admin, record)
    assert (shown.status, shown.partitions[1].status) == (states.CHECKPOINT_FAILED,) * 2


def test_a_deleted_one_is_gone_with_a_task_that_removes_what_is_stored(admin):
    record = create(admin, 1)
    task = records.new_task(admin, states.TASK_DELETE_CHECKPOINT)
    assert Checkpoint.destroy(admin, 1, task).id == 1
    assert Checkpoint.destroy(admin, 1, records.new_task(admin)) is None
    with pytest.raises(exception.CheckpointNotFound):
        Checkpoint.get_by_id(admin, 1)
    shown = again(admin, record)
    assert {(part.status, part.fail_reason) for part in shown.partitions} == {
        (states.CHECKPOINT_FAILED, 'The backup is going to be deleted.')}
    assert [task.kind for task in Task.live_for(admin, shown.uuid)] == ['delete_checkpoint']
    assert Checkpoint.get_all(admin) == []


def test_the_previous_one_is_the_last_completed_before(admin):
    assert Checkpoint.previous(admin, 10) is None
    for number in (1, 2, 3):
        stored(admin, create(admin, number))
    create(admin, 4).fail_unfinished({1: 'x', 2: 'x'})
    create(admin, 5)
    Checkpoint.destroy(admin, 3, records.new_task(admin, states.TASK_DELETE_CHECKPOINT))
    assert Checkpoint.previous(admin, 6).id == 2
    assert Checkpoint.previous(admin, 2).partitions[0].members[0]['backup_id'] == 'b1'


def test_one_awaits_those_before_it_until_their_snapshots_are_taken(admin):
    first, second = create(admin, 1), create(admin, 2)
    assert (first.awaits(), second.awaits()) == (None, 1)
    (share_id, task), = claimed(admin, first).items()
    first.report(share_id, states.JOINED, task)
    assert second.awaits() == 1
    first.report(share_id, states.TAKEN, task)
    assert second.awaits() is None


def test_positions_rise_with_every_event(admin):
    for number in (1, 2):
        stored(admin, create(admin, number))
    with engine.get_engine().connect() as connection:
        rows = connection.execute(sqlalchemy.select(models.checkpoint_log).order_by(
            models.checkpoint_log.c.position)).all()
    assert [(row.position, row.checkpoint_id, row.event) for row in rows] == [
        (position, number, event) for position, (number, event) in enumerate(
            itertools.product((1, 2), ('reserved', 'taken', 'completed')), 1)]


# The longest due task ----------------------------------------------------------------------------


def test_how_long_the_oldest_task_has_waited(admin):
    assert Task.longest_due(admin, 'testhost') == 0
    records.new_task(admin, resource_id='a', host_affinity='other',
                     run_after=records.ago(500)).create()
    assert Task.longest_due(admin, 'testhost') == 0
    assert Task.longest_due(admin, 'other') > 499
    records.new_task(admin, resource_id='b', run_after=records.ago(100)).create()
    assert 99 < Task.longest_due(admin, 'testhost') < 200
    assert Task.move(admin, 'a') == 1
    assert Task.longest_due(admin, 'testhost') > 499


def test_the_state_of_each_partition(admin, any_database):
    any_database.set_override('partitions', '1=volume:a@h,2=volume:b@h', group='actuator')
    for number in (1, 2, 3, 4, 5):
        record = create(admin, number)
        if number == 3:
            record.fail_unfinished({1: 'x', 2: 'x'})
        elif number == 5:
            (share_id, task), = claimed(admin, record).items()
            record.report(share_id, states.JOINED, task)
            record.report(share_id, states.TAKEN, task)
        else:
            stored(admin, record)
    found = checkpoints.state(admin)
    assert [(each.partition_id, each.checkpoint_id) for each in found.checkpoints] == [
        (1, 5), (2, 5)]
    assert [(each.partition_id, each.checkpoint_id) for each in found.backups] == [(1, 4), (2, 4)]
    assert [(each.partition_id, each.start, each.end) for each in found.ranges] == [
        (1, 1, 2), (1, 4, 4), (2, 1, 2), (2, 4, 4)]
