# SPDX-License-Identifier: Apache-2.0
"""References and lists in request bodies: what the use cases take for them."""

from collections.abc import Iterable
from typing import Any

from backupsvc.orchestration.database_instances import NewDatabase, NewUser

DEFAULT_HOST = '%'


def last_segment(reference: str | int) -> str:
    """Return the id that a reference is, or that a URL ends in."""
    return str(reference).rstrip('/').rpartition('/')[2]


def databases(items: Iterable[dict[str, Any]]) -> list[NewDatabase]:
    """Return the databases of a list."""
    return [NewDatabase(item['name'], item.get('character_set'), item.get('collate'))
             for item in items]


def names(items: Iterable[dict[str, Any]]) -> list[str]:
    """Return the names of a list of databases."""
    return [item['name'] for item in items]


def users(items: Iterable[dict[str, Any]]) -> list[NewUser]:
    """Return the users of a list."""
    return [NewUser(name=item['name'], password=item['password'],
                    host=item.get('host', DEFAULT_HOST),
                    databases=names(item.get('databases', ()))) for item in items]


def name_and_host(text: str) -> tuple[str, str]:
    """Return the two parts of ``user@host``; without a host it is every host.

    A name that has an @ itself is given with its host.
    """
    name, at, host = text.rpartition('@')
    if not at:
        return host, DEFAULT_HOST
    return name, host or DEFAULT_HOST
