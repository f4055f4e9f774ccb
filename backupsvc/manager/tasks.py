# SPDX-License-Identifier: Apache-2.0
"""Claims tasks, carries them out in a bounded number of threads, and keeps their leases.

A task is claimed when a message announces it or when the sweep finds it. An attempt ends in one of
these ways: the flow finished the task; it is handed over or postponed (back in the queue, the
attempt does not count); it failed for a passing reason (back in the queue for later); it failed or
was cancelled for good (the flow undoes it); or the lease is lost, and nothing more is written.
"""

import threading
import time
import uuid
from collections.abc import Callable, Sequence
from types import ModuleType

from oslo_log import log

from backupsvc import conf as service_conf
from backupsvc import context as request_context
from backupsvc import exception
from backupsvc.manager import counts, failures, flows, movers
from backupsvc.manager.work import Work
from backupsvc.objects.task import Task
from backupsvc.orchestration import trusts

LOG = log.getLogger(__name__)

#: Longest wait before another attempt, in seconds.
_LONGEST_DELAY = 600.0

#: Seconds that a stop waits for the last counts: a database that is away must not hold it up.
_COUNTS_PATIENCE = 5.0


class Runner:
    """The work slots of one manager, and the threads that keep their leases.

    One slot more than ``[manager] workers`` takes short tasks only, so that a deletion does not
    wait for an archive of hours.
    """

    def __init__(self, host: str):
        conf = service_conf.current().manager
        self.host = host
        self.owner = f'{host}:{uuid.uuid4()}'
        self._conf = conf
        self._changed = threading.Condition()
        self._wakes = 0
        self._next_due = float('inf')
        self._is_stopping = threading.Event()
        # Not by task: one may be claimed again here before its last attempt has let go of it.
        self._works: set[Work] = set()
        self._spares = movers.Spares(conf.spare_movers)
        self._slots = [
            threading.Thread(target=self._slot, args=(sorted(flows.FLOWS),),
                             name=f'slot-{number}', daemon=True)
            for number in range(conf.workers)]
        self._slots.append(threading.Thread(target=self._slot, args=(flows.SHORT,),
                                            name='slot-short', daemon=True))
        self._keepers = [
            threading.Thread(target=self._keep, args=(Work.renew, conf.lease_duration / 3),
                             name='lease-renewal', daemon=True),
            threading.Thread(target=self._keep, args=(Work.check_lease, 0.25),
                             name='lease-watch', daemon=True)]
        self._is_over = threading.Event()
        self._counts = counts.Counts(host)
        self._counting = threading.Thread(target=self._count, name='counts', daemon=True)

    def start(self) -> None:
        """Begin to claim."""
        self._spares.start()
        for thread in [*self._keepers, *self._slots, self._counting]:
            thread.start()

    def stop(self, timeout_s: float) -> None:
        """Claim no more, hand running work over, and return when all slots are free.

        Movers that do not stop within ``timeout_s`` are killed.
        """
        with self._changed:
            self._is_stopping.set()
            self._changed.notify_all()
        for work in self._running():
            work.interrupt(failures.HandedOver())
        deadline = time.monotonic() + timeout_s
        for slot in self._slots:
            slot.join(max(0.0, deadline - time.monotonic()))
        for work in self._running():
            LOG.warning('Task %s did not stop in time; its mover is killed', work.task.id)
            work.abandon()
        for slot in self._slots:
            slot.join(timeout_s)
        self._spares.stop()
        self._is_over.set()
        for keeper in self._keepers:
            keeper.join(timeout_s)
        self._counting.join(_COUNTS_PATIENCE)

    def wake(self) -> None:
        """Look for tasks now."""
        with self._changed:
            self._wakes += 1
            self._changed.notify_all()

    def wake_in(self, delay_s: float) -> None:
        """Look for tasks in so many seconds, unless the sweep comes first."""
        with self._changed:
            self._next_due = min(self._next_due, time.monotonic() + delay_s)
            self._changed.notify_all()

    def cancel(self, task_id: str) -> None:
        """Stop a task whose cancel flag is set, if it is here."""
        for work in self._running():
            if work.task.id == task_id:
                work.interrupt(failures.Cancelled())

    def load(self) -> tuple[int, int]:
        """Return how many tasks are carried out, and how many slots there are for long ones.

        The slot for short tasks does not count: a manager is busy that copies all it can.
        """
        return len(self._running()), self._conf.workers

    def describe(self) -> dict[str, str]:
        """Return what is being done, for people: task id → kind, resource, phase and mover."""
        return {work.task.id: f'{work.task.kind} of {work.task.resource_id}, '
                              f'attempt {work.task.attempt}, phase {work.task.phase}, '
                              f'mover {work.mover_pid}' for work in self._running()}

    def _running(self) -> list[Work]:
        with self._changed:
            return list(self._works)

    def _keep(self, what: Callable[[Work], None], interval_s: float) -> None:
        while not self._is_over.wait(interval_s):
            for work in self._running():
                what(work)

    def _count(self) -> None:
        is_over = False
        while not is_over:
            is_over = self._is_over.wait(self._conf.heartbeat_interval)
            self._counts.flush()

    def _slot(self, kinds: Sequence[str]) -> None:
        context = request_context.get_admin_context()
        while not self._is_stopping.is_set():
            context.update_store()
            with self._changed:
                seen = self._wakes
            task = self._claim(context, kinds)
            if task is None:
                self._rest(seen)
                continue
            try:
                self._carry_out(task)
            except Exception:
                LOG.exception('Task %s is left as it is until its lease runs out', task.id)

    def _claim(self, context: request_context.RequestContext,
               kinds: Sequence[str]) -> Task | None:
        try:
            return Task.claim_next(context, self.owner, self.host, self._conf.lease_duration,
                                   kinds=kinds)
        except Exception:
            LOG.exception('Tasks could not be looked for; the next sweep tries again')
            return None

    def _rest(self, seen: int) -> None:
        """Wait until a message came since ``seen``, a task is due, or it is time to sweep."""
        with self._changed:
            until = time.monotonic() + self._conf.sweep_interval
            while self._wakes == seen and not self._is_stopping.is_set():
                now = time.monotonic()
                if self._next_due <= now:
                    self._next_due = float('inf')
                    return
                if until <= now:
                    return
                self._changed.wait(min(until, self._next_due) - now)

    def _carry_out(self, task: Task) -> None:
        work = Work(task, self._conf.lease_duration, self._spares)
        work.context.update_store()
        with self._changed:
            self._works.add(work)
        if self._is_stopping.is_set():
            work.interrupt(failures.HandedOver())
        self._counts.note_claimed(task)
        LOG.info('Task %s: %s of %s, attempt %d', task.id, task.kind, task.resource_id,
                 task.attempt)
        try:
            self._execute(work, flows.FLOWS[task.kind])
        except exception.LeaseLost:
            LOG.warning('Task %s is no longer ours; nothing is written', task.id)
        except (exception.BackupNotFound, exception.InstanceBackupNotFound,
                exception.InstanceSnapshotNotFound, exception.DatabaseInstanceNotFound,
                exception.CheckpointNotFound) as gone:
            reason = str(gone)
            LOG.warning('Task %s has lost its record: %s', task.id, reason)
            work.persist(lambda: task.fail(reason))
        finally:
            self._counts.note_ended(task)
            with self._changed:
                self._works.discard(work)
            self._give_back_trust(work)
            self.wake()  # another task of the same resource may have waited for this one

    @staticmethod
    def _give_back_trust(work: Work) -> None:
        task = work.task
        if trusts.of_task(task) is None:
            return
        try:
            if not Task.exists_live(work.context, task.id):
                trusts.give_back(work.context, task)
        except Exception as error:
            LOG.warning('The trust of task %s is not given back; the sweep tries again: %s',
                        task.id, error)

    def _execute(self, work: Work, flow: ModuleType) -> None:
        task = work.task
        try:
            self._attempt(work, flow)
        except failures.HandedOver:
            LOG.info('Task %s is handed over', task.id)
            work.persist(lambda: task.release(keep_attempt=True))
        except failures.Postponed as later:
            LOG.info('Task %s is postponed: %s', task.id, later)
            self._release(work, later.delay_s, str(later), keep_attempt=True)

    def _attempt(self, work: Work, flow: ModuleType) -> None:
        """Run the flow, or what undoes it; either may be postponed."""
        task = work.task
        try:
            work.check()
            if task.cancel_requested:
                raise failures.Cancelled()
            if task.attempt > self._conf.max_attempts:
                raise failures.TooManyAttempts(task.attempt - 1)
            flow.run(work)
        except (exception.LeaseLost, failures.HandedOver, failures.Postponed):
            raise
        except failures.Cancelled:
            LOG.info('Task %s is cancelled', task.id)
            work.confirm()
            flow.cancel(work)
        except Exception as error:
            self._failed(work, flow, error)

    def _failed(self, work: Work, flow: ModuleType, error: Exception) -> None:
        task = work.task
        failure = failures.describe(error)
        if failure.is_transient and task.attempt < self._conf.max_attempts:
            delay = min(self._conf.retry_interval * 2 ** (task.attempt - 1), _LONGEST_DELAY)
            LOG.warning('Task %s failed, attempt %d of %d, next in %.0f s: %s: %s', task.id,
                        task.attempt, self._conf.max_attempts, delay, failure.kind,
                        failure.message)
            self._release(work, delay, failure.reason)
            return
        is_known = failures.is_explained(error) or isinstance(
            error, (failures.MoverFailed, failures.MoverDied, failures.TooManyAttempts,
                    failures.MemberFailed))
        LOG.error('Task %s failed: %s: %s', task.id, failure.kind, failure.message,
                  exc_info=None if is_known else error)
        work.confirm()
        flow.fail(work, failure)

    def _release(self, work: Work, delay_s: float, error: str,
                 keep_attempt: bool = False) -> None:
        work.persist(lambda: work.task.release(delay_s=delay_s, keep_attempt=keep_attempt,
                                               error=error))
        self.wake_in(delay_s)
