# SPDX-License-Identifier: Apache-2.0
"""Which keys wrap the repositories that the database knows, and wrapping them by another."""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

from backupsvc import exception
from backupsvc.engine import errors
from backupsvc.manager import repositories
from backupsvc.manager.keyring import Keyring
from backupsvc.objects.repository import Repository as Record
from backupsvc.objects.repository import RepositoryList


@dataclasses.dataclass
class Wrapping:
    """The key of one repository.

    :ivar key: reference of the key that wraps it; None where there is no repository (any more)
    :ivar was_rewrapped: ``rewrap`` has changed that
    :ivar problem: why it cannot be opened; nothing else is known then
    """

    record: Record
    key: str | None = None
    was_rewrapped: bool = False
    problem: str | None = None

    @property
    def name(self) -> str:
        """What tells the repository from others, for texts."""
        return f'{self.record.driver} {self.record.project_id} {self.record.container}'


def show(context: Any) -> Iterator[Wrapping]:
    """Yield which key wraps each repository."""
    for record in RepositoryList.get_all(context):
        yield _ask(context, record)


def rewrap(context: Any, ring: Keyring) -> Iterator[Wrapping]:
    """Wrap each repository by the current key where another one does; yield which key wraps it
    then, proved by opening it again.
    """
    for record in RepositoryList.get_all(context):
        found = _ask(context, record, ring)
        if found.was_rewrapped:
            found = dataclasses.replace(_ask(context, record), was_rewrapped=True)
        yield found


def remove(context: Any, ring: Keyring, reference: str) -> None:
    """Remove a key for good.

    :raises Conflict: a repository is wrapped by it, or one cannot be asked
    :raises Invalid: it is the current key, or no configured provider has such keys
    :raises DriverFailed: the provider does not do it
    """
    for found in show(context):
        if found.problem is not None:
            raise exception.Conflict(
                f'The repository {found.name} cannot be asked for its key: {found.problem}')
        if found.key == reference:
            raise exception.Conflict(f'{reference} wraps the repository {found.name}.')
    ring.remove(reference)


def _ask(context: Any, record: Record, ring: Keyring | None = None) -> Wrapping:
    """Return which key wraps a repository.

    :param ring: wrap it by the current key of this first
    """
    found = Wrapping(record)
    try:
        with contextlib.closing(repositories.open_repository(
                context, record.project_id, record.container,
                driver=record.driver)) as repository:
            if ring is not None and repository.key_reference != ring.current:
                repository.rewrap(ring)
                found.was_rewrapped = True
            found.key = repository.key_reference
    except (exception.NotFound, errors.RepositoryNotFound):
        pass
    except (exception.BackupsvcError, errors.EngineError) as error:
        found.problem = str(error)
    return found
