# SPDX-License-Identifier: Apache-2.0
"""A deployment of each volume driver, so that one suite says what every driver has to do."""

import dataclasses
import os
import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from backupsvc import conf as service_conf
from backupsvc import context
from backupsvc.drivers import loader

PROJECT = '0b5c0000000000000000000000000001'
OTHER_PROJECT = '0b5c0000000000000000000000000002'


@dataclasses.dataclass
class Deployment:
    """A driver in surroundings that can be looked at from outside.

    :ivar reopen: make a second instance of the driver over the same volumes, as another process
        has one
    :ivar write: (volume id, offset, data) → write as an instance that uses the volume does
    :ivar attach: bring a volume into use
    :ivar temporaries: what backups have made beside volumes and the snapshots of users
    :ivar close: clear up in the end
    """

    name: str
    driver: Any
    reopen: Callable[[], Any]
    write: Callable[[str, int, bytes], None]
    attach: Callable[[str], None]
    temporaries: Callable[[], set[str]]
    close: Callable[[], None] = lambda: None


#: What the two projects are called in a cloud that gives them ids itself.
_ids: dict[str, str] = {}


def caller(project: str = PROJECT) -> context.RequestContext:
    """Return the context of a member of a project."""
    return context.RequestContext(
        user_id='0b5c00000000000000000000000000aa', project_id=_ids.get(project, project),
        roles=['member', 'reader'], is_admin=False, overwrite=False)


def _file(tmp_path: pathlib.Path) -> Deployment:
    conf = service_conf.new_config()
    driver_class = loader.load_class('volume', 'file')
    for group, options in driver_class.list_opts():
        conf.register_opts(options, group=group)
    conf([], project='backupsvc', default_config_files=[], default_config_dirs=[])
    conf.set_override('state_path', str(tmp_path))
    service_conf.install(conf)
    driver = driver_class(conf)
    driver.check_setup()
    admin = context.get_admin_context()

    def write(volume_id: str, offset: int, data: bytes) -> None:
        fd = os.open(driver.raw_path(admin, volume_id), os.O_RDWR)
        try:
            os.pwrite(fd, data, offset)
        finally:
            os.close(fd)

    def attach(volume_id: str) -> None:
        driver.attach_volume(admin, volume_id, instance_id='0b5c00000000000000000000000000bb',
                             host=None, mountpoint='/dev/vdb', mode='rw')

    def temporaries() -> set[str]:
        with driver.catalogue.reading() as connection:
            shown = {row['id'] for row in connection.execute(
                'SELECT id FROM volumes UNION ALL'
                ' SELECT id FROM snapshots WHERE made_for IS NULL')}
        return {path.stem for path in driver.directory.iterdir()
                if path.suffix in ('.raw', '.part')} - shown

    return Deployment('file', driver, lambda: driver_class(conf), write, attach, temporaries)


def _cinder(tmp_path: pathlib.Path) -> Deployment:
    from tests.fixtures import cinder_volumes  # needs what few tests need
    driven = cinder_volumes.Driven(tmp_path)
    _ids.update(zip((PROJECT, OTHER_PROJECT), driven.project_ids, strict=True))

    def close() -> None:
        _ids.clear()
        driven.close()

    return Deployment(
        'cinder', driven.driver, driven.reopen, cinder_volumes.write,
        lambda volume_id: cinder_volumes.attach(driven.cloud, volume_id),
        lambda: cinder_volumes.temporaries(driven.cloud, *driven.project_ids), close)


#: How to deploy each installed driver for the suite.
DEPLOYMENTS = {'file': _file, 'cinder': _cinder}

#: Those that need more than this machine has by itself.
_MARKS = {'cinder': pytest.mark.cloud}


def installed() -> list[Any]:
    """Return the names of the drivers that the suite runs on."""
    return [pytest.param(name, marks=_MARKS[name]) if name in _MARKS else name
            for name in loader.list_drivers('volume')]


@pytest.fixture(params=installed())
def deployment(request, tmp_path):
    """Each installed volume driver in turn."""
    if request.param not in DEPLOYMENTS:
        pytest.fail(f'the volume driver {request.param} is installed and cannot be deployed here')
    made = DEPLOYMENTS[request.param](tmp_path)
    try:
        yield made
    finally:
        made.close()
        loader.reset()


@pytest.fixture
def driver(deployment):
    return deployment.driver


@pytest.fixture
def local(deployment):
    """Each driver that serves volumes itself."""
    if not deployment.driver.serves_volumes:
        pytest.skip(f'{deployment.name} leaves volumes to another service')
    return deployment.driver
