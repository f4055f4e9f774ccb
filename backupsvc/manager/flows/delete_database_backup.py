# SPDX-License-Identifier: Apache-2.0
"""Remove a backup of a database instance: its object, then the record."""

from oslo_log import log

from backupsvc import exception, states
from backupsvc.drivers import loader
from backupsvc.manager import failures
from backupsvc.manager.flows import events
from backupsvc.manager.flows.back_up_database import key_of
from backupsvc.manager.work import Work
from backupsvc.objects.backup import Backup
from backupsvc.orchestration import messages

LOG = log.getLogger(__name__)


def run(work: Work) -> None:
    """Carry a deletion out."""
    backup = Backup.get_by_id(work.context, work.task.resource_id, read_deleted=True)
    events.start(work, backup, 'delete')
    work.step('object')
    _remove(work, backup)
    work.persist(lambda: backup.destroy(work.task))
    events.end(work, backup, 'delete')


def fail(work: Work, failure: failures.Failure) -> None:
    """Say why; the deletion may be asked for again."""
    backup = Backup.get_by_id(work.context, work.task.resource_id, read_deleted=True)
    work.persist(lambda: backup.fail(work.task, states.ERROR_DELETING, failure.reason))
    events.failed(work, backup, 'delete', failure, messages.BACKUP_DELETE,
                  messages.DELETE_FAILED)


def cancel(work: Work) -> None:
    """Leave what is left; the object may be gone already."""
    backup = Backup.get_by_id(work.context, work.task.resource_id, read_deleted=True)
    work.persist(lambda: backup.cancel(work.task, states.ERROR, 'Deletion was cancelled.'))


def _remove(work: Work, backup: Backup) -> None:
    key = (backup.source_facts or {}).get('key') or key_of(backup)
    try:
        store = loader.repository_driver(backup.repository).open_store(
            work.context, backup.repository_project_id, backup.container)
    except exception.NotFound:
        LOG.info('Backup %s has no container (any more)', backup.id)
        return
    try:
        store.delete(key)
    finally:
        store.close()
