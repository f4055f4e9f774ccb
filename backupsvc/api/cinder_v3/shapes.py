# SPDX-License-Identifier: Apache-2.0
"""Shapes of schemas that resources share, and schemas that follow the microversion."""

import copy
from collections.abc import Callable, Mapping, Sequence

from backupsvc.api.cinder_v3 import versions
from backupsvc.wsgi import parameter_types, validation
from backupsvc.wsgi.dialect import Version

#: A query that may hold anything; what a resource knows of it, it reads.
ANY_QUERY: dict = {'type': 'object', 'additionalProperties': parameter_types.query_string}

LIST_QUERY = {
    'type': 'object',
    'properties': {
        **parameter_types.paging,
        'all_tenants': parameter_types.query_string,
        'with_count': parameter_types.query_string,
    },
    'additionalProperties': parameter_types.query_string,
}

string_or_null = {'type': ['string', 'null']}


def closed(properties: Mapping, required: Sequence[str] | None = None) -> dict:
    """Return an object without other keys; all are required unless ``required`` says which."""
    return {
        'type': 'object',
        'properties': dict(properties),
        'required': list(properties if required is None else required),
        'additionalProperties': False,
    }


def open_(properties: Mapping) -> dict:
    """Return an object in which nothing is required and other keys are not looked at."""
    return {'type': 'object', 'properties': dict(properties), 'additionalProperties': True}


def under(key: str, schema: Mapping) -> dict:
    """Return the object whose only key is ``key``."""
    return closed({key: schema})


def collection(key: str, item: Mapping, *, counted: bool) -> dict:
    """Return the body of a list: items, the link to the next page, and a count if ``counted``."""
    properties: dict = {
        key: {'type': 'array', 'items': item},
        f'{key}_links': parameter_types.links,
    }
    if counted:
        properties['count'] = {'type': 'integer', 'minimum': 0}
    return closed(properties, (key,))


def with_fields(schema: Mapping, key: str, **properties) -> dict:
    """Return a copy of ``schema`` whose object under ``key`` may have further properties."""
    later = copy.deepcopy(dict(schema))
    later['properties'][key]['properties'].update(properties)
    return later


def responses(schema_at: Callable[[Version], Mapping], changes: Sequence[Version],
              status: int = 200) -> Callable[[Callable], Callable]:
    """Declare the answers of a handler whose schema changes at some microversions.

    :param schema_at: microversion → schema of the answers from it on
    :param changes: the microversions at which it changes, ascending
    """
    starts: list[Version] = [versions.MINIMUM, *changes]
    ends: list[Version | None] = [*(versions.before(change) for change in changes), None]

    def decorate(handler: Callable) -> Callable:
        for since, until in zip(starts, ends, strict=True):
            handler = validation.response(
                schema_at(since), status=status, since=since, until=until)(handler)
        return handler
    return decorate
