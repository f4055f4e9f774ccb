# SPDX-License-Identifier: Apache-2.0
"""Tasks: who may work on what, and that nobody else can write meanwhile."""

import collections
import datetime
import os
import subprocess
import sys
import threading
import uuid

import pytest

from backupsvc import exception, states
from backupsvc.db import tasks as db
from backupsvc.objects.task import Task, TaskList
from tests.functional.db import records

HOST = 'testhost'
LEASE_S = records.LEASE_S


def _create(context, **values):
    task = records.new_task(context, **{'resource_id': str(uuid.uuid4()), **values})
    task.create()
    return task


def _claim(admin, owner='one', host=HOST, lease_s=LEASE_S, kinds=None):
    return Task.claim_next(admin, owner, host, lease_s, kinds)


def test_a_new_task_waits(context, admin):
    task = _create(context, arguments={'a': [1, None]}, request_id='req-1')
    found = Task.get_by_id(admin, task.id)
    assert (found.state, found.attempt, found.owner) == (states.QUEUED, 0, None)
    assert found.arguments == {'a': [1, None]} and found.bytes_done == 0
    assert not found.cancel_requested and found.is_live


@pytest.mark.parametrize('task_id', ['', 'x', 'a\x00'])
def test_a_missing_task_is_not_found(admin, task_id):
    with pytest.raises(exception.TaskNotFound):
        Task.get_by_id(admin, task_id)
    assert Task.claim(admin, task_id, 'one', HOST, LEASE_S) is None
    assert not Task.exists_live(admin, task_id)


def test_nothing_to_do_is_none(admin):
    assert _claim(admin) is None


def test_a_claimed_task_is_nobody_elses(context, admin):
    task = _create(context)
    claimed = _claim(admin)
    assert (claimed.id, claimed.state, claimed.owner, claimed.attempt) == (
        task.id, states.RUNNING, 'one', 1)
    assert claimed.started_at is not None
    assert _claim(admin, 'two') is None
    assert Task.claim(admin, task.id, 'two', HOST, LEASE_S) is None


def test_the_lease_is_as_long_as_asked_for(context, admin):
    _create(context)
    claimed = _claim(admin, lease_s=1000)
    length = claimed.lease_expires_at - claimed.updated_at
    assert abs(length.total_seconds() - 1000) < 1


def test_the_longest_due_is_first(context, admin):
    late = _create(context, run_after=records.ago(10))
    early = _create(context, run_after=records.ago(20))
    assert [_claim(admin).id, _claim(admin).id] == [early.id, late.id]


def test_what_is_due_later_waits(context, admin):
    _create(context, run_after=records.ago(-3600))
    assert _claim(admin) is None


def test_only_wanted_kinds_are_claimed(context, admin):
    task = _create(context, kind=states.TASK_VERIFY)
    assert _claim(admin, kinds=[states.TASK_CREATE]) is None
    assert _claim(admin, kinds=[states.TASK_CREATE, states.TASK_VERIFY]).id == task.id


def test_work_of_another_host_is_left_to_it(context, admin):
    task = _create(context, host_affinity='elsewhere')
    assert _claim(admin) is None
    assert Task.claim(admin, task.id, 'one', HOST, LEASE_S) is None
    assert _claim(admin, host='Elsewhere') is None
    assert _claim(admin, host='elsewhere').id == task.id


def test_a_lease_that_ran_out_is_claimed_with_a_new_attempt(context, admin):
    _create(context)
    first = _claim(admin, lease_s=-1)
    second = _claim(admin, 'two')
    assert (second.id, second.attempt, second.owner) == (first.id, 2, 'two')
    assert second.started_at == first.started_at


def test_renewing_keeps_others_away(context, admin):
    task = _create(context)
    claimed = _claim(admin, lease_s=-1)
    assert claimed.renew(LEASE_S) is True
    assert Task.claim(admin, task.id, 'two', HOST, LEASE_S) is None


@pytest.mark.parametrize('write', ['renew', 'progress', 'release', 'finish', 'fail', 'cancel'])
def test_who_lost_the_lease_writes_nothing(context, admin, write):
    _create(context)
    first = _claim(admin, lease_s=-1)
    second = _claim(admin, 'two')
    with pytest.raises(exception.LeaseLost):
        {'renew': lambda: first.renew(LEASE_S), 'progress': lambda: first.progress(bytes_done=9),
         'release': first.release, 'finish': first.finish, 'fail': lambda: first.fail('no'),
         'cancel': first.cancel}[write]()
    found = Task.get_by_id(admin, second.id)
    assert (found.state, found.owner, found.bytes_done, found.error) == (
        states.RUNNING, 'two', 0, None)
    assert found.lease_expires_at == second.lease_expires_at
    second.finish()


@pytest.mark.parametrize('end', ['finish', 'fail', 'cancel'])
def test_an_ended_task_is_ended_once(context, admin, end):
    task = _create(context)
    claimed = _claim(admin)
    ends = {'finish': claimed.finish, 'fail': lambda: claimed.fail('no'), 'cancel': claimed.cancel}
    ends[end]()
    state = Task.get_by_id(admin, task.id).state
    assert state == {'finish': states.DONE, 'fail': states.FAILED, 'cancel': states.CANCELLED}[end]
    for again in ends.values():
        with pytest.raises(exception.LeaseLost):
            again()
    assert Task.get_by_id(admin, task.id).state == state
    assert not Task.exists_live(admin, task.id)
    assert _claim(admin) is None


def test_progress_is_seen_and_brings_the_wish_to_cancel(context, admin):
    task = _create(context)
    claimed = _claim(admin)
    Task.request_cancel(admin, task.resource_id)
    claimed.progress(phase='reading', bytes_total=2**40, bytes_done=5, resume_point={'at': [1]})
    assert claimed.cancel_requested
    found = Task.get_by_id(admin, task.id)
    assert (found.phase, found.bytes_total, found.resume_point) == ('reading', 2**40, {'at': [1]})
    with pytest.raises(TypeError, match='state'):
        claimed.progress(state='done')


def test_progress_may_renew(context, admin):
    task = _create(context)
    claimed = _claim(admin, lease_s=-1)
    claimed.progress(lease_s=LEASE_S, bytes_done=1)
    assert Task.claim(admin, task.id, 'two', HOST, LEASE_S) is None


def test_a_released_task_is_anybodys(context, admin):
    _create(context)
    claimed = _claim(admin)
    claimed.progress(resume_point={'at': 3})
    claimed.release(error='not now')
    assert (claimed.state, claimed.owner, claimed.error) == (states.QUEUED, None, 'not now')
    again = _claim(admin, 'two')
    assert (again.attempt, again.resume_point) == (2, {'at': 3})


def test_a_hand_over_does_not_count_as_an_attempt(context, admin):
    _create(context)
    first = _claim(admin)
    first.release(keep_attempt=True)
    assert _claim(admin, 'two').attempt == 1
    with pytest.raises(exception.LeaseLost):
        first.renew(LEASE_S)


def test_a_task_may_be_released_for_later(context, admin):
    _create(context)
    _claim(admin).release(delay_s=3600)
    assert _claim(admin) is None


def test_owned_tasks_are_released_together(context, admin):
    for _ in range(3):
        _create(context)
    mine = [_claim(admin, 'host:1'), _claim(admin, 'host:2')]
    _claim(admin, 'host2:1')
    assert Task.release_owned(admin, 'host:') == 2
    assert {_claim(admin, 'new').id, _claim(admin, 'new').id} == {task.id for task in mine}
    assert _claim(admin, 'new') is None
    assert Task.release_owned(admin, 'ho_t:') == 0


# Tasks of one resource ---------------------------------------------------------------------------


def test_tasks_of_one_resource_run_in_order_one_at_a_time(context, admin):
    resource = str(uuid.uuid4())
    first = _create(context, resource_id=resource)
    second = _create(context, resource_id=resource, kind=states.TASK_DELETE,
                     run_after=records.ago(100))
    running = _claim(admin)
    assert running.id == first.id
    assert _claim(admin, 'two') is None
    assert Task.claim(admin, second.id, 'two', HOST, LEASE_S) is None
    running.release(delay_s=3600)
    assert _claim(admin, 'two') is None
    assert Task.cancel_idle(admin, first.id)
    assert _claim(admin, 'two').id == second.id


def test_prune_that_waits_keeps_no_verify_waiting(context, admin):
    resource = str(uuid.uuid4())
    prune = _create(context, resource_id=resource, kind=states.TASK_PRUNE,
                    run_after=records.ago(-3600))
    verify = _create(context, resource_id=resource, kind=states.TASK_VERIFY,
                     created_at=records.ago(-1))
    assert _claim(admin).id == verify.id
    # Due while the verify runs: one at a time all the same.
    Task.request_cancel(admin, resource, [states.TASK_PRUNE])
    assert _claim(admin, 'two') is None
    Task.get_by_id(admin, verify.id).finish()
    assert _claim(admin, 'two').id == prune.id


def test_live_tasks_of_a_resource_are_listed_in_order(context, admin):
    resource = str(uuid.uuid4())
    made = [_create(context, resource_id=resource) for _ in range(3)]
    _create(context)
    _claim(admin, kinds=[states.TASK_CREATE]).finish()
    assert [task.id for task in Task.live_for(admin, resource)] == [task.id for task in made[1:]]
    assert len(TaskList.get_all(admin, {'resource_id': resource})) == 3
    assert len(TaskList.get_all(admin, {'resource_id': resource}, limit=2)) == 2


def test_what_is_blocked_does_not_hide_what_is_not(context, admin):
    """More blocked tasks than a claimer looks at are in front of one that is free."""
    resource = str(uuid.uuid4())
    _create(context, resource_id=resource)
    assert _claim(admin).resource_id == resource
    for _ in range(30):
        _create(context, resource_id=resource, run_after=records.ago(1000))
    free = _create(context)
    assert _claim(admin, 'two').id == free.id


# Cancelling --------------------------------------------------------------------------------------


def test_a_wish_to_cancel_reaches_live_tasks_of_the_resource(context, admin):
    resource = str(uuid.uuid4())
    _create(context, resource_id=resource)
    running = _claim(admin)
    queued = _create(context, resource_id=resource, kind=states.TASK_DELETE)
    other = _create(context)
    assert [task.id for task in Task.request_cancel(context, resource, [states.TASK_CREATE])] == [
        running.id]
    assert not Task.get_by_id(admin, queued.id).cancel_requested
    asked = Task.request_cancel(context, resource)
    assert {task.id for task in asked} == {running.id, queued.id}
    assert all(task.cancel_requested for task in asked)
    assert not Task.get_by_id(admin, other.id).cancel_requested
    assert Task.request_cancel(context, str(uuid.uuid4())) == []


def test_a_cancelled_task_that_waits_is_due_at_once(context, admin):
    task = _create(context, run_after=records.ago(-3600))
    Task.request_cancel(context, task.resource_id)
    claimed = _claim(admin)
    assert claimed.id == task.id and claimed.cancel_requested


def test_a_cancelled_task_whose_host_does_not_come_is_ended_by_any(context, admin, monkeypatch):
    task = _create(context, host_affinity='gone')
    Task.request_cancel(context, task.resource_id)
    assert _claim(admin) is None
    monkeypatch.setattr('backupsvc.db.tasks.ORPHANED_S', 0)
    claimed = _claim(admin)
    assert claimed.id == task.id
    claimed.cancel()

    running = _create(context, host_affinity='gone')
    assert _claim(admin, host='gone', lease_s=-1).id == running.id
    assert _claim(admin) is None
    Task.request_cancel(context, running.resource_id)
    assert _claim(admin).id == running.id


def test_only_idle_tasks_are_cancelled_from_outside(context, admin):
    queued, busy, dead = (_create(context, kind=kind) for kind in ('a', 'b', 'c'))
    _claim(admin, kinds=['b'])
    lost = _claim(admin, kinds=['c'], lease_s=-1)
    assert Task.cancel_idle(admin, queued.id)
    assert not Task.cancel_idle(admin, busy.id)
    assert Task.cancel_idle(admin, dead.id)
    assert not Task.cancel_idle(admin, dead.id)
    with pytest.raises(exception.LeaseLost):
        lost.finish()
    assert Task.get_by_id(admin, busy.id).state == states.RUNNING


# Races -------------------------------------------------------------------------------------------


def _race(number, work):
    """Run ``work(index)`` in threads that begin together; return what they returned."""
    barrier = threading.Barrier(number)
    results = []

    def run(index):
        barrier.wait()
        try:
            results.append(work(index))
        except Exception as error:
            results.append(error)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_of_threads_that_claim_one_task_one_wins(context, admin):
    for _ in range(5):
        task = _create(context)
        results = _race(8, lambda index, task=task: Task.claim(
            admin, task.id, f'owner {index}', HOST, LEASE_S))
        winners = [result for result in results if result is not None]
        assert len(results) == 8 and len(winners) == 1, results
        assert Task.get_by_id(admin, task.id).owner == winners[0].owner
        winners[0].finish()


def test_threads_that_claim_share_the_work_out(context, admin):
    made = {_create(context).id for _ in range(24)}

    def work(index):
        mine = []
        while task := _claim(admin, f'owner {index}'):
            mine.append(task.id)
            task.progress(bytes_done=1)
            task.finish()
        return mine

    results = _race(6, work)
    done = collections.Counter(task_id for mine in results for task_id in mine)
    assert set(done) == made and set(done.values()) == {1}


def test_of_threads_that_claim_tasks_of_one_resource_one_wins(context, admin):
    """Each task looks first to a claimer that has not seen the other's insert or claim."""
    resource = str(uuid.uuid4())
    now = datetime.datetime.now(datetime.UTC)
    tasks = [_create(context, resource_id=resource, created_at=now) for _ in range(2)]

    results = _race(2, lambda index: db.claim(admin, tasks[index].id, 0, f'o{index}', LEASE_S))
    assert sorted(result is None for result in results) == [False, True], results


_CLAIMER = '''
import sys
from backupsvc import conf, context
from backupsvc.objects.task import Task
config = conf.new_config()
config([], default_config_files=[], default_config_dirs=[])
config.set_override('connection', sys.argv[1], 'database')
conf.install(config)
admin = context.get_admin_context()
print('ready', flush=True)
sys.stdin.readline()
while task := Task.claim_next(admin, sys.argv[2], 'testhost', 60):
    task.progress(bytes_done=1, resume_point={'by': sys.argv[2]})
    task.finish()
    print(task.id, flush=True)
'''


def test_processes_that_claim_share_the_work_out(context, admin, any_database):
    made = {_create(context).id for _ in range(20)}
    environment = {**os.environ, 'PYTHONWARNINGS': 'ignore'}
    claimers = [subprocess.Popen(
        [sys.executable, '-c', _CLAIMER, any_database.database.connection, f'owner {index}'],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        for index in range(3)]
    for claimer in claimers:
        assert claimer.stdout.readline() == 'ready\n'
    for claimer in claimers:
        claimer.stdin.write('go\n')
        claimer.stdin.flush()
    lines = [line for claimer in claimers for line in claimer.communicate(timeout=120)[0].split()]
    assert [claimer.returncode for claimer in claimers] == [0, 0, 0]
    assert collections.Counter(lines) == dict.fromkeys(made, 1)
    assert {task.state for task in TaskList.get_all(admin)} == {states.DONE}
