# SPDX-License-Identifier: Apache-2.0
"""Each way of running the public API starts from its sample file, answers, and stops."""

import http.client
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

import pytest

from tests.fixtures import database

SAMPLES = pathlib.Path(__file__).parents[3] / 'etc' / 'backupsvc'
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
"""


def _free_port() -> int:
    with socket.create_server(('127.0.0.1', 0)) as listener:
        return listener.getsockname()[1]


def _command(server: str, directory: pathlib.Path, port: int) -> list[str]:
    tools = pathlib.Path(sys.executable).parent
    config = directory / 'backupsvc.conf'
    if server == 'own':
        return [sys.executable, '-m', 'backupsvc.cmd.api', '--config-file', str(config)]
    sample = {'uwsgi': 'uwsgi.ini', 'gunicorn': 'gunicorn.conf.py'}[server]
    text = (SAMPLES / sample).read_text()
    assert '127.0.0.1:8110' in text
    copy = directory / sample
    copy.write_text(
        re.sub(
            r'(processes|workers) = 4',
            r'\1 = 1',
            text.replace('127.0.0.1:8110', f'127.0.0.1:{port}'),
        )
    )
    if server == 'uwsgi':
        return [str(tools / 'uwsgi'), '--ini', str(copy)]
    return [str(tools / 'gunicorn'), '-c', str(copy), 'backupsvc.cmd.wsgi:application']


def _ask(port: int, path: str) -> tuple[int, dict]:
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=60)
    connection.request('GET', path)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def _wait_until_it_answers(port: int, process: subprocess.Popen) -> None:
    give_up_at = time.monotonic() + 60
    while True:
        assert process.poll() is None, 'the server ended'
        assert time.monotonic() < give_up_at, 'the server does not answer'
        try:
            _ask(port, '/')
        except OSError:
            time.sleep(0.05)
        else:
            return


@pytest.mark.parametrize('server', ['own', 'uwsgi', 'gunicorn'])
def test_a_server_starts_answers_and_stops(server, tmp_path):
    database.copy_template(tmp_path / 'backupsvc.sqlite')
    port = _free_port()
    (tmp_path / 'backupsvc.conf').write_text(CONFIG.format(directory=tmp_path, port=port))
    environment = {**os.environ, 'BACKUPSVC_CONFIG_FILE': str(tmp_path / 'backupsvc.conf')}
    log = (tmp_path / 'log').open('wb')
    process = subprocess.Popen(
        _command(server, tmp_path, port),
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
        cwd=tmp_path,
    )
    try:
        _wait_until_it_answers(port, process)
        status, body = _ask(port, '/')
        assert status == 300
        assert 'v3.0' in [entry['id'] for entry in body['versions']]
        assert _ask(port, f'/v3/{PROJECT}/backups') == (200, {'backups': []})
        assert _ask(port, f'/v3/{PROJECT}/backups/a%2Fb')[0] == 404
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    except BaseException:
        print((tmp_path / 'log').read_text())
        raise
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def test_our_server_refuses_to_be_open_to_the_network_without_authentication(tmp_path):
    (tmp_path / 'backupsvc.conf').write_text(
        CONFIG.format(directory=tmp_path, port=0) + '[api]\nbind_host = 0.0.0.0\n'
    )
    ended = subprocess.run(
        _command('own', tmp_path, 0), capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    assert 'listening on 0.0.0.0 is refused' in ended.stderr
