# SPDX-License-Identifier: Apache-2.0
"""Restart the server of a database instance."""

from backupsvc import states
from backupsvc.drivers import loader
from backupsvc.manager import failures
from backupsvc.manager.work import Work
from backupsvc.objects.database_instance import DatabaseInstance


def run(work: Work) -> None:
    """Carry a restart out."""
    instance = DatabaseInstance.get_by_id(work.context, work.task.resource_id)
    work.step('restart')
    server = loader.database_driver().restart(work.context, instance.id)
    work.persist(lambda: instance.finish(work.task, address=server.host, port=server.port))


def fail(work: Work, failure: failures.Failure) -> None:
    """Say why; the restart may be asked for again."""
    instance = DatabaseInstance.get_by_id(work.context, work.task.resource_id)
    work.persist(lambda: instance.fail(work.task, states.ERROR, failure.reason))


def cancel(work: Work) -> None:
    """As ``fail``; nobody asks for it yet."""
    fail(work, failures.Failure('Cancelled', 'Cancelled.', False))
