# SPDX-License-Identifier: Apache-2.0
"""Endpoint of the messages to managers: one method for each of ``rpc.manager.ManagerAPI``."""

from typing import Any

import oslo_messaging as messaging

from backupsvc import exception, rpc, version
from backupsvc.context import RequestContext
from backupsvc.manager import databases, tasks
from backupsvc.objects.database_instance import DatabaseInstance
from backupsvc.objects.task import Task


class ManagerEndpoint:
    """Hands messages to the work slots; the rows say what there is to do."""

    target = messaging.Target(version=rpc.VERSION)

    def __init__(self, runner: tasks.Runner):
        self._runner = runner

    def wake(self, context: RequestContext, task: Task) -> None:
        """A task is queued."""
        self._runner.wake()

    def cancel(self, context: RequestContext, task_id: str) -> None:
        """The cancel flag of a task is set."""
        self._runner.cancel(task_id)

    def call_database(self, context: RequestContext, instance: DatabaseInstance, verb: str,
                      arguments: dict[str, Any]) -> Any:
        """A caller waits for what a server of this host answers."""
        try:
            return databases.call(context, instance.id, verb, arguments)
        except exception.BackupsvcError:
            raise messaging.ExpectedException() from None  # goes to the caller, and not to the log

    def describe(self, context: RequestContext, host: str, timeout_s: float) -> dict[str, Any]:
        """A caller wants to know how much there is to do here."""
        busy, slots = self._runner.load()
        return {'version': version.version_string(), 'slots': slots, 'busy': busy,
                'waiting_s': Task.longest_due(context, self._runner.host)}
