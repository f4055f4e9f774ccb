# SPDX-License-Identifier: Apache-2.0
"""Client side of the messages to managers.

Version history:

* 1.0: wake, cancel.
"""

from typing import Any

from backupsvc import rpc
from backupsvc.context import RequestContext
from backupsvc.objects.task import Task


class ManagerAPI:
    """Casts to managers. Nothing here waits, raises, or is needed for a task to be done."""

    def wake(self, context: RequestContext, task: Task) -> None:
        """Tell a manager, that of the task's host if it has an affinity, that a task is queued."""
        options = {'server': task.host_affinity} if task.host_affinity else {}
        rpc.send(f'wake of task {task.id}', self._cast, context, 'wake', options, task=task)

    def cancel(self, context: RequestContext, task_id: str) -> None:
        """Tell every manager that the cancel flag of a task is set."""
        rpc.send(f'cancel of task {task_id}', self._cast, context, 'cancel', {'fanout': True},
                 task_id=task_id)

    @staticmethod
    def _cast(context: RequestContext, method: str, options: dict[str, Any],
              **arguments: Any) -> None:
        rpc.client().prepare(**options).cast(context, method, **arguments)
