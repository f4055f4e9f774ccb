# SPDX-License-Identifier: Apache-2.0
"""The query of a list: page, filters, and whose items."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from backupsvc import conf, exception
from backupsvc.wsgi import metadata_filter, pagination, parameter_types

#: Status here → those of records that it stands for.
_STATUSES = {'error': ['error', 'error_deleting']}


@dataclasses.dataclass(frozen=True)
class Listing:
    """What a list was asked for.

    :ivar filters: attribute of the record to the value that it must have
    """

    limit: int
    marker: str | None
    filters: Mapping[str, Any]
    all_projects: bool


def read(req, source: str) -> Listing:
    """Return what the query of a list says.

    :param source: the parameter that names what the items were made of
    :raises Invalid: a value is none that the parameter can have
    :raises Forbidden: all projects are for administrators
    """
    query = dict(req.query)
    pairs = metadata_filter.take(query)
    filters: dict[str, Any] = {}
    for name, attribute in (('name', 'name'), ('status', 'status'), (source, 'source_id')):
        if name in query:
            filters[attribute] = query[name]
    if 'status' in filters:
        filters['status'] = _STATUSES.get(filters['status'], filters['status'])
    if pairs is not None:
        filters['metadata'] = pairs
    limit, marker, _ = pagination.page(query, conf.current().api.max_limit)
    return Listing(limit, marker, filters, _all_projects(req))


def _all_projects(req) -> bool:
    wanted = parameter_types.to_bool(req.query.get('all_projects', False))
    if wanted and not req.context.is_admin:
        raise exception.Forbidden('all_projects is for administrators.')
    return wanted


def shown_status(status: str) -> str:
    """Return how a status of a record is called here."""
    return next((name for name, own in _STATUSES.items() if status in own), status)
