# SPDX-License-Identifier: Apache-2.0
"""Counts requests by dialect, route and status, when their answers have been sent."""

from backupsvc.wsgi import handler, metrics
from backupsvc.wsgi.middleware import watching


class RequestMetrics(watching.Watcher):
    """WSGI filter in front of everything that may refuse a request, and of what answers for
    requests that nobody else could.
    """

    def ended(self, exchange: watching.Exchange) -> None:
        """Count a request."""
        dialect, route = exchange.environ.get(handler.SERVED, (metrics.OTHER, metrics.OTHER))
        metrics.count_request(
            dialect,
            exchange.environ['REQUEST_METHOD'],
            route,
            exchange.status,
            exchange.seconds,
        )
