# SPDX-License-Identifier: Apache-2.0
"""Measure dumps and loads of databases against the same tools by hand.

    python -m tests.benchmarks.databases [--mib 2048] [--rounds 3]

Fills a server of the mariadb driver, then in alternation dumps it through the driver and by
``mariadb-backup --stream=xbstream | pigz``, at one level with one number of threads, and loads the
dump through the driver and by ``pigz -dc | mbstream -x`` and ``--prepare``. Prints medians and the
ratio of the speeds; more than 1 is faster than by hand. Needs the package pigz.
"""

import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import time
import uuid
from collections.abc import Callable

from backupsvc.drivers.base import StoredDump
from tests.fixtures import mariadb_servers
from tests.fixtures.mariadb_servers import ADMIN, PASSWORD

LEVEL = 1
_CHUNK = 1024 ** 2
_WORDS = ('alpha', 'bravo', 'charlie', 'delta', 'echo', 'foxtrot', 'golf', 'hotel')


def fill(servers: mariadb_servers.Servers, server: str, mib: int) -> None:
    """Make tables of rows like those of an application: numbers, words, and some noise."""
    servers.root(server)
    servers.query(server, 'CREATE DATABASE bench')
    words = ', '.join(f"'{word}'" for word in _WORDS)
    word = f'ELT(1 + RAND() * {len(_WORDS) - 1}, {words})'
    text = ', '.join([word] * 20)
    row = f"{word}, RAND() * 1000000, NOW(), CONCAT_WS(' ', {text}, SHA2(RAND(), 512))"
    for number in range(max(1, mib // 256)):
        table = f'bench.t{number}'
        servers.query(server, f'CREATE TABLE {table} (id INT PRIMARY KEY AUTO_INCREMENT,'
                              ' word VARCHAR(20), number INT, at DATETIME, text TEXT, KEY (word))')
        while True:
            servers.query(server, f'INSERT INTO {table} (word, number, at, text)'
                                  f' SELECT {row} FROM bench.seq_1_to_50000')
            size = servers.driver.show(ADMIN, server).used_bytes
            if size >= min(mib, (number + 1) * 256) * 1024 ** 2:
                break


def measured(work: Callable[[], object]) -> float:
    """Return how many seconds something takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--mib', type=int, default=2048)
    parser.add_argument('--rounds', type=int, default=3)
    arguments = parser.parse_args()
    threads = os.cpu_count() or 1
    if not shutil.which('pigz'):
        parser.error('install pigz')
    with mariadb_servers.deployed(volumes='never', compression_level=LEVEL) as servers:
        driver = servers.driver
        server = servers.make(ram_mb=1024)
        fill(servers, server, arguments.mib)
        kept, by_hand = servers.directory / 'dump', servers.directory / 'by-hand'

        def dump() -> None:
            with driver.dump(ADMIN, server) as opened, open(kept, 'wb') as out:
                while data := opened.read(_CHUNK):
                    out.write(data)
                opened.facts()

        socket = driver._server(driver._records.load(server)).socket

        def dump_by_hand() -> None:
            subprocess.run(
                f'mariadb-backup --no-defaults --backup --stream=xbstream --user=bench'
                f' --password={PASSWORD} --socket={socket} --target-dir={servers.directory}/x'
                f' | pigz -{LEVEL} -p{threads} > {by_hand}', shell=True, check=True,
                stderr=subprocess.DEVNULL)

        servers.query(server, f"CREATE USER bench@localhost IDENTIFIED BY '{PASSWORD}'")
        servers.query(server, 'GRANT ALL ON *.* TO bench@localhost')

        def load() -> None:
            target = str(uuid.uuid4())
            driver.provision(ADMIN, target, servers.new(ram_mb=1024), for_load=True)
            driver.load(ADMIN, target, [StoredDump(lambda: kept.open('rb'))])
            driver.remove(ADMIN, target)

        def load_by_hand() -> None:
            target = pathlib.Path(servers.directory / 'target')
            target.mkdir()
            subprocess.run(
                f'pigz -dc {by_hand} | mbstream -x -C {target}'
                f' && mariadb-backup --no-defaults --prepare --use-memory=660M'
                f' --target-dir={target}', shell=True, check=True, stderr=subprocess.DEVNULL)
            shutil.rmtree(target)

        times: dict[str, list[float]] = {}
        for _ in range(arguments.rounds):
            for name, work in (('dump', dump), ('dump by hand', dump_by_hand),
                               ('load', load), ('load by hand', load_by_hand)):
                times.setdefault(name, []).append(measured(work))
        data_bytes = driver.show(ADMIN, server).used_bytes
        print(f'{data_bytes / 1024 ** 2:.0f} MiB of data; {kept.stat().st_size / 1024 ** 2:.0f}'
              f' MiB in the dump, {by_hand.stat().st_size / 1024 ** 2:.0f} by hand;'
              f' level {LEVEL}, {threads} threads, {arguments.rounds} rounds')
        for name in ('dump', 'load'):
            ours, theirs = (statistics.median(times[key]) for key in (name, f'{name} by hand'))
            print(f'{name}: {ours:.2f} s, by hand {theirs:.2f} s, ratio {theirs / ours:.2f}'
                  f'  ({", ".join(f"{one:.1f}" for one in times[name])};'
                  f' {", ".join(f"{one:.1f}" for one in times[f"{name} by hand"])})')


if __name__ == '__main__':
    main()
