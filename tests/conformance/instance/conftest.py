# SPDX-License-Identifier: Apache-2.0
"""A deployment of each instance driver, so that one suite says what every driver has to do."""

import contextlib
import dataclasses
import pathlib
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from backupsvc import conf as service_conf
from backupsvc import context
from backupsvc.drivers import loader
from backupsvc.drivers.base import Instance, Listing
from tests.fixtures.deployment import eventually

PROJECT = '0b5c0000000000000000000000000001'
OTHER_PROJECT = '0b5c0000000000000000000000000002'

GIB = 1024 ** 3


@dataclasses.dataclass
class Deployment:
    """A driver in surroundings that can be looked at from outside.

    :ivar reopen: make a second instance of the driver over the same instances, as another process
        has one
    :ivar boot: (project, name, number of volumes) → an ACTIVE instance; its first volume is the
        one that it boots from
    :ivar bring: (instance id, status) → bring it into ACTIVE, SHUTOFF, PAUSED or SUSPENDED
    :ivar written: instance id → what its volumes hold, to compare
    """

    name: str
    driver: Any
    reopen: Callable[[], Any]
    boot: Callable[..., Instance]
    bring: Callable[[str, str], None]
    written: Callable[[str], Any]
    paths: dict[str, str] = dataclasses.field(default_factory=dict)

    def others_write(self, instance: Instance, rounds: int = 10) -> None:
        """Return when a running instance has written for a while: what stands still meanwhile does
        not write.
        """
        seen = {repr(self.written(instance.id))}

        def has_written() -> bool:
            seen.add(repr(self.written(instance.id)))
            return len(seen) > rounds

        eventually(has_written)


def caller(project: str = PROJECT) -> context.RequestContext:
    """Return the context of a member of a project."""
    return context.RequestContext(
        user_id='0b5c00000000000000000000000000aa', project_id=project,
        roles=['member', 'reader'], is_admin=False, overwrite=False)


@contextlib.contextmanager
def _local(tmp_path: pathlib.Path) -> Iterator[Deployment]:
    conf = service_conf.new_config()
    driver_class = loader.load_class('instance', 'local')
    for group, options in driver_class.list_opts():
        conf.register_opts(options, group=group)
    conf([], project='backupsvc', default_config_files=[], default_config_dirs=[])
    conf.set_override('state_path', str(tmp_path))
    conf.set_override('write_interval', 0.001, group='instance_local')
    conf.set_override('log_size_kb', 256, group='instance_local')
    service_conf.install(conf)
    driver = driver_class(conf)
    driver.check_setup()
    admin = context.get_admin_context()
    paths: dict[str, str] = {}

    def boot(project: str = PROJECT, name: str | None = 'web', volumes: int = 2) -> Instance:
        instance = driver.create_instance(caller(project), name=name)
        for number in range(volumes):
            volume_id = str(uuid.uuid4())
            path = tmp_path / f'{volume_id}.raw'
            with open(path, 'wb') as file:
                file.truncate(GIB)
            paths[volume_id] = str(path)
            driver.attach_volume(admin, instance.id, volume_id,
                                 device=f'/dev/vd{"abc"[number]}', is_boot=number == 0)
        return driver.start_instance(admin, instance.id, paths.__getitem__)

    def bring(instance_id: str, status: str) -> None:
        now = driver.show_instance(admin, instance_id).status
        if now in ('PAUSED', 'SUSPENDED'):
            driver.resume_instance(admin, instance_id, paths.__getitem__)
        elif now == 'SHUTOFF':
            driver.start_instance(admin, instance_id, paths.__getitem__)
        if status == 'SHUTOFF':
            driver.stop_instance(admin, instance_id)
        elif status == 'PAUSED':
            driver.pause_instance(admin, instance_id)
        elif status == 'SUSPENDED':
            driver.suspend_instance(admin, instance_id)

    def written(instance_id: str) -> Any:
        instance = driver.show_instance(admin, instance_id)
        check = driver.check_volumes(
            {volume.volume_id: paths[volume.volume_id] for volume in instance.volumes})
        return [volume.last for volume in check.volumes]

    yield Deployment('local', driver, lambda: driver_class(conf), boot, bring, written, paths)
    for instance in driver.list_instances(admin, Listing()):
        driver.stop_instance(admin, instance.id, force=True)


#: How to deploy each installed driver for the suite.
DEPLOYMENTS = {'local': _local}


#: Drivers of clouds, whose servers nothing here could have write: ``tests/cloud`` tries them.
IN_A_CLOUD = {'nova'}


@pytest.fixture(params=sorted({*loader.list_drivers('instance')} - IN_A_CLOUD))
def deployment(request, tmp_path):
    """Each installed instance driver in turn."""
    if request.param not in DEPLOYMENTS:
        pytest.fail(f'the instance driver {request.param} is installed, not deployed here')
    with DEPLOYMENTS[request.param](tmp_path) as deployed:
        yield deployed
    loader.reset()


@pytest.fixture
def driver(deployment):
    return deployment.driver


@pytest.fixture
def local(deployment):
    """Each driver that runs instances itself."""
    if not deployment.driver.serves_instances:
        pytest.skip(f'{deployment.name} leaves instances to another service')
    return deployment
