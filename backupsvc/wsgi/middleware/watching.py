# SPDX-License-Identifier: Apache-2.0
"""What the filters have in common that look at each request when its answer has been sent."""

import abc
import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any


@dataclasses.dataclass
class Exchange:
    """A request and what became of it.

    :ivar status: of the answer, as text; ``-`` until it has begun
    :ivar sent: bytes of the answer's body
    """

    environ: dict[str, Any]
    status: str = '-'
    sent: int = 0
    began: float = dataclasses.field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Seconds since the request came."""
        return time.monotonic() - self.began


class Watcher(abc.ABC):
    """Base of a WSGI filter that calls ``ended`` once for each request, when the server has sent
    the answer.
    """

    def __init__(self, application: Callable):
        self.application = application

    def __call__(self, environ: dict[str, Any], start_response: Callable) -> Any:
        """Serve and watch."""
        exchange = Exchange(environ)

        def started(line: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            exchange.status = line.split(' ', 1)[0]
            return (
                start_response(line, headers, exc_info)
                if exc_info
                else start_response(line, headers)
            )

        return _Body(self.serve(exchange, started), exchange, self.ended)

    def serve(self, exchange: Exchange, start_response: Callable) -> Any:
        """Answer a request; for a filter that does more than to hand it on."""
        return self.application(exchange.environ, start_response)

    @abc.abstractmethod
    def ended(self, exchange: Exchange) -> None:
        """Take note of a request."""


class _Body:
    """The answer's body on its way out."""

    def __init__(self, body: Any, exchange: Exchange, ended: Callable[[Exchange], None]):
        self._body = body
        self._exchange = exchange
        self._ended = ended

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._body:
            self._exchange.sent += len(piece)
            yield piece

    def close(self) -> None:
        if hasattr(self._body, 'close'):
            self._body.close()
        self._ended(self._exchange)
