# SPDX-License-Identifier: Apache-2.0
"""What flows tell the outside: notifications to operators' tools, messages to users."""

from oslo_log import log

from backupsvc import conf as service_conf
from backupsvc.manager import failures
from backupsvc.manager.work import Progress, Work
from backupsvc.objects.backup import Backup, BackupList
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


def _notify(work: Work, backup: Backup, event: str, is_error: bool = False, **extra) -> None:
    try:
        dependents = BackupList.dependent_counts(work.context, [backup.id]).get(backup.id, 0)
        notifications.notify(
            work.context, event,
            notifications.backup_payload(backup, num_dependent_backups=dependents, **extra),
            is_error=is_error)
    except Exception:  # never worth a backup
        LOG.exception('Notification %s of backup %s was not sent', event, backup.id)
