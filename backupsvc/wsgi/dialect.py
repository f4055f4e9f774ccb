# SPDX-License-Identifier: Apache-2.0
"""What a dialect fills in so that the kernel can serve it: routes as data, versions, faults."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backupsvc.wsgi.request import Request

#: (major, minor)
Version = tuple[int, int]

#: handler(request) → body (dict or list), None for an empty body, or a webob Response that is sent
#: as it is.
Handler = Callable[['Request'], Any]


@dataclasses.dataclass(frozen=True)
class Route:
    """One row of a dialect's table.

    :param path: relative to the mount, in Routes syntax: ``/backups/{backup_id}``; ``{key:.*}``
        takes the rest of the path, decoded
    :param action: for ``POST …/action`` rows: the single top-level key of the body that chooses
        this row
    :param min_version: first microversion that has the row, None in dialects without
        microversions; an earlier one gets 404
    :param max_version: last microversion that has it
    :param policies: rule names that the use case behind it checks, for the policy sample and the
        api-ref
    :param errors: statuses that the use case behind it may end in, over and above what the kernel
        itself answers (400 with a schema, 401, 403 with policies, 404 with path parameters, 406
        with microversions, 413 and 415 with a body). An error with any other status is a defect,
        which test runs find
    :param forwarded: statuses of success of answers that are another service's and handed on as
        they are; their bodies are that service's to describe
    :param served: asked once, with the configuration, when the application is built; False leaves
        the row out. None is always
    """

    method: str
    path: str
    handler: Handler
    action: str | None = None
    min_version: Version | None = None
    max_version: Version | None = None
    policies: tuple[str, ...] = ()
    errors: tuple[int, ...] = ()
    forwarded: tuple[int, ...] = ()
    served: Callable[[Any], bool] | None = None

    def serves(self, version: Version | None) -> bool:
        """Tell whether the row exists in ``version``; None is the version of a dialect without
        microversions.
        """
        if version is None:
            return True
        return (self.min_version is None or version >= self.min_version) and (
            self.max_version is None or version <= self.max_version
        )


@dataclasses.dataclass(frozen=True)
class Versions:
    """Microversion bounds of a dialect and the headers that speak of them."""

    service_type: str
    minimum: Version
    maximum: Version


@dataclasses.dataclass(frozen=True)
class Faults:
    """How a dialect words and shapes errors.

    :param render: (status, message, error or None) → (body, extra headers); the body is rendered
        as JSON
    :param statuses: exceptions to the default category → status table, by exception class (the
        most derived wins)
    :param messages: texts that differ from the error's own, by class: a %-format over its details,
        or a callable
    :param body_message: the text for every body (or query) that is missing, malformed or does not
        match its schema; None says what is wrong with it
    :param unreadable_status: of a body that is too large or of a media type that is not taken;
        None is 413 and 415
    """

    render: Callable[[int, str, Exception | None], tuple[Any, Mapping[str, str]]]
    statuses: Mapping[type[Exception], int] = dataclasses.field(default_factory=dict)
    messages: Mapping[type[Exception], str | Callable[[Exception], str]] = dataclasses.field(
        default_factory=dict
    )
    body_message: str | None = None
    unreadable_status: int | None = None


@dataclasses.dataclass(frozen=True)
class Representation:
    """How bodies of one media type are read and written.

    :param parse: (bytes, JSON Schema of the body or None) → value; without a schema only the name
        of the top-level key counts. Raises ``errors.MalformedBody``
    :param render: value → bytes
    """

    parse: Callable[[bytes, Mapping[str, Any] | None], Any]
    render: Callable[[Any], bytes]


@dataclasses.dataclass(frozen=True)
class Dialect:
    """One compatible HTTP API.

    :param mounts: path prefixes in Routes syntax, the more specific first:
        ``('/v3/{project_id:[0-9a-f\\-]+}', '/v3')``
    :param zone: trust zone whose pipeline it is served in: ``public`` or ``management``
    :param content_types: request media types it takes; the first is the one it answers with
    :param loose_types: media types that requests with a JSON body may name instead, as ``curl -d``
        does; taken only with a token in ``X-Auth-Token``, which no web page can add to a request
        that it sends unasked
    :param representations: those of ``content_types`` that are not JSON, and how to read and write
        them; an answer is in the one that the request accepts
    :param ignores_last_slash: a path that ends in a slash means the one without
    :param version_entry: (request) → the dialect's entry in ``GET /``; also its own version
        document
    :param has_own_version: the version document is an object ``version`` instead of the list
        ``versions``
    :param foreign_project_status: the answer to a project in the URL that is not the caller's
    :param admit: called with each request before it is looked at any further; what it raises is
        the answer
    :param fallback: takes requests that no row matches in method, path or action (the forwarding
        to Cinder). Called with the request before its body is read, except for an unknown action;
        returns a Response, or None to have the kernel answer 404 or 405
    """

    name: str
    title: str
    mounts: tuple[str, ...]
    zone: str
    routes: Sequence[Route]
    faults: Faults
    content_types: tuple[str, ...] = ('application/json',)
    loose_types: tuple[str, ...] = ()
    representations: Mapping[str, Representation] = dataclasses.field(default_factory=dict)
    ignores_last_slash: bool = False
    versions: Versions | None = None
    version_entry: Callable[['Request'], dict] | None = None
    has_own_version: bool = False
    foreign_project_status: int = 400
    admit: Callable[['Request'], None] | None = None
    fallback: Callable[['Request'], Any] | None = None
