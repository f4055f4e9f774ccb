# SPDX-License-Identifier: Apache-2.0
"""Endpoint of the messages to managers: one method for each of ``rpc.manager.ManagerAPI``."""

import oslo_messaging as messaging

from backupsvc import rpc
from backupsvc.context import RequestContext
from backupsvc.manager import tasks
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
