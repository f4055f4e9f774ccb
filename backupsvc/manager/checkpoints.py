# SPDX-License-Identifier: Apache-2.0
"""What managers do about checkpoints from time to time, one of them for all: take those that are
due, delete those that are kept no longer, and see to it that none is in progress for ever.
"""

import datetime
from collections.abc import Callable, Sequence

from oslo_log import log
from oslo_utils import timeutils

from backupsvc import conf as service_conf
from backupsvc import exception, rpc, states
from backupsvc.conf import durations
from backupsvc.context import RequestContext
from backupsvc.drivers import loader
from backupsvc.manager import coordination
from backupsvc.objects.backup import BackupList
from backupsvc.objects.checkpoint import Checkpoint, CheckpointPartition
from backupsvc.objects.service import ServiceList
from backupsvc.objects.task import Task
from backupsvc.orchestration import checkpoints, placement

LOG = log.getLogger(__name__)


def look(context: RequestContext, since: datetime.datetime) -> None:
    """Do what there is to do, unless another manager is doing it.

    :param since: a time of the schedule that came before is not made up for
    """
    with coordination.lock('checkpoints', is_waiting=False) as is_mine:
        if not is_mine:
            return
        for what, job in (('watched', watch), ('expired', expire),
                          ('taken', lambda context: take_due(context, since))):
            _surely(context, what, job)


def _surely(
    context: RequestContext, what: str, job: Callable[[RequestContext], None],
) -> None:
    try:
        job(context)
    except Exception:
        LOG.exception('Checkpoints were not %s; the next look tries again', what)


# Taking ------------------------------------------------------------------------------------------


def take_due(context: RequestContext, since: datetime.datetime) -> None:
    """Take a checkpoint if the schedule wants one and none is in progress."""
    schedule = service_conf.current().actuator.schedule
    if not schedule or not checkpoints.cluster().is_configured:
        return
    last = Checkpoint.last_scheduled_at(context)
    is_first = last is None and durations.is_interval(schedule)
    now = timeutils.utcnow(with_timezone=True)
    if not is_first and durations.next_time(schedule, last or since) > now:
        return
    if Checkpoint.get_all(context, status=states.CHECKPOINT_IN_PROGRESS):
        LOG.info('A checkpoint is due and waits for the end of the one before')
        return
    try:
        checkpoint_id = checkpoints.create(context, is_scheduled=True)
    except exception.Unavailable as error:
        LOG.warning('The checkpoint that is due was not begun: %s', error)
        return
    LOG.info('Checkpoint %d is taken, as it is due', checkpoint_id)


# Keeping -----------------------------------------------------------------------------------------


def expire(context: RequestContext) -> None:
    """Delete what the retention keeps no longer."""
    settings = service_conf.current().actuator
    window = durations.parse(settings.retention_window) if settings.retention_window else None
    if window is None and not settings.retention_count:
        return
    now = timeutils.utcnow(with_timezone=True)
    for record in expired(Checkpoint.get_all(context), settings.retention_count,
                          None if window is None else now - window):
        LOG.info('Checkpoint %d is kept no longer', record.id)
        checkpoints.delete(context, record.id)


def expired(
    records: Sequence[Checkpoint], count: int, before: datetime.datetime | None,
) -> list[Checkpoint]:
    """Return the checkpoints that are kept no longer: neither the last completed one, nor any in
    progress.

    :param records: the highest id first
    :param count: so many completed ones are kept, and what is newer than these; 0 for no limit
    :param before: none is kept that was begun earlier; None for no limit
    """
    completed = [record.id for record in records
                 if record.status == states.CHECKPOINT_COMPLETED]
    oldest_kept = completed[:count][-1] if count and len(completed) >= count else 0
    return [record for record in records
            if record.status != states.CHECKPOINT_IN_PROGRESS and record.id not in completed[:1]
            and (record.id < oldest_kept
                 or (before is not None and record.created_at < before))]


# Watching ----------------------------------------------------------------------------------------


def watch(context: RequestContext) -> None:
    """Find shares whose manager has died, or that nobody works on."""
    for record in Checkpoint.get_all(context, status=states.CHECKPOINT_IN_PROGRESS):
        shares: dict[str, list[CheckpointPartition]] = {}
        for part in record.partitions:
            if part.is_in_progress:
                shares.setdefault(part.share_id, []).append(part)
        for share_id, parts in shares.items():
            _watch(context, record, share_id, parts)


def _watch(
    context: RequestContext, record: Checkpoint, share_id: str,
    parts: Sequence[CheckpointPartition],
) -> None:
    host = parts[0].host
    live = Task.live_for(context, share_id)
    if not live:
        _fail(context, record, parts, 'Nobody works on it any more.')
    elif live[0].host_affinity is not None and _is_dead(context, host):
        if _is_bound(parts):
            _fail(context, record, parts, f'The manager {host} does not answer, and nobody else '
                                          'reaches its volumes.')
        else:
            _hand_over(context, record, share_id, host)


def _is_dead(context: RequestContext, host: str) -> bool:
    """Tell whether a manager has shown no sign of life for long."""
    limit_s = service_conf.current().actuator.takeover_timeout
    found = list(ServiceList.get_all(context, {'binary': placement.BINARY, 'host': host}))
    return not found or found[0].seconds_since_seen > limit_s


def _is_bound(parts: Sequence[CheckpointPartition]) -> bool:
    """Tell whether only the host of a share reaches its volumes."""
    families = [loader.volume_driver()]
    kinds = {part.kind for part in parts}
    if 'database' in kinds:
        families.append(loader.database_driver())
    if kinds - {'database'}:
        families.append(loader.instance_driver())
    return any(driver.is_host_local for driver in families)


def _hand_over(
    context: RequestContext, record: Checkpoint, share_id: str, host: str,
) -> None:
    LOG.warning('The share of manager %s in checkpoint %d is for any manager now', host, record.id)
    members = BackupList.of_sets(context, [share_id])[share_id]
    for resource_id in [share_id, *(member.id for member in members)]:
        Task.move(context, resource_id)
        for task in Task.live_for(context, resource_id):
            rpc.manager_api().wake(context, task)


def _fail(
    context: RequestContext, record: Checkpoint, parts: Sequence[CheckpointPartition],
    reason: str,
) -> None:
    LOG.error('Checkpoint %d fails: %s', record.id, reason)
    record.look()
    guilty = [part.partition_id for part in parts]
    reasons = dict.fromkeys(guilty, reason)
    if record.phase != states.STORING:
        reasons = checkpoints.reasons(record, guilty, reason)
    record.fail_unfinished(reasons)
    checkpoints.cancel(context, record, {part.share_id for part in parts})
