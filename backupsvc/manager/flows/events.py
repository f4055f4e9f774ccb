# SPDX-License-Identifier: Apache-2.0
"""What flows tell the outside: notifications to operators' tools, messages to users."""

from oslo_log import log

from backupsvc import conf as service_conf
from backupsvc.manager import failures
from backupsvc.manager.work import Progress, Work
from backupsvc.objects.backup import Backup, BackupList
from backupsvc.objects.sets import SetObject
from backupsvc.orchestration import messages
from backupsvc.rpc import notifications

LOG = log.getLogger(__name__)


def start(work: Work, backup: Backup, verb: str) -> None:
    """Notify ``backup.<verb>.start``, in the first attempt only."""
    if work.task.phase is None:
        _notify(work, backup, f'backup.{verb}.start')


def end(work: Work, backup: Backup, verb: str) -> None:
    """Notify ``backup.<verb>.end``."""
    _notify(work, backup, f'backup.{verb}.end')


def failed(work: Work, backup: Backup, verb: str, failure: failures.Failure, action: str,
           detail: str) -> None:
    """Notify ``backup.<verb>.end`` as an error, and leave a message for the user.

    :param action, detail: ids of ``orchestration.messages``
    """
    _notify(work, backup, f'backup.{verb}.end', is_error=True, fail_reason=failure.reason)
    try:
        messages.create(work.context, action, detail, backup.id)
    except Exception:  # the record says it too
        LOG.exception('The user message about backup %s was not written', backup.id)


def progress(work: Work, backup: Backup) -> Progress:
    """Return what notifies ``backup.createprogress`` each time another few per cent are done."""
    step = service_conf.current().manager.progress_notification_step
    told = 0

    def follow(counters: dict[str, int]) -> None:
        nonlocal told
        if not counters['bytes_total']:
            return
        percent = min(100, counters['bytes_done'] * 100 // counters['bytes_total'])
        if percent - told >= step or (percent == 100 and told < 100):
            told = percent
            _notify(work, backup, 'backup.createprogress', backup_percent=percent)

    return follow


def set_start(work: Work, record: SetObject, event: str) -> None:
    """Notify ``<event>.start`` of a set, in the first attempt only."""
    if work.task.phase is None:
        _notify_set(work, record, f'{event}.start')


def set_end(work: Work, record: SetObject, event: str) -> None:
    """Notify ``<event>.end`` of a set."""
    _notify_set(work, record, f'{event}.end')


def set_failed(work: Work, record: SetObject, event: str, resource: str, action: str) -> None:
    """Notify ``<event>.end`` of a set as an error, and leave a message for the user.

    :param resource, action: of ``orchestration.messages``
    """
    _notify_set(work, record, f'{event}.end', is_error=True)
    tell_user(work, resource, action, messages.MEMBER_FAILED)


def rollback(work: Work, point: str, failure: failures.Failure | None = None) -> None:
    """Notify ``volume.rollback.start`` (in the first attempt) or ``.end``."""
    if point == 'start' and work.task.phase is not None:
        return
    try:
        notifications.notify(
            work.context, f'volume.rollback.{point}', {
                'tenant_id': work.task.project_id, 'user_id': work.task.user_id,
                'volume_id': work.task.resource_id,
                'snapshot_id': work.task.arguments['snapshot_id'],
                'fail_reason': failure.reason if failure else None},
            is_error=failure is not None)
    except Exception:
        LOG.exception('Notification of the rollback of %s was not sent', work.task.resource_id)


def tell_user(work: Work, resource: str, action: str, detail: str) -> None:
    """Leave a message about what the task is about.

    :param resource, action, detail: of ``orchestration.messages``
    """
    try:
        messages.create(work.context, action, detail, work.task.resource_id, resource)
    except Exception:  # the record says it too
        LOG.exception('The user message about %s was not written', work.task.resource_id)


def _notify_set(work: Work, record: SetObject, event: str, is_error: bool = False) -> None:
    try:
        notifications.notify(
            work.context, event, notifications.set_payload(record), is_error=is_error)
    except Exception:
        LOG.exception('Notification %s of %s was not sent', event, record.id)


def _notify(work: Work, backup: Backup, event: str, is_error: bool = False, **extra) -> None:
    try:
        dependents = BackupList.dependent_counts(work.context, [backup.id]).get(backup.id, 0)
        notifications.notify(
            work.context, event,
            notifications.backup_payload(backup, num_dependent_backups=dependents, **extra),
            is_error=is_error)
    except Exception:  # never worth a backup
        LOG.exception('Notification %s of backup %s was not sent', event, backup.id)
