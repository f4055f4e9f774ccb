# SPDX-License-Identifier: Apache-2.0
"""oslo.middleware's body size limit, answered by the dialect in its own shape instead of HTML."""

from collections.abc import Callable
from typing import Any

from oslo_middleware import sizelimit

from backupsvc.wsgi import errors, handler

#: Bytes asked for at once from a body of unknown length.
PIECE = 65536


class BoundedReader(sizelimit.LimitingReader):
    """A reader that never holds more than the limit, also when asked for everything."""

    def read(self, i: int | None = None) -> bytes:
        """Read ``i`` bytes, or all when ``i`` is None or negative.

        :raises webob.exc.HTTPRequestEntityTooLarge: the body is longer than the limit
        """
        if i is not None and i >= 0:
            return super().read(min(i, self.limit + 1))
        pieces = []
        while piece := super().read(PIECE):
            pieces.append(piece)
        return b''.join(pieces)


class SizeLimit(sizelimit.RequestBodySizeLimiter):
    """WSGI filter for ``[oslo_middleware] max_request_body_size``.

    An announced length over the limit is refused before a byte is read; a body of unknown length
    is cut off at the limit.
    """

    def __call__(self, environ: dict[str, Any], start_response: Callable) -> Any:
        """Check or bound the body and go on."""
        limit = self._conf_get('max_request_body_size')
        announced = environ.get('CONTENT_LENGTH')
        if not announced:
            environ['wsgi.input'] = BoundedReader(environ['wsgi.input'], limit)
        elif not (announced.isascii() and announced.isdigit()):
            environ[handler.REFUSED] = errors.BadRequest('Invalid Content-Length')
            environ.pop('CONTENT_LENGTH')
        elif int(announced) > limit:
            environ[handler.REFUSED] = errors.BodyTooLarge(
                f'Request is too large. Larger than max_request_body_size ({limit}).'
            )
        return self.application(environ, start_response)
