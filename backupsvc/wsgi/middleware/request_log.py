# SPDX-License-Identifier: Apache-2.0
"""One line of log for each request, and the last resort for what got past every other handler of
errors.
"""

import logging
from collections.abc import Callable
from typing import Any

import orjson

from backupsvc.wsgi import errors
from backupsvc.wsgi.middleware import watching

LOG = logging.getLogger(__name__)


class RequestLog(watching.Watcher):
    """WSGI filter that logs method, path, status, bytes sent, milliseconds and request id, when
    the answer has been sent.

    Headers are never logged, because tokens are in them, and neither are queries, because tenants
    put names there.
    """

    def serve(self, exchange: watching.Exchange, start_response: Callable) -> Any:
        """Answer a request, with a 500 if need be."""
        try:
            return self.application(exchange.environ, start_response)
        except Exception:
            if exchange.status != '-':
                # The answer has begun; only cutting it off tells the client.
                raise
            LOG.exception(
                'Unexpected error in request %s',
                exchange.environ.get('openstack.request_id', '-'),
            )
            fault = errors.HTTPFault()
            text = orjson.dumps({'error': {'code': fault.status, 'message': fault.message}})
            headers = [('Content-Type', 'application/json'), ('Content-Length', str(len(text)))]
            start_response('500 Internal Server Error', headers)
            return [text]

    def ended(self, exchange: watching.Exchange) -> None:
        """Log a request."""
        environ = exchange.environ
        path = environ.get('SCRIPT_NAME', '') + environ.get('PATH_INFO', '')
        LOG.info(
            '%s %s status: %s bytes: %d ms: %.1f request: %s',
            environ['REQUEST_METHOD'],
            path.encode('unicode_escape').decode('ascii'),
            exchange.status,
            exchange.sent,
            exchange.seconds * 1000,
            environ.get('openstack.request_id', '-'),
        )
