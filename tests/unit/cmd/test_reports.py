# SPDX-License-Identifier: Apache-2.0
"""A process writes down what it does when SIGUSR2 asks, and logs lines that programs can read."""

import json
import os
import signal

import pytest

from tests.fixtures import deployment, processes
from tests.fixtures.deployment import eventually


@pytest.fixture
def manager(tmp_path):
    """A running manager that logs JSON and writes reports to a directory."""
    log = tmp_path / 'manager.log'
    path = deployment.write_config(tmp_path, extra=f"""
[oslo_reports]
log_dir = {tmp_path}
""")
    with open(path) as file:
        text = file.read().replace('[DEFAULT]', f'[DEFAULT]\nlog_file = {log}\nuse_json = true\n'
                                                'debug = true')
    with open(path, 'w') as file:
        file.write(text)
    with deployment.deployed(path):
        process = processes.Process(['backupsvc.cmd.manager', '--config-file', path],
                                    tmp_path / 'output')
        process.start()
        try:
            eventually(lambda: log.exists() and 'works on up to' in log.read_text(), 60)
            yield process, log
        finally:
            process.end()


def test_a_report_tells_what_is_done(manager, tmp_path):
    process, _ = manager
    os.kill(process.pid, signal.SIGUSR2)
    found, = eventually(lambda: list(tmp_path.glob('backupsvc-manager_gurumeditation_*')), 120)
    text = eventually(found.read_text)
    for section in ('Package', 'Threads', 'Configuration of the service', 'Work'):
        assert section in text
    assert 'lease_duration = 6' in text
    assert processes.is_running(process.pid)
    assert process.stop() == 0


def test_every_line_is_json_and_carries_request_and_task(manager):
    from oslo_utils import uuidutils

    from backupsvc import context as request_context
    from backupsvc import states
    from backupsvc.objects.repository import Repository
    from backupsvc.objects.task import Task
    _, log = manager
    context = request_context.get_admin_context()
    record = Repository.get_or_create(context, 'posix', deployment.PROJECT, 'none-such')
    task = Task(context, id=uuidutils.generate_uuid(), kind=states.TASK_PRUNE,
                resource_id=record.id, project_id=deployment.PROJECT,
                request_id='req-11111111-2222-4333-8444-555555555555', arguments={})
    task.create()
    eventually(lambda: not Task.get_by_id(context, task.id).is_live, 60)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    mine = [line for line in lines if task.id in line['message']]
    assert mine
    for line in mine:
        assert line['context']['request_id'] == task.request_id
        assert line['context']['task_id'] == task.id
