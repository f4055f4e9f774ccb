# SPDX-License-Identifier: Apache-2.0
"""``backupsvc-manage task`` and ``service``, over the rows of a state directory."""

import json
import threading
import uuid

import pytest

from backupsvc import context, objects, states
from backupsvc.cmd import manage
from backupsvc.objects.repository import Repository
from backupsvc.objects.service import Service
from backupsvc.objects.task import Task
from tests.fixtures import database as databases
from tests.fixtures import deployment


@pytest.fixture
def config_file(tmp_path):
    """The configuration of a deployment that is installed in this process too."""
    path = deployment.write_config(tmp_path)
    databases.copy_template(tmp_path / 'backupsvc.sqlite')
    objects.register_all()
    with deployment.deployed(path):
        yield path


@pytest.fixture
def admin(config_file):
    return context.get_admin_context()


def new_task(admin, resource_id=None, **values):
    task = Task(admin, kind=states.TASK_CREATE, resource_id=resource_id or str(uuid.uuid4()),
                state=states.QUEUED, project_id='p', arguments={}, **values)
    task.create()
    return task


def claimed(admin, task):
    return Task.claim(admin, task.id, 'node-1:x', 'node-1', 60)


def test_list_shows_what_has_work_left(config_file, admin, capsys):
    live, ended = new_task(admin), new_task(admin)
    claimed(admin, ended).finish()
    assert manage.main(['--config-file', config_file, 'task', 'list', '--json']) == 0
    assert [task['id'] for task in json.loads(capsys.readouterr().out)] == [live.id]
    assert manage.main(['--config-file', config_file, 'task', 'list', '--all']) == 0
    shown = {line.split()[0] for line in capsys.readouterr().out.splitlines()}
    assert shown == {live.id, ended.id}


def test_show_has_the_figures(config_file, admin, capsys):
    task = new_task(admin)
    claimed(admin, task).progress(bytes_total=200, bytes_done=50, bytes_new=7)
    assert manage.main(['--config-file', config_file, 'task', 'show', '--json', task.id]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown['bytes_total'], shown['bytes_done'], shown['bytes_new']) == (200, 50, 7)
    assert shown['state'] == 'running'


def test_show_of_an_unknown_task_says_so(config_file, capsys):
    assert manage.main(['--config-file', config_file, 'task', 'show', str(uuid.uuid4())]) == 1
    assert 'could not be found' in capsys.readouterr().err


def watch(config_file, backup_id, capsys):
    status = manage.main(['--config-file', config_file, 'task', 'watch', '--json', backup_id])
    return status, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_watch_follows_the_newest_task_to_its_end(config_file, admin, capsys):
    backup_id = str(uuid.uuid4())
    claimed(admin, new_task(admin, backup_id)).fail('the first attempt')
    task = claimed(admin, new_task(admin, backup_id))
    task.progress(bytes_total=100, bytes_done=40)

    def work():
        task.progress(bytes_done=100)
        task.finish()
    worker = threading.Timer(1, work)
    worker.start()
    status, lines = watch(config_file, backup_id, capsys)
    worker.join()
    assert status == 0
    assert {line['id'] for line in lines} == {task.id}
    assert lines[0]['bytes_done'] == 40
    assert (lines[-1]['bytes_done'], lines[-1]['state']) == (100, 'done')


def test_watch_fails_with_the_task(config_file, admin, capsys):
    task = new_task(admin)
    claimed(admin, task).fail('the disk is full')
    status, lines = watch(config_file, task.resource_id, capsys)
    assert status == 1
    assert lines[-1]['error'] == 'the disk is full'


def test_services_and_whether_they_live(config_file, admin, capsys):
    Service.heartbeat(admin, 'node-1', 'backupsvc-manager', availability_zone='nova')
    assert manage.main(['--config-file', config_file, 'service', 'list', '--json']) == 0
    [row] = json.loads(capsys.readouterr().out)
    assert (row['binary'], row['host'], row['state']) == ('backupsvc-manager', 'node-1', 'up')
    remove = ['--config-file', config_file, 'service', 'remove', 'backupsvc-manager', 'node-1']
    assert manage.main(remove) == 0
    assert manage.main(remove) == 1


def test_queue_has_repositories_verified_once(config_file, admin, capsys):
    mine = Repository.get_or_create(admin, 'posix', 'p', 'c')
    Repository.get_or_create(admin, 'posix', 'q', 'c')
    command = ['--config-file', config_file, 'task', 'queue', 'verify', '--project', 'p']
    assert manage.main([*command, '--full', '--json']) == 0
    queued, = json.loads(capsys.readouterr().out)
    assert (queued['project_id'], queued['container']) == ('p', 'c')
    task = Task.get_by_id(admin, queued['task'])
    assert (task.kind, task.resource_id, task.arguments) == (
        states.TASK_VERIFY, mine.id, {'full': True})
    assert manage.main(command) == 0
    assert capsys.readouterr().out == ''  # it has one
    assert manage.main([*command[:4], 'prune', '--json']) == 0
    assert len(json.loads(capsys.readouterr().out)) == 2
    assert manage.main([*command[:4], 'prune', '--full']) == 2


def test_show_has_what_a_verify_found(config_file, admin, capsys):
    task = claimed(admin, new_task(admin))
    task.progress(resume_point={'report': {'problems': [{'message': 'object a is missing'}]}})
    assert manage.main(['--config-file', config_file, 'task', 'show', task.id]) == 0
    assert 'problem           object a is missing' in capsys.readouterr().out
