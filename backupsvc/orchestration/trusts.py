# SPDX-License-Identifier: Apache-2.0
"""What users hand over so that work can go on for them after their request: made with the request,
carried by its tasks, given back when no task needs it any more.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from backupsvc import states
from backupsvc.context import RequestContext
from backupsvc.drivers import loader
from backupsvc.objects.task import Task, TaskList

#: The argument of a task that has the id.
ARGUMENT = 'trust_id'

#: Kinds of task that read or write a repository, or queue such tasks.
_KINDS = frozenset((
    states.TASK_CREATE, states.TASK_RESTORE, states.TASK_DELETE, states.TASK_IMPORT,
    states.TASK_VERIFY, states.TASK_CREATE_SET, states.TASK_DELETE_SET,
    states.TASK_BACK_UP_DATABASE, states.TASK_PROVISION_DATABASE,
    states.TASK_DELETE_DATABASE_BACKUP))


def carried(context: RequestContext, kind: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a task of a kind, with the trust of this request if one is needed.

    :raises Forbidden: the caller may not hand over what the work needs
    :raises Unavailable: who keeps trusts does not answer
    """
    if kind not in _KINDS:
        return dict(arguments)
    if context.trust_id is None and context.auth_token:
        context.trust_id = loader.repository_driver().create_trust(context)
    return {**arguments, ARGUMENT: context.trust_id} if context.trust_id else dict(arguments)


def of_task(task: Task) -> str | None:
    """Return the trust that a task carries."""
    return (task.arguments or {}).get(ARGUMENT)


def give_back(context: RequestContext, task: Task) -> None:
    """Give the trust of a task back unless another task that has not ended carries it too.

    :raises Unavailable: who keeps trusts does not answer
    """
    trust_id = of_task(task)
    if trust_id is not None and trust_id not in _in_use(context):
        loader.repository_driver().delete_trust(trust_id)


def unused(context: RequestContext) -> Iterator[str]:
    """Yield the trusts that no live task carries; one may be of a request that is still at work.

    :raises Unavailable: who keeps trusts does not answer
    """
    made = list(loader.repository_driver().list_trusts())
    if made:
        in_use = _in_use(context)
        yield from (trust_id for trust_id in made if trust_id not in in_use)


def _in_use(context: RequestContext) -> set[str | None]:
    return {of_task(task) for task in TaskList.get_all(context, {'state': states.TASK_LIVE})}
