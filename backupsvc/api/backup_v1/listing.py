# SPDX-License-Identifier: Apache-2.0
"""The query of a list: page, filters, and whose items; and that of a deletion."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from backupsvc import conf, exception
from backupsvc.wsgi import metadata_filter, pagination, parameter_types


@dataclasses.dataclass(frozen=True)
class Listing:
    """What a list was asked for.

    :ivar filters: attribute of the record to the value that it must have
    """

    limit: int
    marker: str | None
    filters: Mapping[str, Any]
    all_projects: bool


def read(req, source: str, attribute: str) -> Listing:
    """Return what the query of a list says.

    :param source: the parameter that names what the items were made of
    :param attribute: the attribute of their records that it stands for
    :raises Invalid: a value is none that the parameter can have
    :raises Forbidden: all projects are for administrators
    """
    query = dict(req.query)
    pairs = metadata_filter.take(query)
    filters: dict[str, Any] = {}
    for name, of_record in (('name', 'name'), ('status', 'status'), (source, attribute)):
        if name in query:
            filters[of_record] = query[name]
    if pairs is not None:
        filters['metadata'] = pairs
    limit, marker, _ = pagination.page(query, conf.current().api.max_limit)
    return Listing(limit, marker, filters, _all_projects(req))


def _all_projects(req) -> bool:
    wanted = parameter_types.to_bool(req.query.get('all_projects', False))
    if wanted and not req.context.is_admin:
        raise exception.Forbidden('all_projects is for administrators.')
    return wanted


def is_forced(req) -> bool:
    """Tell whether a deletion is to be one in any status."""
    return parameter_types.to_bool(req.query.get('force', False))
