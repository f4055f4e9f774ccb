# SPDX-License-Identifier: Apache-2.0
"""One task while a manager carries it out: its lease, its mover, and who asked it to stop."""

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from oslo_db import exception as db_exception
from oslo_log import log

from backupsvc import exception
from backupsvc.context import RequestContext
from backupsvc.manager import failures, fencing, movers
from backupsvc.objects.task import Task
from backupsvc.orchestration import trusts

LOG = log.getLogger(__name__)

T = TypeVar('T')

#: Seconds between two writes of a task's progress.
_PROGRESS_INTERVAL = 1.0

#: Seconds between two attempts to write to a database that does not answer.
_DATABASE_INTERVAL = 1.0

#: How often a write is tried that the database refuses for another reason than being away.
_DATABASE_ATTEMPTS = 5

Progress = Callable[[dict[str, int]], None]


class Work:
    """What a flow is given.

    A flow calls ``step`` between its steps and ``move`` for the bytes; both raise when the work
    has to stop. Every write to the database goes through ``persist``.

    :param spares: where movers come from; None starts each when it is needed
    """

    def __init__(self, task: Task, lease_s: float, spares: movers.Spares | None = None):
        self.task = task
        self.context = RequestContext(
            user_id=task.user_id, project_id=task.project_id, request_id=task.request_id,
            trust_id=trusts.of_task(task), task_id=task.id, is_admin=True, overwrite=False)
        self.holder = task.id
        self._spares = spares or movers.Spares(0)
        self._lease = task.obj_clone()
        self._lease_s = lease_s
        self._lease_until = fencing.now() + lease_s
        self._lock = threading.RLock()
        self._mover: movers.Mover | None = None
        self._interruption: Exception | None = None
        self._interrupted = threading.Event()
        self._recorded_at = 0.0

    # What other threads call.

    def renew(self) -> None:
        """Renew the lease and look at the cancel flag; a database that is away is no loss yet."""
        began = fencing.now()
        try:
            self._lease.renew(self._lease_s)
        except exception.LeaseLost as lost:
            self.interrupt(lost)
            return
        except db_exception.DBError as away:
            LOG.warning('The lease of task %s was not renewed: %s', self.task.id, away)
            return
        with self._lock:
            self._lease_until = began + self._lease_s
            if self._mover is not None:
                self._mover.extend(self._lease_until)
        if self._lease.cancel_requested:
            self.interrupt(failures.Cancelled())

    def check_lease(self) -> None:
        """Give the work up when its lease has run out without anybody telling us."""
        if fencing.now() >= self._lease_until:
            self.interrupt(exception.LeaseLost(task_id=self.task.id))

    def interrupt(self, why: Exception) -> None:
        """Have the work stop: LeaseLost at once, Cancelled and HandedOver cleanly.

        A lost lease outweighs the others; of those the first counts.
        """
        is_lost = isinstance(why, exception.LeaseLost)
        with self._lock:
            if self._interruption is not None and not is_lost:
                return
            self._interruption = why
            self._interrupted.set()
            if self._mover is not None:
                self._stop_mover(self._mover)

    def abandon(self) -> None:
        """Kill the mover of work that did not stop in time; the task can be handed over then."""
        with self._lock:
            if self._mover is not None:
                self._mover.kill()

    def _stop_mover(self, mover: movers.Mover) -> None:
        if isinstance(self._interruption, exception.LeaseLost):
            mover.kill()
        else:
            mover.terminate()

    @property
    def mover_pid(self) -> int | None:
        """The process that carries bytes for the work now."""
        mover = self._mover
        return mover.pid if mover is not None else None

    # What flows call.

    def check(self) -> None:
        """Raise the error with which the work was interrupted, if it was."""
        self.check_lease()  # who was stopped may be here before the thread that watches
        if self._interruption is not None:
            raise self._interruption

    def confirm(self) -> None:
        """Make sure by the database that the task is still ours.

        :raises LeaseLost: it is not, and nothing may be undone that another has begun
        """
        self.persist(lambda: self.task.progress())

    @property
    def is_lost(self) -> bool:
        """Whether the task may be somebody else's by now."""
        return (isinstance(self._interruption, exception.LeaseLost)
                or fencing.now() >= self._lease_until)

    def wait(self, seconds: float) -> None:
        """Wait, and raise as soon as the work is interrupted."""
        self._interrupted.wait(seconds)
        self.check()

    def step(self, phase: str) -> None:
        """Begin a step: stop here if the work was interrupted, and say in the row where it is."""
        self.check()
        LOG.debug('Task %s (%s): %s', self.task.id, self.task.kind, phase)
        self.persist(lambda: self.task.progress(phase=phase))

    @property
    def resume_point(self) -> dict[str, Any]:
        """What ``remember`` kept, in this or an earlier attempt."""
        return self.task.resume_point or {}

    def remember(self, **values: Any) -> None:
        """Keep what a later attempt needs to go on from here."""
        point = {**self.resume_point, **values}
        self.persist(lambda: self.task.progress(resume_point=point))

    def persist(self, write: Callable[[], T]) -> T:
        """Call ``write``, again and again while the database is away, as long as the lease holds.

        :raises LeaseLost: somebody else has the task
        """
        attempt = 0
        while True:
            attempt += 1
            try:
                return write()
            except db_exception.DBConnectionError as away:
                LOG.warning('The database is away, task %s waits: %s', self.task.id, away)
            except db_exception.DBError as refused:
                if attempt >= _DATABASE_ATTEMPTS:
                    raise
                LOG.warning('Task %s writes again: %s', self.task.id, refused)
            if isinstance(self._interruption, exception.LeaseLost):
                raise self._interruption
            time.sleep(_DATABASE_INTERVAL)

    def move(self, verb: str, job: dict[str, Any],
             progress: Progress | None = None) -> dict[str, Any]:
        """Have a mover do the job, keep its counters in the row, and return its result.

        :param progress: called with the counters as well, some times a second
        :raises MoverFailed, MoverDied: it did not succeed
        :raises Cancelled, HandedOver, LeaseLost: it was stopped
        """
        with self._lock:
            self.check()
            mover = self._mover = movers.Mover(self.context, verb, job, self._spares,
                                               self._lease_until)
        LOG.info('Task %s: mover %d began to %s', self.task.id, mover.pid, verb)
        last: dict[str, int] = {}

        def follow(counters: dict[str, int]) -> None:
            last.update(counters)
            self._record(counters)
            if progress is not None:
                progress(counters)

        try:
            result = mover.run(follow)
        except failures.Fenced:
            raise exception.LeaseLost(task_id=self.task.id) from None
        except (failures.Cancelled, failures.MoverDied):
            self.check()
            raise
        finally:
            with self._lock:
                self._mover = None
            self._spares.refill()
        self.persist(lambda: self.task.progress(**last))
        return result

    def _record(self, counters: dict[str, int]) -> None:
        now = time.monotonic()
        if now - self._recorded_at < _PROGRESS_INTERVAL:
            return
        self._recorded_at = now
        try:
            self.task.progress(**counters)
        except db_exception.DBError as away:
            LOG.warning('The progress of task %s was not written: %s', self.task.id, away)
            return
        if self.task.cancel_requested:
            self.interrupt(failures.Cancelled())
