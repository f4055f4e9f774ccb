# SPDX-License-Identifier: Apache-2.0
"""Shapes of schemas that resources share.

Bodies are closed at the top and open below: the clients send more than this service knows.
"""

from collections.abc import Mapping, Sequence

from backupsvc.wsgi import parameter_types

#: A query that may hold anything; what a resource knows of it, it reads.
ANY_QUERY: dict = {'type': 'object', 'additionalProperties': parameter_types.query_string}
LIST_QUERY: dict = {
    'type': 'object',
    'properties': {
        'limit': parameter_types.query_string,
        'marker': parameter_types.query_string,
    },
    'additionalProperties': parameter_types.query_string,
}

string = {'type': 'string'}
string_or_null = {'type': ['string', 'null']}
#: A text with something in it.
name = {'type': 'string', 'minLength': 1, 'maxLength': 255, 'pattern': r'\S'}
password = {'type': 'string', 'minLength': 1, 'maxLength': 255, 'writeOnly': True}
#: The name of a database or user; what the server can have as one it says itself.
local_name = {'type': 'string', 'minLength': 1, 'maxLength': 255}
host = {'type': 'string', 'minLength': 1, 'maxLength': 255}
flavor_ref = {'type': ['string', 'integer'], 'minLength': 1, 'maxLength': 1024}
size_gb = parameter_types.positive_integer
anything: dict = {}

time = {'type': 'string', 'pattern': r'^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ?\Z'}


def closed(properties: Mapping, required: Sequence[str] | None = None) -> dict:
    """Return an object without other keys; all are required unless ``required`` says which."""
    return {
        'type': 'object',
        'properties': dict(properties),
        'required': list(properties if required is None else required),
        'additionalProperties': False,
    }


def open_(properties: Mapping, required: Sequence[str] = ()) -> dict:
    """Return an object that may have other keys, which are not looked at."""
    return {
        'type': 'object',
        'properties': dict(properties),
        'required': list(required),
        'additionalProperties': True,
    }


def array(items: Mapping, least: int = 0) -> dict:
    """Return a list of items."""
    return {'type': 'array', 'items': dict(items), 'minItems': least}


def under(key: str, schema: Mapping) -> dict:
    """Return the object whose only key is ``key``."""
    return closed({key: schema})


def page(key: str, item: Mapping) -> dict:
    """Return a list as the clients know it: the items, and a link to the next page if any."""
    return closed({key: array(item), 'links': parameter_types.links}, (key,))


def specified_page(key: str, item: Mapping) -> dict:
    """Return a list as it is specified: the items, and links to this page and those around it."""
    return closed({key: array(item), 'links': closed({
        'self': string, 'next': string_or_null, 'previous': string_or_null})})


DATABASE_NAMES = array(open_({'name': local_name}, ('name',)))
DATABASES = array(open_({
    'name': local_name,
    'character_set': {'type': ['string', 'null'], 'maxLength': 64},
    'collate': {'type': ['string', 'null'], 'maxLength': 64},
}, ('name',)))
USERS = array(open_({
    'name': local_name,
    'password': password,
    'host': host,
    'databases': DATABASE_NAMES,
}, ('name', 'password')))
