# SPDX-License-Identifier: Apache-2.0
"""A mover's restore of a backup that another service made."""

from collections.abc import Callable
from typing import Any

from backupsvc import conf as configuration
from backupsvc.context import RequestContext
from backupsvc.drivers import loader
from backupsvc.engine.progress import Progress, Reporter
from backupsvc.engine.repository import default_workers
from backupsvc.engine.source import Target


def restore(context: RequestContext, job: dict[str, Any], target: Target,
            report: Callable[[Any], None], cancelled: Callable[[], bool]) -> Any:
    """Write a located backup to a target.

    :param job: ``driver``, ``place`` as that driver found it, and ``size_bytes``
    :returns: a dataclass with the counters of the work
    """
    reporter = Reporter(report, None)
    last = Progress(bytes_total=job['size_bytes'])

    def count(done: int, fetched: int) -> None:
        last.bytes_done, last.bytes_read = done, fetched
        reporter.tick(lambda: last)

    loader.foreign_driver(job['driver']).restore(
        context, job['place'], target, workers=configuration.current().engine.workers
        or default_workers(), report=count, cancelled=cancelled)
    reporter.last(last)
    return last
