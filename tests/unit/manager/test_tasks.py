# SPDX-License-Identifier: Apache-2.0
"""How attempts of tasks begin and end: real rows, real threads, and flows made for the purpose."""

import threading
import types

import pytest
from oslo_utils import uuidutils

from backupsvc import context as request_context
from backupsvc import exception, states
from backupsvc.db import engine as database
from backupsvc.db import models
from backupsvc.engine import errors
from backupsvc.manager import flows, tasks
from backupsvc.manager.work import Work
from backupsvc.objects.task import Task
from tests.fixtures.deployment import eventually

KIND = 'exercise'


@pytest.fixture
def context(conf):
    return request_context.get_admin_context()


@pytest.fixture
def runners():
    started = []

    def start(host='node-1'):
        runner = tasks.Runner(host)
        runner.start()
        started.append(runner)
        return runner

    yield start
    for runner in started:
        runner.stop(5)


@pytest.fixture
def flow(monkeypatch):
    """A flow of kind ``exercise`` whose run is set by the test."""
    def fail(work, failure):
        work.persist(lambda: work.task.fail(failure.reason))

    def cancel(work):
        work.persist(work.task.cancel)

    made = types.SimpleNamespace(run=lambda work: work.persist(work.task.finish), fail=fail,
                                 cancel=cancel)
    monkeypatch.setitem(flows.FLOWS, KIND, made)
    return made


def queue(context, **values):
    task = Task(context, kind=KIND, resource_id=uuidutils.generate_uuid(), arguments={},
                **values)
    task.create()
    return task


def read(task):
    return Task.get_by_id(request_context.get_admin_context(), task.id)


def ended(task):
    return eventually(lambda: (found := read(task)).state not in states.TASK_LIVE and found)


def test_sweep_finds_a_task_that_no_message_announced(context, flow, runners):
    runners()
    assert ended(queue(context)).state == states.DONE


def test_wake_does_not_wait_for_the_sweep(conf, context, flow, runners):
    conf.set_override('sweep_interval', 3600, group='manager')
    runner = runners()
    first = queue(context)
    runner.wake()
    assert ended(first).state == states.DONE
    second = queue(context)
    runner.wake()
    assert ended(second).state == states.DONE


def test_task_of_another_host_is_left_alone(context, flow, runners):
    runners('node-1')
    foreign = queue(context, host_affinity='node-2')
    assert ended(queue(context)).state == states.DONE
    assert read(foreign).state == states.QUEUED


def test_no_more_tasks_at_once_than_slots(context, flow, runners):
    gate = threading.Event()
    running = []

    def run(work):
        running.append(work.task.id)
        gate.wait(20)
        work.persist(work.task.finish)

    flow.run = run
    queued = [queue(context) for _ in range(4)]
    runners()
    eventually(lambda: len(running) == 2)
    assert sum(read(task).state == states.QUEUED for task in queued) == 2
    gate.set()
    assert {ended(task).state for task in queued} == {states.DONE}


def test_short_tasks_do_not_wait_for_long_ones(context, flow, runners, monkeypatch):
    gate = threading.Event()
    running = []

    def run(work):
        running.append(work.task.id)
        gate.wait(20)
        work.persist(work.task.finish)

    flow.run = run
    short = types.SimpleNamespace(run=lambda work: work.persist(work.task.finish))
    monkeypatch.setitem(flows.FLOWS, states.TASK_DELETE, short)
    runners()
    long = [queue(context) for _ in range(2)]
    eventually(lambda: len(running) == 2)
    task = Task(context, kind=states.TASK_DELETE, resource_id=uuidutils.generate_uuid(),
                arguments={})
    task.create()
    assert ended(task).state == states.DONE
    assert {read(task).state for task in long} == {states.RUNNING}
    gate.set()


def test_passing_failure_is_tried_again_and_counts(context, flow, runners):
    attempts = []

    def run(work):
        attempts.append(work.task.attempt)
        if len(attempts) < 3:
            raise errors.StoreTransient('503')
        work.persist(work.task.finish)

    flow.run = run
    runners()
    assert ended(queue(context)).state == states.DONE
    assert attempts == [1, 2, 3]


def test_passing_failures_end_with_the_reason(conf, context, flow, runners):
    conf.set_override('max_attempts', 2, group='manager')
    conf.set_override('retry_interval', 0, group='manager')

    def run(work):
        raise errors.StoreTransient('503 Slow Down')

    flow.run = run
    runners()
    task = ended(queue(context))
    assert (task.state, task.attempt, task.error) == (states.FAILED, 2, '503 Slow Down')


def test_lasting_failure_is_not_tried_again(context, flow, runners):
    def run(work):
        raise errors.StoreFull('no room')

    flow.run = run
    runners()
    task = ended(queue(context))
    assert (task.state, task.attempt, task.error) == (states.FAILED, 1, 'no room')


def test_error_of_ours_shows_no_internals_to_the_user(context, flow, runners):
    def run(work):
        raise KeyError('secret detail')

    flow.run = run
    runners()
    task = ended(queue(context))
    assert task.error == 'An unexpected error occurred (KeyError).'


def test_task_that_kills_its_manager_is_given_up(conf, context, flow, runners):
    conf.set_override('max_attempts', 2, group='manager')
    task = queue(context)
    for _ in range(2):
        held = Task.claim_next(context, 'node-1:dead', 'node-1', 60)
        assert held.id == task.id
        Task.release_owned(context, 'node-1:')
    runners()
    assert ended(task).state == states.FAILED
    assert 'Given up after 2 attempts' in read(task).error


def test_cancel_reaches_running_work(context, flow, runners):
    begun = threading.Event()

    def run(work):
        begun.set()
        work.wait(20)

    flow.run = run
    runner = runners()
    task = queue(context)
    assert begun.wait(20)
    Task.request_cancel(context, task.resource_id)
    runner.cancel(task.id)
    assert ended(task).state == states.CANCELLED


def test_cancel_is_seen_without_any_message(context, flow, runners):
    begun = threading.Event()

    def run(work):
        begun.set()
        work.wait(20)

    flow.run = run
    runners()
    task = queue(context)
    assert begun.wait(20)
    Task.request_cancel(context, task.resource_id)
    found = ended(task)
    assert (found.state, found.attempt) == (states.CANCELLED, 1)


def test_stop_hands_work_over_with_its_progress(context, flow, runners):
    begun = threading.Event()
    points = []

    def run(work):
        points.append(work.resume_point)
        if not work.resume_point:
            work.remember(half=True)
            begun.set()
            work.wait(20)
        work.persist(work.task.finish)

    flow.run = run
    first = runners()
    task = queue(context)
    assert begun.wait(20)
    first.stop(5)
    found = read(task)
    assert (found.state, found.attempt, found.owner) == (states.QUEUED, 0, None)
    runners('node-2')
    assert ended(task).state == states.DONE
    assert points == [{}, {'half': True}]


def test_lost_lease_stops_the_work_and_writes_nothing(context, flow, runners):
    begun, outcome = threading.Event(), []

    def run(work):
        begun.set()
        try:
            work.wait(20)
        except exception.LeaseLost as lost:
            outcome.append(lost)
            raise

    flow.run = run
    runners()
    task = queue(context)
    assert begun.wait(20)
    with database.get_engine().begin() as connection:
        connection.execute(models.tasks.update().values(owner='other:1'))
    held = Task.get_by_id(context, task.id)
    eventually(lambda: outcome)
    found = read(held)
    assert (found.state, found.owner) == (states.RUNNING, 'other:1')


def test_a_task_that_is_claimed_again_at_once_is_kept_apart_from_its_last_attempt(
        context, flow, runners):
    attempts, again, over = [], threading.Event(), threading.Event()

    def run(work):
        attempts.append(work)
        if len(attempts) == 1:
            work.task.release(delay_s=0, keep_attempt=True)
            runner.wake()
            assert again.wait(20)
            return
        again.set()
        assert over.wait(20)
        work.persist(work.task.finish)

    flow.run = run
    runner = runners()
    task = queue(context)
    assert again.wait(20)
    eventually(lambda: runner.load()[0] == 1)
    over.set()
    eventually(lambda: read(task).state == states.DONE)
    together = threading.Barrier(2, timeout=20)

    def meet(work):
        together.wait()
        work.persist(work.task.finish)

    flow.run = meet
    both = [queue(context), queue(context)]
    runner.wake()
    eventually(lambda: all(read(each).state == states.DONE for each in both))


def test_a_slot_goes_on_after_what_nobody_foresaw(context, flow, runners):
    met = []

    def run(work):
        raise exception.InvalidBackup(reason='wrong')

    def gone(work, failure):
        met.append(work)
        work.task.release(delay_s=3600)
        raise exception.BackupNotFound(backup_id='x')  # which is then written to a lost lease

    flow.run, flow.fail = run, gone
    runner = runners()
    queue(context), queue(context)
    eventually(lambda: len(met) == 2 and runner.load()[0] == 0)
    flow.run = lambda work: work.persist(work.task.finish)
    task = queue(context)
    runner.wake()
    eventually(lambda: read(task).state == states.DONE)


def test_lease_that_cannot_be_renewed_ends_the_work(context):
    queue(context)
    task = Task.claim_next(context, 'node-1:x', 'node-1', 60)
    work = Work(task, 0)
    work.check_lease()
    with pytest.raises(exception.LeaseLost):
        work.check()


def test_first_interruption_counts_but_for_a_lost_lease(context):
    queue(context)
    work = Work(Task.claim_next(context, 'node-1:x', 'node-1', 60), 60)
    work.interrupt(tasks.failures.Cancelled())
    work.interrupt(tasks.failures.HandedOver())
    with pytest.raises(tasks.failures.Cancelled):
        work.check()
    work.interrupt(exception.LeaseLost(task_id=work.task.id))
    with pytest.raises(exception.LeaseLost):
        work.check()
