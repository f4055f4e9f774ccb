# SPDX-License-Identifier: Apache-2.0
"""Forwarding of a request to the service behind this one, streamed both ways in bounded memory.

What stays as it was: method, query, body, token, microversion and every other end-to-end header;
the request id goes along as the global one. What does not: hop-by-hop headers, what our own
authentication added, and links to the service behind, which become links to us. Redirects are
handed on, never followed. A path cannot leave the prefix it is put under.

Where the service behind is this process itself, ``dispatch.py`` does the same without a socket.
"""

import functools
import hashlib
import http.client
import io
import logging
import re
import socket
import ssl
import time
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import webob
import webob.exc

from backupsvc import conf as service_conf
from backupsvc.wsgi import errors
from backupsvc.wsgi.request import Request

LOG = logging.getLogger(__name__)

#: The name of the service that most requests are forwarded to.
BLOCK_STORAGE = 'Block Storage service (Cinder)'

#: Bytes moved at once, either way.
PIECE = 64 * 1024

#: JSON bodies up to this size are read whole so that their links can be rewritten; longer ones are
#: streamed as they are.
REWRITE_LIMIT = 4 * 1024 * 1024

#: Headers that concern one connection only (RFC 9110 section 7.6.1), beside those that
#: ``Connection`` names.
HOP_BY_HOP = frozenset(
    (
        'connection',
        'keep-alive',
        'proxy-authenticate',
        'proxy-authorization',
        'proxy-connection',
        'te',
        'trailer',
        'transfer-encoding',
        'upgrade',
    )
)

#: Request headers that are made anew, or that only make sense to the first server.
_REPLACED = frozenset(
    (
        'host',
        'content-length',
        'expect',
        'accept-encoding',
        'forwarded',
        'x-openstack-request-id',
    )
)

#: What keystonemiddleware tells us about a caller; the service behind finds out for itself.
_IDENTITY = re.compile(
    r'x-(forwarded-|real-ip\Z|(service-)?(user|project|domain|tenant|role|identity)|is-admin'
    r'|service-catalog|system-scope|trust|key-manager)|openstack-system-scope'
)

_ESCAPE = re.compile(r'%(2f|5c|2e|00)', re.IGNORECASE)

#: What may stand unquoted in a path segment and in a query (RFC 3986 pchar; query).
_SEGMENT_SAFE = "!$&'()*+,;=:@~"
_QUERY_SAFE = _SEGMENT_SAFE + '/?%'

#: Path of a link, with its leading slash, below the service's base or else below its host → path
#: of the same thing here; None: there is no such thing here, and the link stays as it is.
Rewrite = Callable[[str], str | None]


class _TimedReader(io.RawIOBase):
    """A socket's reading side; each read ends within ``idle`` seconds, all within ``deadline``."""

    def __init__(self, sock: socket.socket, idle: float):
        self._sock = sock
        self._idle = idle
        self.deadline: float | None = time.monotonic() + idle

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        wait = self._idle
        if self.deadline is not None:
            wait = min(wait, self.deadline - time.monotonic())
            if wait <= 0:
                raise TimeoutError('the head of the answer took too long')
        self._sock.settimeout(wait)
        return self._sock.recv_into(buffer)


class _Reading:
    """What ``http.client.HTTPResponse`` wants of a socket."""

    def __init__(self, reader: _TimedReader):
        self._reader = reader

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self._reader, PIECE)


class _Exchange:
    """One connection to the service behind, one request on it and its answer."""

    def __init__(self, connection: http.client.HTTPConnection, timeout: float):
        self._connection = connection
        self._timeout = timeout
        self._response: http.client.HTTPResponse | None = None

    def close(self) -> None:
        """Give the connection up, whatever state it is in."""
        if self._response is not None:
            self._response.close()
        self._connection.close()

    def send(self, method: str, target: str, headers: list[tuple[str, str]]) -> None:
        connection = self._connection
        connection.connect()
        connection.sock.settimeout(self._timeout)
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value.encode('latin-1'))
        connection.endheaders()

    def send_body(self, pieces: Iterator[bytes], is_chunked: bool) -> None:
        """Send the body; a service that stops reading has answered already, which is no error."""
        try:
            for piece in pieces:
                if is_chunked:
                    piece = b'%x\r\n%b\r\n' % (len(piece), piece)
                self._connection.send(piece)
            if is_chunked:
                self._connection.send(b'0\r\n\r\n')
        except (BrokenPipeError, ConnectionResetError):
            LOG.debug('The service behind stopped reading the request')

    def receive(self, method: str) -> http.client.HTTPResponse:
        """Read the head of the answer, within the time allowed for all of it."""
        reader = _TimedReader(self._connection.sock, self._timeout)
        self._response = http.client.HTTPResponse(_Reading(reader), method=method)
        self._response.begin()
        if self._response.status < 200:
            raise http.client.BadStatusLine(str(self._response.status))
        reader.deadline = None
        return self._response

    def pieces(self) -> Iterator[bytes]:
        """Yield the body of the answer as it comes.

        :raises http.client.IncompleteRead: it ended before its announced end
        :raises TimeoutError: nothing came for too long
        """
        left = self._response.length
        while piece := self._response.read1(PIECE):
            if left is not None:
                left -= len(piece)
            yield piece
        if left:
            raise http.client.IncompleteRead(b'', left)


class _Streamed:
    """An answer's body on its way to the client; closing it gives the connection up."""

    def __init__(self, first: list[bytes], rest: Iterator[bytes], exchange: _Exchange):
        self._first = first
        self._rest = rest
        self._exchange = exchange

    def __iter__(self) -> Iterator[bytes]:
        yield from self._first
        # An error here is the server's sign to cut the client off: its answer has begun and
        # cannot be taken back, but it must not look complete.
        yield from self._rest

    def close(self) -> None:
        self._exchange.close()


class Forwarder:
    """Forwards requests to one service.

    :param base_url: the prefix that every path is put under, ``http://cinder:8776/v3``
    :param own_prefix: the prefix here that stands for ``base_url`` in links, ``/v3``; None leaves
        answers as they are, because nothing here stands for it
    :param connect_timeout: seconds to wait for the connection
    :param timeout: seconds to wait for the head of the answer, then for each piece of its body
    :param cafile: certificates that ``https`` is checked with; None takes the system's
    :param verify: False does not check certificates at all
    :param name: what the service is called when the client is told that it does not answer
    """

    def __init__(
        self,
        base_url: str,
        *,
        own_prefix: str | None = '',
        connect_timeout: float = 5,
        timeout: float = 60,
        cafile: str | None = None,
        verify: bool = True,
        name: str = 'service',
    ):
        parts = urllib.parse.urlsplit(base_url)
        if parts.scheme not in ('http', 'https') or not parts.hostname:
            raise ValueError(f'{base_url!r} is not the URL of an HTTP service')
        self._host = parts.hostname
        self._port = parts.port
        self._netloc = parts.netloc.rpartition('@')[2]
        self._origin = f'{parts.scheme}://{self._netloc}'
        self._prefix = parts.path.rstrip('/')
        # What every process that forwards to this place is called in Via (RFC 9110 section 7.6.3).
        digest = hashlib.sha256((self._origin + self._prefix).encode()).hexdigest()
        self._pseudonym = f'backupsvc-{digest[:16]}'
        self._own_prefix = own_prefix if own_prefix is None else own_prefix.rstrip('/')
        self._connect_timeout = connect_timeout
        self._timeout = timeout
        self._name = name
        self._tls: ssl.SSLContext | None = None
        if parts.scheme == 'https':
            self._tls = ssl.create_default_context(cafile=cafile)
            if not verify:
                self._tls.check_hostname = False
                self._tls.verify_mode = ssl.CERT_NONE

    def forward(
        self, req: Request, path: str | None = None, rewrite: Rewrite | None = None
    ) -> webob.Response:
        """Forward a request and return the answer, whose body is still on its way.

        :param path: path below the base, decoded, with its leading slash; None is what follows
            ``own_prefix`` in the request's own
        :param rewrite: what to make of links below the base; None puts them under ``own_prefix``
        :raises MalformedURL: the path could mean another place to the service behind
        :raises BodyTooLarge: the request's body passed the limit on its way
        :raises BadGateway: nothing there answers HTTP, or what is there is this service
        :raises GatewayTimeout: it does not answer in time
        """
        if path is None:
            path = req.decoded_path().removeprefix(self._own_prefix or '')
        target = self._target(req, path)
        if self._pseudonym in req.headers.get('Via', ''):
            raise errors.BadGateway(
                f'Requests for the {self._name} come back to this service, which is configured to '
                'find it at an address of its own.')
        headers, is_chunked = _request_headers(req, self._netloc)
        headers.append(('Via', f'1.1 {self._pseudonym}'))
        exchange = _Exchange(self._connection(), self._timeout)
        try:
            return self._exchange(req, exchange, target, headers, is_chunked, rewrite)
        except BaseException as error:
            exchange.close()
            translated = _translate(error, self._name)
            if translated is None:
                raise
            LOG.warning('Forwarding %s to %s failed: %r', req.method, self._origin, error)
            raise translated from error

    def _connection(self) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection(
                self._host, self._port, timeout=self._connect_timeout
            )
        return http.client.HTTPSConnection(
            self._host, self._port, timeout=self._connect_timeout, context=self._tls
        )

    def _target(self, req: Request, path: str) -> str:
        segments = checked_segments(req, path)
        quoted = '/'.join(urllib.parse.quote(segment, safe=_SEGMENT_SAFE) for segment in segments)
        query = req.environ.get('QUERY_STRING', '')
        if query:
            query = '?' + urllib.parse.quote(query.encode('latin-1'), safe=_QUERY_SAFE)
        return f'{self._prefix}/{quoted}{query}'

    def _exchange(
        self,
        req: Request,
        exchange: _Exchange,
        target: str,
        headers: list[tuple[str, str]],
        is_chunked: bool,
        rewrite: Rewrite | None,
    ) -> webob.Response:
        exchange.send(req.method, target, headers)
        exchange.send_body(_request_pieces(req), is_chunked)
        response = exchange.receive(req.method)
        answer = webob.Response(status=f'{response.status} {response.reason}'.strip())
        answer.headers.clear()
        rewriter = None
        if self._own_prefix is not None:
            rewriter = Links(self._origin, self._prefix, req, self._own_prefix, rewrite)
        answer.headers.extend(_answer_headers(response, rewriter))
        announced = (
            response.getheader('Content-Length') if req.method == 'HEAD' else response.length
        )
        pieces = exchange.pieces()
        start, is_whole = [], False
        if rewriter and _may_have_links(response):
            start, is_whole = _read_up_to(pieces, REWRITE_LIMIT)
        if rewriter and is_whole and req.method != 'HEAD':
            exchange.close()
            answer.body = rewriter.body(b''.join(start))
        else:
            answer.app_iter = _Streamed(start, pieces, exchange)
            if announced is not None and response.status not in (204, 304):
                answer.headers['Content-Length'] = str(announced)
        return answer


@functools.lru_cache(maxsize=32)
def _cached(
    base_url: str,
    own_prefix: str | None,
    connect_timeout: float,
    timeout: float,
    cafile: str | None,
    name: str,
) -> Forwarder:
    return Forwarder(
        base_url,
        own_prefix=own_prefix,
        connect_timeout=connect_timeout,
        timeout=timeout,
        cafile=cafile,
        name=name,
    )


def to(
    base_url: str, *, own_prefix: str | None, name: str, cafile: str | None = None
) -> Forwarder:
    """Return the forwarder to a service, with the timeouts of the configuration.

    :param name: what clients are told when it does not answer
    """
    options = service_conf.current().api
    return _cached(
        base_url, own_prefix, options.forward_connect_timeout, options.forward_timeout, cafile,
        name,
    )


def checked_segments(req: Request, path: str) -> list[str]:
    """Return the segments of a decoded path.

    :raises MalformedURL: to the service behind it could mean another place than to us
    """
    raw = req.environ.get('REQUEST_URI') or req.environ.get('RAW_URI') or ''
    segments = path.split('/')[1:]
    if (
        not path.startswith('/')
        or _ESCAPE.search(path)
        or re.search('%(2f|5c)', raw.partition('?')[0], re.IGNORECASE)
        or any(segment in ('.', '..') for segment in segments)
        or '' in segments[:-1]
        or re.search(r'[\\\x00-\x1f\x7f]', path)
    ):
        raise errors.MalformedURL()
    return segments


def _answer_headers(
    response: http.client.HTTPResponse, rewriter: 'Links | None'
) -> Iterator[tuple[str, str]]:
    """Yield the headers of an answer that are meant for the client; its length is set anew."""
    dropped = HOP_BY_HOP | _named_by_connection(response.getheader('Connection'))
    for name, value in response.getheaders():
        lowered = name.lower()
        if rewriter and lowered in ('location', 'content-location'):
            yield name, rewriter.url(value)
        elif lowered not in dropped and lowered != 'content-length':
            # Old servers fold long values over several lines; ours must not.
            yield name, re.sub(r'\s*[\r\n]+\s*', ' ', value)


def _named_by_connection(value: str | None) -> frozenset[str]:
    return frozenset(token.strip().lower() for token in (value or '').split(','))


def _request_headers(req: Request, netloc: str) -> tuple[list[tuple[str, str]], bool]:
    """Return (headers, whether the body is sent in chunks)."""
    dropped = HOP_BY_HOP | _REPLACED | _named_by_connection(req.headers.get('Connection'))
    headers = [('Host', netloc), ('Accept-Encoding', 'identity'), ('Connection', 'close')]
    for name, value in req.headers.items():
        lowered = name.lower()
        if lowered not in dropped and not _IDENTITY.match(lowered):
            headers.append((name, value))
    request_id = req.environ.get('openstack.global_request_id') or req.request_id
    if request_id:
        headers.append(('X-Openstack-Request-Id', request_id))
    is_chunked = req.content_length is None and req.is_body_readable
    if is_chunked:
        headers.append(('Transfer-Encoding', 'chunked'))
    elif req.content_length or req.method in ('POST', 'PUT', 'PATCH'):
        headers.append(('Content-Length', str(req.content_length or 0)))
    return headers, is_chunked


def _request_pieces(req: Request) -> Iterator[bytes]:
    """Yield the request's body, also when somebody has read it before.

    :raises BadRequest: the client stopped before the announced length
    :raises BodyTooLarge: it passed the size limit
    """
    if not req.is_body_readable:
        return
    if req.is_body_seekable:
        req.body_file_raw.seek(0)
    left = req.content_length
    try:
        while left is None or left > 0:
            piece = req.body_file_raw.read(PIECE if left is None else min(PIECE, left))
            if not piece:
                break
            if left is not None:
                left -= len(piece)
            yield piece
    except webob.exc.HTTPRequestEntityTooLarge as error:
        raise errors.BodyTooLarge(error.detail) from None
    except OSError as error:
        raise errors.BadRequest('The request body ended early') from error
    if left:
        raise errors.BadRequest('The request body ended early')


def _translate(error: BaseException, name: str) -> errors.HTTPFault | None:
    """Return what the client is told of a failed exchange; None leaves the error as it is."""
    if isinstance(error, errors.HTTPFault) or not isinstance(error, Exception):
        return None
    if isinstance(error, TimeoutError):
        return errors.GatewayTimeout(f'The {name} behind this address did not answer in time.')
    if isinstance(error, OSError | http.client.HTTPException):
        return errors.BadGateway(f'The {name} behind this address could not be reached.')
    if isinstance(error, ValueError):
        # http.client refuses header values and targets that would break the request's framing.
        return errors.BadRequest()
    return None


def _may_have_links(response: http.client.HTTPResponse) -> bool:
    media_type = (response.getheader('Content-Type') or '').partition(';')[0].strip().lower()
    is_json = media_type == 'application/json' or media_type.endswith('+json')
    too_long = response.length is not None and response.length > REWRITE_LIMIT
    return is_json and not too_long and not response.getheader('Content-Encoding')


def _read_up_to(pieces: Iterator[bytes], limit: int) -> tuple[list[bytes], bool]:
    """Return (pieces, whether that was all)."""
    found, size = [], 0
    for piece in pieces:
        found.append(piece)
        size += len(piece)
        if size > limit:
            return found, False
    return found, True


class Links:
    """Turns links to the service behind into links to us.

    :param origin: scheme, host and port of the service behind, without a slash at the end
    :param prefix: the path of its base
    :param own_prefix: the prefix here that stands for its base
    :param rewrite: what to make of what is below the base; None puts it under ``own_prefix``
    """

    def __init__(
        self, origin: str, prefix: str, req: Request, own_prefix: str, rewrite: Rewrite | None
    ):
        self._origin = origin
        self._base = origin + prefix
        self._own = req.application_url
        self._own_prefix = own_prefix
        self._rewrite = rewrite

    def url(self, url: str) -> str:
        """Return where the same thing is found here; URLs to other places stay as they are."""
        for base, prefix in ((self._base, self._own_prefix), (self._origin, '')):
            below = _below(url, base)
            if below is not None:
                path = self._rewrite(below) if self._rewrite else prefix + below
                return url if path is None else self._own + path
        return url

    def body(self, raw: bytes) -> bytes:
        """Return a JSON body with its ``links`` and ``…_links`` rewritten; any other unchanged."""
        if self._origin.encode() not in raw.replace(b'\\/', b'/'):
            return raw
        try:
            value = orjson.loads(raw)
        except orjson.JSONDecodeError:
            return raw
        level = [value]
        while level:
            item = level.pop()
            if isinstance(item, list):
                level.extend(item)
            elif isinstance(item, dict):
                for key, below in item.items():
                    if (key == 'links' or key.endswith('_links')) and isinstance(below, list):
                        self._rewrite_links(below)
                    level.append(below)
        return orjson.dumps(value)

    def _rewrite_links(self, links: list[Any]) -> None:
        for link in links:
            if isinstance(link, dict) and isinstance(link.get('href'), str):
                link['href'] = self.url(link['href'])


def _below(url: str, base: str) -> str | None:
    """Return what follows ``base`` in ``url``; None when it is not below it."""
    if not url.startswith(base):
        return None
    rest = url[len(base) :]
    return rest if rest == '' or rest[0] in '/?#' else None
