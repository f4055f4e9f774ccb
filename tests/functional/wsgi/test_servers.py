# SPDX-License-Identifier: Apache-2.0
"""Each way of running the public API starts from its sample file, answers, and stops."""

import json
import os
import pathlib
import signal
import subprocess

import pytest

from tests.fixtures import api_servers, database, processes

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


def _command(server: str, directory: pathlib.Path, port: int) -> list[str]:
    if server == 'own':
        return api_servers.own(directory / 'backupsvc.conf')
    return api_servers.public(server, directory, port)


def _ask(port: int, path: str) -> tuple[int, dict]:
    status, body = api_servers.ask(port, path)
    return status, json.loads(body)


@pytest.mark.parametrize('server', ['own', 'uwsgi', 'gunicorn'])
def test_a_server_starts_answers_and_stops(server, tmp_path):
    database.copy_template(tmp_path / 'backupsvc.sqlite')
    port = processes.free_port()
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
        api_servers.wait_until_it_answers(port, process)
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
