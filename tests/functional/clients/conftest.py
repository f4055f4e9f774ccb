# SPDX-License-Identifier: Apache-2.0
"""One service for the clients' tests, and the clients."""

import contextlib
import io
import json
import os
import pathlib
import uuid

import openstack
import pytest
from cinderclient import client as cinder_client
from cinderclient import shell as cinder_shell
from cinderclient.contrib import noauth
from keystoneauth1 import session as keystone_session
from openstackclient import shell as openstack_shell

from tests.fixtures import standalone as fixture
from tests.fixtures.service import wait_until


@pytest.fixture(scope='session')
def standalone(tmp_path_factory):
    """The real service, without quotas for the clients' project."""
    with fixture.Standalone(tmp_path_factory.mktemp('standalone')) as service:
        _library(service).quotas.update(fixture.PROJECT, **dict.fromkeys(
            ('volumes', 'snapshots', 'gigabytes', 'backups', 'backup_gigabytes'), -1))
        yield service


class Result:
    """What a command of a client printed, and whether it succeeded."""

    def __init__(self, status: int, out: str, err: str):
        self.status = status
        self.out = out
        self.err = err

    @property
    def json(self):
        return json.loads(self.out)


def _run(main, argv) -> Result:
    """Run a client's command line in this process: starting Python costs more than the command."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main(argv)
        except SystemExit as exit_:
            status = exit_.code
    return Result(status or 0, out.getvalue(), err.getvalue())


@pytest.fixture
def osc(standalone, monkeypatch):
    """Run ``openstack …``; a failure fails the test unless ``fails`` says that it is wanted."""
    monkeypatch.setenv('OS_CLIENT_CONFIG_FILE', str(standalone.clouds))
    monkeypatch.setenv('OS_CLOUD', 'backupsvc')

    def run(*args: str, fails: bool = False, version: str = '3.71') -> Result:
        result = _run(openstack_shell.main, ['--os-volume-api-version', version, *args])
        assert bool(result.status) == fails, f'{args}: {result.out}{result.err}'
        return result
    return run


@pytest.fixture
def cinder(standalone):
    """Run ``cinder …``, as ``osc`` does ``openstack``."""
    def main(argv):
        try:
            cinder_shell.OpenStackCinderShell().main(argv)
        except Exception as error:  # what the command's own entry point does with it
            print(f'ERROR: {error}', file=cinder_shell.sys.stderr)
            return 1
        return 0

    def run(*args: str, fails: bool = False, version: str = '3.71') -> Result:
        result = _run(main, [
            '--os-auth-type', 'noauth', '--os-endpoint', f'{standalone.url}/v3',
            '--os-project-id', fixture.PROJECT, '--os-user-id', 'alice',
            '--os-volume-api-version', version, *args])
        assert bool(result.status) == fails, f'{args}: {result.out}{result.err}'
        return result
    return run


@pytest.fixture
def sdk(standalone):
    """openstacksdk's way to the volume service."""
    cloud = openstack.connect(
        auth_type='none', auth={'endpoint': standalone.endpoint},
        block_storage_endpoint_override=standalone.endpoint, load_yaml_config=False,
        load_envvars=False, volume_api_version='3')
    yield cloud.block_storage
    cloud.close()


@pytest.fixture
def library(standalone):
    """Make python-cinderclient's library objects, by default an administrator's."""
    def make(**kwargs):
        return _library(standalone, **kwargs)
    return make


def _library(standalone, project: str = fixture.PROJECT, roles: str | None = None):
    plugin = noauth.CinderNoAuthPlugin('alice', project, endpoint=f'{standalone.url}/v3')
    if roles is not None:
        plugin.auth_token += f':{roles}'
    return cinder_client.Client('3.71', session=keystone_session.Session(auth=plugin))


@pytest.fixture
def volume(standalone, sdk):
    """A volume of 1 GiB with something in it; the id."""
    made = sdk.create_volume(size=1, name=f'v-{uuid.uuid4().hex[:8]}')
    wait_until(lambda: sdk.get_volume(made.id).status == 'available')
    path = standalone.volume_path(made.id)
    with path.open('r+b') as file:
        for offset in (0, 300_000_000, 1_000_000_000):
            file.seek(offset)
            file.write(os.urandom(3_000_000))
    return sdk.get_volume(made.id)


@pytest.fixture
def same_bytes(standalone):
    """Tell whether two volumes hold the same bytes."""
    def compare(one: str, other: str) -> bool:
        with _image(standalone, one) as left, _image(standalone, other) as right:
            while True:
                pair = left.read(1 << 24), right.read(1 << 24)
                if pair[0] != pair[1]:
                    return False
                if not pair[0]:
                    return True
    return compare


def _image(standalone, volume_id: str):
    return pathlib.Path(standalone.volume_path(volume_id)).open('rb')
