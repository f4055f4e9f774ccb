# SPDX-License-Identifier: Apache-2.0
"""What a manager does from time to time: heartbeat, holds that outlived their task, prune,
verify.
"""

import datetime
import threading
from collections.abc import Callable, Iterable

from oslo_log import log
from oslo_utils import timeutils, uuidutils

from backupsvc import conf as service_conf
from backupsvc import context as request_context
from backupsvc import exception, rpc, states
from backupsvc.drivers import loader
from backupsvc.drivers.base import Hold
from backupsvc.manager import checkpoints, coordination, databases
from backupsvc.manager.flows import rollback
from backupsvc.objects.repository import Repository
from backupsvc.objects.service import Service
from backupsvc.objects.task import Task
from backupsvc.orchestration import trusts

LOG = log.getLogger(__name__)

BINARY = 'backupsvc-manager'

#: Longest time between two looks for what is due at times of its own, in seconds.
_LONGEST_LOOK = 3600


class Periodics:
    """The threads of one manager's periodic work."""

    def __init__(self, host: str, wake: Callable[[], None]):
        self._host = host
        self._wake = wake
        self._started_at = timeutils.utcnow(with_timezone=True)
        self._is_over = threading.Event()
        self._unused_trusts: set[str] = set()
        conf = service_conf.current().manager
        jobs = [('heartbeat', self.heartbeat, conf.heartbeat_interval),
                ('holds', self.release_holds, conf.hold_sweep_interval),
                ('trusts', self.give_back_trusts, conf.hold_sweep_interval),
                ('checkpoints', self.look_after_checkpoints,
                 service_conf.current().actuator.check_interval)]
        interval = service_conf.current().database_instances.check_interval
        if interval:
            jobs.append(('databases', self.keep_databases, interval))
        if conf.prune_interval:
            jobs.append(('prune', self.queue_prunes, conf.prune_interval))
        if conf.verify_interval:
            jobs.append(('verify', self.queue_verifies,
                         min(conf.verify_interval, _LONGEST_LOOK)))
        self._threads = [
            threading.Thread(target=self._repeat, args=(name, job, interval),
                             name=f'periodic-{name}', daemon=True)
            for name, job, interval in jobs]

    def start(self) -> None:
        """Begin, each with a first run now."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_s: float) -> None:
        """End after what is running."""
        self._is_over.set()
        for thread in self._threads:
            thread.join(timeout_s)

    def _repeat(self, name: str, job: Callable, interval_s: float) -> None:
        while not self._is_over.is_set():
            context = request_context.get_admin_context()
            context.update_store()
            try:
                job(context)
            except Exception:
                LOG.exception('Periodic work "%s" failed; it is tried again in %s s', name,
                              interval_s)
            self._is_over.wait(interval_s)

    def heartbeat(self, context: request_context.RequestContext) -> None:
        """Say that this manager lives."""
        conf = service_conf.current().manager
        Service.heartbeat(context, host=self._host, binary=BINARY, topic=rpc.TOPIC,
                          availability_zone=conf.availability_zone, rpc_version=rpc.VERSION)

    def release_holds(self, context: request_context.RequestContext) -> None:
        """Give back what is held for a task that has ended, or that never came to be."""
        self._sweep(context, loader.volume_driver().list_holds(context), _release)
        instances = loader.instance_driver()
        self._sweep(context, instances.list_holds(context), lambda context, hold, task:
                    instances.unquiesce(context, hold.resource_id, holder=hold.holder))
        servers = loader.database_driver()
        self._sweep(context, servers.list_holds(context), lambda context, hold, task:
                    servers.unquiesce(context, hold.resource_id, holder=hold.holder))

    def _sweep(self, context: request_context.RequestContext, holds: Iterable[Hold],
               release: Callable[..., None]) -> None:
        for hold in holds:
            try:
                task = Task.get_by_id(context, hold.holder)
            except exception.TaskNotFound:
                task = None
            if not self._is_leftover(hold, task):
                continue
            LOG.warning('%s is given back: its task %s %s', hold.resource_id, hold.holder,
                        'has ended' if task else 'never came to be')
            try:
                release(context, hold, task)
            except exception.BackupsvcError:
                LOG.exception('%s was not given back; the next sweep tries again',
                              hold.resource_id)

    @staticmethod
    def _is_leftover(hold: Hold, task: Task | None) -> bool:
        if task is not None:
            return task.state not in states.TASK_LIVE
        grace = datetime.timedelta(seconds=service_conf.current().manager.hold_grace)
        return timeutils.utcnow(with_timezone=True) - hold.since > grace

    def give_back_trusts(self, context: request_context.RequestContext) -> None:
        """Give back the trusts of tasks that have ended, or that never came to be.

        One has to be seen twice: a request makes its trust before it writes its task.
        """
        found = set(trusts.unused(context))
        for trust_id in found & self._unused_trusts:
            loader.repository_driver().delete_trust(trust_id)
        self._unused_trusts = found

    def keep_databases(self, context: request_context.RequestContext) -> None:
        """Start the database servers of this host that should run and do not."""
        databases.keep_running(context, self._host)

    def look_after_checkpoints(self, context: request_context.RequestContext) -> None:
        """Take checkpoints that are due, delete those that are not kept, fail those that nobody
        can end.
        """
        checkpoints.look(context, self._started_at)

    def queue_prunes(self, context: request_context.RequestContext) -> None:
        """Queue a prune of each repository in which backups were deleted since the last one."""
        conf = service_conf.current().manager
        self._queue(context, states.TASK_PRUNE,
                    lambda: Repository.due_for_prune(context, conf.prune_interval))

    def queue_verifies(self, context: request_context.RequestContext) -> None:
        """Queue a quick verify of each repository whose last one is long ago."""
        conf = service_conf.current().manager
        self._queue(context, states.TASK_VERIFY,
                    lambda: Repository.due_for_verify(context, conf.verify_interval))

    def _queue(self, context: request_context.RequestContext, kind: str,
               due: Callable[[], list[Repository]]) -> None:
        # One manager at a time looks, or each would queue what all have found.
        with coordination.lock(f'queue-{kind}', is_waiting=False) as is_mine:
            for record in due() if is_mine else []:
                if Task.live_for(context, record.id):
                    continue
                Task(context, id=uuidutils.generate_uuid(), kind=kind, resource_id=record.id,
                     project_id=record.project_id, request_id=context.request_id,
                     arguments={}).create()
                self._wake()


def _release(context: request_context.RequestContext, hold: Hold, task: Task | None) -> None:
    driver = loader.volume_driver()
    if hold.is_taken:
        driver.remove_snapshot(context, hold.resource_id)
        return
    if hold.is_unwritten and task is None:  # of a request that died; nobody knows of the volume
        driver.delete_volume(context, hold.resource_id, holder=hold.holder)
        return
    status = None  # as before the hold
    if task is not None and task.kind == states.TASK_ROLLBACK and not hold.is_snapshot:
        status = rollback.status_after(task, driver.show_volume(context, hold.resource_id))
    if task is not None and task.kind == states.TASK_RESTORE:
        if (task.resume_point or {}).get('restored'):
            status = 'available'
        elif task.started_at is not None and not task.arguments.get('new_volume'):
            status = 'error_restoring'
    release = driver.release_snapshot if hold.is_snapshot else driver.release_volume
    release(context, hold.resource_id, holder=hold.holder, status=status)
