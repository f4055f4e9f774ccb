# SPDX-License-Identifier: Apache-2.0
"""The query of a list as Cinder v3 reads it: page, sort keys, and which filters count for whom."""

from collections.abc import Mapping
from typing import Any

from oslo_utils import strutils

from backupsvc import conf, exception
from backupsvc.api.cinder_v3 import versions
from backupsvc.wsgi import metadata_filter, pagination

#: What everybody may filter by; administrators may filter by any attribute. ``name~`` also stands
#: for ``name``.
FILTERS: Mapping[str, tuple[str, ...]] = {
    'backup': ('name~', 'status', 'volume_id', 'metadata'),
    'volume': ('name~', 'status', 'metadata', 'bootable', 'migration_status',
               'availability_zone', 'group_id', 'size', 'created_at', 'updated_at',
               'volume_type', 'display_name'),
    'snapshot': ('name~', 'status', 'volume_id', 'metadata', 'availability_zone',
                 'display_name'),
    'transfer': ('name', 'volume_id'),
    'message': ('resource_uuid', 'resource_type', 'event_id', 'request_id', 'message_level'),
}

_NOT_FILTERS = frozenset(
    ('limit', 'marker', 'offset', 'sort', 'sort_key', 'sort_dir', 'all_tenants'))


def query(req, resource: str, names: Mapping[str, str], keys: Mapping[str, str]) -> dict[str, Any]:
    """Return what a list asks for, as the arguments of a use case's query.

    :param names: filter to attribute of the record
    :param keys: see ``sort``
    """
    limit, marker, offset = page(req)
    return {
        # A name that is no attribute is kept: no record has it, so the list is empty.
        'filters': {names.get(name, f'?{name}'): value
                    for name, value in filters(req, resource).items()},
        'sort': sort(req, keys),
        'limit': limit,
        'marker': marker,
        'offset': offset,
        'all_projects': all_projects(req),
        'with_count': wants_count(req),
    }


def page(req) -> tuple[int, str | None, int]:
    """Return (limit, marker, offset); a limit over the configured maximum is cut to it.

    :raises Invalid: a number is none, or negative
    """
    return pagination.page(req.query, conf.current().api.max_limit)


def sort(req, keys: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return (attribute, direction) pairs; sorting by ``name`` came with a microversion.

    :param keys: sort key to attribute of the record
    :raises Invalid: both forms are used, or a key or a direction does not exist
    """
    if req.version < versions.SORT_BY_NAME:
        keys = {key: attribute for key, attribute in keys.items() if key != 'name'}
    return pagination.sort(req.query, keys)


def wants_count(req) -> bool:
    """Tell whether the answer must have the number of all items that match.

    :raises Invalid: the value is no boolean
    """
    return _boolean(req, 'with_count', versions.COUNT_IN_LISTS)


def all_projects(req) -> bool:
    """Tell whether an administrator wants the items of all projects; nobody else is heard.

    :raises Invalid: the value is no boolean
    """
    return req.context.is_admin and _boolean(req, 'all_tenants', versions.MINIMUM)


def _boolean(req, name: str, since) -> bool:
    text = req.query.get(name)
    if text is None or req.version < since:
        return False
    try:
        return strutils.bool_from_string(text, strict=True)
    except ValueError:
        raise exception.Invalid(f"{name} must be a boolean, got '{text}'.") from None


def filters(req, resource: str) -> dict:
    """Return the filters that count: name to text, and ``metadata`` to its pairs.

    Administrators may use any name. For others a name outside ``FILTERS`` is dropped before 3.31
    and refused from then on.

    :raises Invalid: a filter is refused
    """
    given = {name: value for name, value in req.query.items() if name not in _NOT_FILTERS}
    if req.version >= versions.COUNT_IN_LISTS:
        given.pop('with_count', None)
    pairs = metadata_filter.take(given)
    if req.version >= versions.GENERAL_FILTERS and not all(name.isascii() for name in given):
        raise exception.Invalid('Filter keys can only contain ASCII characters.')
    if not req.context.is_admin:
        given = _allowed(req, resource, given)
    if pairs is not None:
        given['metadata'] = pairs
    return given


def _allowed(req, resource: str, given: dict) -> dict:
    names = set(FILTERS[resource])
    names |= {name.removesuffix('~') for name in names}
    if req.version < versions.LIKE_FILTERS:
        names = {name for name in names if not name.endswith('~')}
    refused = [name for name in given if name not in names]
    if refused and req.version >= versions.GENERAL_FILTERS:
        raise exception.Invalid(
            f'Invalid filters {",".join(refused)} are found in query options.')
    return {name: value for name, value in given.items() if name in names}
