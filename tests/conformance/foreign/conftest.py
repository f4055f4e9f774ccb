# SPDX-License-Identifier: Apache-2.0
"""Backups of other services in the places where those keep them, one case for each kind."""

import base64
import dataclasses
import json
import pathlib
import uuid
from collections.abc import Callable

import pytest

from backupsvc import conf as service_conf
from backupsvc.drivers import loader
from tests.fixtures import cinder_backups
from tests.fixtures import swift_server as swift_process
from tests.fixtures.object_stores import swift_server  # noqa: F401


@dataclasses.dataclass
class Case:
    """A chain of backups in its place.

    :ivar made: the full backup first
    :ivar values: what the records have to say in place of what they do
    :ivar change: (name of an object or its end, None or what to make of its bytes) → None removes
        it
    """

    driver: str
    options: dict[str, dict[str, str]]
    made: list[cinder_backups.Made]
    change: Callable[[str, Callable[[bytes], bytes] | None], None]
    values: dict[str, str] = dataclasses.field(default_factory=dict)


def record(made, **values) -> dict:
    """Return what a record says, with some values replaced."""
    return {**json.loads(base64.b64decode(made.url)), **values}


def _cinder_posix(compression: str, request) -> Case:
    chain = cinder_backups.unpack(request.getfixturevalue('tmp_path'), 'posix', compression)

    def change(ending, make):
        path, = (path for path in chain.store.rglob('*') if path.name.endswith(ending))
        if make is None:
            path.unlink()
        else:
            path.write_bytes(make(path.read_bytes()))

    return Case('cinder', {'foreign_cinder': {'posix_path': str(chain.store)}}, chain.backups,
                change)


def _cinder_swift(compression: str, request) -> Case:
    chain = cinder_backups.unpack(request.getfixturevalue('tmp_path'), 'swift', compression)
    server = request.getfixturevalue('swift_server')
    project_id = uuid.uuid4().hex  # an account of its own
    client = server.client(
        storage_url=f'http://{swift_process.HOST}:{server.port}/v1/AUTH_{project_id}')
    container, = (path.name for path in chain.store.iterdir())

    def put(path: pathlib.Path, data: bytes):
        name = f'{container}/{path.relative_to(chain.store / container)}'
        client.request(name, 'PUT', name, body=data)

    client.request(container, 'PUT', container)
    files = [path for path in chain.store.rglob('*') if path.is_file()]
    for path in files:
        put(path, path.read_bytes())

    def change(ending, make):
        path, = (path for path in files if path.name.endswith(ending))
        if make is None:
            name = f'{container}/{path.relative_to(chain.store / container)}'
            client.request(name, 'DELETE', name)
        else:
            put(path, make(path.read_bytes()))

    return Case('cinder', {'foreign_cinder': {
        'swift_account': 'project', 'auth_type': 'v1password', 'auth_url': server.auth_url,
        'interface': 'public', 'password': swift_process.KEY,
        'username': f'{swift_process.ACCOUNT}:{swift_process.USER}'}}, chain.backups, change,
        {'project_id': project_id})


CASES = {f'{make.__name__[1:]}-{compression}': (make, compression)
         for make in (_cinder_posix, _cinder_swift)
         for compression in cinder_backups.COMPRESSIONS}


@pytest.fixture(params=[
    pytest.param(name, marks=[pytest.mark.xdist_group('swift')] if 'swift' in name else [])
    for name in CASES])
def case(request):
    make, compression = CASES[request.param]
    return make(compression, request)


@pytest.fixture
def driver(case, tmp_path):
    """The driver of the case, as a process has it."""
    conf = service_conf.new_config()
    loader.register_options(conf)
    path = tmp_path / 'backupsvc.conf'
    path.write_text(''.join(
        f'[{group}]\n' + ''.join(f'{key} = {value}\n' for key, value in values.items())
        for group, values in case.options.items()))
    conf(['--config-file', str(path)], project='backupsvc', default_config_dirs=[])
    service_conf.install(conf)
    loader.reset()
    yield loader.foreign_driver(case.driver)
    loader.reset()
