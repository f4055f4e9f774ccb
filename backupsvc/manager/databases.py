# SPDX-License-Identifier: Apache-2.0
"""Database servers of this host: verbs called by message, and the servers kept running."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from oslo_log import log

from backupsvc import exception, states
from backupsvc.context import RequestContext
from backupsvc.drivers import loader
from backupsvc.drivers.base import Database, Listing, NewDatabaseUser, NewVolume, Volume
from backupsvc.objects.database_instance import DatabaseInstance, DatabaseInstanceList
from backupsvc.objects.security_group import SecurityGroup
from backupsvc.objects.task import Task
from backupsvc.rpc import sealing

LOG = log.getLogger(__name__)

#: Owner of the volumes that servers keep their data on: no project of a user's.
VOLUMES_PROJECT = 'backupsvc-databases'

#: What may be called by message.
VERBS = frozenset((
    'show', 'list_databases', 'create_databases', 'delete_database', 'list_users', 'show_user',
    'create_users', 'update_user', 'delete_user', 'grant', 'revoke', 'enable_root',
    'disable_root', 'is_root_enabled'))

#: The keys that sealed arguments are opened with.
_keys = sealing.Keys()

#: Statuses in which a server should run.
_RUNNING = (states.ACTIVE, states.BACKING_UP, states.SHUTDOWN)


def call(context: RequestContext, instance_id: str, verb: str,
         arguments: Mapping[str, Any]) -> Any:
    """Call a verb of the driver with plain values, and return plain values.

    :param arguments: of the verb; or ``sealed``: those, as ``rpc.sealing`` seals them. The verb
        ``make_key`` gives the key for that
    :raises BackupsvcError: what the verb raises
    """
    if verb == 'make_key':
        return _keys.make()
    if 'sealed' in arguments:
        arguments = _keys.open(arguments['sealed'], sealing.label(instance_id, verb))
    if verb not in VERBS:
        raise exception.Unsupported(f'There is no verb {verb}.')
    function = getattr(loader.database_driver(), verb)
    return _plain(function(context, instance_id, **_values(verb, arguments)))


def _values(verb: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(arguments)
    if verb == 'create_databases':
        found['databases'] = databases(found['databases'])
    elif verb == 'create_users':
        found['users'] = users(found['users'])
    elif verb == 'list_users' and found.get('marker'):
        found['marker'] = tuple(found['marker'])
    return found


def databases(rows: list[dict[str, Any]]) -> list[Database]:
    """Return what the driver takes for databases that travelled or were kept as plain values."""
    return [Database(**row) for row in rows]


def users(rows: list[dict[str, Any]]) -> list[NewDatabaseUser]:
    """Return the same for users."""
    return [NewDatabaseUser(**{**row, 'databases': tuple(row['databases'])}) for row in rows]


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value


# Volumes -----------------------------------------------------------------------------------------


def volumes_context() -> RequestContext:
    """Return the context that servers' volumes are made and used with."""
    return RequestContext(project_id=VOLUMES_PROJECT, is_admin=True, overwrite=False)


def make_volume(instance: DatabaseInstance, wait: Callable[[float], None]) -> Volume:
    """Return the volume of an instance's data, made or found, in use by nobody else.

    :param wait: waits so many seconds, or raises
    """
    driver: Any = loader.volume_driver()
    context = volumes_context()
    volume = _find_volume(instance)
    if volume is None:
        volume = driver.create_volume(context, NewVolume(
            size_gb=instance.volume_gb, name=instance.id,
            description='The data of a database instance.'))
    while volume.status == 'creating':
        wait(0.2)
        volume = driver.show_volume(context, volume.id)
    if volume.status == 'available':
        driver.attach_volume(context, volume.id, instance_id=instance.id, host=None,
                             mountpoint='/dev/vda', mode='rw')
    return volume


def _find_volume(instance: DatabaseInstance) -> Volume | None:
    driver: Any = loader.volume_driver()
    found = driver.list_volumes(volumes_context(), Listing(
        filters={'project_id': VOLUMES_PROJECT, 'name': instance.id}, limit=1))
    return found[0] if found else None


def volume_path(volume: Volume) -> str:
    """Return the raw file of a volume on this host."""
    driver: Any = loader.volume_driver()
    return driver.raw_path(volumes_context(), volume.id)


def extend_volume(instance: DatabaseInstance, volume_gb: int) -> None:
    """Make the volume of an instance larger, if it has one and it is smaller."""
    volume = None if instance.volume_id is None else _find_volume(instance)
    if volume is not None and volume.size_gb < volume_gb:
        driver: Any = loader.volume_driver()
        driver.extend_volume(volumes_context(), volume.id, volume_gb)


def remove_volume(instance: DatabaseInstance) -> None:
    """Remove the volume of an instance whose server is gone; there need be none."""
    driver: Any = loader.volume_driver()
    volume = _find_volume(instance) if driver.serves_volumes else None
    if volume is not None:
        driver.remove_volume(volumes_context(), volume.id, force=True)


def wants_volume() -> bool:
    """Tell whether servers of this host keep their data on volumes."""
    return loader.volume_driver().serves_volumes and loader.database_driver().wants_volume()


# Keeping them running ----------------------------------------------------------------------------


def keep_running(context: RequestContext, host: str) -> None:
    """Start what should run on this host and does not, and remove what no record knows.

    A server that cannot be started is tried again the next time.
    """
    driver = loader.database_driver()
    known = {each.id: each for each in DatabaseInstanceList.get_all(context, {'host': host})}
    here = driver.list_servers()
    for instance in known.values():
        if instance.status in _RUNNING:
            _keep(context, instance)
    for instance_id in here:
        if instance_id not in known and not Task.live_for(context, instance_id):
            _remove_stray(context, instance_id)


def _keep(context: RequestContext, instance: DatabaseInstance) -> None:
    driver = loader.database_driver()
    try:
        server = driver.adopt(context, instance.id)
    except exception.BackupsvcError as err:
        LOG.error('The server of database instance %s cannot be started: %s', instance.id, err)
        instance.transition_to(states.SHUTDOWN, {states.ACTIVE}, fail_reason=str(err)[:255])
        return
    if instance.status == states.SHUTDOWN:
        instance.transition_to(
            states.ACTIVE, {states.SHUTDOWN}, fail_reason=None, address=server.host,
            port=server.port)
    elif (server.host, server.port) != (instance.address, instance.port):
        instance.save(address=server.host, port=server.port)


def _remove_stray(context: RequestContext, instance_id: str) -> None:
    try:
        DatabaseInstance.get_by_id(context, instance_id)
        return  # made since the list was read, or another host's record of it
    except exception.DatabaseInstanceNotFound:
        LOG.warning('Server %s belongs to no database instance and is removed', instance_id)
    loader.database_driver().remove(context, instance_id)


def apply_rules(context: RequestContext, instance_id: str) -> None:
    """Have a server let in whom the rules of its security group name, and nobody else."""
    group = SecurityGroup.get_by_instance(context, instance_id)
    loader.database_driver().set_allowed(context, instance_id, group.cidrs)
