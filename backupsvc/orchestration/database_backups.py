# SPDX-License-Identifier: Apache-2.0
"""Use cases of the backups of database instances: what a server dumps, kept as one object.

They are rows among the other backups, of a kind that the dialects of volumes do not show. Unlike
those of volumes an increment needs its parent, so what was made from a backup goes with it.
"""

import dataclasses
import datetime
from collections.abc import Collection, Mapping, Sequence

from oslo_utils import timeutils, uuidutils

from backupsvc import conf, exception, rpc, states
from backupsvc.context import RequestContext
from backupsvc.drivers import loader
from backupsvc.objects import quota as quotas
from backupsvc.objects.backup import Backup, BackupList
from backupsvc.objects.database_instance import DatabaseInstance, begin_delete_backups
from backupsvc.objects.task import Task, TaskList
from backupsvc.orchestration import trusts
from backupsvc.policies import databases as policies

DATABASE = 'database'

#: Container of a backup whose request names none.
CONTAINER = 'z_CLOUDDB_BACKUPS'

#: Phase of the task in which the dump is complete and its object is being finished.
SAVING = 'save'

NEW = 'new'
BUILDING = 'building'

_GIB = 1 << 30


@dataclasses.dataclass(frozen=True, kw_only=True)
class NewDatabaseBackup:
    """What a caller wants backed up, and how.

    :ivar parent_id: store only what was changed since this backup
    :ivar incremental: without a parent: since the newest one, or all where there is none
    """

    instance_id: str
    name: str
    origin: str
    description: str | None = None
    parent_id: str | None = None
    incremental: bool = False
    container: str | None = None


def create(context: RequestContext, new: NewDatabaseBackup) -> Backup:
    """Record a backup and have the manager of the instance make it; the server goes on serving.

    :raises DatabaseInstanceNotFound, BackupNotFound: there is none, for this caller
    :raises InvalidInput: the parent is another instance's
    :raises DatabaseInstanceBusy: the instance is not active
    :raises DatabaseBackupNotComplete: the parent is not
    :raises DatabaseQuotaExceeded: of backups
    """
    instance = DatabaseInstance.get_by_id(context, new.instance_id)
    context.authorize(policies.BACKUPS_CREATE, instance)
    parent = _parent(context, instance, new)
    settings = conf.current().repository
    now = timeutils.utcnow(with_timezone=True)
    backup = Backup(
        context,
        id=uuidutils.generate_uuid(),
        project_id=instance.project_id,
        user_id=context.user_id,
        kind=DATABASE,
        source_id=instance.id,
        parent_id=parent.id if parent else None,
        name=new.name,
        description=new.description,
        status=states.CREATING,
        container=new.container or (parent.container if parent else CONTAINER),
        repository=settings.driver,
        repository_project_id=instance.project_id,
        size_gb=instance.volume_gb,
        data_timestamp=now,
        created_at=now,
        updated_at=now,
        availability_zone=instance.availability_zone,
        host=instance.host,
        origin=new.origin,
        source_facts={
            'datastore': instance.datastore, 'datastore_version': instance.datastore_version,
            'driver': instance.driver},
        metadata={},
    )
    task = Task(
        context,
        id=uuidutils.generate_uuid(),
        kind=states.TASK_BACK_UP_DATABASE,
        resource_id=backup.id,
        project_id=instance.project_id,
        user_id=context.user_id,
        request_id=context.request_id,
        host_affinity=instance.host,
        arguments=trusts.carried(context, states.TASK_BACK_UP_DATABASE, {}),
    )
    try:
        instance.begin_backup(backup, task, quotas.limits_for(context, instance.project_id))
    except exception.OverQuota as err:
        raise exception.DatabaseQuotaExceeded(**{**err.details, 'resource': 'backups'}) from err
    rpc.manager_api().wake(context, task)
    return backup


def _parent(
    context: RequestContext, instance: DatabaseInstance, new: NewDatabaseBackup
) -> Backup | None:
    if new.parent_id is not None:
        parent = Backup.get_by_id(context, new.parent_id, kind=DATABASE)
        if parent.source_id != instance.id or parent.project_id != instance.project_id:
            raise exception.InvalidInput(
                reason=f'Backup {parent.id} is not one of instance {instance.id}.')
        if parent.status != states.AVAILABLE:
            raise exception.DatabaseBackupNotComplete(
                f'Backup {parent.id} is not completed and cannot be built on.')
        return parent
    if not new.incremental:
        return None
    newest = BackupList.get_all(
        context, {'kind': DATABASE, 'source_id': instance.id, 'status': states.AVAILABLE,
                  'project_id': instance.project_id},
        sort=(('data_timestamp', 'desc'), ('id', 'desc')), limit=1)
    return next(iter(newest), None)


def get(context: RequestContext, backup_id: str) -> Backup:
    """Return a backup.

    :raises BackupNotFound: there is none, for this caller
    """
    backup = Backup.get_by_id(context, backup_id, kind=DATABASE)
    context.authorize(policies.BACKUPS_SHOW, backup)
    return backup


def list_(
    context: RequestContext, *, limit: int, offset: int = 0, instance_id: str | None = None,
    datastore: str | None = None, project_id: str | None = None, all_projects: bool = False,
) -> Sequence[Backup]:
    """Return a page of backups, those that changed last first.

    :param project_id: for administrators: of this project instead of the caller's own
    :param all_projects: for administrators: of every project
    :raises PolicyNotAuthorized: the backups of others are asked for, and the caller may not
    """
    context.authorize(policies.BACKUPS_LIST)
    filters: dict[str, str | None] = {'kind': DATABASE, 'project_id': context.project_id}
    if all_projects or project_id not in (None, context.project_id):
        context.authorize(policies.BACKUPS_LIST_ALL)
        filters['project_id'] = project_id
        if project_id is None:
            del filters['project_id']
    if instance_id is not None:
        filters['source_id'] = instance_id
    if datastore not in (None, *(each.type for each in
                                 loader.database_driver().list_datastores())):
        return []
    return list(BackupList.get_all(
        context, filters, sort=(('updated_at', 'desc'), ('id', 'desc')), limit=limit,
        offset=offset))


def phases(context: RequestContext, backups: Collection[Backup]) -> Mapping[str, str]:
    """Return how far those of some backups are that are being made: ``NEW``, ``BUILDING`` or
    ``SAVING`` by id.
    """
    ids = [backup.id for backup in backups if backup.status == states.CREATING]
    if not ids:
        return {}
    found = dict.fromkeys(ids, NEW)
    for task in TaskList.get_all(context, {'resource_id': ids, 'state': states.TASK_LIVE}):
        if task.phase == SAVING:
            found[task.resource_id] = SAVING
        elif task.state == states.RUNNING or task.attempt:
            found[task.resource_id] = BUILDING
    return found


def location(context: RequestContext, backup: Backup) -> str | None:
    """Return the URL of the object of a complete backup."""
    key = (backup.source_facts or {}).get('key')
    if key is None:
        return None
    return loader.repository_driver(backup.repository).object_url(
        context, backup.repository_project_id, backup.container, key)


def delete(context: RequestContext, backup_id: str) -> None:
    """Have managers remove a backup and all that were made from it.

    One that has been in the making for ``[database_instances] running_backup_expiry`` is given up,
    and its instance let go.

    :raises BackupNotFound: there is none, for this caller
    :raises DatabaseBackupBusy: one of them is being made or removed; all stay
    """
    backup = Backup.get_by_id(context, backup_id, kind=DATABASE)
    context.authorize(policies.BACKUPS_DELETE, backup)
    tasks = begin_delete_backups(context, backup, Task(
        context,
        kind=states.TASK_DELETE_DATABASE_BACKUP,
        project_id=backup.project_id,
        user_id=context.user_id,
        request_id=context.request_id,
        arguments=trusts.carried(context, states.TASK_DELETE_DATABASE_BACKUP, {}),
    ), timeutils.utcnow(with_timezone=True) - datetime.timedelta(
        seconds=conf.current().database_instances.running_backup_expiry))
    for task in tasks:
        for stuck in Task.request_cancel(
                context, task.resource_id, (states.TASK_BACK_UP_DATABASE,)):
            rpc.manager_api().cancel(context, stuck.id)
        rpc.manager_api().wake(context, task)


def restorable(context: RequestContext, backup_id: str, volume_gb: int) -> list[Backup]:
    """Return what has to be loaded to restore a backup: the full one, then increments.

    :param volume_gb: of the volume to restore to
    :raises BackupNotFound: there is none, for this caller
    :raises DatabaseBackupNotComplete: it, or one that it was made from, is not complete
    :raises DatabaseBackupTooLarge: the data do not fit
    :raises DatabaseBackupDamaged: what was stored is not there as it was
    """
    backup = Backup.get_by_id(context, backup_id, kind=DATABASE)
    context.authorize(policies.BACKUPS_RESTORE, backup)
    chain = [backup]
    while chain[0].parent_id is not None:
        try:
            chain.insert(0, Backup.get_by_id(context, chain[0].parent_id, kind=DATABASE))
        except exception.BackupNotFound as err:
            raise exception.DatabaseBackupDamaged(
                backup_id=backup.id, reason='a backup that it was made from is gone') from err
    if any(each.status != states.AVAILABLE for each in chain):
        raise exception.DatabaseBackupNotComplete(backup_id=backup.id)
    if backup.logical_bytes > volume_gb * _GIB:
        raise exception.DatabaseBackupTooLarge(
            backup_gb=round(backup.logical_bytes / _GIB, 2), volume_gb=volume_gb)
    for each in chain:
        _check_stored(context, each)
    return chain


def _check_stored(context: RequestContext, backup: Backup) -> None:
    """Check that the object of a backup is there in its size; its bytes are checked on the way."""
    try:
        size_bytes = loader.repository_driver(backup.repository).object_size(
            context, backup.repository_project_id, backup.container, backup.source_facts['key'])
    except exception.NotFound as err:
        raise exception.DatabaseBackupDamaged(
            backup_id=backup.id, reason='its object is gone') from err
    if size_bytes != backup.stored_bytes:
        raise exception.DatabaseBackupDamaged(
            backup_id=backup.id, reason='its object has another size')
