# SPDX-License-Identifier: Apache-2.0
"""What a process counts of the requests that it answers, and how metrics are written for
Prometheus.

The counts are those of this process. Where a server runs several (uwsgi, gunicorn), each of them
and the one that is asked share a directory, named in the environment as
``PROMETHEUS_MULTIPROC_DIR`` before any of them starts; the counts are then those of all.
"""

import os
from collections.abc import Iterator, Sequence
from typing import Protocol

import prometheus_client
from prometheus_client import exposition, metrics_core, multiprocess, process_collector

#: What a request was not given to; and methods of HTTP that nobody serves.
OTHER = 'other'

_METHODS = frozenset({'GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'})

#: Seconds; lists take milliseconds, forwarded downloads as long as they take.
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

# When each series began: a second series for each, that nobody asks for.
prometheus_client.disable_created_metrics()

_registry = prometheus_client.CollectorRegistry()

_requests = prometheus_client.Counter(
    'backupsvc_api_requests', 'Requests answered by this process.',
    ('dialect', 'method', 'route', 'code'), registry=_registry)

_seconds = prometheus_client.Histogram(
    'backupsvc_api_request_duration_seconds',
    'Seconds from the first byte of a request to the last one of its answer.',
    ('dialect',), buckets=_BUCKETS, registry=_registry)


class Collector(Protocol):
    """Gives metrics when it is asked."""

    def collect(self) -> Iterator[metrics_core.Metric]:
        """Yield metrics."""


def count_request(dialect: str, method: str, route: str, code: str, seconds: float) -> None:
    """Count a request that was answered.

    :param dialect: its name; ``OTHER`` where none was reached
    :param route: the template of its path, never the path itself; ``OTHER`` where none was
        reached
    """
    known = method if method in _METHODS else OTHER
    _requests.labels(dialect, known, route, code).inc()
    _seconds.labels(dialect).observe(seconds)


class _Together:
    """Several collectors as one registry."""

    def __init__(self, collectors: Sequence[Collector]):
        self._collectors = collectors

    def collect(self) -> Iterator[metrics_core.Metric]:
        for collector in self._collectors:
            yield from collector.collect()


def _of_requests() -> list[Collector]:
    if not os.environ.get('PROMETHEUS_MULTIPROC_DIR'):
        return [_registry, process_collector.ProcessCollector(registry=None)]
    shared = prometheus_client.CollectorRegistry()
    multiprocess.MultiProcessCollector(shared)
    return [shared]


def render(accept: str, further: Collector) -> tuple[str, bytes]:
    """Return (content type, text) of all metrics.

    :param accept: the request's ``Accept``; a scraper that asks for OpenMetrics gets it
    :param further: what is not counted in processes that answer requests
    """
    encode, content_type = exposition.choose_encoder(accept)
    return content_type, encode(_Together([further, *_of_requests()]))
