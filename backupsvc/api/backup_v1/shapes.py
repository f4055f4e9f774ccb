# SPDX-License-Identifier: Apache-2.0
"""Shapes of schemas that the resources share."""

from collections.abc import Mapping, Sequence

from backupsvc.wsgi import parameter_types

#: A query in which nothing may be.
NO_QUERY: dict = {'type': 'object', 'properties': {}, 'additionalProperties': False}

#: A deletion: ``force`` is for administrators.
DELETE_QUERY = {
    'type': 'object',
    'properties': {'force': parameter_types.boolean},
    'additionalProperties': False,
}

string_or_null = {'type': ['string', 'null']}
integer_or_null = {'type': ['integer', 'null']}

#: A time in an answer: UTC, microseconds, Z.
timestamp_or_null = {
    'type': ['string', 'null'],
    'pattern': r'^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\Z',
}


def closed(properties: Mapping, required: Sequence[str] | None = None) -> dict:
    """Return an object without other keys; all are required unless ``required`` says which."""
    return {
        'type': 'object',
        'properties': dict(properties),
        'required': list(properties if required is None else required),
        'additionalProperties': False,
    }


def under(key: str, schema: Mapping) -> dict:
    """Return the object whose only key is ``key``."""
    return closed({key: schema})


def collection(key: str, item: Mapping) -> dict:
    """Return the body of a list: items, and the link to the next page."""
    return closed(
        {key: {'type': 'array', 'items': item}, f'{key}_links': parameter_types.links}, (key,))


def list_query(source: str) -> dict:
    """Return the query of a list.

    :param source: the parameter that names what the items were made of
    """
    return {
        'type': 'object',
        'properties': {
            'limit': parameter_types.query_string,
            'marker': parameter_types.query_string,
            'status': parameter_types.query_string,
            'name': parameter_types.query_string,
            source: parameter_types.query_string,
            'metadata': parameter_types.query_string,
            'all_projects': parameter_types.boolean,
        },
        'patternProperties': {r'^metadata\[.+\]\Z': parameter_types.query_string},
        'additionalProperties': False,
    }



#: What ``update`` may change of anything that has a name.
UPDATE = under(
    'update',
    closed(
        {
            'name': parameter_types.name,
            'description': parameter_types.description,
            'metadata': parameter_types.metadata,
        },
        required=(),
    ),
)

#: What a create or a deletion answers.
ID = closed({'id': parameter_types.uuid})

#: What is being done now.
PROGRESS = {
    **closed(
        {
            'operation': {'type': 'string'},
            'bytes_done': {'type': 'integer', 'minimum': 0},
            'bytes_total': integer_or_null,
            'bytes_per_second': integer_or_null,
            'seconds_left': integer_or_null,
        }
    ),
    'type': ['object', 'null'],
}

#: Who something belongs to, for callers that may see it.
OWNER = {'project_id': {'type': 'string'}, 'user_id': string_or_null}

#: What is made of all volumes of an instance at one moment.
SET_FIELDS = {
    'id': parameter_types.uuid,
    'name': string_or_null,
    'description': string_or_null,
    'status': {'type': 'string'},
    'fail_reason': string_or_null,
    'instance_id': parameter_types.uuid,
    'size': {'type': 'integer'},
    'is_consistent': {'type': ['boolean', 'null']},
    'metadata': parameter_types.metadata,
    'data_timestamp': timestamp_or_null,
    'created_at': timestamp_or_null,
    'updated_at': timestamp_or_null,
}
