# SPDX-License-Identifier: Apache-2.0
"""Counts what a manager has done, and adds it to the counters in the database now and then.

A manager that is killed takes with it what it has not added yet, which is what it did in its last
``[manager] heartbeat_interval``. No work waits for a count.
"""

import threading

from oslo_log import log

from backupsvc import context as request_context
from backupsvc import states
from backupsvc.objects import counters
from backupsvc.objects.task import Task

LOG = log.getLogger(__name__)


class Counts:
    """What one manager has done and not added to the counters yet."""

    def __init__(self, host: str):
        self._host = host
        self._lock = threading.Lock()
        self._pending: dict[tuple[str, str], counters.Ended] = {}

    def note_claimed(self, task: Task) -> None:
        """Count a task that was taken over from a manager that is gone."""
        if task.is_taken_over:
            with self._lock:
                self._of(task.kind, counters.TAKEN_OVER).tasks += 1

    def note_ended(self, task: Task) -> None:
        """Count a task if it has ended."""
        if task.state in states.TASK_LIVE or task.finished_at is None:
            return
        seconds = max(0.0, (task.finished_at - task.started_at).total_seconds())
        with self._lock:
            found = self._of(task.kind, task.state)
            found.tasks += 1
            found.seconds += seconds
            found.within = [number + (seconds <= bound) for number, bound
                            in zip(found.within, counters.BOUNDS, strict=True)]
            found.bytes_read += task.bytes_read
            found.bytes_stored += task.bytes_stored
            found.bytes_done += task.bytes_done

    def _of(self, kind: str, outcome: str) -> counters.Ended:
        return self._pending.setdefault((kind, outcome), counters.Ended(kind, outcome))

    def flush(self) -> None:
        """Add what is pending to the counters; what cannot be added stays for the next time."""
        context = request_context.get_admin_context()
        with self._lock:
            taken, self._pending = self._pending, {}
        while taken:
            key, done = taken.popitem()
            try:
                counters.add(context, self._host, done)
            except Exception as away:
                LOG.warning('What was done is not counted yet: %s', away)
                self._put_back({key: done, **taken})
                return

    def _put_back(self, taken: dict[tuple[str, str], counters.Ended]) -> None:
        with self._lock:
            for (kind, outcome), done in taken.items():
                found = self._of(kind, outcome)
                found.tasks += done.tasks
                found.seconds += done.seconds
                found.within = [a + b for a, b in zip(found.within, done.within, strict=True)]
                found.bytes_read += done.bytes_read
                found.bytes_stored += done.bytes_stored
                found.bytes_done += done.bytes_done
