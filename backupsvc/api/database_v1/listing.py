# SPDX-License-Identifier: Apache-2.0
"""The query of a list: how many, and behind which."""

from backupsvc import conf
from backupsvc.wsgi import pagination, parameter_types

#: Items of a page whose request names no limit.
PAGE = 20


def limit(req) -> int:
    """Return the items of a page.

    :raises Invalid: it is not a number, or negative
    """
    return pagination.number(req.query, 'limit', PAGE, conf.current().api.max_limit)


def offset(req) -> int:
    """Return a marker that counts items.

    :raises Invalid: it is not a number, or negative
    """
    return pagination.number(req.query, 'marker', 0, parameter_types.MAX_INT)


def next_marker(items, wanted: int, marker) -> str | None:
    """Return the marker of the next page, None when this one is not full.

    :param marker: called with the last item
    """
    return marker(items[-1]) if items and len(items) >= wanted else None
