# SPDX-License-Identifier: Apache-2.0
"""Aliases: the integers under which a project knows its backups and volumes in older dialects.

They count from 1 in each project, for backups and volumes apart, and are never used again.
"""

from collections.abc import Iterable
from typing import Any

from backupsvc.db import aliases as db

BACKUP = 'backup'
VOLUME = 'volume'

#: What can have an alias.
KINDS = (BACKUP, VOLUME)


def numbers(context: Any, project_id: str, kind: str, ids: Iterable[str]) -> dict[str, int]:
    """Return id → number; an id without one gets the next.

    :param ids: of things that the project may see; the order of new ones is that of their numbers
    """
    return db.numbers(context, project_id, kind, ids)


def target(context: Any, project_id: str, kind: str, number: int) -> str | None:
    """Return the id that a number of a project stands for, None if it was never given.

    The thing itself may be deleted by now.
    """
    return db.target(context, project_id, kind, number)
