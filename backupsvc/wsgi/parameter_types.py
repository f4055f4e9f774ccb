# SPDX-License-Identifier: Apache-2.0
"""Schema atoms that dialects share by nature: ids, names, booleans, metadata, paging; and the
formats behind them.

``boolean`` takes the spellings that OpenStack clients send; ``to_bool`` turns what it let through
into True or False.
"""

import base64
import binascii
import re
from typing import Any

import jsonschema
from oslo_utils import strutils, timeutils, uuidutils

#: Largest integer that every database of ours keeps in an integer column.
MAX_INT = 0x7FFFFFFF

FORMATS = jsonschema.FormatChecker(formats=())

_ID = re.compile(
    r'(?:[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\Z', re.ASCII | re.IGNORECASE
)


@FORMATS.checks('uuid')
def _is_uuid(value: Any) -> bool:
    return not isinstance(value, str) or uuidutils.is_uuid_like(value)


@FORMATS.checks('date-time')
def _is_date_time(value: Any) -> bool:
    if not isinstance(value, str):
        return True
    try:
        timeutils.parse_isotime(value)
    except ValueError:
        return False
    return True


@FORMATS.checks('base64')
def _is_base64(value: Any) -> bool:
    if not isinstance(value, str):
        return True
    try:
        base64.b64decode(value.encode('ascii'), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        return False
    return True


@FORMATS.checks('printable')
def _is_printable(value: Any) -> bool:
    """Line ends and tabs count as printable: descriptions have several lines."""
    return not isinstance(value, str) or all(c.isprintable() or c in '\n\r\t' for c in value)


@FORMATS.checks('ascii')
def _is_ascii(value: Any) -> bool:
    return not isinstance(value, str) or value.isascii()


_SPELLINGS = ('1', 't', 'true', 'on', 'y', 'yes', '0', 'f', 'false', 'off', 'n', 'no')

#: JSON booleans and their usual spellings as strings, as Cinder v3 takes them; integers are
#: refused.
boolean = {
    'type': ['boolean', 'string'],
    'enum': [
        True,
        False,
        *dict.fromkeys(
            form(word) for word in _SPELLINGS for form in (str.lower, str.capitalize, str.upper)
        ),
    ],
}

uuid = {'type': 'string', 'format': 'uuid'}
uuid_or_null = {'type': ['string', 'null'], 'format': 'uuid'}

name = {'type': ['string', 'null'], 'minLength': 0, 'maxLength': 255}
name_required = {'type': 'string', 'minLength': 1, 'maxLength': 255}
description = {'type': ['string', 'null'], 'minLength': 0, 'maxLength': 255, 'format': 'printable'}
container = {'type': ['string', 'null'], 'minLength': 0, 'maxLength': 255}
availability_zone = {'type': ['string', 'null'], 'minLength': 1, 'maxLength': 255}

METADATA_KEY = r'^[a-zA-Z0-9\-_:. /]{1,255}\Z'
#: Key and value pairs; values never null.
metadata = {
    'type': 'object',
    'patternProperties': {METADATA_KEY: {'type': 'string', 'maxLength': 255}},
    'additionalProperties': False,
}
metadata_or_null = {**metadata, 'type': ['object', 'null']}

non_negative_integer = {
    'type': ['integer', 'string'],
    'pattern': r'^[0-9]+\Z',
    'minimum': 0,
    'maximum': MAX_INT,
}
positive_integer = {
    'type': ['integer', 'string'],
    'pattern': r'^[0-9]+\Z',
    'minimum': 1,
    'maximum': MAX_INT,
}

#: A query parameter of any text; values of a query are always strings.
query_string = {'type': 'string'}
#: A query parameter that may be repeated; the handler gets the list.
query_strings = {'type': 'array', 'items': {'type': 'string'}}

#: Paging of a list; ``wsgi/pagination.py`` checks the values, because dialects word their errors
#: themselves.
paging = {
    'limit': query_string,
    'marker': query_string,
    'offset': query_string,
    'sort': query_string,
    'sort_key': query_string,
    'sort_dir': query_string,
}

# ---- answers ----

#: A time in an answer of Cinder v3: UTC, microseconds, no zone; null when unset.
timestamp_or_null = {
    'type': ['string', 'null'],
    'pattern': r'^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\Z',
}

link = {
    'type': 'object',
    'properties': {
        'rel': {'type': 'string'},
        'href': {'type': 'string'},
        'type': {'type': 'string'},
    },
    'required': ['rel', 'href'],
    'additionalProperties': False,
}
links = {'type': 'array', 'items': link}


def to_bool(value: Any) -> bool:
    """Turn a value that met ``boolean`` into True or False."""
    return strutils.bool_from_string(value, strict=True)


def is_metadata_key(text: str) -> bool:
    """Tell whether ``text`` may be a metadata key."""
    return re.match(METADATA_KEY, text) is not None


def is_id(text: str) -> bool:
    """Tell whether ``text`` is a uuid as services write one: hexadecimal, with all dashes or none.

    Nothing else that stands for an id in a path may be put into a path of another service.
    """
    return _ID.match(text) is not None
