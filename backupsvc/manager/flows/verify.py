# SPDX-License-Identifier: Apache-2.0
"""Check a repository: every referenced object (quick), or every byte (full)."""

from oslo_log import log

from backupsvc.manager import failures
from backupsvc.manager.work import Work
from backupsvc.objects.repository import RepositoryList

LOG = log.getLogger(__name__)


def run(work: Work) -> None:
    """Carry a verify out; what it found is the task's resume point."""
    record, = RepositoryList.get_all(work.context, {'id': work.task.resource_id})
    work.step('verify')
    report = work.move('verify', {
        'backup_ids': work.task.arguments.get('backup_ids'),
        'full': bool(work.task.arguments.get('full')),
        'repository': {'driver': record.driver, 'container': record.container,
                       'project_id': record.project_id},
    })
    for problem in report['problems']:
        LOG.error('Repository %s: %s', record.id, problem['message'])
    work.remember(report=report)
    work.persist(record.mark_verified)
    work.persist(work.task.finish)


def fail(work: Work, failure: failures.Failure) -> None:
    """Say why."""
    work.persist(lambda: work.task.fail(failure.reason))


def cancel(work: Work) -> None:
    """End the task; nothing was changed."""
    work.persist(work.task.cancel)
