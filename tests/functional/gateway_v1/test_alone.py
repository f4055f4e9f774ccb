# SPDX-License-Identifier: Apache-2.0
"""The gateway deployed alone, from the sample files, as a process that has nothing but them."""

import json
import os
import signal
import subprocess

import pytest

from tests.fixtures import api_servers, processes, upstream

ID = 'c99b1a4e-5d6c-4e0f-9d8a-3a1c2b4d5e6f'


def _command(server, directory, port):
    if server == 'own':
        return api_servers.own(directory / 'gateway.conf')
    return api_servers.public(server, directory, port)


def _ask(port, method, path, body=None):
    status, answer = api_servers.ask(port, path, method, body, {
        'X-Auth-Token': 'secret', 'Content-Type': 'application/json'})
    return status, json.loads(answer)


@pytest.mark.parametrize('server', ['own', 'uwsgi', 'gunicorn'])
def test_it_starts_from_the_samples_and_forwards(server, tmp_path):
    cinder = upstream.Upstream(upstream.plain(
        '200 OK', b'{"volumes": []}', Content_Type='application/json'))
    backup = upstream.Upstream(upstream.plain(
        '201 Created', b'{"backup": {"id": "x"}}', Content_Type='application/json'))
    port = processes.free_port()
    api_servers.copy(
        tmp_path, 'gateway.conf', cinder=('http://cinder.example.com:8776', cinder.url),
        port=('8110', str(port)), backup=(f'http://backup.example.com:{port}', backup.url),
        state=('/var/lib/backupsvc', str(tmp_path / 'nowhere')))
    with open(tmp_path / 'log', 'wb') as log:
        process = subprocess.Popen(
            _command(server, tmp_path, port), stdout=log, stderr=subprocess.STDOUT, cwd=tmp_path,
            env={**os.environ, 'BACKUPSVC_CONFIG_FILE': str(tmp_path / 'gateway.conf')})
    try:
        api_servers.wait_until_it_answers(port, process)
        status, body = _ask(port, 'GET', '/')
        assert (status, [entry['id'] for entry in body['versions']]) == (300, ['gateway-v1'])
        assert _ask(port, 'GET', '/gateway/v1/block/volume?limit=1') == (200, {'volumes': []})
        assert _ask(
            port, 'POST', '/gateway/v1/block/volume', b'{"volume": {"backup_id": "x"}}',
        ) == (201, {'backup': {'id': 'x'}})
        assert _ask(port, 'GET', f'/gateway/v1/block/volume/{ID}%2f..')[0] == 404
        assert _ask(port, 'GET', '/v3/volumes')[0] == 404
        [request] = cinder.received
        assert request.target == '/v3/volumes?limit=1'
        assert request.header('X-Auth-Token') == 'secret'
        assert [request.target for request in backup.received] == ['/v1/volume']
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    except BaseException:
        print((tmp_path / 'log').read_text())
        raise
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        cinder.stop()
        backup.stop()
    assert not (tmp_path / 'nowhere').exists(), 'it keeps state'
