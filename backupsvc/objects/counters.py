# SPDX-License-Identifier: Apache-2.0
"""Counters: what the managers of a service have done since it was set up, and what is still to do.
"""

import dataclasses
from typing import Any

from backupsvc.db import counters as db

#: An outcome beside those of tasks: a task was claimed whose manager had let its lease run out.
TAKEN_OVER = 'taken_over'

#: Upper bounds, in seconds, of the classes that durations are counted in; from a deletion to an
#: archive of a day.
BOUNDS = (1, 10, 60, 300, 1800, 7200, 43200)


@dataclasses.dataclass
class Ended:
    """What has come of the tasks of one kind and outcome.

    :ivar tasks: how many
    :ivar seconds: from their first start to their end, together
    :ivar within: how many of them took at most each of ``BOUNDS``
    :ivar bytes_read: read from sources, or from the repository
    :ivar bytes_stored: written to the repository
    :ivar bytes_done: of the thing worked on; of a restore, what was written to it
    """

    kind: str
    outcome: str
    tasks: int = 0
    seconds: float = 0.0
    within: list[int] = dataclasses.field(default_factory=lambda: [0] * len(BOUNDS))
    bytes_read: int = 0
    bytes_stored: int = 0
    bytes_done: int = 0


@dataclasses.dataclass(frozen=True)
class Live:
    """Tasks of one kind in one state in which there is still work in them.

    :ivar waits_s: seconds that the longest waiting one has been due; None where none is due
    """

    kind: str
    state: str
    tasks: int
    waits_s: float | None


def add(context: Any, host: str, ended: Ended) -> None:
    """Add what a manager has done to its counters."""
    amounts: dict[str, float] = {
        'tasks': ended.tasks, 'seconds': ended.seconds, 'bytes_read': ended.bytes_read,
        'bytes_stored': ended.bytes_stored, 'bytes_done': ended.bytes_done}
    amounts |= {f'within_{bound}': number
                for bound, number in zip(BOUNDS, ended.within, strict=True)}
    db.add(context, host, ended.kind, ended.outcome,
           {name: amount for name, amount in amounts.items() if amount})


def ended(context: Any) -> list[Ended]:
    """Return what all managers have done, by kind and outcome; in one statement."""
    return [
        Ended(kind=row['kind'], outcome=row['outcome'], tasks=int(row['tasks']),
              seconds=float(row['seconds']),
              within=[int(row[f'within_{bound}']) for bound in BOUNDS],
              bytes_read=int(row['bytes_read']), bytes_stored=int(row['bytes_stored']),
              bytes_done=int(row['bytes_done']))
        for row in db.sums(context)]


def live(context: Any) -> list[Live]:
    """Return what is still to do, by kind and state; in one statement, which costs what there is
    to do and not what has been done.
    """
    return [Live(row['kind'], row['state'], row['tasks'],
                 None if row['waits'] is None else max(0.0, row['waits']))
            for row in db.live(context)]
