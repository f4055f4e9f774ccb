# SPDX-License-Identifier: Apache-2.0
"""Counts requests by dialect, route and status, when their answers have been sent."""

import time
from collections.abc import Callable, Iterator
from typing import Any

from backupsvc.wsgi import handler, metrics


class RequestMetrics:
    """WSGI filter in front of everything that may refuse a request."""

    def __init__(self, application: Callable):
        self.application = application

    def __call__(self, environ: dict[str, Any], start_response: Callable) -> Any:
        """Serve and count."""
        began = time.monotonic()
        status = ['-']

        def started(line: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            status[0] = line.split(' ', 1)[0]
            return (
                start_response(line, headers, exc_info)
                if exc_info
                else start_response(line, headers)
            )

        try:
            body = self.application(environ, started)
        except Exception:
            _count(environ, '500', began)
            raise
        return _Counted(body, environ, status, began)


def _count(environ: dict[str, Any], status: str, began: float) -> None:
    dialect, route = environ.get(handler.SERVED, (metrics.OTHER, metrics.OTHER))
    metrics.count_request(
        dialect, environ['REQUEST_METHOD'], route, status, time.monotonic() - began)


class _Counted:
    """The answer's body on its way out; counts when the server closes it."""

    def __init__(self, body: Any, environ: dict[str, Any], status: list[str], began: float):
        self._body = body
        self._environ = environ
        self._status = status
        self._began = began

    def __iter__(self) -> Iterator[bytes]:
        yield from self._body

    def close(self) -> None:
        if hasattr(self._body, 'close'):
            self._body.close()
        _count(self._environ, self._status[0], self._began)
