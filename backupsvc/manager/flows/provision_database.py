# SPDX-License-Identifier: Apache-2.0
"""Make a database instance: a server, filled from a backup if asked for, with databases and users.
"""

from typing import Any

from backupsvc import states
from backupsvc.drivers import loader
from backupsvc.drivers.base import NewDatabaseServer
from backupsvc.manager import databases, failures
from backupsvc.manager.work import Work
from backupsvc.objects.backup import Backup
from backupsvc.objects.database_instance import DatabaseInstance
from backupsvc.objects.security_group import SecurityGroup


def run(work: Work) -> None:
    """Carry a creation out."""
    instance = DatabaseInstance.get_by_id(work.context, work.task.resource_id)
    driver = loader.database_driver()
    wanted = work.task.arguments
    work.step('check')
    driver.check_available()
    work.step('volume')
    volume = databases.make_volume(instance, work.wait) if databases.wants_volume() else None
    work.step('server')
    is_restore = bool(wanted['backups'])
    is_loaded = bool(work.resume_point.get('loaded'))
    server = driver.provision(
        work.context, instance.id, NewDatabaseServer(
            ram_mb=driver.show_flavor(instance.flavor_id).ram_mb,
            volume_gb=instance.volume_gb,
            volume_path=databases.volume_path(volume) if volume else None,
            allowed_cidrs=SecurityGroup.get_by_instance(work.context, instance.id).cidrs),
        for_load=is_restore)
    if is_restore:
        if not is_loaded:
            work.step('load')
            _load(work, instance, wanted['backups'])
            work.remember(loaded=True)
        work.step('start')
        server = driver.start(work.context, instance.id)
    work.step('databases')
    if wanted['databases']:
        driver.create_databases(
            work.context, instance.id, databases.databases(wanted['databases']), exist_ok=True)
    if wanted['users']:
        driver.create_users(
            work.context, instance.id, databases.users(wanted['users']), exist_ok=True)
    work.check()
    work.persist(lambda: instance.finish(
        work.task, address=server.host, port=server.port,
        volume_id=volume.id if volume else None))


def fail(work: Work, failure: failures.Failure) -> None:
    """Leave the record, which says why, and nothing else."""
    instance = DatabaseInstance.get_by_id(work.context, work.task.resource_id)
    loader.database_driver().remove(work.context, instance.id)
    databases.remove_volume(instance)
    work.persist(lambda: instance.fail(work.task, states.FAILED_TO_BUILD, failure.reason))


def cancel(work: Work) -> None:
    """As ``fail``; nobody asks for it yet."""
    fail(work, failures.Failure('Cancelled', 'Cancelled.', False))


def _load(work: Work, instance: DatabaseInstance, backup_ids: list[str]) -> None:
    chain = [Backup.get_by_id(work.context, backup_id) for backup_id in backup_ids]
    work.move('load', {
        'instance_id': instance.id,
        'repository': where(chain[0]),
        'drivers': drivers(chain),
        'dumps': [
            {'repository': where(backup), 'key': backup.source_facts['key'],
             'stored_bytes': backup.stored_bytes, 'checksum': backup.source_facts['checksum']}
            for backup in chain]})


def where(backup: Backup) -> dict[str, Any]:
    """Return the place of a backup's object as a mover takes it."""
    return {'driver': backup.repository, 'container': backup.container,
            'project_id': backup.repository_project_id}


def drivers(backups: list[Backup]) -> list[tuple[str, str]]:
    """Return the drivers that a mover needs for the objects of some backups."""
    names = {backup.repository for backup in backups}
    return [('database', loader.database_driver().name),
            *(('repository', name) for name in sorted(names))]
