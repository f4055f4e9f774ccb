# SPDX-License-Identifier: Apache-2.0
"""A manager of the last release, from the history of the code, behind the API of this one."""

import hashlib
import os
import pathlib
import random
import subprocess
import sys

import pytest

from backupsvc import context as request_context
from backupsvc import exception, rpc
from backupsvc.drivers import loader
from backupsvc.objects.service import ServiceList
from backupsvc.rpc import versions
from tests.fixtures import processes
from tests.fixtures.deployment import eventually
from tests.functional.kill.campaign import OPTIONS

pytestmark = [pytest.mark.services, pytest.mark.timeout(600)]

#: The last commit whose managers understand messages up to 1.1.
BEFORE = 'd151be9'

_ROOT = pathlib.Path(__file__).parents[3]
_MIB = 1 << 20


@pytest.fixture
def old_code(tmp_path):
    """A directory with the code of the last release."""
    directory = tmp_path / 'old'
    directory.mkdir()
    packed = subprocess.run(['git', 'archive', BEFORE, 'backupsvc', 'alembic'], cwd=_ROOT,
                            capture_output=True)
    if packed.returncode != 0:  # a shallow clone, an archive
        pytest.skip(f'the code of the last release is not here: {packed.stderr.decode().strip()}')
    subprocess.run(['tar', '-x', '-C', directory], input=packed.stdout, check=True)
    return directory


@pytest.fixture
def client(make_conf, tmp_path, host, old_code):
    """A client of an API of this release, whose only manager is an old one."""
    port = processes.free_port()
    make_conf(extra=OPTIONS.replace('[api]', f'[api]\nport = {port}'), sweep_interval=3600)
    config = ['--config-file', str(tmp_path / f'{host}.conf')]
    api = processes.Process(['backupsvc.cmd.api', *config], tmp_path / 'api.log')
    api.start()
    with open(tmp_path / 'manager.log', 'wb') as log:
        manager = subprocess.Popen(
            [sys.executable, '-W', 'ignore', '-m', 'backupsvc.cmd.manager', *config], cwd=old_code,
            env={**os.environ, 'PYTHONPATH': str(old_code)}, stdin=subprocess.DEVNULL,
            stdout=log, stderr=log)
    made = processes.Client(port)
    try:
        eventually(made.is_up, 120)
        eventually(lambda: [each.rpc_version for each in ServiceList.get_all(
            request_context.get_admin_context(), {'host': host})] == ['1.1'], 120)
        versions.reset()
        yield made
    finally:
        manager.kill()
        manager.wait()
        api.end()


def settled(client, backup_id):
    def look():
        found = client('GET', f'/backups/{backup_id}')[1]['backup']
        return found['status'] in ('available', 'error') and found
    return eventually(look, 120)


def test_an_old_manager_works_for_a_new_api(client, host):
    context = request_context.get_admin_context()
    assert versions.pin() == '1.1'
    volume = client('POST', '/volumes', {'volume': {'size': 1}})[1]['volume']['id']
    eventually(lambda: client('GET', f'/volumes/{volume}')[1]['volume']['status'] == 'available')
    files = loader.volume_driver().files
    with open(files.path(volume), 'r+b') as file:
        file.write(random.Random(1).randbytes(4 * _MIB))
    # Nothing but the message tells it: it looks for work once an hour.
    backup = client('POST', '/backups', {'backup': {'volume_id': volume}})[1]['backup']['id']
    assert settled(client, backup)['status'] == 'available'
    restored = client('POST', f'/backups/{backup}/restore',
                      {'restore': {}})[1]['restore']['volume_id']
    assert settled(client, backup)['status'] == 'available'
    assert digest(files.path(restored)) == digest(files.path(volume))
    with pytest.raises(exception.Unavailable, match='upgraded to messages of version 1.2'):
        rpc.manager_api().describe(context, host, 5.0)


def digest(path):
    with open(path, 'rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()


def test_the_check_names_it(client, tmp_path, host):
    answer = subprocess.run(
        [sys.executable, '-W', 'ignore', '-m', 'backupsvc.cmd.status', '--config-file',
         str(tmp_path / f'{host}.conf'), 'upgrade', 'check'], stdout=subprocess.PIPE)
    assert answer.returncode == 1
    assert f'{host} (1.1)' in answer.stdout.decode()


def test_the_old_code_is_what_it_is_said_to_be(old_code):
    text = (old_code / 'backupsvc' / 'rpc' / '__init__.py').read_text()
    assert "VERSION = '1.1'" in text
