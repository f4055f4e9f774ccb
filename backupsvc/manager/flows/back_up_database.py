# SPDX-License-Identifier: Apache-2.0
"""Back a database instance up: store what its server dumps, let go of it, end with the record."""

from typing import Any

from oslo_log import log

from backupsvc import exception, states
from backupsvc.drivers import loader
from backupsvc.manager import failures
from backupsvc.manager.flows import events
from backupsvc.manager.flows.provision_database import drivers, where
from backupsvc.manager.work import Work
from backupsvc.objects.backup import Backup
from backupsvc.objects.database_instance import DatabaseInstance
from backupsvc.orchestration import database_backups, messages

LOG = log.getLogger(__name__)


def run(work: Work) -> None:
    """Carry a backup out."""
    backup = Backup.get_by_id(work.context, work.task.resource_id, read_deleted=True)
    events.start(work, backup, 'create')
    result = work.resume_point.get('stored')
    if result is None:
        work.step('dump')
        result = _store(work, backup)
        work.remember(stored=result)
    _release(work, backup)
    work.persist(lambda: backup.finish(work.task, states.AVAILABLE, **_fields(backup, result)))
    events.end(work, backup, 'create')


def fail(work: Work, failure: failures.Failure) -> None:
    """Let the instance go; the record says why."""
    backup = Backup.get_by_id(work.context, work.task.resource_id, read_deleted=True)
    _release(work, backup)
    work.persist(lambda: backup.fail(work.task, states.ERROR, failure.reason))
    events.failed(work, backup, 'create', failure, messages.BACKUP_CREATE,
                  messages.CREATE_FAILED)


def cancel(work: Work) -> None:
    """Let the instance go; an object without a complete record is never used."""
    backup = Backup.get_by_id(work.context, work.task.resource_id, read_deleted=True)
    _release(work, backup)
    work.persist(lambda: backup.cancel(work.task, states.ERROR, 'Cancelled.'))


def key_of(backup: Backup) -> str:
    """Return the name of a backup's object in its container."""
    return f'{backup.id}.{loader.database_driver().dump_suffix}'


def _store(work: Work, backup: Backup) -> dict[str, Any]:
    since = None
    if backup.parent_id is not None:
        since = Backup.get_by_id(work.context, backup.parent_id).change_token
    key = key_of(backup)
    result = work.move('dump', {
        'instance_id': backup.source_id, 'since': since, 'key': key,
        'repository': where(backup), 'drivers': drivers([backup])}, progress=_watch(work))
    return {**result, 'key': key}


def _watch(work: Work) -> Any:
    """Return what notes, once, that the dump is complete and only its object is to be finished."""
    def watch(counters: dict[str, int]) -> None:
        is_whole = counters.get('bytes_total') == counters.get('bytes_done')
        if is_whole and work.task.phase != database_backups.SAVING:
            work.step(database_backups.SAVING)
    return watch


def _release(work: Work, backup: Backup) -> None:
    try:
        instance = DatabaseInstance.get_by_id(work.context, backup.source_id)
    except exception.DatabaseInstanceNotFound:
        LOG.warning('Instance %s was gone before its backup ended', backup.source_id)
        return
    work.persist(lambda: instance.release(work.task.id))


def _fields(backup: Backup, result: dict[str, Any]) -> dict[str, Any]:
    return {
        'logical_bytes': result['data_bytes'],
        'read_bytes': result['data_bytes'],
        'new_bytes': result['stored_bytes'],
        'stored_bytes': result['stored_bytes'],
        'object_count': 1,
        'change_token': result['point'],
        'source_facts': {**(backup.source_facts or {}), 'key': result['key'],
                         'checksum': result['checksum']},
    }
