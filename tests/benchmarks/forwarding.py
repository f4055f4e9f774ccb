# SPDX-License-Identifier: Apache-2.0
"""Measure what forwarding costs: the same requests to Cinder directly and through this service.

    OS_CLOUD=mycloud python -m tests.benchmarks.forwarding \
        --direct http://cinder.example.org:8776/v3 --through https://backup.example.org:8110/v3

Asks as the user of clouds.yaml that ``OS_CLOUD`` names, both ways in alternation over kept
connections, and prints the medians in milliseconds and their ratio. Nothing is changed in the
cloud but a volume that is made and deleted.
"""

import argparse
import concurrent.futures
import statistics
import sys
import time
from collections.abc import Callable, Sequence

import openstack
import requests
from openstack import connection

_MICROVERSION = 'volume 3.70'


class Way:
    """One way to Cinder.

    :param base: the endpoint, up to and with ``/v3``
    """

    def __init__(self, base: str, cloud: connection.Connection):
        self._base = base.rstrip('/')
        self._project_id = cloud.current_project_id
        self._session = requests.Session()
        self._session.headers.update(
            {'X-Auth-Token': cloud.auth_token, 'OpenStack-API-Version': _MICROVERSION})

    def ask(self, method: str, path: str, expected: int = 200) -> None:
        """Make one request and read its answer.

        :raises AssertionError: it has another status than ``expected``
        """
        answer = self._session.request(
            method, f'{self._base}/{self._project_id}{path}', timeout=60)
        assert answer.status_code == expected, f'{method} {path}: {answer.status_code}'

    def timed(self, method: str, path: str) -> float:
        """Return how many milliseconds a request took."""
        began = time.perf_counter()
        self.ask(method, path)
        return 1000 * (time.perf_counter() - began)


def _compare(name: str, ways: Sequence[Way], count: int,
             measure: Callable[[Way], float]) -> float:
    """Print a line and return the ratio."""
    found: list[list[float]] = [[], []]
    for number in range(2 * count):
        found[number % 2].append(measure(ways[number % 2]))
    direct, through = (statistics.median(each) for each in found)
    print(f'{name:32} {direct:10.1f} {through:10.1f} {through / direct:8.2f} '
          f'{through - direct:+8.1f}')
    return through / direct


def _parallel(way: Way, path: str, requests_each: int, threads: int) -> float:
    """Return the milliseconds per request of several clients at once."""
    began = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(way.ask, 'GET', path) for _ in range(requests_each * threads)]:
            done.result()
    return 1000 * (time.perf_counter() - began) / (requests_each * threads)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; the status is 1 if the median of the ratios passes ``--limit``."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--direct', required=True, help="Cinder's own endpoint, with /v3")
    parser.add_argument('--through', required=True, help='this service, with /v3')
    parser.add_argument('--count', type=int, default=200, help='requests of each kind, each way')
    parser.add_argument('--limit', type=float, help='ratio that the median must not pass')
    args = parser.parse_args(argv)
    with openstack.connect() as cloud:
        ways = [Way(args.direct, cloud), Way(args.through, cloud)]
        volume = cloud.block_storage.create_volume(size=1, name='forwarding-benchmark')
        cloud.block_storage.wait_for_status(volume, 'available', interval=0.5)
        try:
            return _run(ways, volume.id, args)
        finally:
            cloud.block_storage.delete_volume(volume)


def _run(ways: Sequence[Way], volume_id: str, args: argparse.Namespace) -> int:
    print(f'{"milliseconds, median":32} {"direct":>10} {"through":>10} {"ratio":>8} {"more":>8}')
    ratios = [
        _compare(f'GET {path.replace(volume_id, "{id}")}', ways, args.count,
                 lambda way, path=path: way.timed('GET', path))
        for path in (f'/volumes/{volume_id}', '/volumes/detail', '/types', '/snapshots')]
    ratios.append(_compare(
        'GET /volumes/{id}, 4 at once', ways, max(args.count // 40, 1),
        lambda way: _parallel(way, f'/volumes/{volume_id}', 10, 4)))
    ratio = statistics.median(ratios)
    print(f'median of the ratios: {ratio:.2f}')
    return int(args.limit is not None and ratio > args.limit)


if __name__ == '__main__':
    sys.exit(main())
