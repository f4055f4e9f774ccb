# SPDX-License-Identifier: Apache-2.0
"""Every repository driver that is installed, configured for the servers of the tests."""

import uuid

import pytest

from backupsvc import conf as service_conf
from backupsvc.drivers import loader
from tests.fixtures import swift_server as swift_process
from tests.fixtures.object_stores import moto_server, swift_server  # noqa: F401


def _posix(request) -> dict:
    path = request.getfixturevalue('tmp_path') / 'repositories'
    path.mkdir()
    return {'repository_posix': {'path': str(path)}}


def _swift(request, **options) -> dict:
    server = request.getfixturevalue('swift_server')
    return {'repository_swift': {
        'auth_type': 'v1password', 'auth_url': server.auth_url, 'interface': 'public',
        'username': f'{swift_process.ACCOUNT}:{swift_process.USER}',
        'password': swift_process.KEY, 'container_prefix': uuid.uuid4().hex[:8], **options}}


def _swift_tenant(request) -> dict:
    # The user of the test account is a reseller admin, so it may write any account.
    return _swift(request, account='tenant')


def _s3(request, bucket: str = '') -> dict:
    return {'repository_s3': {
        'endpoint_url': request.getfixturevalue('moto_server'), 'access_key': 'a',
        'secret_key': 'b', 'bucket': bucket or uuid.uuid4().hex}}


def _s3_per_project(request) -> dict:
    return _s3(request, 'b-{project_id}')


#: (driver, its options) by a name of its own.
CASES = {
    'posix': ('posix', _posix), 'swift-service': ('swift', _swift),
    'swift-tenant': ('swift', _swift_tenant), 's3': ('s3', _s3),
    's3-per-project': ('s3', _s3_per_project),
}


@pytest.fixture
def make_driver(tmp_path):
    """Return a driver by name and options, through the loader as a process does it."""
    def make(name: str, options: dict):
        lines = []
        for group, values in options.items():
            lines += [f'[{group}]', *(f'{key} = {value}' for key, value in values.items())]
        path = tmp_path / 'backupsvc.conf'
        path.write_text('\n'.join(lines))
        conf = service_conf.new_config()
        loader.register_options(conf)
        conf(['--config-file', str(path)], project='backupsvc', default_config_dirs=[])
        service_conf.install(conf)
        loader.reset()
        return loader.repository_driver(name)
    yield make
    loader.reset()


_GROUPS = {'swift': 'swift', 's3': 'moto'}


@pytest.fixture(params=[
    pytest.param(name, marks=[pytest.mark.xdist_group(_GROUPS.get(driver, name))])
    for name, (driver, _) in CASES.items()])
def driver(request, make_driver):
    name, options = CASES[request.param]
    return make_driver(name, options(request))
