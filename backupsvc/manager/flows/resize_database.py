# SPDX-License-Identifier: Apache-2.0
"""Give a database instance another flavor or a larger volume."""

from backupsvc import exception, states
from backupsvc.drivers import loader
from backupsvc.manager import databases, failures
from backupsvc.manager.work import Work
from backupsvc.objects.database_instance import DatabaseInstance


def run(work: Work) -> None:
    """Carry a resize out."""
    instance = DatabaseInstance.get_by_id(work.context, work.task.resource_id)
    driver = loader.database_driver()
    wanted = work.task.arguments
    if 'flavor_id' in wanted:
        work.step('memory')
        flavor = driver.show_flavor(wanted['flavor_id'])
        server = driver.resize_memory(work.context, instance.id, flavor.ram_mb)
        work.persist(lambda: instance.finish(
            work.task, flavor_id=flavor.id, address=server.host, port=server.port))
        return
    work.step('volume')
    databases.extend_volume(instance, wanted['volume_gb'])
    driver.resize_volume(work.context, instance.id, wanted['volume_gb'])
    work.persist(lambda: instance.finish(work.task, volume_gb=wanted['volume_gb']))


def fail(work: Work, failure: failures.Failure) -> None:
    """Say why; where the server runs as before the instance stays usable."""
    instance = DatabaseInstance.get_by_id(work.context, work.task.resource_id)
    grown = (work.task.arguments or {}).get('volume_gb', instance.volume_gb) - instance.volume_gb
    work.persist(lambda: instance.fail(
        work.task, states.ACTIVE if _is_running(work, instance) else states.ERROR,
        failure.reason, gigabytes=-grown))


def _is_running(work: Work, instance: DatabaseInstance) -> bool:
    try:
        return loader.database_driver().show(work.context, instance.id).is_running
    except exception.BackupsvcError:
        return False


def cancel(work: Work) -> None:
    """As ``fail``; nobody asks for it yet."""
    fail(work, failures.Failure('Cancelled', 'Cancelled.', False))
