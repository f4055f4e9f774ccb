# SPDX-License-Identifier: Apache-2.0
"""One line of log for each request, and the last resort for what got past every other handler of
errors.
"""

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from backupsvc.wsgi import errors

LOG = logging.getLogger(__name__)


class RequestLog:
    """WSGI filter that logs method, path, status, bytes sent, milliseconds and request id, when
    the answer has been sent.

    Headers are never logged, because tokens are in them, and neither are queries, because tenants
    put names there.
    """

    def __init__(self, application: Callable):
        self.application = application

    def __call__(self, environ: dict[str, Any], start_response: Callable) -> Any:
        """Serve and log."""
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
            if status[0] != '-':
                # The answer has begun; only cutting it off tells the client.
                raise
            LOG.exception(
                'Unexpected error in request %s', environ.get('openstack.request_id', '-')
            )
            fault = errors.HTTPFault()
            text = orjson.dumps({'error': {'code': fault.status, 'message': fault.message}})
            headers = [('Content-Type', 'application/json'), ('Content-Length', str(len(text)))]
            started('500 Internal Server Error', headers)
            body = [text]
        return _Logged(body, environ, status, began)


class _Logged:
    """The answer's body on its way out; logs when the server closes it."""

    def __init__(self, body: Any, environ: dict[str, Any], status: list[str], began: float):
        self._body = body
        self._environ = environ
        self._status = status
        self._began = began
        self._sent = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._body:
            self._sent += len(piece)
            yield piece

    def close(self) -> None:
        if hasattr(self._body, 'close'):
            self._body.close()
        path = self._environ.get('SCRIPT_NAME', '') + self._environ.get('PATH_INFO', '')
        LOG.info(
            '%s %s status: %s bytes: %d ms: %.1f request: %s',
            self._environ['REQUEST_METHOD'],
            path.encode('unicode_escape').decode('ascii'),
            self._status[0],
            self._sent,
            (time.monotonic() - self._began) * 1000,
            self._environ.get('openstack.request_id', '-'),
        )
