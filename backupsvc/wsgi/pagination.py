# SPDX-License-Identifier: Apache-2.0
"""Pages of lists: limit, marker, offset and sort of a query, and the link to the next page.

The texts of errors are Cinder's; a dialect whose texts differ words them in its ``faults.py``.
"""

import re
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any

from backupsvc import exception
from backupsvc.wsgi import parameter_types
from backupsvc.wsgi.request import Request

DIRECTIONS = ('asc', 'desc')

_INTEGER = re.compile(r'\s*([+-]?)([0-9]+)\s*\Z')


def number(query: Mapping[str, Any], name: str, default: int, most: int) -> int:
    """Return a non-negative integer of a query.

    :param most: a larger value is this
    :raises Invalid: it is not a number, or negative
    """
    text = query.get(name)
    if text is None:
        return default
    match = _INTEGER.match(text)
    if match is None:
        raise exception.Invalid(f'{name} param must be an integer')
    digits = match[2].lstrip('0')
    if match[1] == '-' and digits:
        raise exception.Invalid(f'{name} param must be positive')
    # Compared by length first: int() refuses thousands of digits with an error of its own.
    return most if len(digits) > len(str(most)) else min(int(digits or '0'), most)


def page(query: Mapping[str, Any], max_limit: int) -> tuple[int, str | None, int]:
    """Return (limit, marker, offset) of a query.

    Without a limit, and with one over ``max_limit``, the limit is ``max_limit``; 0 asks for an
    empty page.

    :raises Invalid: a number is not one, is negative, or the offset is beyond any database
    """
    offset = number(query, 'offset', 0, parameter_types.MAX_INT + 1)
    if offset > parameter_types.MAX_INT:
        raise exception.Invalid(f'offset param must be at most {parameter_types.MAX_INT}')
    return number(query, 'limit', max_limit, max_limit), query.get('marker'), offset


def sort(query: Mapping[str, Any], keys: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return (attribute, direction) pairs that give every row one place.

    Both forms are read, ``sort=key:dir,key`` and the older ``sort_key`` with ``sort_dir``; the
    direction is descending unless said. The creation time and the id follow at the end, in the
    direction of the first key.

    :param keys: what may be sorted by: name in a query to attribute of the record
    :raises Invalid: both forms are used, or a key or a direction does not exist
    """
    older = 'sort_key' in query or 'sort_dir' in query
    if 'sort' in query:
        if older:
            raise exception.Invalid(
                "The 'sort_key' and 'sort_dir' parameters are deprecated and cannot be used with "
                "the 'sort' parameter."
            )
        wanted = [_key_and_direction(part) for part in query['sort'].split(',')]
    elif older:
        wanted = [
            (query.get('sort_key', 'created_at').strip(), query.get('sort_dir', 'desc').strip())
        ]
    else:
        wanted = []
    found: dict[str, str] = {}
    for key, direction in wanted:
        if direction not in DIRECTIONS:
            raise exception.InvalidInput(reason="Unknown sort direction, must be 'desc' or 'asc'.")
        if key not in keys:
            raise exception.InvalidInput(reason='Invalid sort key')
        found.setdefault(keys[key], direction)
    last = next(iter(found.values()), 'desc')
    for attribute in ('created_at', 'id'):
        found.setdefault(attribute, last)
    return list(found.items())


def _key_and_direction(part: str) -> tuple[str, str]:
    key, _, direction = part.strip().partition(':')
    return key.strip(), direction.strip() or 'desc'


def next_url(req: Request, last_id: str) -> str:
    """Return the URL of the page after the row ``last_id``: this request with another marker.

    An offset counts from the first page and is left out.
    """
    pairs = [(k, v) for k, v in req.query_pairs() if k not in ('marker', 'offset')]
    query = urllib.parse.urlencode([*pairs, ('marker', last_id)])
    return f'{req.application_url}{urllib.parse.quote(req.decoded_path())}?{query}'


def next_links(req: Request, ids: Sequence[str], limit: int) -> list[dict[str, str]]:
    """Return the links of a page: one to the next page when this one is full, else none.

    A page that is exactly full may be the last one; the page after it is empty, without links.

    :param ids: ids of the page's rows, in its order
    """
    if not ids or len(ids) < limit:
        return []
    return [{'rel': 'next', 'href': next_url(req, ids[-1])}]
