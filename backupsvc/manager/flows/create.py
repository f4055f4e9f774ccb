# SPDX-License-Identifier: Apache-2.0
"""Make a backup: archive the held source, give it back, make the record available."""

from typing import Any

from oslo_log import log

from backupsvc import exception, states
from backupsvc.drivers import loader
from backupsvc.manager import failures
from backupsvc.manager.flows import events, sets
from backupsvc.manager.work import Work
from backupsvc.objects.backup import Backup
from backupsvc.objects.repository import Repository
from backupsvc.orchestration import messages

LOG = log.getLogger(__name__)

_VOLUME_STATUS = 'backing-up'


def run(work: Work) -> None:
    """Carry a create out."""
    backup = Backup.get_by_id(work.context, work.task.resource_id, read_deleted=True)
    events.start(work, backup, 'create')
    result = work.resume_point.get('archived')
    if result is None:
        work.step('hold')
        facts = _hold(work, backup)
        # known from its first backup on, for what looks after repositories
        work.persist(lambda: Repository.get_or_create(
            work.context, backup.repository, backup.repository_project_id, backup.container))
        work.step('archive')
        result = _archive(work, backup, facts)
        work.remember(archived=result, facts=facts)
    _release(work, backup)
    work.persist(lambda: backup.finish(
        work.task, states.AVAILABLE, **_fields(backup, result, work.resume_point['facts'])))
    events.end(work, backup, 'create')
    sets.tell(work, backup)


def fail(work: Work, failure: failures.Failure) -> None:
    """Give the source back; the record says why."""
    backup = Backup.get_by_id(work.context, work.task.resource_id, read_deleted=True)
    _release(work, backup)
    work.persist(lambda: backup.fail(work.task, states.ERROR, failure.reason))
    detail = messages.BAD_STATE if work.task.phase == 'hold' else messages.CREATE_FAILED
    events.failed(work, backup, 'create', failure, messages.BACKUP_CREATE, detail)
    sets.tell(work, backup)


def cancel(work: Work) -> None:
    """Give the source back. What was stored stays for prune; the record is another's by now."""
    backup = Backup.get_by_id(work.context, work.task.resource_id, read_deleted=True)
    _release(work, backup)
    work.persist(lambda: backup.cancel(work.task, states.ERROR, 'Cancelled.'))
    sets.tell(work, backup)


def _snapshot_id(work: Work, backup: Backup) -> str | None:
    """Return the snapshot that is read: the user's, or one that was taken for a set."""
    return backup.snapshot_id or work.task.arguments.get('snapshot_id')


def _hold(work: Work, backup: Backup) -> dict[str, Any]:
    """Hold the source, as the use case did already unless somebody undid it, and describe it."""
    driver = loader.volume_driver()
    snapshot_id = _snapshot_id(work, backup)
    if snapshot_id:
        driver.acquire_snapshot(work.context, snapshot_id, holder=work.holder,
                                status=_VOLUME_STATUS, expected=('available',))
        volume = driver.show_volume(work.context, backup.source_id)
    else:
        volume = driver.acquire_volume(work.context, backup.source_id, holder=work.holder,
                                       status=_VOLUME_STATUS, expected=('available', 'in-use'))
    facts = {
        'name': volume.name, 'description': volume.description, 'metadata': volume.metadata,
        'image_metadata': volume.image_metadata, 'bootable': volume.bootable,
        'volume_type': volume.volume_type, 'size_gb': backup.size_gb,
        'availability_zone': volume.availability_zone,
    }
    if 'attachment' in work.task.arguments:
        facts['attachment'] = work.task.arguments['attachment']
    return facts


def _archive(work: Work, backup: Backup, facts: dict[str, Any]) -> dict[str, Any]:
    return work.move('archive', {
        'backup_id': backup.id,
        'parent_id': _parent_manifest(work, backup),
        'volume_id': backup.source_id,
        'snapshot_id': _snapshot_id(work, backup),
        'holder': work.holder,
        'repository': {'driver': backup.repository, 'container': backup.container,
                       'project_id': backup.repository_project_id},
        'facts': {
            'attempt_of': work.task.id,
            'volume': facts,
            'backup': {
                'name': backup.name, 'description': backup.description,
                'project_id': backup.project_id, 'user_id': backup.user_id,
                'source_id': backup.source_id, 'snapshot_id': backup.snapshot_id,
                'size_gb': backup.size_gb, 'metadata': dict(backup.metadata),
                'data_timestamp': backup.data_timestamp.isoformat(), 'set_id': backup.set_id,
            }},
    }, progress=events.progress(work, backup))


def _parent_manifest(work: Work, backup: Backup) -> str | None:
    """Return the parent's manifest. It only saves time: the archive is as complete without."""
    if backup.parent_id is None:
        return None
    try:
        parent = Backup.get_by_id(work.context, backup.parent_id)
    except exception.BackupNotFound:
        return None
    places = [(each.repository, each.repository_project_id, each.container)
              for each in (parent, backup)]
    return parent.manifest_id if places[0] == places[1] else None


def _release(work: Work, backup: Backup) -> None:
    driver = loader.volume_driver()
    snapshot_id = _snapshot_id(work, backup)
    try:
        if snapshot_id:
            driver.release_snapshot(work.context, snapshot_id, holder=work.holder)
        else:
            driver.release_volume(work.context, backup.source_id, holder=work.holder)
    except exception.BackupsvcError:
        LOG.exception('The source %s was not given back; the sweep of holds does it',
                      backup.source_id)


def _fields(backup: Backup, result: dict[str, Any], facts: dict[str, Any]) -> dict[str, Any]:
    return {
        'manifest_id': result['backup_id'],
        'logical_bytes': result['size_bytes'],
        'read_bytes': result['bytes_read'],
        'new_bytes': result['bytes_new'],
        'stored_bytes': result['bytes_stored'],
        'object_count': result['object_count'],
        'change_token': result['change_token'],
        # An incremental backup that could have read less than all did not: then the source has
        # forgotten what its parent was read from.
        'source_facts': {**facts, 'read': 'changed' if result['used_changed_extents'] else 'all'},
    }
