# SPDX-License-Identifier: Apache-2.0
"""Port of the instance family: the machines that volumes are attached to.

Rules of use: every method takes the caller's context and shows only what that project may see,
unless the context is an admin's. Methods are called from API processes and managers at once, on
different hosts unless ``is_host_local``. Which statuses a use case accepts is its own matter; a
driver shows them as they are, with every attached volume.

An instance is *quiesced* while nothing writes to its volumes, so that what is read of all of them
is of one point in time. It is quiesced for a holder (the id of a task), and ends with the last
holder. Both verbs are idempotent, so that a task that is run again after a crash may repeat them,
and it outlives the process that asked for it: whoever takes the task over goes on within the same
point in time, and ``list_holds`` tells a sweep what was left behind.
"""

import abc
import dataclasses
import datetime
from collections.abc import Callable, Iterator, Mapping

from backupsvc.context import RequestContext
from backupsvc.drivers.base import Driver, Hold, Instance, Listing


class InstanceDriver(Driver):
    """Instances whose volumes are taken together."""

    #: Instances can be quiesced only on the host that runs them; tasks get that host's affinity.
    is_host_local: bool = False

    #: The driver keeps and runs the instances itself (see LocalInstances).
    serves_instances: bool = False

    @abc.abstractmethod
    def show_instance(self, context: RequestContext, instance_id: str) -> Instance:
        """Return an instance.

        :raises InstanceNotFound: it does not exist or is another project's
        """

    @abc.abstractmethod
    def list_instances(self, context: RequestContext, listing: Listing) -> list[Instance]:
        """Return one page. Filters and sort keys: ``id``, ``name``, ``status``, ``project_id``,
        ``created_at``.

        :raises InstanceNotFound: the marker is not visible
        """

    @abc.abstractmethod
    def quiesce(self, context: RequestContext, instance_id: str, *, holder: str) -> bool:
        """Keep an instance from writing to its volumes until ``unquiesce``, whatever its status.

        One that runs stands still, without a change of its status; one that does not is kept from
        being started, so that a status read afterwards stays true. Until then its volumes are
        neither attached nor detached. Quiesced by the holder already: nothing happens.

        :returns: True when nothing can write from now on; False where the driver cannot promise
            that, so that each volume is of its own point in time
        :raises InstanceNotFound: it does not exist or is another project's
        :raises DriverFailed: it could not be brought to a standstill; it goes on as before
        """

    @abc.abstractmethod
    def unquiesce(self, context: RequestContext, instance_id: str, *, holder: str) -> None:
        """End what ``quiesce`` began; the instance goes on once no holder is left. Not quiesced by
        this holder (any more), or no instance: nothing happens.
        """

    @abc.abstractmethod
    def list_holds(self, context: RequestContext) -> Iterator[Hold]:
        """Yield (holder, instance) of everything quiesced, so that a sweep can end what a task
        has left.
        """


@dataclasses.dataclass(frozen=True, slots=True)
class VolumeRecords:
    """What a local instance has written to one volume.

    :param position: which volume in the order of writing it is, from 1; None where it holds no
        records
    :param last: number of the last record, 0 for none
    :param problems: what is wrong with it, whatever the others hold
    """

    volume_id: str
    position: int | None
    last: int
    last_at: datetime.datetime | None
    problems: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class RecordsCheck:
    """What the records of several volumes say of their being of one point in time.

    :param problems: what is wrong with them together
    """

    volumes: tuple[VolumeRecords, ...]
    problems: tuple[str, ...] = ()

    @property
    def is_consistent(self) -> bool:
        """Whether no volume holds a record newer than the one point in time, and none before it is
        missing.
        """
        return not self.problems and not any(volume.problems for volume in self.volumes)


class LocalInstances(abc.ABC):
    """The wider port of a driver that runs the instances itself (``serves_instances``).

    The rules of InstanceDriver hold. A quiesced instance can be shown and listed and nothing
    else. The driver knows of volumes what it is told: whoever calls marks them in use, and says
    where their bytes are.
    """

    @abc.abstractmethod
    def create_instance(self, context: RequestContext, *, name: str | None) -> Instance:
        """Make an instance of the caller's project: powered off, without volumes."""

    @abc.abstractmethod
    def delete_instance(self, context: RequestContext, instance_id: str) -> None:
        """Remove an instance that has no volumes, whether it runs or not.

        :raises InvalidInstance: volumes are attached, or it is quiesced
        """

    @abc.abstractmethod
    def attach_volume(self, context: RequestContext, instance_id: str, volume_id: str, *,
                      device: str, is_boot: bool = False) -> Instance:
        """Add a volume to an instance that is powered off.

        :raises InvalidInstance: it runs, the device is taken, there is a volume to boot from
            already, or the volume is attached to it
        """

    @abc.abstractmethod
    def detach_volume(self, context: RequestContext, instance_id: str, volume_id: str) -> Instance:
        """Take a volume away from an instance that is powered off; one that is not attached is
        no error.

        :raises InvalidInstance: it runs
        """

    @abc.abstractmethod
    def start_instance(self, context: RequestContext, instance_id: str,
                       find_path: Callable[[str], str], *, new_log: bool = False) -> Instance:
        """Start a powered-off instance (SHUTOFF or ERROR); one that is ACTIVE stays so.

        :param find_path: (volume id) → path of its raw file; asked once nobody else can start,
            attach or detach, so what it checks of the volume stays true. What it raises ends the
            start
        :param new_log: forget the records that the volumes hold, and begin anew
        :raises InvalidInstance: it is in another status, or what the volumes hold is not of one
            point in time
        """

    @abc.abstractmethod
    def stop_instance(self, context: RequestContext, instance_id: str, *,
                      force: bool = False) -> Instance:
        """Power an instance off, whatever its status; one that is off stays so.

        :param force: as if the plug was pulled, a quiesced one too
        """

    @abc.abstractmethod
    def pause_instance(self, context: RequestContext, instance_id: str) -> Instance:
        """Let an ACTIVE instance stand still: PAUSED.

        :raises InvalidInstance: it is in another status
        """

    @abc.abstractmethod
    def suspend_instance(self, context: RequestContext, instance_id: str) -> Instance:
        """End an ACTIVE or PAUSED instance so that it can go on where it was: SUSPENDED.

        :raises InvalidInstance: it is in another status
        """

    @abc.abstractmethod
    def resume_instance(self, context: RequestContext, instance_id: str,
                        find_path: Callable[[str], str]) -> Instance:
        """Let a PAUSED or SUSPENDED instance go on: ACTIVE.

        :param find_path: as for start_instance
        :raises InvalidInstance: it is in another status, or its volumes are not as it left them
        """

    @abc.abstractmethod
    def check_volumes(self, paths: Mapping[str, str], *,
                      not_after: datetime.datetime | None = None) -> RecordsCheck:
        """Tell from what an instance wrote whether its volumes, or copies of them, are of one
        point in time. Nobody may write to them meanwhile.

        :param paths: volume id → path of a raw file, of every volume of the instance
        :param not_after: that point in time, if known: a newer record is a problem
        :raises DriverFailed: a file cannot be read
        """
