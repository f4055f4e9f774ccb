# SPDX-License-Identifier: Apache-2.0
"""Measure lists of backups over a large table: does a page cost the same wherever it is?

    python -m tests.benchmarks.list_backups [--rows 100000] [--database URL]

Fills a database (a SQLite file in a temporary directory, unless a URL of an empty database is
given) with backups of three pairs of metadata each, and prints what pages cost through the
records, then over HTTP: the whole application behind its own server on loopback, asked by one
client of this process.
"""

import argparse
import contextlib
import datetime
import http.client
import pathlib
import statistics
import sys
import tempfile
import time
import urllib.parse
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import orjson
import sqlalchemy

from backupsvc import context as request_context
from backupsvc import policy
from backupsvc.db import engine, migration, models
from backupsvc.objects.backup import BackupList
from backupsvc.wsgi import paste, server
from tests.fixtures import database

PROJECT = uuid.UUID(int=1).hex
START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def _rows(number: int, projects: int) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    for index in range(number):
        made = START + datetime.timedelta(seconds=index)
        backup_id = str(uuid.uuid5(uuid.NAMESPACE_OID, str(index)))
        backup = {
            'id': backup_id, 'project_id': uuid.UUID(int=1 + index % projects).hex,
            'user_id': 'user', 'kind': 'volume', 'status': 'available',
            'name': f'backup {index}', 'source_id': str(uuid.UUID(int=index % 1000)),
            'size_gb': 1 + index % 100, 'container': 'volumebackups', 'repository': 'posix',
            'manifest_id': backup_id, 'availability_zone': 'nova', 'host': 'host',
            'origin': 'cinder_v3', 'created_at': made, 'data_timestamp': made}
        pairs = [{'backup_id': backup_id, 'key': key, 'value': value, 'created_at': made}
                 for key, value in (('environment', 'production'),
                                    ('shard', str(index % 997)),
                                    ('serial', str(index)))]
        yield backup, pairs


def fill(number: int, projects: int) -> None:
    """Write ``number`` backups of ``projects`` projects into the configured database."""
    backups: list[dict[str, Any]] = []
    pairs: list[dict[str, Any]] = []
    with engine.get_engine().begin() as connection:
        for index, (backup, own) in enumerate(_rows(number, projects), 1):
            backups.append(backup)
            pairs += own
            if len(backups) == 5000 or index == number:
                connection.execute(models.backups.insert(), backups)
                connection.execute(models.backup_metadata.insert(), pairs)
                backups.clear()
                pairs.clear()
    with engine.get_engine().connect() as connection:
        connection = connection.execution_options(isolation_level='AUTOCOMMIT')
        if connection.dialect.name == 'mysql':
            connection.exec_driver_sql('ANALYZE TABLE backups, backup_metadata')
        else:
            connection.exec_driver_sql('ANALYZE')


def _measure(action: Callable[[], Any], repeat: int,
             count: Callable[[Any], int] = len) -> tuple[float, float, int, int]:
    """Return (median wall seconds, median CPU seconds, statements, rows) of an action.

    :param count: takes what the action returned and returns the rows in it
    """
    statements = 0

    def note(*args: Any) -> None:
        nonlocal statements
        statements += not args[2].startswith('BEGIN')

    found = action()
    sqlalchemy.event.listen(engine.get_engine(), 'before_cursor_execute', note)
    action()
    sqlalchemy.event.remove(engine.get_engine(), 'before_cursor_execute', note)
    times, cpu = [], []
    for _ in range(repeat):
        begin, cpu_begin = time.perf_counter(), time.process_time()
        action()
        times.append(time.perf_counter() - begin)
        cpu.append(time.process_time() - cpu_begin)
    return statistics.median(times), statistics.median(cpu), statements, count(found)


def measure(number: int, projects: int, repeat: int) -> None:
    """Print a table of pages and their cost."""
    member = request_context.RequestContext(
        user_id='user', project_id=PROJECT, is_admin=False, overwrite=False)
    admin = request_context.get_admin_context()

    print(f'{"page":<58}{"wall":>10}{"CPU":>10}{"SQL":>5}{"rows":>6}{"calls/s":>9}')
    for who, context in (('project', member), ('all projects', admin)):
        for limit in (50, 1000):
            for place in ('first', 'middle', 'last'):
                behind = {'first': None,
                          'middle': number // (2 * limit * (
                              projects if context is member else 1)),
                          'last': 0}[place]
                mine = range(0, number, projects if context is member else 1)
                at = None if behind is None else _marker(mine, behind, limit)

                def page(context: Any = context, limit: int = limit, at: Any = at) -> Sequence:
                    return BackupList.get_all(context, limit=limit, marker_id=at)

                _print(f'{who}, {place} page of {limit}', *_measure(page, repeat))
    for name, pairs in (('frequent pair', {'environment': 'production'}),
                        ('rare pair', {'serial': '0'}),
                        ('pair of 1 in 997', {'shard': '7', 'environment': 'production'}),
                        ('no such pair', {'serial': 'none'})):
        def page(pairs: Any = pairs) -> Sequence:
            return BackupList.get_all(admin, {'metadata': pairs}, limit=50)

        _print(f'all projects, first page of 50 by {name}', *_measure(page, repeat))
    _print('with_count', *_measure(lambda: [BackupList.count(member)], repeat))


def _marker(mine: range, behind: int, limit: int) -> str:
    """Return the marker of the page that has ``behind`` full pages of rows after it."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, str(mine[limit * (behind + 1)])))


def measure_http(url: str, number: int, projects: int, repeat: int) -> None:
    """Print what pages cost a client that asks one after another on one connection."""
    address = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or '', address.port, timeout=60)
    admin = f'admin:{PROJECT}'  # without roles: everything is allowed
    member = f'user:{PROJECT}:member,reader'
    pages = []
    for who, token, query, mine in (
            ('project', member, '', range(0, number, projects)),
            ('all projects', admin, 'all_tenants=1&', range(number))):
        for limit in (50, 1000):
            last = _marker(mine, 0, limit)
            pages += [(f'{who}, first page of {limit}', token, f'{query}limit={limit}'),
                      (f'{who}, last page of {limit}', token,
                       f'{query}limit={limit}&marker={last}')]
    pages.append(('project, first page of 50 by a pair', member,
                  'limit=50&metadata=' + urllib.parse.quote(repr({'shard': '8'}))))
    pages.append(('project, first page of 50 with count', member, 'limit=50&with_count=true'))
    with contextlib.closing(connection):
        for name, token, query in pages:
            def page(token: str = token, query: str = query) -> bytes:
                connection.request(
                    'GET', f'/v3/{PROJECT}/backups/detail?{query}',
                    headers={'X-Auth-Token': token, 'OpenStack-API-Version': 'volume 3.71'})
                response = connection.getresponse()
                body = response.read()
                if response.status != http.HTTPStatus.OK:
                    raise SystemExit(f'{query}: {response.status} {body!r}')
                return body

            _print(f'GET, {name}',
                   *_measure(page, repeat, lambda body: len(orjson.loads(body)['backups'])))


@contextlib.contextmanager
def _served(config: Any) -> Iterator[str]:
    """Serve the installed configuration's application; yield its URL."""
    config.set_override('auth_strategy', 'noauth', 'api')
    config.set_override('enabled_dialects', ['cinder_v3'], 'api')
    policy.reset()
    api = server.Server(paste.loadapp(config), '127.0.0.1', 0, 4)
    api.start()
    try:
        yield api.url
    finally:
        api.stop()


def _print(name: str, wall: float, cpu: float, statements: int, rows: int) -> None:
    print(f'{name:<58}{wall * 1000:>7.2f} ms{cpu * 1000:>7.2f} ms{statements:>5}{rows:>6}'
          f'{1 / wall:>9.0f}', flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--rows', type=int, default=100_000)
    parser.add_argument('--projects', type=int, default=4, help='the rows are spread over as many')
    parser.add_argument('--repeat', type=int, default=15)
    parser.add_argument('--database', metavar='URL', help='of an empty database')
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix='backupsvc-bench-') as directory:
        url = args.database or f'sqlite:///{pathlib.Path(directory) / "bench.sqlite"}'
        config = database.configuration(url, directory)
        with database.installed(config):
            migration.sync()
            begin = time.perf_counter()
            fill(args.rows, args.projects)
            print(f'{engine.get_engine().dialect.name}: {args.rows} backups of {args.projects} '
                  f'projects with 3 pairs each, filled in {time.perf_counter() - begin:.0f} s')
            measure(args.rows, args.projects, args.repeat)
            with _served(config) as served:
                measure_http(served, args.rows, args.projects, args.repeat)
    return 0


if __name__ == '__main__':
    sys.exit(main())
