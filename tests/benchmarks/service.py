# SPDX-License-Identifier: Apache-2.0
"""What the service costs above the engine: from the REST call until the backup is available,
against ``backupsvc-manage repository`` on the same bytes, in alternation.

    python -m tests.benchmarks.service --volumes DIR --work DIR [--case a] [--rounds 3]

The volumes are those of ``tests.benchmarks.volumes``. Each round uses a new container, and a new
repository for the engine: *full* is the first generation, *incr* the second one, *same* the second
one again, *restore* the last into a new volume. Ends with status 1 when a median is more than 10 %
and one second above the engine's. CPU seconds are of all processes but this one: on a machine that
does other things too they say more than the clock.
"""

import argparse
import functools
import http.client
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tests.fixtures.processes import Client
from tests.fixtures.standalone import Standalone

GIB = 1 << 30
STEPS = ('full', 'incr', 'same', 'restore')
ALLOWED_FACTOR, ALLOWED_S = 1.1, 1.0

#: Seconds between two looks at a record, as a client that waits would take them.
_LOOK_S = 0.1


class Cost(NamedTuple):
    """Seconds on the clock and of CPU."""

    wall: float
    cpu: float


def _cost(step: Callable[[], object], cpu: Callable[[], float]) -> Cost:
    """Take a step while nothing that an earlier one wrote is on its way to the disk."""
    os.sync()
    cpu_before, began = cpu(), time.perf_counter()
    step()
    return Cost(time.perf_counter() - began, cpu() - cpu_before)


class Engine:
    """The engine alone, by its command."""

    def __init__(self, work: pathlib.Path):
        self._work = work
        self._place: list[str] = []

    def begin(self, number: int) -> None:
        """Make the repository of a round."""
        place = self._work / f'engine-{number}'
        self._place = ['--repository', str(place / 'repo'), '--key-file', str(place / 'key'),
                       '--cache-dir', str(place / 'cache')]
        self._run('init')

    def cpu(self) -> float:
        """Return the CPU seconds of all that this ran so far."""
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    def backup(self, image: pathlib.Path, name: str, parent: str | None) -> None:
        """Archive an image."""
        self._run('archive', str(image), '--id', name, '--parent', parent or '-')

    def restore(self, name: str, out: pathlib.Path) -> None:
        """Restore to a new file."""
        self._run('restore', name, str(out))

    def _run(self, verb: str, *args: str) -> None:
        subprocess.run([sys.executable, '-m', 'backupsvc.cmd.manage', 'repository', verb, *args,
                        *self._place], check=True, stdout=subprocess.DEVNULL)


class Service:
    """The service, by its REST API."""

    def __init__(self, standalone: Standalone, size_gb: int):
        self._standalone = standalone
        self._client = Client(urllib.parse.urlsplit(standalone.url).port or 0)
        self._container = ''
        self._ids: dict[str, str] = {}
        self.size_gb = size_gb
        self.volume = self._post('/volumes', {'volume': {'size': size_gb}})['volume']['id']
        self._await(f'/volumes/{self.volume}', 'volume')

    def begin(self, number: int) -> None:
        """Choose the container of a round."""
        self._container = f'round-{number}'
        self._ids.clear()

    def fill(self, image: pathlib.Path) -> None:
        """Make the volume hold what an image does."""
        subprocess.run(['cp', '--sparse=always', str(image),
                        str(self._standalone.volume_path(self.volume))], check=True)

    def cpu(self) -> float:
        """Return the CPU seconds of the service and of its movers that have ended."""
        with open(f'/proc/{self._standalone.pid}/stat') as stream:
            ticks = stream.read().rpartition(')')[2].split()[11:15]
        return sum(map(int, ticks)) / os.sysconf('SC_CLK_TCK')

    def backup(self, name: str, parent: str | None) -> None:
        """Back the volume up."""
        made = self._post('/backups', {'backup': {
            'volume_id': self.volume, 'name': name, 'container': self._container,
            'incremental': parent is not None}})
        self._ids[name] = made['backup']['id']
        self._await(f'/backups/{made["backup"]["id"]}', 'backup')

    def restore(self, name: str) -> pathlib.Path:
        """Restore to a new volume and return its file."""
        backup = f'/backups/{self._ids[name]}'
        made = self._post(f'{backup}/restore', {'restore': {}})
        self._await(backup, 'backup')
        return self._standalone.volume_path(made['restore']['volume_id'])

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        status, content = self._client('POST', path, body)
        if status >= http.client.BAD_REQUEST:
            raise SystemExit(f'POST {path}: {status} {content}')
        return content

    def _await(self, path: str, noun: str) -> None:
        while True:
            record = self._client('GET', path)[1][noun]
            if record['status'] == 'available':
                return
            if record['status'].startswith('error'):
                raise SystemExit(f'{path}: {record}')
            time.sleep(_LOOK_S)


def _round(number: int, engine: Engine, service: Service, case: str, volumes: pathlib.Path,
           work: pathlib.Path) -> dict[str, tuple[Cost, Cost]]:
    """Return step → what it cost the engine and the service."""
    costs = {}
    engine.begin(number)
    service.begin(number)
    for step, generation, name, parent in (
            ('full', 1, 'n1', None), ('incr', 2, 'n2', 'n1'), ('same', 2, 'n3', 'n2')):
        image = volumes / f'{case}{generation}.img'
        service.fill(image)
        costs[step] = (
            _cost(functools.partial(engine.backup, image, name, parent), engine.cpu),
            _cost(functools.partial(service.backup, name, parent), service.cpu))
    out = work / 'out.img'
    alone = _cost(lambda: engine.restore('n3', out), engine.cpu)
    out.unlink()
    restored: list[pathlib.Path] = []
    costs['restore'] = (
        alone, _cost(lambda: restored.append(service.restore('n3')), service.cpu))
    subprocess.run(['cmp', *restored, volumes / f'{case}2.img'], check=True)
    restored[0].unlink()
    return costs


def main(argv: Sequence[str] | None = None) -> int:
    """Run the rounds; 1 where the service costs more than it may."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--volumes', required=True, type=pathlib.Path)
    parser.add_argument('--work', required=True, type=pathlib.Path, help='emptied; some 10 GB')
    parser.add_argument('--case', default='a')
    parser.add_argument('--rounds', type=int, default=3)
    args = parser.parse_args(argv)
    shutil.rmtree(args.work, ignore_errors=True)
    args.work.mkdir(parents=True)
    size_gb = -(-(args.volumes / f'{args.case}1.img').stat().st_size // GIB)
    rounds = []
    try:
        with Standalone(args.work / 'state') as standalone:
            engine, service = Engine(args.work), Service(standalone, size_gb)
            for number in range(args.rounds):
                rounds.append(_round(number, engine, service, args.case, args.volumes, args.work))
                print(number, '  '.join(
                    f'{step} {engine_cost.wall:.2f}/{service_cost.wall:.2f}'
                    for step, (engine_cost, service_cost) in rounds[-1].items()), flush=True)
    finally:
        shutil.rmtree(args.work, ignore_errors=True)
    return _show(rounds)


def _show(rounds: list[dict[str, tuple[Cost, Cost]]]) -> int:
    print('\n| step | engine s | service s | more | allowed | engine CPU | service CPU |')
    print('|---|---|---|---|---|---|---|')
    is_missed = False
    for step in STEPS:
        engine, service = (
            Cost(*(statistics.median(values)
                   for values in zip(*(found[step][which] for found in rounds), strict=True)))
            for which in (0, 1))
        allowed = engine.wall * (ALLOWED_FACTOR - 1) + ALLOWED_S
        more = service.wall - engine.wall
        is_missed |= more > allowed
        print(f'| {step} | {engine.wall:.2f} | {service.wall:.2f} | {more:.2f} | {allowed:.2f}'
              f'{" MISSED" if more > allowed else ""} | {engine.cpu:.2f} | {service.cpu:.2f} |')
    return int(is_missed)


if __name__ == '__main__':
    sys.exit(main())
