# SPDX-License-Identifier: Apache-2.0
"""Free what no backup of a repository refers to any more."""

import datetime
from typing import Any

from oslo_log import log
from oslo_utils import timeutils

from backupsvc import conf as service_conf
from backupsvc import states
from backupsvc.engine import errors
from backupsvc.manager import coordination, failures
from backupsvc.manager.work import Work
from backupsvc.objects.repository import Repository, RepositoryList
from backupsvc.objects.task import Task
from backupsvc.orchestration import trusts

LOG = log.getLogger(__name__)

#: Seconds until a prune is tried again whose repository another process prunes.
_BUSY_DELAY = 60.0


def queue_with_trust(work: Work, record: Repository) -> None:
    """Queue the prune that a deletion gives cause for, where only the trust of who deleted lets it
    write. Elsewhere the periodic look finds the repository.
    """
    interval_s = service_conf.current().manager.prune_interval
    trust_id = trusts.of_task(work.task)
    if trust_id is None or not interval_s or Task.live_for(work.context, record.id):
        return
    due = timeutils.utcnow(with_timezone=True) + datetime.timedelta(seconds=interval_s)
    task = Task(work.context, kind=states.TASK_PRUNE, resource_id=record.id,
                project_id=record.project_id, request_id=work.task.request_id, run_after=due,
                arguments={trusts.ARGUMENT: trust_id})
    work.persist(task.create)


def run(work: Work) -> None:
    """Carry a prune out. Archives go on beside it: the repository's own protocol allows that."""
    record, = RepositoryList.get_all(work.context, {'id': work.task.resource_id})
    grace_s = service_conf.current().manager.prune_grace
    with coordination.lock(f'prune-{record.id}', is_waiting=False) as is_held:
        if not is_held:
            raise failures.Postponed('another process prunes this repository', _BUSY_DELAY)
        work.step('prune')
        report = _prune(work, record, grace_s)
    LOG.info('Repository %s is pruned: %s', record.id, report)
    work.remember(report=report)
    if report['packs_condemned']:
        raise failures.Postponed('unused packs wait for the end of their grace', grace_s + 1.0)
    work.persist(record.mark_pruned)
    work.persist(work.task.finish)


def _prune(work: Work, record: Repository, grace_s: int) -> dict[str, Any]:
    try:
        return work.move('prune', {
            'grace_s': grace_s,
            'owner': work.task.id,  # takes over the lock of an attempt that was killed
            'repository': {'driver': record.driver, 'container': record.container,
                           'project_id': record.project_id},
        })
    except failures.MoverFailed as error:
        if error.failure.kind == errors.RepositoryLocked.__name__:
            raise failures.Postponed(error.failure.message, _BUSY_DELAY) from error
        raise


def fail(work: Work, failure: failures.Failure) -> None:
    """Say why; the next prune is due as before."""
    work.persist(lambda: work.task.fail(failure.reason))


def cancel(work: Work) -> None:
    """End the task; a prune can stop anywhere."""
    work.persist(work.task.cancel)
