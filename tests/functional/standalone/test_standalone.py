# SPDX-License-Identifier: Apache-2.0
"""``backupsvc-standalone`` as a process: start, stop, start again, and what it refuses."""

import contextlib
import dataclasses
import json
import pathlib
import signal
import subprocess
import sys
import time
import urllib.request

import pytest
import yaml

PROGRAMS = pathlib.Path(sys.executable).parent
DEADLINE_S = 120


@dataclasses.dataclass
class Standalone:
    """A running service."""

    process: subprocess.Popen
    url: str
    state_dir: pathlib.Path

    def call(self, method, path, body=None):
        """Send a request below the project that the clients' file names; return the answer."""
        request = urllib.request.Request(
            self.endpoint + path, method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={'Content-Type': 'application/json', 'OpenStack-API-Version': 'volume 3.71'})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or 'null')

    @property
    def endpoint(self):
        clouds = yaml.safe_load((self.state_dir / 'clouds.yaml').read_text())
        return clouds['clouds']['backupsvc']['auth']['endpoint']

    def wait_for(self, path, status):
        """Wait until what is at ``path`` has a status."""
        give_up_at = time.monotonic() + DEADLINE_S
        while True:
            [body] = self.call('GET', path).values()
            if body['status'] == status:
                return body
            assert time.monotonic() < give_up_at, body
            time.sleep(0.1)


def start(state_dir, *arguments):
    with open(state_dir.parent / 'errors', 'a') as errors:
        return subprocess.Popen(
            [PROGRAMS / 'backupsvc-standalone', '--state-dir', state_dir, '--port', '0',
             *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True)


@contextlib.contextmanager
def serving(state_dir):
    """Run the service over a directory; it has to stop cleanly at the end."""
    process = start(state_dir)
    with process:
        try:
            first = process.stdout.readline()
            assert first.startswith('Serving '), (state_dir.parent / 'errors').read_text()
            while not process.stdout.readline().startswith('Stop with'):
                assert process.poll() is None
            yield Standalone(process, first.split()[-1], state_dir)
        finally:
            process.send_signal(signal.SIGTERM)
            status = process.wait(DEADLINE_S)
    assert status == 0


def refused(state_dir, *arguments):
    """Start the service, which has to end by itself with status 1; return what it said."""
    process = start(state_dir, *arguments)
    with process:
        assert process.wait(DEADLINE_S) == 1
    return (state_dir.parent / 'errors').read_text()


@pytest.fixture
def state_dir(tmp_path):
    return tmp_path / 'state'


def test_directory_is_served_again_after_it_was_moved_and_edited(state_dir, tmp_path):
    with serving(state_dir) as service:
        assert service.endpoint.startswith(service.url)
        volume = service.call('POST', '/volumes', {'volume': {'size': 1, 'name': 'kept'}})
        volume_path = f'/volumes/{volume["volume"]["id"]}'
        service.wait_for(volume_path, 'available')
        path = subprocess.run(
            [PROGRAMS / 'backupsvc-manage', '--state-dir', state_dir, 'volume', 'path',
             volume['volume']['id']], capture_output=True, text=True, check=True).stdout.strip()
        with open(path, 'r+b') as file:
            file.write(b'content')
        backup = service.call('POST', '/backups', {'backup': {
            'volume_id': volume['volume']['id'], 'name': 'kept'}})
        backup_path = f'/backups/{backup["backup"]["id"]}'
        service.wait_for(backup_path, 'available')
    with open(state_dir / 'backupsvc.conf', 'a') as file:
        file.write('\n[quota]\nbackups = 77\n')

    moved = tmp_path / 'elsewhere'
    state_dir.rename(moved)
    with serving(moved) as service:
        assert service.call('GET', volume_path)['volume']['name'] == 'kept'
        restored = service.call('POST', f'{backup_path}/restore', {'restore': {}})['restore']
        service.wait_for(f'/volumes/{restored["volume_id"]}', 'available')
        raw = subprocess.run(
            [PROGRAMS / 'backupsvc-manage', '--state-dir', moved, 'volume', 'path',
             restored['volume_id']], capture_output=True, text=True, check=True).stdout.strip()
        assert raw.startswith(str(moved))
        with open(raw, 'rb') as file:
            assert file.read(8) == b'content\0'
        assert service.call('GET', '/limits')['limits']['absolute']['maxTotalBackups'] == 77
    assert not state_dir.exists()


def test_nothing_in_the_directory_is_for_others_to_read(state_dir):
    with serving(state_dir):
        pass
    assert {path.name: oct(path.stat().st_mode & 0o077) for path in state_dir.rglob('*')
            if path.stat().st_mode & 0o077} == {}
    assert state_dir.stat().st_mode & 0o077 == 0


def test_second_service_on_a_directory_is_refused(state_dir):
    with serving(state_dir) as service:
        said = refused(state_dir)
        assert f'is being served by process {service.process.pid} already' in said
        assert service.call('GET', '/backups') == {'backups': []}


def test_after_a_kill_the_directory_is_free(state_dir):
    process = start(state_dir)
    with process:
        assert process.stdout.readline().startswith('Serving ')
        process.kill()
    with serving(state_dir) as service:
        assert service.call('GET', '/backups') == {'backups': []}


@pytest.mark.parametrize('address', ['0.0.0.0', '::', '192.0.2.1'])
def test_others_are_not_let_in_without_authentication(state_dir, address):
    assert f'--bind {address} would let everybody on the network in' in refused(
        state_dir, '--bind', address)
