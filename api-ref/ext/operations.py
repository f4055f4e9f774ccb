# SPDX-License-Identifier: Apache-2.0
"""The directive ``operation``: the route tables and schemas write the API reference themselves.

``.. operation:: POST /backups/{backup_id}/action os-reset_status`` in a page below
``source/<dialect>/`` prints the row of that dialect: its URL, microversions, policies, statuses,
and the fields of its query, body and answer. Prose is the directive's content, or the first
paragraph of the handler's docstring; ``:response:`` and ``:request:`` name samples.

The build fails when an installed dialect has a row that no page describes, or a page describes a
row that there is not.
"""

import http
import importlib.metadata
import inspect
import json
import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from docutils import nodes, statemachine
from docutils.parsers.rst import directives
from sphinx import errors
from sphinx.util import docutils, logging

from backupsvc.wsgi import handler, validation
from backupsvc.wsgi.dialect import Dialect, Route, Version

LOG = logging.getLogger(__name__)

GROUP = 'backupsvc.api.dialects'

#: (dialect, method, path, action)
Key = tuple[str, str, str, str | None]


def dialects() -> dict[str, Dialect]:
    """Return the installed dialects by name."""
    return {point.name: point.load() for point in importlib.metadata.entry_points(group=GROUP)}


def plain(path: str) -> str:
    """Return a path without the patterns of its parameters: ``{key:.*}`` reads ``{key}``."""
    return re.sub(r'{(\w+):[^/]*?}', r'{\1}', path)


def rows(name: str, dialect: Dialect) -> dict[Key, list[Route]]:
    """Return the rows of a dialect; rows that differ only in their versions are one operation."""
    found: dict[Key, list[Route]] = {}
    for row in dialect.routes:
        found.setdefault((name, row.method, plain(row.path), row.action), []).append(row)
    return found


class FieldTable:
    """The fields of one kind of schema of one handler, over all of its versions."""

    def __init__(self, rules: Sequence[validation.Rule]):
        self.fields: dict[str, dict[str, Any]] = {}
        for rule in rules:
            seen = set()
            for name, schema, required in _fields(rule.schema or {}):
                seen.add(name)
                field = self.fields.setdefault(
                    name, {'type': _type(schema), 'since': rule.since, 'until': None})
                field['required'] = required
                if 'description' in schema:
                    field['description'] = schema['description']
            for name, field in self.fields.items():
                field['until'] = rule.until if name in seen else field['until']

    def lines(self, title: str) -> Iterator[str]:
        """Yield the table in reStructuredText; nothing when there are no fields."""
        if not self.fields:
            return
        yield from (f'.. list-table:: {title}', '   :header-rows: 1', '   :widths: 40 30 15 15',
                    '', '   * - name', '     - type', '     - required', '     - versions')
        for name, field in self.fields.items():
            yield f'   * - ``{name}``'
            yield f'     - {field["type"]}'
            yield f'     - {"yes" if field["required"] else "no"}'
            yield f'     - {_versions(field["since"], field["until"])}'
        yield ''


def _fields(schema: Mapping[str, Any], prefix: str = '') -> Iterator[tuple[str, dict, bool]]:
    required = schema.get('required', ())
    # What a body may hold beside a key that says which sort of body it is.
    further = schema.get('then', {}).get('properties', {})
    for name, field in {**schema.get('properties', {}), **further}.items():
        path = f'{prefix}.{name}' if prefix else name
        inner = field
        if inner.get('type') == 'array':
            inner, path = inner.get('items', {}), f'{path}[]'
        if inner.get('properties'):
            yield from _fields(inner, path)
        else:
            yield path, field, name in required
    for pattern, field in schema.get('patternProperties', {}).items():
        yield f'{prefix}.<{pattern}>' if prefix else pattern, field, False


def _type(schema: Mapping[str, Any]) -> str:
    types = schema.get('type', 'any')
    text = types if isinstance(types, str) else ' or '.join(types)
    if 'format' in schema:
        text += f' ({schema["format"]})'
    if 'maxLength' in schema:
        text += f', at most {schema["maxLength"]}'
    return text


def _versions(since: Version | None, until: Version | None) -> str:
    def number(version):
        return f'{version[0]}.{version[1]}'
    if since and until:
        return f'{number(since)} to {number(until)}'
    if since:
        return f'{number(since)} and later'
    return f'until {number(until)}' if until else 'all'


class Operation(docutils.SphinxDirective):
    """``.. operation:: METHOD PATH [ACTION]``"""

    required_arguments = 2
    optional_arguments = 1
    has_content = True
    option_spec = {'request': directives.unchanged, 'response': directives.unchanged}

    def run(self) -> list[nodes.Node]:
        """Render the row, and note that it is described."""
        name = self.env.docname.split('/')[0]
        installed = dialects()
        if name not in installed:
            raise self.severe(f'{name} is not an installed dialect')
        method, path, *action = self.arguments
        key = (name, method, path, action[0] if action else None)
        found = rows(name, installed[name]).get(key)
        if not found:
            raise self.severe(f'{name} has no row {" ".join(self.arguments)}')
        described = getattr(self.env, 'operations_described', None)
        if described is None:
            described = self.env.operations_described = {}
        described.setdefault(self.env.docname, set()).add(key)
        row = found[0]
        prose = self.content or (inspect.getdoc(row.handler) or '').partition('\n\n')[:1]
        lines = [*self._head(installed[name], row), *prose, '', *self._tables(row),
                 *self._sample('request'), *self._sample('response')]
        node = nodes.container(classes=['operation'])
        self.state.nested_parse(
            statemachine.StringList(lines, source=self.env.docname), self.content_offset, node)
        return [node]

    def _head(self, dialect: Dialect, row: Route) -> Iterator[str]:
        yield from (f'``{row.method} {plain(dialect.mounts[0])}{plain(row.path)}``', '')
        if row.action:
            yield from (f'The body is an object with the one key ``{row.action}``.', '')
        if dialect.versions:
            yield f':Microversions: {_versions(row.min_version, row.max_version)}'
        if row.policies:
            yield f':Policies: {", ".join(f"``{policy}``" for policy in row.policies)}'
        rules = validation.rules_of(row.handler)
        good = sorted({rule.status for rule in rules.response} | {*row.forwarded})
        bad = sorted(handler.declared_errors(dialect, row))
        yield f':Success: {_statuses(good)}'
        yield f':Errors: {_statuses(bad)}'
        yield ''

    def _tables(self, row: Route) -> Iterator[str]:
        rules = validation.rules_of(row.handler)
        yield from FieldTable(rules.query).lines('Query')
        yield from FieldTable(rules.body).lines('Body')
        yield from FieldTable(rules.response).lines('Answer')

    def _sample(self, which: str) -> Iterator[str]:
        if which not in self.options:
            return
        page = pathlib.Path(self.env.doc2path(self.env.docname))
        path = page.parent / 'samples' / self.options[which]
        self.env.note_dependency(str(path))
        text = json.dumps(json.loads(path.read_text()), indent=4)
        yield from (f'{which.capitalize()}:', '', '.. code-block:: json', '')
        yield from (f'   {line}' for line in text.splitlines())
        yield ''


def _statuses(codes: Sequence[int]) -> str:
    return ', '.join(f'{code} {http.HTTPStatus(code).phrase}' for code in codes) or 'none'


def purge(app, env, docname) -> None:
    """Forget what a page described before it is read again."""
    getattr(env, 'operations_described', {}).pop(docname, None)


def merge(app, env, docnames, other) -> None:
    """Take over what a reading process of a parallel build found."""
    found = getattr(other, 'operations_described', {})
    ours = env.__dict__.setdefault('operations_described', {})
    ours.update({name: found[name] for name in docnames if name in found})


def check(app, env) -> None:
    """Fail the build when a row of an installed dialect is described nowhere.

    :raises ExtensionError: with the rows
    """
    described = set().union(*getattr(env, 'operations_described', {}).values())
    missing = [key for name, dialect in dialects().items() for key in rows(name, dialect)
               if key not in described]
    if missing:
        text = '\n'.join(f'  {name}: .. operation:: {" ".join(filter(None, rest))}'
                         for name, *rest in missing)
        raise errors.ExtensionError(f'no page of api-ref/source describes these routes:\n{text}')


def setup(app) -> dict[str, Any]:
    """Register the directive and the check with sphinx."""
    app.add_directive('operation', Operation)
    app.connect('env-purge-doc', purge)
    app.connect('env-merge-info', merge)
    app.connect('env-check-consistency', check)
    return {'version': '1', 'env_version': 1, 'parallel_read_safe': True}
