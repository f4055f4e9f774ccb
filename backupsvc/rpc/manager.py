# SPDX-License-Identifier: Apache-2.0
"""Client side of the messages to managers.

Version history:

* 1.0: wake, cancel.
* 1.1: call_database.
* 1.2: describe.

Each message is sent with the version that has brought it, not with the newest: so a manager of an
older release understands all but what it does not know. ``versions`` says what that is.
"""

from typing import Any

import oslo_messaging as messaging

from backupsvc import conf, exception, rpc
from backupsvc.context import RequestContext
from backupsvc.objects.database_instance import DatabaseInstance
from backupsvc.objects.task import Task
from backupsvc.rpc import versions


class ManagerAPI:
    """Casts to managers: nothing of theirs waits, raises, or is needed for a task to be done. And
    one call, for questions and changes that a server answers while the client waits.
    """

    def wake(self, context: RequestContext, task: Task) -> None:
        """Tell a manager, that of the task's host if it has an affinity, that a task is queued.

        What it is to be done with is read from the row: it may hold what others must not see.
        """
        options: dict[str, Any] = {'version': '1.0'}
        if task.host_affinity:
            options['server'] = task.host_affinity
        told: Any = task.obj_clone()
        told.arguments = told.resume_point = None
        rpc.send(f'wake of task {task.id}', self._cast, context, 'wake', options, task=told)

    def cancel(self, context: RequestContext, task_id: str) -> None:
        """Tell every manager that the cancel flag of a task is set."""
        rpc.send(f'cancel of task {task_id}', self._cast, context, 'cancel',
                 {'version': '1.0', 'fanout': True}, task_id=task_id)

    def call_database(self, context: RequestContext, instance: DatabaseInstance, verb: str,
                      arguments: dict[str, Any]) -> Any:
        """Have the manager on whose host a server is call a verb of the database driver.

        :param arguments: plain values; secret ones are sealed (``rpc.sealing``)
        :returns: plain values
        :raises BackupsvcError: what the verb raises
        :raises Unavailable: the manager does not answer, or does not know the message yet
        """
        _check('1.1', 'call a database server')
        client = rpc.client().prepare(
            version='1.1', server=instance.host,
            timeout=conf.current().database_instances.call_timeout)
        try:
            return client.call(context, 'call_database', instance=instance, verb=verb,
                               arguments=arguments)
        except messaging.MessagingTimeout:
            raise exception.Unavailable(
                f'The manager of instance {instance.id} does not answer.') from None
        except messaging.MessageDeliveryFailure:
            raise exception.Unavailable('The message bus does not answer.') from None

    def describe(self, context: RequestContext, host: str, timeout_s: float) -> dict[str, Any]:
        """Have a manager say how much it has to do.

        :returns: ``version`` of it; ``slots`` and how many of them are ``busy``; ``waiting_s``,
            for how long the oldest task that it may claim has been due, 0 for none
        :raises MessageNotSent: the message bus does not take the message
        :raises CallTimedOut: no answer has come within ``timeout_s``
        :raises Unavailable: some manager is of a release that does not know the message
        """
        _check('1.2', 'tell how busy it is')
        try:
            client = rpc.client().prepare(version='1.2', server=host, timeout=timeout_s)
            return client.call(context, 'describe', host=host, timeout_s=timeout_s)
        except messaging.MessagingTimeout:
            raise exception.CallTimedOut(host=host, seconds=f'{timeout_s:.0f}') from None
        except (messaging.MessageDeliveryFailure, OSError) as error:
            raise exception.MessageNotSent(
                reason='Failed to send request from gateway to broker. The manager '
                       f'{host} cannot be reached: {error}') from error

    @staticmethod
    def _cast(context: RequestContext, method: str, options: dict[str, Any],
              **arguments: Any) -> None:
        rpc.client().prepare(**options).cast(context, method, **arguments)


def _check(version: str, what: str) -> None:
    """Refuse to send a message that some manager would not understand.

    :raises Unavailable: one is of an older release
    """
    if not versions.can_send(version):
        raise exception.Unavailable(
            f'A manager cannot {what} before all of them are upgraded to messages of version '
            f'{version}.')
