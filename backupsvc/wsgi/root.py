# SPDX-License-Identifier: Apache-2.0
"""The root application: loads the enabled dialects, mounts their prefixes, lists their versions,
and answers 404 elsewhere.
"""

import collections
import dataclasses
import re
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

import orjson
import webob
import webob.dec
from oslo_config import cfg

from backupsvc.wsgi import errors, faults, handler
from backupsvc.wsgi.dialect import Dialect, Route
from backupsvc.wsgi.request import Request

ENTRY_POINTS = 'backupsvc.api.dialects'

#: Key in the WSGI environment under which the authenticating middleware leaves the request's
#: context.
CONTEXT = 'backupsvc.context'

_SEGMENT = re.compile(r'\{(\w+)(?::((?:[^{}]|\{\d+(?:,\d*)?\})+))?\}')


class DialectNotInstalled(Exception):
    """``[api] enabled_dialects`` names a dialect that nobody installed."""


@dataclasses.dataclass(frozen=True)
class Mount:
    """One prefix of a dialect."""

    prefix: str
    pattern: re.Pattern
    application: handler.DialectApplication

    @property
    def rank(self) -> tuple[int, int]:
        """Longest first: by segments, then by segments that are literal."""
        segments = [s for s in self.prefix.split('/') if s]
        return -len(segments), -sum('{' not in s for s in segments)


def installed_dialects() -> dict[str, metadata.EntryPoint]:
    """Return the entry points of installed dialects by name."""
    return {point.name: point for point in metadata.entry_points(group=ENTRY_POINTS)}


def load_dialects(conf: cfg.ConfigOpts, zone: str | None = None) -> list[Dialect]:
    """Load the enabled dialects, in the order of their names or of the option.

    :param zone: only those of this trust zone
    :raises DialectNotInstalled: the option names one that does not exist
    """
    installed = installed_dialects()
    wanted = conf.api.enabled_dialects
    for name in wanted or ():
        if name not in installed:
            raise DialectNotInstalled(
                f'[api] enabled_dialects names {name!r}; '
                f'installed are: {", ".join(sorted(installed))}'
            )
    loaded = [installed[name].load() for name in (wanted or sorted(installed))]
    return [dialect for dialect in loaded if zone in (None, dialect.zone)]


def served_rows(dialect: Dialect, conf: cfg.ConfigOpts) -> list[Route]:
    """Return the rows of a dialect that this configuration serves."""
    return [row for row in dialect.routes if row.served is None or row.served(conf)]


def _compile(prefix: str) -> re.Pattern:
    pieces, end = [], 0
    for found in _SEGMENT.finditer(prefix):
        pieces += [
            re.escape(prefix[end : found.start()]),
            f'(?P<{found[1]}>{found[2] or "[^/]+"})',
        ]
        end = found.end()
    return re.compile(''.join([*pieces, re.escape(prefix[end:])]) + r'(?=/|\Z)')


class Root:
    """WSGI application over several dialects."""

    def __init__(self, conf: cfg.ConfigOpts, dialects: Sequence[Dialect]):
        self.dialects = dialects
        self.public_endpoint = (conf.api.public_endpoint or '').rstrip('/') or None
        mounts = []
        for dialect in dialects:
            application = handler.DialectApplication(dialect, served_rows(dialect, conf))
            mounts += [Mount(prefix, _compile(prefix), application) for prefix in dialect.mounts]
        self.mounts = sorted(mounts, key=lambda mount: mount.rank)
        self._prefixes = collections.Counter(mount.prefix for mount in mounts)

    @webob.dec.wsgify(RequestClass=Request)
    def __call__(self, req: Request) -> webob.Response:
        """Answer a request."""
        req.public_endpoint = self.public_endpoint
        req.root = self
        req.context = req.environ.get(CONTEXT)
        try:
            path = req.decoded_path()
        except errors.RouteNotFound as error:
            return faults.render(error, self.dialect_of(req.environ))
        if path == '/':
            return self._versions(req)
        mount, params, rest = self._find(path)
        if mount is None:
            return faults.render(errors.RouteNotFound(), None)
        req.dialect, req.mount_params = mount.application.dialect, params
        req.dialect_path = rest or '/'
        if _is_version_document(req.dialect, params, rest):
            return self._version(req, req.dialect, rest)
        return mount.application.respond(req)

    def is_discovery(self, environ: dict[str, Any]) -> bool:
        """Tell whether a request is for a version document, which needs no token."""
        path = environ.get('PATH_INFO', '')
        if path in ('', '/'):
            return True
        mount, params, rest = self._find(path)
        return mount is not None and _is_version_document(mount.application.dialect, params, rest)

    def dialect_of(self, environ: dict[str, Any]) -> Dialect | None:
        """Return the dialect whose mount a request lies under, None when it is nobody's."""
        mount, _, _ = self._find(environ.get('PATH_INFO', ''))
        return mount.application.dialect if mount else None

    def _find(self, path: str) -> tuple[Mount | None, Mapping[str, str], str]:
        """Return the mount of a path, its parameters and the rest of the path.

        Dialects that share a prefix are told apart by their tables: the first one that knows the
        rest of the path serves it, and what none of them knows is the first one's to refuse.
        """
        found: tuple[Mount | None, Mapping[str, str], str] = (None, {}, '')
        for mount in self.mounts:
            match = mount.pattern.match(path)
            if match is None:
                continue
            if found[0] is not None and mount.rank != found[0].rank:
                break
            rest = path[match.end() :]
            here = (mount, match.groupdict(), rest)
            if not self._is_shared(mount) or mount.application.router.allowed(rest or '/'):
                return here
            found = found if found[0] is not None else here
        return found

    def _is_shared(self, mount: Mount) -> bool:
        return self._prefixes[mount.prefix] > 1

    def _versions(self, req: Request) -> webob.Response:
        """All dialects in one list, with 300 Multiple Choices; the volume service comes first,
        where cinderclient looks for it.
        """
        if req.method not in ('GET', 'HEAD'):
            return faults.render(errors.MethodNotAllowed(headers={'Allow': 'GET, HEAD'}), None)
        entries = [
            _entry(req, dialect)
            for dialect in sorted(self.dialects, key=_volume_first)
            if dialect.version_entry
        ]
        return _json(300, {'versions': entries})

    def _version(self, req: Request, dialect: Dialect, rest: str) -> webob.Response:
        if req.method not in ('GET', 'HEAD'):
            return faults.render(errors.MethodNotAllowed(headers={'Allow': 'GET, HEAD'}), dialect)
        if rest == '':
            return webob.Response(
                status=302, location=req.application_url + req.decoded_path() + '/'
            )
        entry = _entry(req, dialect)
        return _json(200, {'version': entry} if dialect.has_own_version else {'versions': [entry]})


def _is_version_document(dialect: Dialect, params: Mapping[str, str], rest: str) -> bool:
    return dialect.version_entry is not None and not params and rest in ('', '/')


def _volume_first(dialect: Dialect) -> bool:
    return not (dialect.versions and dialect.versions.service_type == 'volume')


def _entry(req: Request, dialect: Dialect) -> dict:
    """A dialect's entry. Every entry has both version keys: cinderclient reads them without asking
    whether they are there.
    """
    return {'version': '', 'min_version': '', **dialect.version_entry(req)}


def _json(status: int, body: dict) -> webob.Response:
    return webob.Response(status=status, body=orjson.dumps(body), content_type='application/json')
