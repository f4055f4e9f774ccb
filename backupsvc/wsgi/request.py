# SPDX-License-Identifier: Apache-2.0
"""The request as handlers see it: context, path and query parameters, a checked body and the base
of links.
"""

import json
import math
import urllib.parse
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import webob
import webob.exc

from backupsvc.wsgi import errors

if TYPE_CHECKING:
    from backupsvc.context import RequestContext
    from backupsvc.wsgi.dialect import Dialect, Route, Version

#: Containers within containers that a body may have; far above what any schema of ours describes.
MAX_NESTING = 64

#: Parameters that one query may have.
MAX_QUERY_FIELDS = 1000


class Request(webob.Request):
    """One request on its way through the kernel.

    :ivar context: who asks
    :ivar dialect: the dialect whose mount the path lies under
    :ivar route: the matched row; None in a dialect's fallback
    :ivar mount_params: parameters of the mount, ``{'project_id': …}``
    :ivar path_params: parameters of the row's path, percent-decoded
    :ivar dialect_path: the path below the mount, percent-decoded, with its leading slash
    :ivar version: the microversion in use, None in dialects without
    :ivar json: the parsed body after it met its schema; None without a body
    :ivar query: the query after it met its schema: the last value of each name, or the list of all
        where the schema says array
    :ivar response_headers: headers that the handler wants on its answer
    :ivar public_endpoint: configured base of links, None to use the request's own
    :ivar root: the root application that was given the request, for ``dispatch.py``
    """

    context: 'RequestContext | None' = None
    dialect: 'Dialect | None' = None
    route: 'Route | None' = None
    mount_params: Mapping[str, str] = {}
    path_params: Mapping[str, str] = {}
    dialect_path: str = ''
    version: 'Version | None' = None
    json: Any = None
    query: Mapping[str, Any] = {}
    response_headers: dict[str, str] = {}
    public_endpoint: str | None = None
    root: Callable | None = None

    @property
    def application_url(self) -> str:
        """Base of every link, without a trailing slash: the configured endpoint, else scheme, host
        and prefix of the request.
        """
        if self.public_endpoint:
            return self.public_endpoint
        return super().application_url.rstrip('/')

    @property
    def request_id(self) -> str | None:
        """The id that the request id middleware gave this request."""
        return self.environ.get('openstack.request_id')

    def decoded_path(self) -> str:
        """Return the percent-decoded path.

        :raises RouteNotFound: it is not UTF-8 or holds a NUL, so no resource can have it
        """
        try:
            path = self.environ.get('PATH_INFO', '').encode('latin-1').decode('utf-8')
        except UnicodeError:
            raise errors.RouteNotFound() from None
        if '\0' in path:
            raise errors.RouteNotFound()
        return path or '/'

    def query_pairs(self) -> list[tuple[str, str]]:
        """Return the query as it was sent, decoded, in order.

        :raises BadRequest: it is not UTF-8, holds a NUL or has too many parameters
        """
        text = self.environ.get('QUERY_STRING', '')
        try:
            pairs = urllib.parse.parse_qsl(
                text, keep_blank_values=True, errors='strict', max_num_fields=MAX_QUERY_FIELDS
            )
        except ValueError:
            raise errors.BadRequest('Malformed query string') from None
        if any(
            '\0' in name or '\0' in value or not _encodable(name + value) for name, value in pairs
        ):
            raise errors.BadRequest('Malformed query string')
        return pairs

    def raw_body(self) -> bytes:
        """Return the whole body; it stays readable afterwards, for a handler that forwards it.

        :raises BodyTooLarge: it is longer than the size limit
        :raises BadRequest: the client stopped before the announced length
        """
        try:
            return self.body
        except webob.exc.HTTPRequestEntityTooLarge as error:
            raise errors.BodyTooLarge(error.detail) from None
        except (OSError, webob.request.DisconnectionError):
            raise errors.BadRequest('The request body ended early') from None

    @property
    def answer_type(self) -> str:
        """The media type of the answer: the dialect's first, unless the request accepts another
        one of its representations rather.
        """
        if self.dialect is None:
            return 'application/json'
        first = self.dialect.content_types[0]
        if not self.dialect.representations:
            return first
        found = self.accept.acceptable_offers([first, *self.dialect.representations])
        return found[0][0] if found else first

    def parsed_body(self, schema: Mapping[str, Any] | None = None) -> tuple[bool, Any]:
        """Return (whether there is a body, its value).

        :param schema: what the body will be checked with; XML has no types of its own
        :raises UnsupportedContentType: the dialect does not take this media type, or none is
            named: a web page can send such a request anywhere without asking
        :raises MalformedBody: not JSON as RFC 8259 has it, or JSON that no store of ours could
            keep
        """
        raw = self.raw_body()
        if not raw.strip():
            return False, None
        if self.content_type not in self.dialect.content_types and not (
            self.content_type in self.dialect.loose_types and self.headers.get('X-Auth-Token')
        ):
            raise errors.UnsupportedContentType()
        representation = self.dialect.representations.get(self.content_type)
        if representation is not None:
            return True, representation.parse(raw, schema)
        return True, parse_json(raw)


def parse_json(raw: bytes) -> Any:
    """Parse a JSON text strictly.

    Refused beside what is not JSON at all: duplicate keys (which of the two was meant?), NaN,
    Infinity and numbers too large for a float, integers of thousands of digits, NUL characters and
    lone surrogates (no database keeps them), nesting beyond ``MAX_NESTING``.

    :raises MalformedBody: any of those
    """
    try:
        value = json.loads(
            raw.decode('utf-8'),
            object_pairs_hook=_unique_keys,
            parse_constant=_refuse_constant,
            parse_float=_finite_float,
        )
    except (ValueError, RecursionError):
        raise errors.MalformedBody() from None
    if b'\\u' in raw or b'\x00' in raw or raw.count(b'[') + raw.count(b'{') > MAX_NESTING:
        _check_storable(value)
    return value


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError('duplicate key')
    return found


def _refuse_constant(name: str) -> float:
    raise ValueError(f'{name} is not JSON')


def _finite_float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError('number out of range')
    return number


def _encodable(text: str) -> bool:
    try:
        text.encode('utf-8')
    except UnicodeEncodeError:
        return False
    return True


def _check_storable(value: Any) -> None:
    """Walk without recursion: the value may be nested as deep as the parser allowed."""
    level, depth = [value], 0
    while level:
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(item.keys())
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
            elif isinstance(item, str) and ('\0' in item or not _encodable(item)):
                raise errors.MalformedBody()
        depth += any(isinstance(item, dict | list) for item in level)
        if depth > MAX_NESTING:
            raise errors.MalformedBody()
        level = below
