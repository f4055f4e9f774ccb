# SPDX-License-Identifier: Apache-2.0
"""Use cases of database instances: create, look up, restart, resize, delete.

Each is a task for the manager on whose host the server is, or is to be.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from oslo_log import log
from oslo_utils import uuidutils

from backupsvc import conf, exception, rpc, states
from backupsvc.context import RequestContext
from backupsvc.drivers import loader
from backupsvc.drivers.base import Database, NewDatabaseUser
from backupsvc.objects import quota
from backupsvc.objects.database_instance import DatabaseInstance, DatabaseInstanceList
from backupsvc.objects.task import Task
from backupsvc.orchestration import database_backups, placement, trusts
from backupsvc.policies import databases as policies

LOG = log.getLogger(__name__)

#: A database to be made, for dialects, which do not know drivers.
NewDatabase = Database

#: The port that rules are about, whichever one the host gives an instance.
PORT = 3306

#: What users of databases call the resources of quotas.
QUOTA_NAMES = {
    'database_instances': 'instances', 'database_gigabytes': 'volumes', 'backups': 'backups',
    'backup_gigabytes': 'backups'}


@dataclasses.dataclass(frozen=True, kw_only=True)
class NewUser:
    """A user to be made in an instance. The password goes no further than to be hashed."""

    name: str
    password: str = dataclasses.field(repr=False)
    host: str = '%'
    databases: Sequence[str] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class NewInstance:
    """What a caller wants of a database instance.

    :ivar volume_gb: room for its data
    :ivar backup_id: fill it from this backup
    :ivar datastore: what shall serve it, as (type, version); None is the default of either
    """

    name: str
    flavor_id: str
    volume_gb: int
    databases: Sequence[Database] = ()
    users: Sequence[NewUser] = ()
    backup_id: str | None = None
    availability_zone: str | None = None
    datastore: tuple[str | None, str | None] = (None, None)


def create(context: RequestContext, new: NewInstance) -> DatabaseInstance:
    """Record an instance and have a manager make it; its server answers once it is active.

    :raises DatabaseFlavorNotFound, BackupNotFound: there is none, for this caller
    :raises InvalidInput: databases or users that no server could have
    :raises DatabaseBackupNotComplete, DatabaseBackupTooLarge, DatabaseBackupDamaged: the backup
        cannot be restored, or not so
    :raises DatabaseQuotaExceeded: of instances or of the size of their volumes
    :raises ServiceNotFound: no manager is there to make it
    """
    context.authorize(policies.CREATE)
    driver = loader.database_driver()
    flavor = driver.show_flavor(new.flavor_id)
    datastore = _datastore(new)
    users = [NewDatabaseUser(user.name, driver.hash_password(user.password), user.host,
                             tuple(user.databases)) for user in new.users]
    _check_names(new.databases, users)
    driver.check_names(new.databases, users)
    chain = []
    if new.backup_id is not None:
        chain = database_backups.restorable(context, new.backup_id, new.volume_gb)
    service = placement.pick(new.availability_zone)
    if service is None:
        raise exception.ServiceNotFound(service=placement.BINARY)
    instance = DatabaseInstance(
        context,
        id=uuidutils.generate_uuid(),
        project_id=context.project_id,
        user_id=context.user_id,
        name=new.name,
        status=states.BUILDING,
        driver=driver.name,
        datastore=datastore.type,
        datastore_version=datastore.version,
        flavor_id=flavor.id,
        volume_gb=new.volume_gb,
        availability_zone=new.availability_zone or service.availability_zone,
        host=service.host,
        restored_from_id=new.backup_id,
    )
    task = new_task(context, states.TASK_PROVISION_DATABASE, instance, {
        'databases': [dataclasses.asdict(database) for database in new.databases],
        'users': [dataclasses.asdict(user) for user in users],
        'backups': [backup.id for backup in chain],
    })
    group, rules = _security_group(context, instance)
    _in_quota(context, lambda limits: instance.create(group, rules, task, limits))
    rpc.manager_api().wake(context, task)
    return instance


def _datastore(new: NewInstance) -> Any:
    """Return the datastore that is asked for.

    :raises InvalidInput: there is no such one
    """
    kind, version = new.datastore
    for datastore in loader.database_driver().list_datastores():
        if kind in (None, datastore.type) and version in (None, datastore.version):
            return datastore
    raise exception.InvalidInput(
        reason=f'Datastore {kind or ""} {version or ""} cannot be found.')


def _check_names(databases: Sequence[Database], users: Sequence[NewDatabaseUser]) -> None:
    """Refuse what is said twice, and grants of databases that are not asked for."""
    names = [database.name for database in databases]
    if len(set(names)) != len(names):
        raise exception.InvalidInput(
            reason='Two or more databases share the same name in the initial databases list.')
    if len({(user.name, user.host) for user in users}) != len(users):
        raise exception.InvalidInput(
            reason='Two or more users share the same name and host in the initial users list.')
    for user in users:
        for name in user.databases:
            if name not in names:
                raise exception.InvalidInput(
                    reason=f'The request indicates that user {user.name} should have access to '
                           f'database {name}, but database {name} is not included in the initial '
                           'databases list.')


def _security_group(
    context: RequestContext, instance: DatabaseInstance
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    group_id = uuidutils.generate_uuid()
    group = {
        'id': group_id, 'project_id': instance.project_id, 'user_id': instance.user_id,
        'name': f'SecGroup_{instance.id}', 'description': f'Security Group for {instance.id}',
        'instance_id': instance.id}
    rules = [
        {'id': uuidutils.generate_uuid(), 'group_id': group_id, 'protocol': 'tcp',
         'from_port': PORT, 'to_port': PORT, 'cidr': cidr}
        for cidr in dict.fromkeys(conf.current().database_instances.default_cidrs)]
    return group, rules


def _in_quota(context: RequestContext, write: Any) -> None:
    """Call ``write`` with the limits of the caller's project.

    :raises DatabaseQuotaExceeded: it would pass one
    """
    assert context.project_id is not None  # no rule lets a token without a project come here
    try:
        write(quota.limits_for(context, context.project_id))
    except exception.OverQuota as err:
        raise exception.DatabaseQuotaExceeded(
            **{**err.details, 'resource': QUOTA_NAMES[err.details['resource']]}) from err


def new_task(
    context: RequestContext, kind: str, instance: DatabaseInstance,
    arguments: Mapping[str, Any] | None = None, resource_id: str | None = None,
) -> Task:
    """Return a task for the manager that has an instance, not stored yet."""
    return Task(
        context,
        id=uuidutils.generate_uuid(),
        kind=kind,
        resource_id=resource_id or instance.id,
        project_id=instance.project_id,
        user_id=context.user_id,
        request_id=context.request_id,
        host_affinity=instance.host,
        arguments=trusts.carried(context, kind, arguments or {}),
    )


def get(context: RequestContext, instance_id: str) -> DatabaseInstance:
    """Return an instance.

    :raises DatabaseInstanceNotFound: there is none, for this caller
    """
    instance = DatabaseInstance.get_by_id(context, instance_id)
    context.authorize(policies.SHOW, instance)
    return instance


def list_(
    context: RequestContext, limit: int | None = None, marker: str | None = None
) -> Sequence[DatabaseInstance]:
    """Return a page of the caller's project's instances, by id."""
    context.authorize(policies.LIST)
    return list(DatabaseInstanceList.get_all(
        context, {'project_id': context.project_id}, limit, marker))


def used_bytes(context: RequestContext, instance: DatabaseInstance) -> int | None:
    """Return how much of its volume an instance uses; None where its server cannot be asked."""
    if instance.status not in (states.ACTIVE, states.BACKING_UP):
        return None
    try:
        return rpc.manager_api().call_database(context, instance, 'show', {})['used_bytes']
    except exception.BackupsvcError as err:
        LOG.warning('The usage of instance %s is not known: %s', instance.id, err)
        return None


def update(context: RequestContext, instance_id: str, name: str) -> DatabaseInstance:
    """Change the name of an instance.

    :raises DatabaseInstanceNotFound: there is none, for this caller
    """
    instance = DatabaseInstance.get_by_id(context, instance_id)
    context.authorize(policies.UPDATE, instance)
    instance.save(name=name)
    return instance


def delete(context: RequestContext, instance_id: str) -> None:
    """Have a manager remove an instance with all that it holds; its backups stay.

    :raises DatabaseInstanceNotFound: there is none, for this caller
    :raises DatabaseInstanceBusy: something else is being done with it
    """
    instance = DatabaseInstance.get_by_id(context, instance_id)
    context.authorize(policies.DELETE, instance)
    _begin(context, instance, states.TASK_DELETE_DATABASE, states.DELETING)


def restart(context: RequestContext, instance_id: str) -> None:
    """Have a manager restart the server of an instance.

    :raises DatabaseInstanceNotFound: there is none, for this caller
    :raises DatabaseInstanceBusy: something else is being done with it
    """
    instance = DatabaseInstance.get_by_id(context, instance_id)
    context.authorize(policies.RESTART, instance)
    _begin(context, instance, states.TASK_RESTART_DATABASE, states.RESTARTING)


def resize_flavor(context: RequestContext, instance_id: str, flavor_id: str) -> None:
    """Have a manager give an instance another flavor, which restarts its server.

    :raises DatabaseInstanceNotFound, DatabaseFlavorNotFound: there is none, for this caller
    :raises InvalidInput: it has this flavor
    :raises DatabaseInstanceBusy: something else is being done with it
    """
    instance = DatabaseInstance.get_by_id(context, instance_id)
    context.authorize(policies.RESIZE, instance)
    flavor = loader.database_driver().show_flavor(flavor_id)
    if flavor.id == instance.flavor_id:
        raise exception.InvalidInput(
            reason='No change was requested in the size of the instance.')
    _begin(context, instance, states.TASK_RESIZE_DATABASE, states.RESIZING,
           {'flavor_id': flavor.id})


def resize_volume(context: RequestContext, instance_id: str, volume_gb: int) -> None:
    """Have a manager make the volume of an instance larger; its server goes on meanwhile.

    :raises DatabaseInstanceNotFound: there is none, for this caller
    :raises InvalidInput: it would not be larger
    :raises DatabaseQuotaExceeded: of the size of volumes
    :raises DatabaseInstanceBusy: something else is being done with it
    """
    instance = DatabaseInstance.get_by_id(context, instance_id)
    context.authorize(policies.RESIZE, instance)
    if volume_gb <= instance.volume_gb:
        raise exception.InvalidInput(
            reason="The new volume 'size' must be larger than the current volume size of "
                   f"'{instance.volume_gb}'.")
    task = new_task(context, states.TASK_RESIZE_DATABASE, instance, {'volume_gb': volume_gb})
    _in_quota(context, lambda limits: instance.begin(
        task, states.RESIZING, gigabytes=volume_gb - instance.volume_gb, quota=limits))
    rpc.manager_api().wake(context, task)


def _begin(
    context: RequestContext, instance: DatabaseInstance, kind: str, status: str,
    arguments: Mapping[str, Any] | None = None,
) -> None:
    task = new_task(context, kind, instance, arguments)
    instance.begin(task, status)
    rpc.manager_api().wake(context, task)

