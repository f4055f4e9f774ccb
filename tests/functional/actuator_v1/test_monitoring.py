# SPDX-License-Identifier: Apache-2.0
"""Health and metrics over HTTP, and what they cost."""

import contextlib
import shutil
import uuid

import sqlalchemy as sa
from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics_parser

from backupsvc import states
from backupsvc.db import engine
from backupsvc.manager.counts import Counts
from backupsvc.objects import counters
from backupsvc.objects.task import Task
from tests.fixtures.service import wait_until

SPRING = 'application/vnd.spring-boot.actuator.v3+json'


def _health(operator):
    answer = operator.get('/actuator/health')
    assert answer.content_type == 'application/json'
    assert (answer.status_int, answer.json['status']) in {(200, 'UP'), (503, 'DOWN')}
    return answer.json['components']


def _statuses(operator):
    return {name: part['status'] for name, part in _health(operator).items()}


class Metrics:
    """One reading of the metrics."""

    def __init__(self, operator, parse=parser.text_string_to_metric_families, **headers):
        answer = operator.get('/actuator/prometheus', headers=headers)
        assert answer.status_int == 200
        self.content_type = answer.headers['Content-Type']
        self.samples = {
            (sample.name, *sorted(sample.labels.items())): sample.value
            for family in parse(answer.text) for sample in family.samples}

    def of(self, name, **labels):
        """Return a value, None where there is no such series."""
        return self.samples.get((name, *sorted(labels.items())))


def _task(service, kind=states.TASK_CREATE):
    task = Task(service.admin_context, kind=kind, resource_id=str(uuid.uuid4()), arguments={})
    task.create()
    return task


def _claim(service, lease_s=60):
    return Task.claim_next(service.admin_context, 'a-manager', 'here', lease_s)


# ---- health ----


def test_all_is_well_with_a_manager(service, operator):
    service.heartbeat()
    assert _statuses(operator) == {
        'database': 'UP', 'messageBus': 'UP', 'managers': 'UP', 'repository': 'UP'}
    found = _health(operator)
    assert found['repository']['details'] == {'driver': 'posix'}
    host = found['managers']['details']['hosts']['here']
    assert 0 <= host.pop('secondsSinceSeen') < 60
    assert host == {'status': 'UP', 'disabled': False, 'availabilityZone': 'nova'}


def test_it_is_json_of_the_kind_that_is_asked_for(service, operator):
    service.heartbeat()
    for path, status in (('/actuator/health', 200), ('/actuator/nothing', 404)):
        answer = operator.get(path, headers={'Accept': SPRING})
        assert (answer.status_int, answer.content_type) == (status, SPRING)
        assert answer.json


def test_no_manager_is_down(operator):
    answer = operator.get('/actuator/health', headers={'Accept': SPRING})
    assert (answer.status_int, answer.content_type) == (503, SPRING)
    assert _health(operator)['managers'] == {'status': 'DOWN', 'details': {'hosts': {}}}


def test_a_manager_that_was_not_seen_lately_is_down_and_another_one_makes_up_for_it(
        service, operator):
    service.override('service_down_time', 1, 'manager')
    service.heartbeat('gone')
    wait_until(lambda: _statuses(operator)['managers'] == 'DOWN')
    service.override('service_down_time', 60, 'manager')
    service.heartbeat('here')
    hosts = _health(operator)['managers']['details']['hosts']
    assert set(hosts) == {'gone', 'here'}


def test_a_repository_that_is_not_there_is_down(service, operator):
    directory = service.conf.state_path + '/repositories'
    shutil.move(directory, directory + '.away')
    try:
        found = _health(operator)['repository']
    finally:
        shutil.move(directory + '.away', directory)
    assert found['status'] == 'DOWN'
    assert 'is not a directory that this process may write' in found['details']['error']


def test_a_database_without_tables_is_down_and_nothing_of_its_url_is_shown(service, operator):
    with engine.schema_change() as connection:
        connection.exec_driver_sql('ALTER TABLE services RENAME TO elsewhere')
    found = _health(operator)
    assert found['database']['status'] == found['managers']['status'] == 'DOWN'
    assert found['database']['details'].keys() == {'error'}
    assert 'sqlite' not in str(found)


def test_only_what_is_configured_is_looked_at(service, operator):
    service.override('checks', ['database'], 'management')
    assert _statuses(operator) == {'database': 'UP'}


# ---- metrics ----


def test_work_is_shown_by_kind_and_state(service, operator):
    for kind in (states.TASK_CREATE, states.TASK_CREATE, states.TASK_DELETE):
        _task(service, kind)
    running = _claim(service)
    found = Metrics(operator)
    assert found.content_type.startswith('text/plain; version=')
    assert running.kind == states.TASK_CREATE
    assert {key: value for key, value in found.samples.items()
            if key[0] == 'backupsvc_tasks'} == {
        ('backupsvc_tasks', ('kind', 'create'), ('state', 'queued')): 1,
        ('backupsvc_tasks', ('kind', 'create'), ('state', 'running')): 1,
        ('backupsvc_tasks', ('kind', 'delete'), ('state', 'queued')): 1,
        ('backupsvc_tasks', ('kind', 'delete'), ('state', 'running')): 0,
    }


def test_the_age_of_the_queue_is_that_of_what_is_due(service, operator):
    _task(service)
    later = _task(service, states.TASK_DELETE)
    Task.claim(service.admin_context, later.id, 'a-manager', 'here', 60).release(delay_s=3600)
    first = wait_until(lambda: Metrics(operator).of('backupsvc_queue_age_seconds', kind='create'))
    grown = wait_until(lambda: (
        now := Metrics(operator).of('backupsvc_queue_age_seconds', kind='create')) > first and now)
    assert grown < 60
    assert Metrics(operator).of('backupsvc_queue_age_seconds', kind='delete') == 0


def test_what_has_ended_is_counted_with_its_time_and_its_bytes(service, operator):
    counts = Counts('here')
    for kind, amounts in ((states.TASK_CREATE, {'bytes_read': 100, 'bytes_stored': 10}),
                          (states.TASK_CREATE, {'bytes_read': 50, 'bytes_stored': 5}),
                          (states.TASK_RESTORE, {'bytes_done': 70, 'bytes_read': 7})):
        _task(service, kind)
        task = _claim(service)
        counts.note_claimed(task)
        task.progress(**amounts)
        counts.note_ended(task)  # it has not ended
        task.finish()
        counts.note_ended(task)
    _task(service)
    task = _claim(service)
    task.fail('no')
    counts.note_ended(task)
    counts.flush()
    counts.flush()  # nothing is counted twice
    found = Metrics(operator)
    assert found.of('backupsvc_tasks_ended_total', kind='create', outcome='done') == 2
    assert found.of('backupsvc_tasks_ended_total', kind='create', outcome='failed') == 1
    assert found.of('backupsvc_tasks_ended_total', kind='restore', outcome='done') == 1
    assert found.of('backupsvc_read_bytes_total', kind='create') == 150
    assert found.of('backupsvc_stored_bytes_total', kind='create') == 15
    assert found.of('backupsvc_restored_bytes_total', kind='restore') == 70
    assert found.of('backupsvc_read_bytes_total', kind='restore') is None
    of_create = {'kind': 'create', 'outcome': 'done'}
    assert found.of('backupsvc_task_duration_seconds_count', **of_create) == 2
    assert found.of('backupsvc_task_duration_seconds_bucket', le='+Inf', **of_create) == 2
    assert found.of('backupsvc_task_duration_seconds_bucket', le='60.0', **of_create) == 2
    assert 0 < found.of('backupsvc_task_duration_seconds_sum', **of_create) < 60


def test_counts_of_several_managers_are_added(service, operator):
    for host in ('one', 'two', 'one'):
        done = counters.Ended('create', 'done', tasks=1, seconds=3600.5, within=[
            0, 0, 0, 0, 0, 1, 1], bytes_read=2**40)
        counters.add(service.admin_context, host, done)
    found = Metrics(operator)
    of_create = {'kind': 'create', 'outcome': 'done'}
    assert found.of('backupsvc_task_duration_seconds_sum', **of_create) == 3 * 3600.5
    assert found.of('backupsvc_task_duration_seconds_bucket', le='1800.0', **of_create) == 0
    assert found.of('backupsvc_task_duration_seconds_bucket', le='7200.0', **of_create) == 3
    assert found.of('backupsvc_read_bytes_total', kind='create') == 3 * 2**40


def test_a_lease_that_ran_out_is_a_takeover_and_a_release_is_none(service, operator):
    counts = Counts('here')
    _task(service)
    _claim(service, lease_s=0.01)
    taken = wait_until(lambda: _claim(service))
    counts.note_claimed(taken)
    taken.release()
    counts.note_claimed(_claim(service))
    counts.flush()
    assert Metrics(operator).of('backupsvc_lease_takeovers_total', kind='create') == 1
    assert Metrics(operator).of(
        'backupsvc_tasks_ended_total', kind='create', outcome='taken_over') is None


def test_what_could_not_be_counted_is_counted_later(service, operator):
    counts = Counts('here')
    for _ in range(2):
        _task(service)
        task = _claim(service)
        task.finish()
        counts.note_ended(task)
        with engine.schema_change() as connection:
            connection.exec_driver_sql('ALTER TABLE work_counters RENAME TO away')
        counts.flush()
        with engine.schema_change() as connection:
            connection.exec_driver_sql('ALTER TABLE away RENAME TO work_counters')
    counts.flush()
    assert Metrics(operator).of(
        'backupsvc_tasks_ended_total', kind='create', outcome='done') == 2


def test_managers_are_shown(service, operator):
    service.override('service_down_time', 1, 'manager')
    service.heartbeat('gone')
    wait_until(lambda: Metrics(operator).of('backupsvc_manager_up', host='gone') == 0)
    service.heartbeat('here')
    assert Metrics(operator).of('backupsvc_manager_up', host='here') == 1


def test_requests_are_counted_by_route_and_never_by_path(service, operator):
    member = service.client()

    def counted(dialect='cinder_v3', method='GET', route='/backups/{backup_id}', code='404'):
        return Metrics(operator).of('backupsvc_api_requests_total', dialect=dialect,
                                    method=method, route=route, code=code) or 0

    before = counted()
    odd = counted(method='other', route='none', code='405')
    listed = counted(route='/backups', code='200')
    took = Metrics(operator).of('backupsvc_api_request_duration_seconds_count',
                                dialect='cinder_v3') or 0
    answers = [
        *(member.get(f'/backups/{uuid.uuid4()}') for _ in range(3)),
        member.get('/backups'), member.request('BREW', '/backups/secret-path'),
        member.get('//secret-path')]
    # A request is counted when its answer has been taken.
    assert [answer.status_int for answer in answers if answer.body] == [404] * 3 + [200, 405, 404]
    assert counted() == before + 3
    assert counted(method='other', route='none', code='405') == odd + 1
    assert counted(route='/backups', code='200') == listed + 1
    after = Metrics(operator)
    assert after.of('backupsvc_api_request_duration_seconds_count',
                    dialect='cinder_v3') == took + 5
    assert 'secret' not in str(after.samples)
    assert counted('actuator_v1', route='/prometheus', code='200') > 0


def test_openmetrics_is_spoken_to_who_asks_for_it(service, operator):
    found = Metrics(operator, openmetrics_parser.text_string_to_metric_families,
                    Accept='application/openmetrics-text;version=1.0.0')
    assert found.content_type.startswith('application/openmetrics-text')
    assert found.samples


@contextlib.contextmanager
def _statements():
    """Collect what is sent to the database, without the beginning of transactions."""
    seen = []

    def note(connection, cursor, statement, parameters, execution, many):
        if not statement.startswith('BEGIN'):
            seen.append((statement, parameters))

    sa.event.listen(engine.get_engine(), 'before_cursor_execute', note)
    try:
        yield seen
    finally:
        sa.event.remove(engine.get_engine(), 'before_cursor_execute', note)


def test_work_that_was_done_costs_nothing(service, operator):
    """Tasks that have ended are many; no statement reads them."""
    for _ in range(30):
        _task(service)
        _claim(service).finish()
    _task(service)
    with _statements() as seen:
        Metrics(operator)
    assert len(seen) == 3
    plans = []
    with engine.get_engine().connect() as connection:
        for statement, parameters in seen:
            rows = connection.exec_driver_sql('EXPLAIN QUERY PLAN ' + statement, parameters)
            plans.append(' '.join(str(row[-1]) for row in rows))
    [of_tasks] = [plan for plan in plans if ' tasks' in plan]
    assert 'SEARCH tasks USING INDEX ix_tasks_state_run_after' in of_tasks
