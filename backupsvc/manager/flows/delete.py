# SPDX-License-Identifier: Apache-2.0
"""Remove a backup: its manifest first, then the record; prune frees the bytes later."""

from oslo_log import log

from backupsvc import exception, states
from backupsvc.engine import errors
from backupsvc.manager import coordination, failures, repositories
from backupsvc.manager.flows import events, prune, sets
from backupsvc.manager.work import Work
from backupsvc.objects.backup import Backup, BackupList
from backupsvc.objects.repository import Repository
from backupsvc.orchestration import messages, records

LOG = log.getLogger(__name__)

#: Statuses of records that hold on to their manifest.
_KEEPING = tuple(status for status in states.BACKUP
                 if status not in (states.DELETING, states.DELETED))


def run(work: Work) -> None:
    """Carry a delete out. Work on the same backup has ended before: tasks of one are in order."""
    backup = Backup.get_by_id(work.context, work.task.resource_id, read_deleted=True)
    events.start(work, backup, 'delete')
    work.step('manifest')
    if _owns_data(backup) and not backup.deleted:
        _remove_manifest(work, backup)
    work.persist(lambda: backup.destroy(work.task))
    events.end(work, backup, 'delete')
    sets.tell(work, backup)


def _owns_data(backup: Backup) -> bool:
    """Tell whether the record stands for stored data.

    That of another service stays its own. An imported one of ours does so once its import has
    found the data; until then it only names a place, which may be another's.
    """
    is_ours = bool(backup.container) and not backup.foreign_driver
    return is_ours and backup.source_id != records.UNKNOWN_SOURCE


def fail(work: Work, failure: failures.Failure) -> None:
    """Say why; the delete may be asked for again."""
    backup = Backup.get_by_id(work.context, work.task.resource_id, read_deleted=True)
    work.persist(lambda: backup.fail(work.task, states.ERROR, failure.reason))
    events.failed(work, backup, 'delete', failure, messages.BACKUP_DELETE,
                  messages.DELETE_FAILED)
    sets.tell(work, backup)


def cancel(work: Work) -> None:
    """Leave what is left; the manifest may be gone already."""
    backup = Backup.get_by_id(work.context, work.task.resource_id, read_deleted=True)
    work.persist(lambda: backup.cancel(work.task, states.ERROR, 'Deletion was cancelled.'))
    sets.tell(work, backup)


def _remove_manifest(work: Work, backup: Backup) -> None:
    manifest_id = backup.manifest_id or backup.id  # of a create that never came to its end
    with coordination.lock(f'manifest-{manifest_id}'):
        if _is_kept(work, backup, manifest_id):
            LOG.info('Backup %s leaves its manifest to another record', backup.id)
            return
        try:
            repository = repositories.open_repository(
                work.context, backup.repository_project_id, backup.container,
                driver=backup.repository)
        except (exception.NotFound, errors.RepositoryNotFound):
            LOG.info('Backup %s has no repository (any more)', backup.id)
            return
        try:
            repository.delete(manifest_id)
        finally:
            repository.close()
    record = work.persist(lambda: Repository.mark_deleted_backup(
        work.context, backup.repository, backup.repository_project_id, backup.container))
    prune.queue_with_trust(work, record)


def _is_kept(work: Work, backup: Backup, manifest_id: str) -> bool:
    """Tell whether another live record, made by an import, stands for the same manifest."""
    return BackupList.count(work.context, {
        'repository': backup.repository, 'container': backup.container,
        'repository_project_id': backup.repository_project_id, 'manifest_id': manifest_id,
        'status': list(_KEEPING)}) > 0
