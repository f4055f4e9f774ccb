# SPDX-License-Identifier: Apache-2.0
"""The service's own HTTP server: cheroot with a fixed number of threads, started and stopped from
code.
"""

import logging
import re
import threading
import time
import urllib.parse
from collections.abc import Callable
from typing import Any

from cheroot import wsgi

LOG = logging.getLogger(__name__)

#: Unread bytes of a refused request that are still taken in, so that its sender gets to read the
#: answer.
DRAIN_LIMIT = 16 * 1024 * 1024

#: Seconds that this may take.
DRAIN_S = 5

#: Unread bytes that may be left for the connection to be used again.
KEEP_ALIVE_LIMIT = 64 * 1024

_PIECE = 64 * 1024

#: Seconds beyond the shutdown timeout in which cheroot must have come to its end.
_STOP_MARGIN_S = 2
_ENCODED_SLASH = re.compile(rb'%2f', re.IGNORECASE)


class _Gateway(wsgi.Gateway_10):
    """cheroot's gateway, with whole paths and bounded memory."""

    def get_environ(self) -> dict[str, Any]:
        """Return the WSGI environment; cheroot leaves ``%2F`` encoded in the path, which PEP 3333
        does not.
        """
        environ = super().get_environ()
        if _ENCODED_SLASH.search(self.req.uri):
            path = urllib.parse.urlsplit(self.req.uri).path
            environ['PATH_INFO'] = urllib.parse.unquote_to_bytes(path).decode('latin-1')
        return environ

    def _unread(self) -> int:
        return getattr(self.req.rfile, 'remaining', 0)

    def start_response(self, status: str, headers: list, exc_info: Any = None) -> Callable:
        """Begin the answer; a connection with much unread on it is given up, as cheroot would read
        it all into memory to keep it.
        """
        if self._unread() > KEEP_ALIVE_LIMIT:
            self.req.close_connection = True
        return super().start_response(status, headers, exc_info)

    def respond(self) -> None:
        """Answer; then read on for a while if the client is still sending, because closing now
        would destroy the answer on its way.
        """
        super().respond()
        if not self.req.close_connection:
            return
        left = min(self._unread(), DRAIN_LIMIT)
        until = time.monotonic() + DRAIN_S
        try:
            while left > 0 and (wait := until - time.monotonic()) > 0:
                self.req.conn.socket.settimeout(wait)
                piece = self.req.rfile.read(min(left, _PIECE))
                if not piece:
                    break
                left -= len(piece)
        except OSError:
            LOG.debug('The client of a refused request stopped sending')


class _Server(wsgi.Server):
    """cheroot's server with its errors in our log."""

    def error_log(self, msg: str = '', level: int = logging.INFO, traceback: bool = False) -> None:
        """Take a message of cheroot's."""
        LOG.log(level, '%s', msg, exc_info=traceback)


class Server:
    """One listening address and the threads that serve it.

    :param app: WSGI application
    :param host: address to listen on
    :param port: TCP port; 0 picks a free one, see ``port`` after ``start``
    :param threads: requests worked on at the same time
    :param shutdown_timeout: seconds that ``stop`` waits for requests in flight
    """

    def __init__(
        self, app: Callable, host: str, port: int, threads: int = 16, shutdown_timeout: float = 30
    ):
        self.host = host
        self._server = _Server(
            (host, port),
            app,
            numthreads=threads,
            max=threads,
            server_name='backupsvc',
            request_queue_size=128,
            shutdown_timeout=shutdown_timeout,
            timeout=60,
        )
        self._server.gateway = _Gateway
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port listened on."""
        return self._server.bind_addr[1]

    @property
    def url(self) -> str:
        """Base URL of this server, without a trailing slash."""
        host = f'[{self.host}]' if ':' in self.host else self.host
        return f'http://{host}:{self.port}'

    def start(self) -> None:
        """Listen and serve in the background; requests are taken when this returns.

        :raises OSError: the address cannot be listened on
        """
        failed: list[BaseException] = []
        listening = threading.Event()

        def serve() -> None:
            # The worker threads are started here because they inherit from this thread that they
            # do not keep the process alive: a request that never ends must not.
            try:
                self._server.prepare()
            except BaseException as error:
                failed.append(error)
                return
            finally:
                listening.set()
            self._server.serve()

        self._thread = threading.Thread(target=serve, name='http-accept', daemon=True)
        self._thread.start()
        listening.wait()
        if failed:
            self._thread.join()
            self._thread = None
            raise failed[0]

    def stop(self) -> None:
        """Take no more requests and let those in flight end within ``shutdown_timeout``.

        Requests that are still not done then are left to themselves; they end with the process.
        """
        if self._thread is None:
            return
        stopping = threading.Thread(target=self._server.stop, name='http-stop', daemon=True)
        stopping.start()
        stopping.join(self._server.shutdown_timeout + _STOP_MARGIN_S)
        if stopping.is_alive():
            LOG.warning('Requests in flight did not end in time and are given up')
        self._thread.join(_STOP_MARGIN_S)
        self._thread = None

    def wait(self) -> None:
        """Block until somebody calls ``stop``."""
        thread = self._thread
        if thread is not None:
            thread.join()
