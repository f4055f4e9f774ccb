# SPDX-License-Identifier: Apache-2.0
"""Use cases of checkpoints: one backup of every partition of the cluster, as of one moment.

The cluster is what ``[actuator] partitions`` says. Each manager that owns partitions has a *share*
of a checkpoint: a task that takes the snapshots together with those of the other managers, and
then has the volumes archived.
"""

import dataclasses
import datetime
import itertools
import time
from collections.abc import Collection, Iterable, Mapping

from oslo_utils import timeutils, uuidutils

from backupsvc import conf, exception, rpc, states
from backupsvc.context import RequestContext
from backupsvc.objects import checkpoint as objects
from backupsvc.objects.backup import BackupList
from backupsvc.objects.checkpoint import CheckpointPartition
from backupsvc.objects.service import Service, ServiceList
from backupsvc.objects.task import Task
from backupsvc.orchestration import backups, placement, sets
from backupsvc.policies import checkpoints as policies

_MILLISECOND = datetime.timedelta(milliseconds=1)
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)

_UNKNOWN_REASON = 'Unknown reason'


@dataclasses.dataclass(frozen=True)
class Partition:
    """A part of the cluster.

    :ivar kind: ``volume``, ``instance`` or ``database``
    :ivar broker: host of the manager that backs it up
    """

    id: int
    kind: str
    resource_id: str
    broker: str


@dataclasses.dataclass(frozen=True)
class Cluster:
    """What checkpoints are taken of.

    :ivar makes_ids: ids of checkpoints are made here, and none may be given
    """

    partitions: tuple[Partition, ...]
    makes_ids: bool

    @property
    def is_configured(self) -> bool:
        """Whether there is anything to take checkpoints of."""
        return bool(self.partitions)


@dataclasses.dataclass(frozen=True)
class PartitionState:
    """A partition in a checkpoint. What is None is not known (yet).

    :ivar state: COMPLETED, FAILED, IN_PROGRESS or DOES_NOT_EXIST
    :ivar snapshot_id: the volume driver's; several, of an instance, separated by commas
    :ivar position: place of the moment in the log, the same for all partitions
    """

    id: int
    state: str
    failure_reason: str | None = None
    created_at: datetime.datetime | None = None
    updated_at: datetime.datetime | None = None
    snapshot_id: str | None = None
    position: int | None = None
    broker_id: int | None = None
    broker_version: str | None = None


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A checkpoint with every partition that it or the cluster has, in their order.

    :ivar state: as ``aggregate`` has it
    """

    id: int
    state: str
    failure_reason: str | None
    partitions: tuple[PartitionState, ...]


@dataclasses.dataclass(frozen=True)
class PartitionCheckpoint:
    """One partition of one checkpoint whose moment has come.

    :ivar at: the moment
    """

    partition_id: int
    checkpoint_id: int
    position: int
    is_scheduled: bool
    at: datetime.datetime | None


@dataclasses.dataclass(frozen=True)
class Range:
    """Checkpoints of a partition without a gap: all from ``start`` to ``end`` are completed."""

    partition_id: int
    start: int
    end: int


@dataclasses.dataclass(frozen=True)
class State:
    """What there is for each partition.

    :ivar checkpoints: the latest of each, completed or not
    :ivar backups: the latest completed one of each
    """

    checkpoints: tuple[PartitionCheckpoint, ...]
    backups: tuple[PartitionCheckpoint, ...]
    ranges: tuple[Range, ...]


def cluster() -> Cluster:
    """Return the cluster of the configuration."""
    settings = conf.current()
    return Cluster(
        tuple(Partition(each.id, each.kind, each.resource_id, each.broker or settings.host)
              for each in sorted(settings.actuator.partitions)),
        settings.actuator.continuous or bool(settings.actuator.schedule))


def _configured() -> Cluster:
    found = cluster()
    if not found.is_configured:
        raise exception.CheckpointsNotConfigured()
    return found


# Taking ------------------------------------------------------------------------------------------


def create(
    context: RequestContext, checkpoint_id: int | None = None, *, is_scheduled: bool = False
) -> int:
    """Spend an id and have the managers of all partitions take a checkpoint; return its id.

    Every manager is asked first whether it is there: where one is not, no id is spent.

    :param checkpoint_id: above all before; None where ``cluster().makes_ids``
    :raises CheckpointsNotConfigured: there are no partitions
    :raises CheckpointIdMissing: none is given, or it is not above 0
    :raises CheckpointIdGiven: one is, where ids are made here
    :raises CheckpointIdTaken: it is not above the latest
    :raises MessageNotSent, CallTimedOut: a manager cannot be asked, or does not answer
    :raises ManagersSaturated: they have too much to do
    """
    context.authorize(policies.CREATE)
    found = _configured()
    _check_id(context, found, checkpoint_id)
    services = _services(context, found)
    versions = _ask(context, services)
    record = objects.Checkpoint(context, is_scheduled=is_scheduled)
    tasks, partitions = _shares(context, found, services, versions)
    record.create(checkpoint_id, _id_of_now(), partitions, tasks)
    for task in tasks:
        rpc.manager_api().wake(context, task)
    return record.id


def _check_id(context: RequestContext, found: Cluster, checkpoint_id: int | None) -> None:
    """Check what can be said of an id before anybody is asked."""
    if found.makes_ids:
        if checkpoint_id is not None:
            raise exception.CheckpointIdGiven()
        return
    if checkpoint_id is None or not 0 < checkpoint_id <= objects.ID_MAX:
        raise exception.CheckpointIdMissing()
    latest = objects.Checkpoint.last_id(context)
    if checkpoint_id <= latest:
        raise exception.CheckpointIdTaken(requested=checkpoint_id, latest=latest)


def _id_of_now() -> int:
    """Return the least id that is made here: the time, so that a prefix selects a time."""
    now = timeutils.utcnow(with_timezone=True)
    return (now - _EPOCH) // _MILLISECOND + conf.current().actuator.offset


def _services(context: RequestContext, found: Cluster) -> Mapping[str, Service]:
    """Return host → its manager.

    :raises MessageNotSent: the manager of a partition is not alive
    """
    known = {service.host: service for service in ServiceList.get_all(
        context, {'binary': placement.BINARY}) if service.is_usable}
    reached = [each for each in found.partitions if each.broker in known]
    if len(reached) < len(found.partitions):
        raise exception.MessageNotSent(
            reason=f'Expected to send request to all {len(found.partitions)} partitions, but '
                   f'found only {len(reached)} partitions in topology.')
    return {each.broker: known[each.broker] for each in found.partitions}


def _ask(context: RequestContext, hosts: Iterable[str]) -> Mapping[str, str]:
    """Ask every manager whether it can take its share now, all within the timeout of one; return
    host → version.

    :raises MessageNotSent, CallTimedOut, ManagersSaturated: as ``create``
    """
    settings = conf.current().actuator
    deadline = time.monotonic() + settings.call_timeout
    saturated, versions = [], {}
    for host in hosts:
        answer = rpc.manager_api().describe(
            context, host, max(1.0, deadline - time.monotonic()))
        if answer['busy'] >= answer['slots'] and answer['waiting_s'] > settings.queue_limit:
            saturated.append(host)
        versions[host] = answer['version']
    if saturated:
        raise exception.ManagersSaturated(hosts=', '.join(saturated))
    return versions


def _shares(
    context: RequestContext, found: Cluster, services: Mapping[str, Service],
    versions: Mapping[str, str]
) -> tuple[list[Task], list[CheckpointPartition]]:
    """Return a task for each manager, and the partitions of all."""
    share_ids = {host: uuidutils.generate_uuid() for host in services}
    tasks = [sets.new_task(context, states.TASK_CHECKPOINT, share_id, host=host, arguments={})
             for host, share_id in share_ids.items()]
    return tasks, [
        CheckpointPartition(
            context, partition_id=each.id, kind=each.kind, source_id=each.resource_id,
            host=each.broker, share_id=share_ids[each.broker],
            broker_id=services[each.broker].id, broker_version=versions[each.broker])
        for each in found.partitions]


# Looking -----------------------------------------------------------------------------------------


def get(context: RequestContext, checkpoint_id: int) -> Checkpoint:
    """Return a checkpoint.

    :raises CheckpointsNotConfigured: there are no partitions
    :raises CheckpointNotFound: there is none, or it was deleted
    """
    context.authorize(policies.SHOW)
    found = _configured()
    shown = _shown(objects.Checkpoint.get_by_id(context, checkpoint_id), found)
    if shown.state == states.CHECKPOINT_MISSING:
        raise exception.CheckpointNotFound(id=checkpoint_id)
    return shown


def list_(context: RequestContext, prefix: str | None = None) -> list[Checkpoint]:
    """Return checkpoints, the highest id first, without the snapshots of their partitions.

    Takes as many statements for a thousand as for one.

    :param prefix: digits that the id begins with
    :raises CheckpointsNotConfigured: there are no partitions
    """
    context.authorize(policies.LIST)
    found = _configured()
    return [_shown(record, found)
            for record in objects.Checkpoint.get_all(context, prefix or '')]


def _shown(record: objects.Checkpoint, found: Cluster) -> Checkpoint:
    parts = {part.partition_id: _part(record, part) for part in record.partitions}
    for each in found.partitions:
        parts.setdefault(each.id, PartitionState(each.id, states.CHECKPOINT_MISSING))
    partitions = tuple(parts[partition_id] for partition_id in sorted(parts))
    return Checkpoint(record.id, *aggregate(partitions), partitions)


def _part(record: objects.Checkpoint, part: CheckpointPartition) -> PartitionState:
    snapshot_id = None
    if part.obj_attr_is_set('members') and part.members:
        snapshot_id = ','.join(member['snapshot_id'] for member in part.members)
    return PartitionState(
        id=part.partition_id, state=part.status, failure_reason=part.fail_reason,
        created_at=part.created_at, updated_at=part.updated_at or part.created_at,
        snapshot_id=snapshot_id, position=record.position, broker_id=part.broker_id,
        broker_version=part.broker_version)


def aggregate(partitions: Collection[PartitionState]) -> tuple[str, str | None]:
    """Return the state of a checkpoint from those of its partitions, and why it has failed.

    The order of the rules is Zeebe's: one that has failed outweighs one that is missing, and that
    one in progress.
    """
    failed = [part for part in partitions if part.state == states.CHECKPOINT_FAILED]
    if failed:
        return states.CHECKPOINT_FAILED, ''.join(
            f'Backup on partition {part.id} failed due to '
            f'{(part.failure_reason or _UNKNOWN_REASON).removesuffix(".")}. ' for part in failed)
    found = {part.state for part in partitions}
    if states.CHECKPOINT_MISSING in found:
        alone = found == {states.CHECKPOINT_MISSING}
        return states.CHECKPOINT_MISSING if alone else states.CHECKPOINT_INCOMPLETE, None
    if states.CHECKPOINT_IN_PROGRESS in found:
        return states.CHECKPOINT_IN_PROGRESS, None
    return (states.CHECKPOINT_COMPLETED if found else states.CHECKPOINT_MISSING), None


def state(context: RequestContext) -> State:
    """Return what there is for each partition of the cluster.

    :raises CheckpointsNotConfigured: there are no partitions
    """
    context.authorize(policies.LIST)
    found = _configured()
    records = objects.Checkpoint.get_all(context)[::-1]
    latest, completed = [], []
    ranges: list[Range] = []
    for each in found.partitions:
        parts = [(record, part) for record in records for part in record.partitions
                 if part.partition_id == each.id]
        taken = [(_taken(record, each.id), part.status) for record, part in parts
                 if record.position is not None]
        latest += [one for one, _ in taken[-1:]]
        completed += [one for one, status in taken
                      if status == states.CHECKPOINT_COMPLETED][-1:]
        ranges += _ranges(each.id, [
            (record.id, part.status == states.CHECKPOINT_COMPLETED) for record, part in parts])
    return State(tuple(latest), tuple(completed), tuple(ranges))


def _taken(record: objects.Checkpoint, partition_id: int) -> PartitionCheckpoint:
    return PartitionCheckpoint(partition_id, record.id, record.position, record.is_scheduled,
                               record.data_timestamp)


def _ranges(partition_id: int, found: Iterable[tuple[int, bool]]) -> Iterable[Range]:
    """Yield the stretches of (id, whether it is completed) pairs in which all are."""
    for is_completed, group in itertools.groupby(found, key=lambda each: each[1]):
        if is_completed:
            ids = [checkpoint_id for checkpoint_id, _ in group]
            yield Range(partition_id, ids[0], ids[-1])


# Removing ----------------------------------------------------------------------------------------


def delete(context: RequestContext, checkpoint_id: int) -> None:
    """Have a manager remove a checkpoint; one in progress is cancelled. None is no error.

    It is gone at once; its id stays spent.
    """
    context.authorize(policies.DELETE)
    task = Task(
        context, id=uuidutils.generate_uuid(), kind=states.TASK_DELETE_CHECKPOINT,
        project_id=context.project_id, user_id=context.user_id, request_id=context.request_id,
        host_affinity=None, arguments={})
    record = objects.Checkpoint.destroy(context, checkpoint_id, task)
    if record is None:
        return
    cancel(context, record)
    rpc.manager_api().wake(context, task)


def cancel(context: RequestContext, record: objects.Checkpoint,
           share_ids: Collection[str] | None = None) -> None:
    """Ask whoever works on a checkpoint, or on some shares of it, to stop."""
    found = {part.share_id for part in record.partitions} if share_ids is None else share_ids
    members = BackupList.of_sets(context, list(found))
    for resource_id in [*found, *(each.id for known in members.values() for each in known)]:
        backups.cancel_work(context, resource_id)


def reasons(
    record: objects.Checkpoint, guilty: Collection[int], reason: str
) -> dict[int, str]:
    """Return why each partition of a checkpoint has failed whose snapshots are not all there.

    :param guilty: ids of the partitions whose snapshots could not be taken, for ``reason``
    """
    which = ', '.join(map(str, sorted(guilty)))
    word = 'partition' if len(guilty) == 1 else 'partitions'
    return {part.partition_id: reason if part.partition_id in guilty else
            f'No snapshot was taken, because that of {word} {which} was not.'
            for part in record.partitions}
