# SPDX-License-Identifier: Apache-2.0
"""How far the work on backups is."""

import dataclasses
import datetime
from collections.abc import Collection, Mapping
from typing import Self

from oslo_utils import timeutils

from backupsvc import states
from backupsvc.context import RequestContext
from backupsvc.objects.backup import Backup
from backupsvc.objects.task import Task, TaskList

_SECOND = datetime.timedelta(seconds=1)


@dataclasses.dataclass(frozen=True)
class Progress:
    """One operation that goes on.

    :ivar operation: the kind of its task
    :ivar bytes_total: None until it is known
    :ivar bytes_per_second: since it began; None before the first byte
    :ivar seconds_left: at that rate; None where that is unknown
    """

    operation: str
    bytes_done: int
    bytes_total: int | None
    bytes_per_second: int | None
    seconds_left: int | None

    @classmethod
    def of_task(cls, task: Task, now: datetime.datetime) -> Self:
        """Return the progress of a task at a time."""
        done, total, rate, left = task.bytes_done, task.bytes_total or None, None, None
        if task.started_at is not None and done:
            seconds = max((now - task.started_at) / _SECOND, 0.001)
            rate = round(done / seconds)
            if total is not None:
                left = round((total - done) * seconds / done)
        return cls(task.kind, done, total, rate, left)


def of(context: RequestContext, backups: Collection[Backup]) -> Mapping[str, Progress]:
    """Return the progress of those of some backups that something is being done with, by id.

    Where there are several it is that of the oldest: nobody works on a later one before that.

    :param backups: that the caller may see
    """
    if not backups:
        return {}
    now = timeutils.utcnow(with_timezone=True)
    tasks = TaskList.get_all(context, {
        'resource_id': [backup.id for backup in backups], 'state': states.TASK_LIVE})
    found: dict[str, Task] = {}
    for task in tasks:
        found.setdefault(task.resource_id, task)
    return {backup_id: Progress.of_task(task, now) for backup_id, task in found.items()}


def together(context: RequestContext, members: Collection[Backup]) -> Progress | None:
    """Return the progress of the backups of a set as one; None when nothing is being done."""
    return sum_up(members, of(context, members))


def sum_up(members: Collection[Backup], of_each: Mapping[str, Progress]) -> Progress | None:
    """Return the progress of the backups of a set as one; None when nothing is being done.

    A member that is waiting counts with its whole size, and one that is ready as done.

    :param of_each: what ``of`` returned for these and perhaps others
    """
    parts = {member.id: of_each[member.id] for member in members if member.id in of_each}
    if not parts:
        return None
    done = total = 0
    for member in members:
        part = parts.get(member.id)
        size = (part and part.bytes_total) or member.logical_bytes or member.size_gb << 30
        total += size
        done += part.bytes_done if part else size * (member.status == states.AVAILABLE)
    rate = sum(part.bytes_per_second or 0 for part in parts.values()) or None
    return Progress(
        next(iter(parts.values())).operation, done, total, rate,
        round((total - done) / rate) if rate else None)
