# SPDX-License-Identifier: Apache-2.0
"""Each way of running the management application starts from its sample files, answers only to who
has the token, counts the requests of the public API's processes, and stops.
"""

import json
import os
import signal
import subprocess

import pytest
from prometheus_client import parser

from tests.fixtures import api_servers, database, processes

#: Server → its sample for the management application.
OF_MANAGEMENT = {'uwsgi': 'uwsgi-management.ini', 'gunicorn': 'gunicorn-management.conf.py'}

PROJECT = '0b5c0000000000000000000000000001'

CONFIG = """\
[DEFAULT]
state_path = {directory}
transport_url = fake://

[api]
auth_strategy = noauth
port = {port}

[database]
connection = sqlite:///{directory}/backupsvc.sqlite

[repository_posix]
path = {directory}
"""


def _management(server, directory, port):
    """Return the command that serves the management application."""
    config = api_servers.copy(directory, 'management.conf', port=('= 9600', f'= {port}'),
                              token=('#token =', 'token = sesame'))
    if server == 'own':
        return api_servers.own(directory / 'backupsvc.conf', config)
    return api_servers.serving(server, api_servers.copy(
        directory, OF_MANAGEMENT[server], port=('127.0.0.1:9600', f'127.0.0.1:{port}')))


def _public(server, directory, port):
    """Return the command that serves the public API; gunicorn in two processes."""
    if server == 'own':
        return api_servers.own(directory / 'backupsvc.conf')
    # uwsgi does not stop while a second process still loads the application.
    return api_servers.public(server, directory, port, 2 if server == 'gunicorn' else 1)


def _ask(port, path, token=None):
    status, body = api_servers.ask(
        port, path, headers={'Authorization': f'Bearer {token}'} if token else {})
    return status, body.decode()


def _counted(text):
    """Return the requests for a list of backups."""
    return sum(
        sample.value for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == 'backupsvc_api_requests_total'
        and sample.labels == {'dialect': 'cinder_v3', 'method': 'GET', 'route': '/backups',
                              'code': '200'})


@pytest.mark.parametrize('server', ['own', 'uwsgi', 'gunicorn'])
def test_it_starts_from_the_samples(server, tmp_path):
    database.copy_template(tmp_path / 'backupsvc.sqlite')
    ports = {'public': processes.free_port(), 'management': processes.free_port()}
    (tmp_path / 'backupsvc.conf').write_text(
        CONFIG.format(directory=tmp_path, port=ports['public']))
    (tmp_path / 'metrics').mkdir()
    base = {**os.environ, 'PROMETHEUS_MULTIPROC_DIR': str(tmp_path / 'metrics')}
    files = [str(tmp_path / name) for name in ('backupsvc.conf', 'management.conf')]
    running = {}
    with open(tmp_path / 'log', 'wb') as log:
        for name, make, used in (('public', _public, files[:1]),
                                 ('management', _management, files)):
            running[name] = subprocess.Popen(
                make(server, tmp_path, ports[name]), stdout=log, stderr=subprocess.STDOUT,
                cwd=tmp_path, env={**base, 'BACKUPSVC_CONFIG_FILE': ':'.join(used)})
    try:
        for name, process in running.items():
            api_servers.wait_until_it_answers(ports[name], process)
            assert _ask(ports[name], '/healthcheck')[0] == 200
        for _ in range(7):
            assert _ask(ports['public'], f'/v3/{PROJECT}/backups')[0] == 200
        assert _ask(ports['management'], '/actuator/health')[0] == 401
        status, text = _ask(ports['management'], '/actuator/health', 'sesame')
        found = json.loads(text)
        assert (status, found['status']) == (503, 'DOWN')
        assert {name: part['status'] for name, part in found['components'].items()} == {
            'database': 'UP', 'messageBus': 'UP', 'managers': 'DOWN', 'repository': 'UP'}
        assert _ask(ports['management'], '/actuator/prometheus')[0] == 401
        status, text = _ask(ports['management'], '/actuator/prometheus', 'sesame')
        assert (status, _counted(text)) == (200, 7)
        assert _ask(ports['management'], f'/v3/{PROJECT}/backups', 'sesame')[0] == 404
        assert _ask(ports['public'], '/actuator/health', 'sesame')[0] == 404
        for process in running.values():
            process.send_signal(signal.SIGTERM)
        assert [process.wait(30) for process in running.values()] == [0, 0]
    except BaseException:
        print((tmp_path / 'log').read_text())
        raise
    finally:
        for process in running.values():
            if process.poll() is None:
                process.kill()
                process.wait()


def test_one_process_serves_both(tmp_path):
    database.copy_template(tmp_path / 'backupsvc.sqlite')
    ports = {'public': processes.free_port(), 'management': processes.free_port()}
    (tmp_path / 'backupsvc.conf').write_text(
        CONFIG.format(directory=tmp_path, port=ports['public'])
        + f'\n[management]\nbeside_api = true\nport = {ports["management"]}\n')
    with open(tmp_path / 'log', 'wb') as log:
        process = subprocess.Popen(
            _public('own', tmp_path, ports['public']), stdout=log, stderr=subprocess.STDOUT)
    try:
        for port in ports.values():
            api_servers.wait_until_it_answers(port, process)
        assert _ask(ports['public'], f'/v3/{PROJECT}/backups')[0] == 200
        assert _counted(_ask(ports['management'], '/actuator/prometheus')[1]) == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def test_our_server_refuses_to_be_open_to_the_network_without_a_token(tmp_path):
    (tmp_path / 'backupsvc.conf').write_text(
        CONFIG.format(directory=tmp_path, port=0)
        + '\n[management]\nbind_host = 0.0.0.0\n[api]\napplication = management\n')
    ended = subprocess.run(
        _public('own', tmp_path, 0), capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert 'serving it on 0.0.0.0 is refused' in ended.stderr
