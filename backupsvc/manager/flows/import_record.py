# SPDX-License-Identifier: Apache-2.0
"""Make an imported record usable: find its data and take over what that says."""

from typing import Any

from oslo_utils import uuidutils

from backupsvc import exception, states
from backupsvc.drivers import loader
from backupsvc.manager import coordination, failures, repositories
from backupsvc.manager.work import Work
from backupsvc.objects import backup as backup_records
from backupsvc.objects.backup import Backup
from backupsvc.orchestration import records

_GIB = 1 << 30


def run(work: Work) -> None:
    """Carry an import out."""
    backup = Backup.get_by_id(work.context, work.task.resource_id, read_deleted=True)
    service = work.task.arguments['backup_service']
    if service != records.SERVICE:
        _import_foreign(work, backup, service)
        return
    if not (backup.manifest_id and backup.container):
        raise exception.InvalidBackup(
            reason='The record does not say where the backup is stored.')
    work.step('manifest')
    with coordination.lock(f'manifest-{backup.manifest_id}'):
        repository = repositories.open_repository(
            work.context, backup.repository_project_id, backup.container,
            driver=backup.repository)
        try:
            manifest = repository.show_manifest(backup.manifest_id)
        finally:
            repository.close()
        fields = _fields(work, backup, manifest)
        work.persist(lambda: backup.finish(work.task, states.AVAILABLE, **fields))


def _import_foreign(work: Work, backup: Backup, service: str) -> None:
    """Find what another service has made; it stays where it is."""
    name = loader.find_foreign_driver(service)
    if name is None:
        raise exception.InvalidBackup(
            reason=f'Records of {service} cannot be imported: no driver reads them.')
    work.step('locate')
    record = work.task.arguments['record']
    found = loader.foreign_driver(name).locate(
        work.context, service, record, lambda backup_id: _place(work, name, backup_id))
    _check_size(backup, found.size_bytes)
    work.persist(lambda: backup.finish(
        work.task, states.AVAILABLE, repository=backup_records.foreign_repository(name),
        manifest_id=backup.id, logical_bytes=found.size_bytes,
        source_id=_uuid(record.get('volume_id')) or backup.id,
        snapshot_id=_uuid(record.get('snapshot_id')), parent_id=_uuid(record.get('parent_id')),
        encryption_key_id=_uuid(record.get('encryption_key_id')),
        source_facts={**found.volume, 'place': found.place}))


def _place(work: Work, driver: str, backup_id: str) -> dict[str, Any] | None:
    """Return where an earlier import found a backup, None where there was none."""
    try:
        backup = Backup.get_by_id(work.context, backup_id)
    except exception.BackupNotFound:
        return None
    return backup.place if backup.foreign_driver == driver else None


def _check_size(backup: Backup, size_bytes: int) -> None:
    if size_bytes > backup.size_gb * _GIB:
        raise exception.InvalidBackup(
            reason=f'The record says {backup.size_gb} GiB, the data has {size_bytes} bytes.')


def _fields(work: Work, backup: Backup, manifest: Any) -> dict[str, Any]:
    """Return what the record gets now that its data is known.

    What the manifest says is authentic and counts; the record, which anybody may have edited,
    fills what a manifest does not say.
    """
    _check_size(backup, manifest.size_bytes)
    facts = manifest.facts.get('backup') or {}
    record = work.task.arguments['record']
    fields = {
        'logical_bytes': manifest.size_bytes,
        'source_id': _uuid(facts.get('source_id')) or _uuid(record.get('volume_id'))
                     or manifest.id,
        'snapshot_id': _uuid(facts.get('snapshot_id')),
        'encryption_key_id': _uuid(record.get('encryption_key_id')),
    }
    if manifest.facts.get('volume'):
        fields['source_facts'] = manifest.facts['volume']
    return fields


def _uuid(value: Any) -> str | None:
    return value if isinstance(value, str) and uuidutils.is_uuid_like(value) else None


def fail(work: Work, failure: failures.Failure) -> None:
    """Say why; the record can be deleted."""
    backup = Backup.get_by_id(work.context, work.task.resource_id, read_deleted=True)
    work.persist(lambda: backup.fail(work.task, states.ERROR, failure.reason))


def cancel(work: Work) -> None:
    """End the task; the record is another's by now."""
    backup = Backup.get_by_id(work.context, work.task.resource_id, read_deleted=True)
    work.persist(lambda: backup.cancel(work.task, states.ERROR, 'Cancelled.'))
