# SPDX-License-Identifier: Apache-2.0
"""Remove a database instance: its server with all that it holds, its volume, then the record."""

from backupsvc import states
from backupsvc.drivers import loader
from backupsvc.manager import databases, failures
from backupsvc.manager.work import Work
from backupsvc.objects.database_instance import DatabaseInstance


def run(work: Work) -> None:
    """Carry a deletion out; its backups stay."""
    instance = DatabaseInstance.get_by_id(work.context, work.task.resource_id)
    work.step('server')
    loader.database_driver().remove(work.context, instance.id)
    work.step('volume')
    databases.remove_volume(instance)
    work.persist(lambda: instance.destroy(work.task))


def fail(work: Work, failure: failures.Failure) -> None:
    """Say why; the deletion may be asked for again."""
    instance = DatabaseInstance.get_by_id(work.context, work.task.resource_id)
    work.persist(lambda: instance.fail(work.task, states.ERROR, failure.reason))


def cancel(work: Work) -> None:
    """As ``fail``; nobody asks for it yet."""
    fail(work, failures.Failure('Cancelled', 'Deletion was cancelled.', False))
