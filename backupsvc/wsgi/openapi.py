# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI 3.1 document of a dialect, derived from its rows and schemas and from nothing else.

A document describes one microversion; what a version does not have is not in it. The statuses that
a row may answer with are those that ``handler.declared_errors`` enforces in tests.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from backupsvc import version as service_version
from backupsvc.wsgi import handler, microversion, validation
from backupsvc.wsgi.dialect import Dialect, Route, Version

OPENAPI = '3.1.0'

_PARAMETER = re.compile(r'\{(\w+)(?::((?:[^{}]|\{\d+(?:,\d*)?\})+))?\}')

_DESCRIPTIONS = {
    400: 'The request is wrong.',
    401: 'No valid token.',
    403: 'The caller may not do this.',
    404: 'There is no such resource, or not in this version, or not for this caller.',
    405: 'The resource cannot do that.',
    406: 'The microversion is not supported.',
    409: 'The state of something, or somebody else, is in the way.',
    412: 'The resource has changed since the caller read it.',
    413: 'The body is too large, or a quota does not allow this.',
    415: 'The media type of the body is not supported.',
    500: 'An error of the service, logged under the request id.',
    501: 'This deployment cannot do that.',
    502: 'The service behind cannot be reached.',
    503: 'Something that the service depends on does not answer now.',
    504: 'The service behind did not answer in time.',
}


#: Trust zone → how its callers say who they are; one of several is enough.
_SECURITY: dict[str, dict[str, dict]] = {
    'public': {'token': {'type': 'apiKey', 'in': 'header', 'name': 'X-Auth-Token'}},
    'management': {
        'bearer': {'type': 'http', 'scheme': 'bearer'},
        'basic': {'type': 'http', 'scheme': 'basic'},
    },
}


def document(dialect: Dialect, rows: Sequence[Route], version: Version | None = None) -> dict:
    """Return the OpenAPI document of a dialect.

    :param rows: the rows that this deployment serves
    :param version: microversion described; None is the highest. Ignored without microversions
    """
    version = (version or dialect.versions.maximum) if dialect.versions else None
    paths: dict[str, dict] = {}
    for number, mount in enumerate(dialect.mounts):
        for path, method, group in _grouped(rows, version):
            operation = _operation(dialect, mount, path, group, version)
            operation['operationId'] += f'_{number}' if number else ''
            paths.setdefault(plain_path(mount + path), {})[method.lower()] = operation
    described = microversion.text(version) if version else service_version.version_string()
    return {
        'openapi': OPENAPI,
        'info': {'title': dialect.title, 'version': described},
        'paths': paths,
        'components': {'securitySchemes': _SECURITY[dialect.zone]},
        'security': [{name: []} for name in _SECURITY[dialect.zone]],
    }


def _grouped(rows: Sequence[Route], version: Version | None) -> list[tuple[str, str, list[Route]]]:
    """Return (path, method, its rows in this version); several rows are actions."""
    found: dict[tuple[str, str], list[Route]] = {}
    for row in rows:
        if row.serves(version):
            found.setdefault((row.path, row.method), []).append(row)
    return [(path, method, group) for (path, method), group in found.items()]


def plain_path(path: str) -> str:
    """Return a path template with the names of its parameters and without their patterns."""
    return _PARAMETER.sub(r'{\1}', path)


def parameter_names(path: str) -> list[str]:
    """Return the names of the parameters of a path template."""
    return [match[1] for match in _PARAMETER.finditer(path)]


def _operation(
    dialect: Dialect, mount: str, path: str, rows: list[Route], version: Version | None
) -> dict:
    first = rows[0]
    rules = [validation.rules_of(row.handler) for row in rows]
    name = first.handler.__name__.strip('_') if len(rows) == 1 else _action_name(first)
    operation: dict[str, Any] = {
        'operationId': f'{first.handler.__module__.rpartition(".")[0]}.{name}',
        'summary': ' / '.join(_summary(row) for row in rows),
        'parameters': [
            *_path_parameters(mount + path),
            *_query_parameters(validation.select(rules[0].query, version)),
        ],
        'responses': _responses(dialect, rows, version),
    }
    if dialect.versions:
        operation['parameters'].append(_version_parameter(dialect))
        if any(row.min_version for row in rows):
            operation['x-min-version'] = microversion.text(
                min(row.min_version or dialect.versions.minimum for row in rows)
            )
    bodies = [
        _body_schema(row, rule.schema)
        for row, each in zip(rows, rules, strict=True)
        if (rule := validation.select(each.body, version))
    ]
    if bodies:
        schema = bodies[0] if len(bodies) == 1 else {'anyOf': bodies}
        operation['requestBody'] = {
            'required': not all(validation.is_valid(schema, None) for schema in bodies),
            'content': {kind: {'schema': _portable(schema)} for kind in dialect.content_types
                        if kind not in dialect.representations},
        }
    policies = sorted({policy for row in rows for policy in row.policies})
    if policies:
        operation['x-policies'] = policies
    return operation


def _body_schema(row: Route, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema of a body; of an action that takes anything, the kernel's own rule."""
    if row.action is None or schema:
        return schema
    return {
        'type': 'object',
        'properties': {row.action: {}},
        'required': [row.action],
        'additionalProperties': False,
    }


def _action_name(row: Route) -> str:
    return 'act_on_' + re.sub(r'\W+', '_', plain_path(row.path)).strip('_')


def _summary(row: Route) -> str:
    text = (row.handler.__doc__ or row.handler.__name__).strip().splitlines()[0]
    return f'{row.action}: {text}' if row.action else text


def _path_parameters(path: str) -> list[dict]:
    found = []
    for match in _PARAMETER.finditer(path):
        schema: dict[str, Any] = {'type': 'string', 'minLength': 1}
        if match[2] and match[2] != '.*':
            schema['pattern'] = f'^(?:{match[2]})$'
        found.append({'name': match[1], 'in': 'path', 'required': True, 'schema': schema})
    return found


def _query_parameters(rule: validation.Rule | None) -> list[dict]:
    if rule is None:
        return []
    required = rule.schema.get('required', ())
    return [
        {'name': name, 'in': 'query', 'required': name in required, 'schema': _portable(schema)}
        for name, schema in rule.schema.get('properties', {}).items()
    ]


def _version_parameter(dialect: Dialect) -> dict:
    bounds = f'{microversion.text(dialect.versions.minimum)} to '
    bounds += microversion.text(dialect.versions.maximum)
    return {
        'name': microversion.HEADER,
        'in': 'header',
        'required': False,
        'description': f'``{dialect.versions.service_type} X.Y`` or ``latest``; {bounds}.',
        'schema': {'type': 'string'},
    }


def _responses(dialect: Dialect, rows: list[Route], version: Version | None) -> dict:
    bodies: dict[int, list[validation.Rule]] = {}
    for row in rows:
        rule = validation.select(validation.rules_of(row.handler).response, version)
        if rule is not None:
            bodies.setdefault(rule.status, []).append(rule)
    found = {
        str(status): {'description': 'The answer of the service behind, as it is.'}
        for row in rows
        for status in row.forwarded
    }
    found |= {str(status): _success(dialect, each) for status, each in sorted(bodies.items())}
    errors = set().union(*(handler.declared_errors(dialect, row) for row in rows)) | {500}
    for status in sorted(errors):
        found[str(status)] = _error(dialect, status)
    return found


def _success(dialect: Dialect, rules: list[validation.Rule]) -> dict:
    answer: dict[str, Any] = {'description': 'Done, or accepted to be done.'}
    given = [rule for rule in rules if rule.schema is not None]
    if given:
        schemas = [rule.schema for rule in given]
        schema = schemas[0] if len(schemas) == 1 else {'anyOf': schemas}
        media_type = given[0].media_type or dialect.content_types[0]
        answer['content'] = {media_type: {'schema': _portable(schema)}}
    return answer


def _error(dialect: Dialect, status: int) -> dict:
    description = _DESCRIPTIONS.get(status, f'Error {status}.')
    body, _ = dialect.faults.render(status, description, None)
    return {
        'description': description,
        'content': {'application/json': {'schema': {'type': 'object'}, 'example': body}},
    }


def _portable(schema: Any) -> Any:
    """Return a schema with patterns that other languages read: Python's end of text is their $."""
    if isinstance(schema, Mapping):
        return {
            _portable_pattern(key) if '\\Z' in key else key: (
                _portable_pattern(value)
                if key == 'pattern' and isinstance(value, str)
                else _portable(value)
            )
            for key, value in schema.items()
        }
    if isinstance(schema, list | tuple):
        return [_portable(item) for item in schema]
    return schema


def _portable_pattern(pattern: str) -> str:
    return pattern.replace('\\Z', '$')


def to_json(value: dict) -> str:
    """Write a document for people and tools."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
