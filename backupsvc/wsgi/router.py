# SPDX-License-Identifier: Apache-2.0
"""From the rows of a dialect to the one row that serves a request."""

import dataclasses
from collections.abc import Mapping, Sequence

import routes

from backupsvc.wsgi import errors
from backupsvc.wsgi.dialect import Route, Version


@dataclasses.dataclass(frozen=True)
class Match:
    """The rows that share a method and a path, and the parameters found in it."""

    rows: Sequence[Route]
    params: Mapping[str, str]

    @property
    def has_actions(self) -> bool:
        """True when the body chooses among the rows."""
        return any(row.action is not None for row in self.rows)

    def pick(self, version: Version | None, action: str | None = None) -> Route:
        """Return the row of an action and a version.

        :raises RouteNotFound: no row of this action is in this version
        """
        for row in self.rows:
            if row.action == action and row.serves(version):
                return row
        raise errors.RouteNotFound()

    def knows(self, action: str) -> bool:
        """True when some version has this action."""
        return any(row.action == action for row in self.rows)


class Router:
    """The table of one dialect.

    Where a path fits two rows, ``/backups/detail`` and ``/backups/{backup_id}``, the earlier row
    wins if it has the method. There are no format suffixes: ``a.json`` is an id like any other.
    """

    def __init__(self, rows: Sequence[Route]):
        self._mapper = routes.Mapper(controller_scan=None, register=False, explicit=True)
        self._mapper.minimization = False
        self._methods = sorted({row.method for row in rows})
        grouped: dict[tuple[str, str], list[Route]] = {}
        for row in rows:
            grouped.setdefault((row.method, row.path), []).append(row)
        self._groups = list(grouped.values())
        for number, ((method, path), _) in enumerate(grouped.items()):
            self._mapper.connect(None, path, _group=str(number), conditions={'method': [method]})
        self._mapper.create_regs([])

    def _find(self, method: str, path: str) -> Match | None:
        found = self._mapper.routematch(path, {'REQUEST_METHOD': method})
        if found is None:
            return None
        params, entry = found
        return Match(
            self._groups[int(entry.defaults['_group'])],
            {name: value for name, value in params.items() if name != '_group'},
        )

    def match(self, method: str, path: str) -> Match | None:
        """Return the rows for a method and a decoded path, None when there are none."""
        return self._find(method, path)

    def allowed(self, path: str) -> list[str]:
        """Return the methods that some row has for this path."""
        return [method for method in self._methods if self._find(method, path)]
