# SPDX-License-Identifier: Apache-2.0
"""``backupsvc-standalone``: the whole service in one process tree over one directory.

The API and the manager run in this process and talk over an in-process message bus; archives and
restores run in child processes. Records are in SQLite, volumes are files, backups go to an
encrypted repository in a local directory.
"""

import argparse
import contextlib
import fcntl
import ipaddress
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import IO, TYPE_CHECKING

from backupsvc import cmd
from backupsvc.cmd import stopping

if TYPE_CHECKING:
    from oslo_config import cfg

    from backupsvc.wsgi.server import Server

CONFIG = """\
# Written by backupsvc-standalone at its first start and yours to edit from then on; state_path
# alone is kept in step with where this directory lies.
[DEFAULT]
state_path = {state_path}
# A fixed name, so that the directory can be served on another machine.
host = standalone
transport_url = fake://
log_file = $state_path/backupsvc.log

[api]
auth_strategy = noauth

[database]
connection = sqlite:///$state_path/backupsvc.sqlite

[volume]
driver = file

[repository]
driver = posix

[repository_posix]
path = $state_path/repositories

[keys]
provider = file
file = $state_path/keys/keyring.json

[coordination]
backend_url = file://$state_path/locks
"""


#: The project of the clients that read clouds.yaml; any other is as good, it is part of the URL.
PROJECT = '0b5c0000000000000000000000000001'

CLOUDS = """\
# Written by backupsvc-standalone at every start, for openstacksdk and the openstack command:
# export OS_CLIENT_CONFIG_FILE={state_path}/clouds.yaml OS_CLOUD=backupsvc
clouds:
  backupsvc:
    auth_type: none
    auth:
      endpoint: {url}/v3/{project}
    block_storage_endpoint_override: {url}/v3/{project}
    volume_api_version: '3'
  # For openstack database ...: OS_CLOUD=backupsvc-database
  backupsvc-database:
    auth_type: none
    auth:
      endpoint: {database_url}/v1.0/{project}
"""

#: Where clients of databases look: they demand that the path of their endpoint begins with /v1.0.
DATABASE_PORT = 8779


def default_state_dir() -> str:
    """Return the directory that is served when none is named."""
    base = os.environ.get('XDG_STATE_HOME') or os.path.expanduser('~/.local/state')
    return os.path.join(base, 'backupsvc')


@contextlib.contextmanager
def locked(state_dir: str) -> Iterator[None]:
    """Hold the directory against a second service until the end of the block or of the process.

    :raises SystemExit: another one holds it; the text names its process
    """
    path = os.path.join(state_dir, 'standalone.pid')
    with open(path, 'a+') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit(f'{state_dir} is being served by {_holder(file)} already') from None
        file.truncate(0)
        file.write(f'{os.getpid()}\n')
        file.flush()
        yield


def _holder(file: IO[str]) -> str:
    file.seek(0)
    pid = file.read().strip()
    return f'process {pid}' if pid else 'another process'


def prepare(state_dir: str) -> None:
    """Make the directory and its configuration, or correct the path of one that was moved."""
    os.makedirs(os.path.join(state_dir, 'repositories'), exist_ok=True)
    path = os.path.join(state_dir, cmd.STATE_CONFIG)
    try:
        with open(path) as file:
            text = file.read()
    except FileNotFoundError:
        wanted = CONFIG.format(state_path=state_dir)
    else:
        wanted = re.sub(r'(?m)^state_path\s*=.*$', lambda _: f'state_path = {state_dir}', text)
        if wanted == text:
            return
    _replace(path, wanted)


def _replace(path: str, text: str) -> None:
    temporary = f'{path}.new'
    with open(temporary, 'w') as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def check_bind(conf: 'cfg.ConfigOpts', bind: str) -> None:
    """Refuse to open the service to the network while everybody is believed.

    :raises SystemExit: ``bind`` is not a loopback address and there is no authentication
    """
    from backupsvc.wsgi.middleware import operators
    operators.check_bind(conf, conf.management.bind_host)
    if conf.api.auth_strategy != 'noauth':
        return
    try:
        loopback = ipaddress.ip_address(bind).is_loopback
    except ValueError:
        loopback = bind == 'localhost'
    if not loopback:
        raise SystemExit(
            f'--bind {bind} would let everybody on the network in: set [api] auth_strategy = '
            f'keystone in {conf.state_path}/{cmd.STATE_CONFIG} first, or bind to 127.0.0.1')


def serve(conf: 'cfg.ConfigOpts', bind: str, port: int, database_port: int | None,
          management_port: int | None, stop: stopping.StopRequest) -> None:
    """Run the API and the manager until ``stop`` comes; then end requests and hand work back.

    :param database_port: of the Database API alone; None: its own, or a free one when that is
        taken or ``port`` is 0
    :param management_port: of the management application, likewise
    """
    from backupsvc.db import migration
    from backupsvc.manager import service
    from backupsvc.wsgi import paste, server

    migration.sync()
    manager = service.ManagerService(conf)
    with contextlib.ExitStack() as stack:
        stack.callback(manager.wait)
        stack.callback(manager.stop)
        api = server.Server(paste.loadapp(conf, 'public'), bind, port, conf.api.threads)
        api.start()
        stack.callback(api.stop)
        databases = _start_beside(
            lambda number: server.Server(
                paste.loadapp(conf, 'database'), bind, number, conf.api.threads),
            0 if database_port is None and port == 0 else database_port, DATABASE_PORT)
        stack.callback(databases.stop)
        management = _start_beside(
            lambda number: server.Server(
                paste.loadapp(conf, paste.MANAGEMENT), conf.management.bind_host, number,
                conf.management.threads),
            0 if management_port is None and port == 0 else management_port,
            conf.management.port)
        stack.callback(management.stop)
        manager.start()
        clouds = os.path.join(conf.state_path, 'clouds.yaml')
        _replace(clouds, CLOUDS.format(
            state_path=conf.state_path, url=api.url, database_url=databases.url,
            project=PROJECT))
        print(f'Serving {conf.state_path} at {api.url}')
        print(f'Databases: {databases.url}/v1.0/{PROJECT}')
        print(f'Management: {management.url}/actuator')
        print(f'Log: {conf.log_file}')
        print(f'Clients: export OS_CLIENT_CONFIG_FILE={clouds} OS_CLOUD=backupsvc')
        print(f'Stop with Ctrl-C or: kill {os.getpid()}', flush=True)
        stop.wait()
        stopping.expect_end(conf.api.shutdown_timeout + conf.manager.graceful_timeout)


def _start_beside(
    make: Callable[[int], 'Server'], port: int | None, usual: int,
) -> 'Server':
    """Return a further server, started on a port that may have to be found.

    :param port: None: the usual one, or a free one when that is taken
    """
    if port is not None:
        found = make(port)
        found.start()
        return found
    try:
        return _start_beside(make, usual, usual)
    except OSError:
        return _start_beside(make, 0, usual)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until a signal asks to stop; return 0 after a graceful stop."""
    parser = argparse.ArgumentParser(
        prog='backupsvc-standalone',
        description='Serve backups, and volumes to back up, from one directory.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter, allow_abbrev=False)
    parser.add_argument('--state-dir', metavar='DIR', default=default_state_dir(),
                        help='directory of all state; made when it does not exist')
    parser.add_argument('--bind', metavar='ADDRESS', default='127.0.0.1',
                        help='address to listen on; other than loopback only with authentication')
    parser.add_argument('--port', metavar='N', type=int, default=8110,
                        help='port to listen on; 0 picks a free one and prints it')
    parser.add_argument('--database-port', metavar='N', type=int, default=None,
                        help=f'port of the Database API alone: {DATABASE_PORT}, or a free one '
                             'when that is taken or --port is 0; 0 picks a free one and prints '
                             'it')
    parser.add_argument('--management-port', metavar='N', type=int, default=None,
                        help='port of the management application: [management] port, or a free '
                             'one when that is taken or --port is 0; 0 picks a free one and '
                             'prints it')
    parser.add_argument('--debug', action='store_true', help='log at level DEBUG')
    args = parser.parse_args(argv)

    stop = stopping.StopRequest()
    state_dir = os.path.abspath(args.state_dir)
    os.umask(0o077)
    os.makedirs(state_dir, exist_ok=True)
    with locked(state_dir):
        prepare(state_dir)
        conf = cmd.load_config(
            ['--debug'] if args.debug else [], 'backupsvc-standalone', state_dir=state_dir)
        check_bind(conf, args.bind)
        serve(conf, args.bind, args.port, args.database_port, args.management_port, stop)
    return 0


if __name__ == '__main__':
    sys.exit(main())
