# SPDX-License-Identifier: Apache-2.0
"""The gateway deployed alone, from the sample files, as a process that has nothing but them."""

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

from tests.fixtures import upstream

SAMPLES = pathlib.Path(__file__).parents[3] / 'etc' / 'backupsvc'
ID = 'c99b1a4e-5d6c-4e0f-9d8a-3a1c2b4d5e6f'


def _free_port() -> int:
    with socket.create_server(('127.0.0.1', 0)) as listener:
        return listener.getsockname()[1]


def _command(server, directory, port):
    tools = pathlib.Path(sys.executable).parent
    if server == 'own':
        return [sys.executable, '-m', 'backupsvc.cmd.api',
                '--config-file', str(directory / 'gateway.conf')]
    sample = {'uwsgi': 'uwsgi.ini', 'gunicorn': 'gunicorn.conf.py'}[server]
    text = (SAMPLES / sample).read_text().replace('127.0.0.1:8110', f'127.0.0.1:{port}')
    (directory / sample).write_text(re.sub(r'(processes|workers) = 4', r'\1 = 1', text))
    if server == 'uwsgi':
        return [str(tools / 'uwsgi'), '--ini', sample]
    return [str(tools / 'gunicorn'), '-c', sample, 'backupsvc.cmd.wsgi:application']


def _ask(port, method, path, body=None):
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=30)
    try:
        connection.request(method, path, body, {
            'X-Auth-Token': 'secret', 'Content-Type': 'application/json'})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def _wait_until_it_answers(port, process):
    give_up_at = time.monotonic() + 60
    while True:
        assert process.poll() is None, 'the server ended'
        assert time.monotonic() < give_up_at, 'the server does not answer'
        try:
            return _ask(port, 'GET', '/')
        except OSError:
            time.sleep(0.05)


@pytest.mark.parametrize('server', ['own', 'uwsgi', 'gunicorn'])
def test_it_starts_from_the_samples_and_forwards(server, tmp_path):
    cinder = upstream.Upstream(upstream.plain(
        '200 OK', b'{"volumes": []}', Content_Type='application/json'))
    backup = upstream.Upstream(upstream.plain(
        '201 Created', b'{"backup": {"id": "x"}}', Content_Type='application/json'))
    port = _free_port()
    text = (SAMPLES / 'gateway.conf').read_text()
    for old, new in (('http://cinder.example.com:8776', cinder.url), ('8110', str(port)),
                     (f'http://backup.example.com:{port}', backup.url),
                     ('/var/lib/backupsvc', str(tmp_path / 'nowhere'))):
        assert old in text
        text = text.replace(old, new)
    (tmp_path / 'gateway.conf').write_text(text)
    with open(tmp_path / 'log', 'wb') as log:
        process = subprocess.Popen(
            _command(server, tmp_path, port), stdout=log, stderr=subprocess.STDOUT, cwd=tmp_path,
            env={**os.environ, 'BACKUPSVC_CONFIG_FILE': str(tmp_path / 'gateway.conf')})
    try:
        status, body = _wait_until_it_answers(port, process)
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
