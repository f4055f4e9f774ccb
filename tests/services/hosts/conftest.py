# SPDX-License-Identifier: Apache-2.0
"""Two APIs and three managers, each a process with a state directory of its own, behind one
broker, one database and one Redis; the volumes and the repositories are where all reach them.
"""

import hashlib
import os
import pathlib
import random
import signal
import time
import uuid

import pytest

from backupsvc import context as request_context
from backupsvc import states
from backupsvc.drivers import loader
from backupsvc.objects.task import TaskList
from tests.fixtures import database, deployment, processes, servers, shared_driver

MIB = 1 << 20
LEASE_S = 4
PATIENCE_S = 240

_REDIS = 6379

_CONFIG = """\
[DEFAULT]
state_path = {state}
host = {host}
transport_url = {transport}
control_exchange = {name}

[api]
auth_strategy = noauth
port = {port}

[database]
connection = {connection}

[coordination]
backend_url = redis://127.0.0.1:{redis}?db=7&lock_timeout=3&timeout=3

[volume]
driver = shared

[volume_file]
directory = {common}/volumes

[volume_shared]
notes = {common}

[repository_posix]
path = {common}/repositories

[keys]
file = {common}/keyring.json

[engine]
workers = 1

[quota]
backups = -1
backup_gigabytes = -1
volumes = -1
gigabytes = -1

[manager]
workers = 2
spare_movers = 0
lease_duration = {lease}
sweep_interval = 1
heartbeat_interval = 1
service_down_time = 6
retry_interval = 0.5
max_attempts = 20
hold_sweep_interval = 2
hold_grace = 5
prune_interval = 0
"""


def eventually(look, deadline_s: float = PATIENCE_S):
    """Return what ``look`` returns as soon as that is true; looks seldom, for each look costs the
    cluster a request.
    """
    end = time.monotonic() + deadline_s
    while not (found := look()):
        assert time.monotonic() < end, f'still {found!r} after {deadline_s} s'
        time.sleep(0.2)
    return found


class Host:
    """One process of the service; ``relays`` lie between it and what it talks to."""

    def __init__(self, cluster, name: str, role: str):
        self.name = name
        self.role = role
        self.port = processes.free_port()
        state = cluster.directory / name
        state.mkdir()
        self.log = state / 'log'
        self.relays = [servers.Relay(port) for port in cluster.ports]
        broker, database_port, redis = (relay.port for relay in self.relays)
        path = state / 'backupsvc.conf'
        path.write_text(_CONFIG.format(
            state=state, host=name, name=cluster.name, common=cluster.directory, lease=LEASE_S,
            transport=f'rabbit://guest:guest@127.0.0.1:{broker}/', port=self.port, redis=redis,
            connection=cluster.connection.replace('{port}', str(database_port))))
        self.config = str(path)
        self.process = processes.Process(
            [f'backupsvc.cmd.{role}', '--config-file', self.config], self.log)
        self.client = processes.Client(self.port)

    def cut(self) -> None:
        """Separate it from everything but its disks."""
        for relay in self.relays:
            relay.cut()

    def mend(self) -> None:
        for relay in self.relays:
            relay.mend()

    def freeze(self) -> list[int]:
        """Stop its process and its movers, the process first; return all their ids."""
        pids = [self.process.pid]
        os.kill(pids[0], signal.SIGSTOP)
        pids += processes.children(pids[0])
        for pid in pids[1:]:
            os.kill(pid, signal.SIGSTOP)
        return pids

    def end(self) -> None:
        self.process.end()
        for relay in self.relays:
            relay.cut()


class Cluster:
    """The whole, and what tests do with it."""

    def __init__(self, directory: pathlib.Path, connection: str, ports: list[int]):
        self.name = f'test-{uuid.uuid4().hex[:12]}'
        self.directory = directory
        self.connection = connection
        self.ports = ports
        (directory / 'repositories').mkdir()
        self.apis = [Host(self, f'api-{number}', 'api') for number in (1, 2)]
        self.managers = [Host(self, f'manager-{number}', 'manager') for number in (1, 2, 3)]
        self.admin = request_context.get_admin_context()

    def start(self) -> None:
        for host in (*self.apis, *self.managers):
            host.process.start()
        eventually(lambda: all(host.client.is_up() for host in self.apis))
        eventually(lambda: self.live() == {host.name for host in self.managers})

    def end(self) -> None:
        for host in (*self.apis, *self.managers):
            host.end()

    def ask(self, method: str, path: str, body=None, api: int = 0):
        status, content = self.apis[api].client(method, path, body)
        assert status < 400, (status, content)
        return content

    def live(self) -> set[str]:
        """Return the managers that the API lists as up."""
        return {each['host'] for each in self.ask('GET', '/os-services')['services']
                if each['state'] == 'up'}

    def pace(self, seconds: float) -> None:
        """Have every read and write of a volume take so much longer."""
        (self.directory / shared_driver.PACE).write_text(str(seconds))

    def path(self, volume_id: str) -> pathlib.Path:
        found, = (self.directory / 'volumes').rglob(f'{volume_id}.raw')
        return found

    def volume(self, seed: int, mib: int) -> str:
        """Make a volume whose beginning nothing compresses."""
        made = self.ask('POST', '/volumes', {'volume': {'size': 1}})['volume']['id']
        eventually(lambda: self.ask('GET', f'/volumes/{made}')['volume']['status'] == 'available')
        with open(self.path(made), 'r+b') as file:
            file.write(random.Random(seed).randbytes(mib * MIB))
        return made

    def digest(self, volume_id: str, mib: int) -> str:
        with open(self.path(volume_id), 'rb') as file:
            return hashlib.sha256(file.read(mib * MIB)).hexdigest()

    def create(self, volume_id: str, api: int = 0) -> str:
        return self.ask('POST', '/backups', {'backup': {'volume_id': volume_id}},
                        api)['backup']['id']

    def restore(self, backup_id: str) -> str:
        return self.ask('POST', f'/backups/{backup_id}/restore',
                        {'restore': {}})['restore']['volume_id']

    def show(self, backup_id: str) -> dict:
        return self.ask('GET', f'/backups/{backup_id}', api=1)['backup']

    def settled(self, *backup_ids: str) -> list[dict]:
        """Return backups once none is in flight."""
        def look():
            found = [self.show(each) for each in backup_ids]
            return all(each['status'] in ('available', 'error') for each in found) and found
        return eventually(look)

    def tasks(self, **filters) -> list:
        return list(TaskList.get_all(self.admin, filters))

    def owner(self, resource_id: str, kind: str) -> Host | None:
        """Return the manager that works on something now."""
        for task in self.tasks(resource_id=resource_id, kind=kind, state=states.RUNNING):
            name = task.owner.partition(':')[0]
            return next(host for host in self.managers if host.name == name)
        return None

    def writes(self) -> list[tuple[int, float, int, int]]:
        """Return (process, time, offset, size) of everything written to volumes by restores."""
        try:
            lines = (self.directory / shared_driver.LOG).read_text().splitlines()
        except FileNotFoundError:
            return []
        return [(int(pid), float(at), int(offset), int(size))
                for pid, at, offset, size in map(str.split, lines)]

    def objects(self) -> dict[str, tuple[int, int]]:
        """Return what lies in the repositories: path → (size, time of the change)."""
        return {str(path): (found.st_size, found.st_mtime_ns)
                for path in (self.directory / 'repositories').rglob('*')
                if path.is_file() and (found := path.stat())}


@pytest.fixture(scope='session')
def broker(tmp_path_factory):
    with servers.running(servers.RabbitMQ(tmp_path_factory.mktemp('rabbitmq'))) as server:
        yield server


@pytest.fixture(scope='session')
def mariadb_server(tmp_path_factory):
    with servers.running(servers.MariaDB(tmp_path_factory.mktemp('mariadb'))) as server:
        yield server


@pytest.fixture
def kind():
    """Which database; tests that parametrize it run on others too."""
    return 'mysql'


@pytest.fixture
def cluster(request, tmp_path, broker, kind):
    """A running cluster; this process has the database configured too."""
    import contextlib

    import sqlalchemy
    with contextlib.ExitStack() as stack:
        stack.enter_context(shared_driver.installed(tmp_path / 'driver'))
        if kind == 'mysql':
            server = request.getfixturevalue('mariadb_server')
            name = f'backupsvc_{uuid.uuid4().hex}'
            engine = sqlalchemy.create_engine(server.url, poolclass=sqlalchemy.pool.NullPool)
            with engine.connect() as connection:
                connection.exec_driver_sql(f'CREATE DATABASE {name}')
            port, own = server.port, server.url + name
        else:
            own = stack.enter_context(database.blank('postgresql', tmp_path))
            port = 5432
        host, _, path = own.rpartition('@')[2].partition('/')
        made = Cluster(tmp_path, own.replace(f'@{host}/', '@127.0.0.1:{port}/'),
                       [broker.port, port, _REDIS])
        stack.callback(made.end)
        direct = deployment.write_config(tmp_path, host='test', connection=own)
        stack.enter_context(deployment.deployed(direct))
        loader.reset()
        made.start()
        yield made
