# SPDX-License-Identifier: Apache-2.0
"""The wheel, installed alone: whatever the service needs is in it or in its requirements."""

import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile

import pytest

ROOT = pathlib.Path(__file__).parents[3]
NOT_SOURCE = shutil.ignore_patterns(
    '.*', '*.egg-info', '__pycache__', 'build', 'dist', 'demo-state')

pytestmark = [pytest.mark.timeout(900), pytest.mark.xdist_group('wheel')]


def run(*command, **kwargs):
    """Run a command outside of the checkout; return what it printed."""
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith(('PYTHON', 'VIRTUAL_ENV', 'OS_'))}
    done = subprocess.run([str(part) for part in command], text=True, capture_output=True,
                          env=environment, **kwargs)
    assert done.returncode == 0, f'{command}:\n{done.stdout}\n{done.stderr}'
    return done.stdout


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    """A wheel built of a copy of the checkout."""
    directory = tmp_path_factory.mktemp('wheel')
    shutil.copytree(ROOT, directory / 'source', ignore=NOT_SOURCE)
    run(sys.executable, '-m', 'build', '--wheel', '--outdir', directory, directory / 'source')
    [path] = directory.glob('*.whl')
    return path


@pytest.fixture(scope='module')
def installed(wheel, tmp_path_factory):
    """The folder of the programs of a new environment with nothing but the wheel."""
    directory = tmp_path_factory.mktemp('environment')
    run(sys.executable, '-m', 'venv', directory)
    run(directory / 'bin' / 'pip', 'install', '--quiet', '--constraint', ROOT / 'constraints.txt',
        wheel, cwd=directory)
    return directory / 'bin'


def test_wheel_carries_migrations_and_samples_and_no_tests(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert not [name for name in names if name.startswith(('tests/', 'alembic/'))]
    shared = {name.partition('.data/data/')[2] for name in names if '.data/data/' in name}
    migrations = {f'share/backupsvc/alembic/versions/{path.name}'
                  for path in (ROOT / 'alembic' / 'versions').glob('*.py')}
    assert migrations
    assert migrations <= shared
    assert {'share/backupsvc/alembic/alembic.ini', 'share/backupsvc/alembic/env.py',
            'etc/backupsvc/api-paste.ini', 'etc/backupsvc/config-generator.conf'} <= shared


def test_db_sync_outside_of_the_checkout(installed, tmp_path):
    database = tmp_path / 'records.sqlite'
    config = tmp_path / 'backupsvc.conf'
    config.write_text(f'[DEFAULT]\nstate_path = {tmp_path}\n'
                      f'[database]\nconnection = sqlite:///{database}\n')
    manage = [installed / 'backupsvc-manage', '--config-file', config]
    run(*manage, 'db', 'sync', cwd=tmp_path)
    [(backups,)] = sqlite3.connect(database).execute('select count(*) from backups')
    assert backups == 0
    assert run(*manage, 'db', 'version', cwd=tmp_path).strip()


def test_samples_are_generated_from_the_wheel(installed, tmp_path):
    options = run(installed / 'oslo-config-generator', '--namespace', 'backupsvc', '--namespace',
                  'backupsvc.drivers', cwd=tmp_path)
    assert '[repository_posix]' in options
    assert '#state_path = /var/lib/backupsvc' in options
    policies = run(installed / 'oslopolicy-sample-generator', '--namespace', 'backupsvc',
                   cwd=tmp_path)
    assert '"backup:create"' in policies


def test_standalone_serves_from_the_wheel(installed, tmp_path):
    with open(tmp_path / 'errors', 'w') as errors:
        service = subprocess.Popen(
            [installed / 'backupsvc-standalone', '--state-dir', tmp_path / 'state', '--port', '0'],
            cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
            text=True)
    with service:
        try:
            first = service.stdout.readline()
            assert ' at http://127.0.0.1:' in first, (tmp_path / 'errors').read_text()
            with pytest.raises(urllib.error.HTTPError) as answer:
                urllib.request.urlopen(first.split()[-1], timeout=60)
            assert answer.value.code == 300
        finally:
            service.send_signal(signal.SIGTERM)
        assert service.wait(120) == 0
