# SPDX-License-Identifier: Apache-2.0
"""Everything that writes to the volumes of a share of a checkpoint, and its standing still."""

import dataclasses
import functools
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Self

from oslo_log import log

from backupsvc import conf as service_conf
from backupsvc import exception, states
from backupsvc.drivers import loader
from backupsvc.drivers.base import AttachedVolume, Volume
from backupsvc.manager.flows import sets
from backupsvc.manager.work import Work
from backupsvc.objects.checkpoint import CheckpointPartition
from backupsvc.objects.database_instance import DatabaseInstance
from backupsvc.orchestration import sets as set_rules

LOG = log.getLogger(__name__)

#: Statuses of a volume that does not go away by itself from what keeps it from being held.
_LASTING = ('error',)


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a share takes snapshots of, and what must not write meanwhile.

    :ivar members: of each volume partition_id, volume_id, instance_id (None where it is attached
        to nothing), device and is_boot
    :ivar instances: partition id → the instances that write to its volumes
    :ivar databases: partition id → the database instance that does
    """

    members: Sequence[dict[str, Any]] = ()
    instances: dict[int, list[str]] = dataclasses.field(default_factory=dict)
    databases: dict[int, str] = dataclasses.field(default_factory=dict)

    @property
    def volume_ids(self) -> list[str]:
        """The volumes, each once."""
        return list(dict.fromkeys(member['volume_id'] for member in self.members))

    @property
    def instance_ids(self) -> list[str]:
        """The instances, each once."""
        return list(dict.fromkeys(
            instance_id for found in self.instances.values() for instance_id in found))

    def to_point(self) -> dict[str, Any]:
        """Return what a task remembers of it."""
        return {'members': list(self.members), 'instances': list(self.instances.items()),
                'databases': list(self.databases.items())}

    @classmethod
    def of_point(cls, work: Work) -> Self:
        """Return what the task remembers, nothing where it has planned nothing yet."""
        point = work.resume_point.get('plan')
        return cls() if point is None else cls(
            point['members'], dict(point['instances']), dict(point['databases']))


def plan(work: Work, partition: CheckpointPartition) -> Plan:
    """Return the plan of one partition as things are now.

    :raises NotFound: its resource, or what is attached to it, is not there
    :raises InvalidInstance, InvalidVolume: nobody can keep it from being written to, or its status
        forbids it
    :raises DriverFailed: a volume is used by somebody else now
    """
    return _PLANNERS[partition.kind](work, partition)


def _plan_volume(work: Work, partition: CheckpointPartition) -> Plan:
    volume = loader.volume_driver().show_volume(work.context, partition.source_id)
    _check_volume(volume)
    writers = sorted(_writers(volume))
    attached = None
    for instance_id in writers:
        attached = _attached(work, volume, instance_id) or attached
    return Plan([{
        'partition_id': partition.partition_id, 'volume_id': volume.id,
        'instance_id': writers[0] if writers else None,
        'device': attached.device if attached else None,
        'is_boot': attached.is_boot if attached else volume.bootable,
    }], {partition.partition_id: writers})


def _attached(work: Work, volume: Volume, instance_id: str) -> AttachedVolume | None:
    """Return a volume as an instance has it, None where it is not attached any more.

    :raises InvalidVolume: there is no such instance
    """
    try:
        instance = loader.instance_driver().show_instance(work.context, instance_id)
    except exception.InstanceNotFound:
        raise exception.InvalidVolume(
            reason=f'Volume {volume.id} is attached to {instance_id}, which the instance driver '
                   'does not know; nothing can keep it from being written to.') from None
    found = [each for each in instance.volumes if each.volume_id == volume.id]
    return found[0] if found else None


def _plan_instance(work: Work, partition: CheckpointPartition) -> Plan:
    instance = loader.instance_driver().show_instance(work.context, partition.source_id)
    set_rules.check(instance)
    members = []
    writers = {instance.id}
    for each in instance.volumes:
        volume = loader.volume_driver().show_volume(work.context, each.volume_id)
        _check_volume(volume)
        writers |= _writers(volume)
        members.append({
            'partition_id': partition.partition_id, 'volume_id': each.volume_id,
            'instance_id': instance.id, 'device': each.device, 'is_boot': each.is_boot})
    return Plan(members, {partition.partition_id: sorted(writers)})


def _writers(volume: Volume) -> set[str]:
    """Return the instances that a volume is attached to.

    :raises InvalidVolume: it is attached to something else
    """
    found = {attachment.get('server_id') for attachment in volume.attachments}
    if None in found or (volume.status == 'in-use' and not found):
        raise exception.InvalidVolume(
            reason=f'Volume {volume.id} is attached to a host and to no instance; nothing can '
                   'keep it from being written to.')
    return {str(server_id) for server_id in found}


def _check_volume(volume: Volume) -> None:
    if volume.status in ('available', 'in-use'):
        return
    reason = f'Volume {volume.id} must be available or in-use, but is {volume.status}.'
    if volume.status.startswith(_LASTING):
        raise exception.InvalidVolume(reason=reason)
    raise exception.DriverFailed(reason=reason)


def _plan_database(work: Work, partition: CheckpointPartition) -> Plan:
    instance = DatabaseInstance.get_by_id(work.context, partition.source_id)
    if (instance.status, instance.holder) != (states.BACKING_UP, work.holder):
        _check_database(work, instance)
    if instance.volume_id is None:
        raise _without_volume(instance.id)
    volume = loader.volume_driver().show_volume(work.context, instance.volume_id)
    _check_volume(volume)
    return Plan([{
        'partition_id': partition.partition_id, 'volume_id': volume.id, 'instance_id': None,
        'device': None, 'is_boot': False,
    }], {}, {partition.partition_id: instance.id})


def _check_database(work: Work, instance: DatabaseInstance) -> None:
    host = work.task.owner.rpartition(':')[0]
    if instance.host != host:
        raise exception.InvalidVolume(
            reason=f'Database instance {instance.id} is on {instance.host}, and its partition '
                   f'belongs to {host}.')
    if instance.status == states.ACTIVE:
        return
    reason = f'Database instance {instance.id} must be active, but is {instance.status}.'
    if instance.status in (states.BACKING_UP, states.RESTARTING, states.RESIZING):
        raise exception.DriverFailed(reason=reason)
    raise exception.InvalidVolume(reason=reason)


def _without_volume(instance_id: str) -> exception.InvalidVolume:
    return exception.InvalidVolume(
        reason=f'The data of database instance {instance_id} lie in a directory and on no volume; '
               'no snapshot can be taken of them.')


_PLANNERS: dict[str, Callable[[Work, CheckpointPartition], Plan]] = {
    'volume': _plan_volume,
    'instance': _plan_instance,
    'database': _plan_database,
}


class Standstill:
    """What a plan says stands still from ``begin`` to ``end``, but never for longer than
    ``[manager] quiesce_timeout``, whatever the thread that began it does or waits for.

    It belongs to the task, as the holds of volumes do. An object is of one thread.

    :ivar deadline: of the monotonic clock
    """

    def __init__(self, work: Work, planned: Plan):
        timeout_s = service_conf.current().manager.quiesce_timeout
        self._work = work
        self._plan = planned
        self._lock = threading.Lock()
        self._is_broken = False
        self.deadline = time.monotonic() + timeout_s
        self._timer = threading.Timer(timeout_s, self._give_up)
        self._timer.daemon = True

    def begin(self, blame: Callable[[int], Any]) -> None:
        """Have everything stand still.

        :param blame: (partition id) → a context in which an error is that partition's
        :raises InvalidInstance: something goes on all the same, or is not as it was planned
        :raises DriverFailed: it could not be brought to a standstill
        """
        self._timer.start()
        driver = loader.instance_driver()
        for partition_id, instance_ids in self._plan.instances.items():
            with blame(partition_id):
                for instance_id in instance_ids:
                    self._work.check()
                    if not driver.quiesce(
                            self._work.context, instance_id, holder=self._work.holder):
                        raise exception.InvalidInstance(
                            reason=f'Nothing can keep instance {instance_id} from writing.',
                            status=None)
                self._check(partition_id)
        for partition_id, instance_id in self._plan.databases.items():
            with blame(partition_id):
                self._work.check()
                if not loader.database_driver().quiesce(
                        self._work.context, instance_id, holder=self._work.holder):
                    raise _without_volume(instance_id)
        self.check()

    def _check(self, partition_id: int) -> None:
        """Find the volumes attached as they were planned; nothing changes that from now on."""
        for instance_id in self._plan.instances[partition_id]:
            set_rules.check(
                loader.instance_driver().show_instance(self._work.context, instance_id))
        members = [member for member in self._plan.members
                   if member['partition_id'] == partition_id]
        writers = set()
        for member in members:
            volume = loader.volume_driver().show_volume(self._work.context, member['volume_id'])
            writers |= _writers(volume)
        if not writers <= set(self._plan.instances[partition_id]):
            raise exception.DriverFailed(
                reason='Volumes were attached while the checkpoint was begun.')

    def check(self) -> None:
        """Raise when it lasted too long: what is taken from now on is of another moment.

        :raises DriverFailed: it is over
        """
        if self._is_broken:
            raise exception.DriverFailed(
                reason='The snapshots of all partitions were not taken within [manager] '
                       'quiesce_timeout.')

    def end(self) -> None:
        """Let everything go on.

        :raises DriverFailed: it has gone on before
        """
        self.give_up()
        self.check()

    def give_up(self) -> None:
        """Let everything go on; may be repeated."""
        self._timer.cancel()
        with self._lock:
            self._go_on()

    def abandon(self) -> None:
        """Leave everything to the task's new owner, who may have it stand still by now."""
        self._timer.cancel()

    def _give_up(self) -> None:
        with self._lock:
            if self._work.is_lost:
                return
            self._is_broken = True
            LOG.error('A standstill lasted for more than [manager] quiesce_timeout; it is ended')
            self._go_on()

    def _go_on(self) -> None:
        _go_on(self._work, self._plan)


def hold(work: Work, planned: Plan, partition_id: int) -> None:
    """Keep everybody else off what a partition is made of.

    :raises DriverFailed: somebody else has something of it
    """
    instance_id = planned.databases.get(partition_id)
    if instance_id is not None:
        _hold_database(work, instance_id)
    volume_ids = [member['volume_id'] for member in planned.members
                  if member['partition_id'] == partition_id]
    try:
        set_rules.hold(work.context, volume_ids, work.holder)
    except exception.InvalidVolume as error:  # somebody was faster; that passes
        raise exception.DriverFailed(reason=str(error)) from error


def _hold_database(work: Work, instance_id: str) -> None:
    instance = DatabaseInstance.get_by_id(work.context, instance_id)
    if not work.persist(lambda: instance.transition_to(
            states.BACKING_UP, {states.ACTIVE}, holder=work.holder)):
        raise exception.DriverFailed(
            reason=f'Database instance {instance_id} is {instance.status}.')


def _release_database(work: Work, instance_id: str) -> None:
    try:
        instance = DatabaseInstance.get_by_id(work.context, instance_id)
    except exception.DatabaseInstanceNotFound:
        return
    work.persist(lambda: instance.release(work.holder))


def _go_on(work: Work, planned: Plan) -> None:
    sets.go_on(work, planned.instance_ids)
    for instance_id in planned.databases.values():
        sets.surely('Database instance', instance_id, functools.partial(
            loader.database_driver().unquiesce, work.context, instance_id, holder=work.holder))


def undo(work: Work) -> None:
    """Give back and remove whatever a task holds, has standing still, or has taken."""
    give_back(work)
    sets.discard_surely(work, Plan.of_point(work).volume_ids)


def give_back(work: Work) -> None:
    """Let go on and let go whatever a task has, and leave what it has taken."""
    planned = Plan.of_point(work)
    _go_on(work, planned)
    sets.release(work, planned.volume_ids)
    for instance_id in planned.databases.values():
        _release_database(work, instance_id)


def begin_anew(work: Work) -> None:
    """As ``undo``, for another attempt to begin.

    :raises BackupsvcError: what was taken cannot be removed
    """
    give_back(work)
    sets.discard(work, Plan.of_point(work).volume_ids)
