# SPDX-License-Identifier: Apache-2.0
"""Port of the volume family: the volumes of a cloud, as backups and restores need them.

Rules of use: every method takes the caller's context and shows only what that project may see,
unless the context is an admin's. Methods are called from API processes, managers and movers at
once, on different hosts unless ``is_host_local``. A *hold* keeps everybody else off a volume while
a task works on it: it is taken with an expected status, shows as the volume's status
(``backing-up``, ``restoring-backup``), carries the id of the task, and is given back by that id;
both are idempotent, so that a task that is run again after a crash may repeat them.

A snapshot is *taken* for a task that holds the volume. It is in no list and in nobody's quota, is
shown to administrators only, and goes with its task unless it is *kept*: then it is the user's
like any other.
"""

import abc
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from backupsvc.context import RequestContext
from backupsvc.drivers.base import (
    Driver,
    Hold,
    HoldBook,
    Listing,
    NewVolume,
    Snapshot,
    Transfer,
    Volume,
    VolumeType,
)
from backupsvc.engine.source import Source, Target


class VolumeDriver(Driver):
    """Volumes to back up and to restore into."""

    #: Sources can be read only on the host that made them; tasks get that host's affinity.
    is_host_local: bool = False

    #: The driver itself is the cloud's volume service: /v3/volumes is answered from it (see
    #: LocalVolumes), not forwarded.
    serves_volumes: bool = False

    #: Where holds can be kept that the driver has no place for; None in a mover.
    hold_book: HoldBook | None = None

    def forward_base_url(self, context: RequestContext) -> str | None:
        """Return the base, up to and with ``/v3``, of the volume service that the volumes are of.

        Requests that are not about backups are forwarded to it where ``serves_volumes`` is false;
        None answers them with 404.
        """
        return None

    @abc.abstractmethod
    def show_volume(self, context: RequestContext, volume_id: str) -> Volume:
        """Return a volume.

        :raises VolumeNotFound: it does not exist or is another project's
        """

    @abc.abstractmethod
    def show_snapshot(self, context: RequestContext, snapshot_id: str) -> Snapshot:
        """Return a snapshot.

        :raises SnapshotNotFound: it does not exist or is another project's
        """

    @abc.abstractmethod
    def create_volume(self, context: RequestContext, new: NewVolume) -> Volume:
        """Begin to make an empty volume and return at once; it may be ``creating`` still.

        With ``new.holder`` the volume is held for that task from the start, in status
        ``restoring-backup`` once it exists.

        :raises OverQuota: the volume service allows no more
        :raises Invalid: the volume service refuses the arguments
        """

    @abc.abstractmethod
    def wait_volume(self, context: RequestContext, volume_id: str, deadline_s: float) -> Volume:
        """Return the volume once it has left ``creating``; never called by an API process.

        :raises DriverFailed: it ended in error, or is not there after ``deadline_s`` seconds
        """

    @abc.abstractmethod
    def delete_volume(self, context: RequestContext, volume_id: str, *,
                      holder: str | None = None) -> None:
        """Remove a volume made by us; a missing one is no error.

        :param holder: only while it is held for that task; None: only while nobody holds it
        :raises InvalidVolume: it is held otherwise
        """

    @abc.abstractmethod
    def update_restored(self, context: RequestContext, volume_id: str, *, name: str | None = None,
                        description: str | None = None, metadata: dict[str, str] | None = None,
                        image_metadata: dict[str, str] | None = None,
                        bootable: bool | None = None) -> None:
        """Set what a restore carries over (name, metadata, bootable flag …). None leaves a field
        alone; metadata is replaced whole.
        """

    @abc.abstractmethod
    def acquire_volume(self, context: RequestContext, volume_id: str, *, holder: str, status: str,
                       expected: Collection[str]) -> Volume:
        """Take a hold by compare-and-swap: status must be one of ``expected``, or the hold is
        ``holder``'s already.

        :raises InvalidVolume: the status is another, or somebody else holds it
        """

    @abc.abstractmethod
    def release_volume(self, context: RequestContext, volume_id: str, *, holder: str,
                       status: str | None = None) -> None:
        """Give a hold back: to ``status``, or to the status before the hold. Not ours (any more),
        or no volume: nothing happens.
        """

    @abc.abstractmethod
    def acquire_snapshot(self, context: RequestContext, snapshot_id: str, *, holder: str,
                         status: str, expected: Collection[str]) -> Snapshot:
        """As acquire_volume, for a snapshot; the volume stays as it is."""

    @abc.abstractmethod
    def release_snapshot(self, context: RequestContext, snapshot_id: str, *, holder: str,
                         status: str | None = None) -> None:
        """As release_volume, for a snapshot."""

    @abc.abstractmethod
    def list_holds(self, context: RequestContext) -> Iterator[Hold]:
        """Yield every hold of ours and every snapshot that is taken and not kept, so that a sweep
        can give back, or remove, those whose task has ended.
        """

    @abc.abstractmethod
    def take_snapshot(self, context: RequestContext, volume_id: str, *, holder: str) -> Snapshot:
        """Begin to take a snapshot of a volume that ``holder`` holds and return at once; it may be
        ``creating`` still, and is of one moment only if nobody writes until it is not.

        What the holder has taken of this volume already and is no failure is returned again. The
        release of the volume leaves it.

        :raises InvalidVolume: the volume is not held for ``holder``
        """

    @abc.abstractmethod
    def wait_snapshot(self, context: RequestContext, snapshot_id: str,
                      deadline_s: float) -> Snapshot:
        """Return a snapshot once it has left ``creating``; never called by an API process.

        :raises DriverFailed: it ended in error, or is not there after ``deadline_s`` seconds
        """

    @abc.abstractmethod
    def keep_snapshot(self, context: RequestContext, snapshot_id: str, *, holder: str,
                      name: str | None, description: str | None, metadata: Mapping[str, str],
                      limits: Mapping[str, int] | None = None) -> Snapshot:
        """Give a taken snapshot to the project of its volume; one that is kept already stays as it
        is.

        :param limits: as in NewVolume
        :raises SnapshotNotFound: it is gone
        :raises InvalidSnapshot: it is not ready, or was taken for another holder
        :raises OverQuota: the volume service allows no more
        """

    @abc.abstractmethod
    def remove_taken(self, context: RequestContext, volume_id: str, *, holder: str) -> None:
        """Remove what was taken of a volume for ``holder`` and not kept, whatever its status; none
        is no error.
        """

    @abc.abstractmethod
    def remove_snapshot(self, context: RequestContext, snapshot_id: str) -> None:
        """Remove a snapshot that was made by us, kept or not; a missing one is no error.

        :raises InvalidSnapshot: it is held, or its status does not allow it
        """

    def revert_volume(self, context: RequestContext, volume_id: str, *, snapshot_id: str,
                      holder: str) -> bool:
        """Have the storage bring a held volume back to a held snapshot of it; called by a manager,
        and again after a crash.

        :returns: False where it cannot: then a mover copies what differs
        """
        return False

    @abc.abstractmethod
    def open_source(self, context: RequestContext, volume_id: str, *, snapshot_id: str | None,
                    holder: str) -> Source:
        """Open a held volume (or its snapshot) for reading a point-in-time image; called in a
        mover.

        What has to be made for it (a temporary snapshot of an in-use volume) is removed by the
        source's ``close`` and, after a crash, by the release of the hold.
        """

    @abc.abstractmethod
    def open_target(self, context: RequestContext, volume_id: str, *, holder: str) -> Target:
        """Open a held volume for writing; called in a mover.

        For a rollback the target is read, too, while the source is a snapshot of the same volume:
        both are open at once. The volume may be attached then, to an instance that is off.
        """


class LocalVolumes(abc.ABC):
    """The wider port of a driver that *is* the cloud's volume service (``serves_volumes``).

    The rules of VolumeDriver hold. Every change of a status is a compare-and-swap; what is held by
    a task can be shown and listed and have its names and metadata changed, nothing else.
    """

    @abc.abstractmethod
    def list_volumes(self, context: RequestContext, listing: Listing) -> list[Volume]:
        """Return one page.

        :raises VolumeNotFound: the marker is not visible
        """

    @abc.abstractmethod
    def count_volumes(self, context: RequestContext, filters: Mapping[str, Any]) -> int:
        """Return how many volumes the filters leave."""

    @abc.abstractmethod
    def update_volume(self, context: RequestContext, volume_id: str, **changes: Any) -> Volume:
        """Set name, description, bootable, multiattach, volume_type, metadata or image_metadata
        (replaced whole).

        :raises VolumeNotFound: it does not exist or is another project's
        """

    @abc.abstractmethod
    def set_volume_metadata(self, context: RequestContext, volume_id: str,
                            pairs: Mapping[str, str], *, replace: bool = False,
                            image: bool = False) -> dict[str, str]:
        """Add or replace metadata (of the image the volume was made of, with ``image``); return
        all of it.
        """

    @abc.abstractmethod
    def delete_volume_metadata(self, context: RequestContext, volume_id: str, key: str, *,
                               image: bool = False) -> None:
        """Remove one pair.

        :raises VolumeMetadataNotFound: there is none of that key
        """

    @abc.abstractmethod
    def transition_volume(self, context: RequestContext, volume_id: str, *,
                          expected: Collection[str], status: str) -> Volume:
        """Change the status of a volume that nobody holds.

        :raises InvalidVolume: the status is not one of ``expected``
        """

    @abc.abstractmethod
    def reset_volume(self, context: RequestContext, volume_id: str, *, status: str | None,
                     attachments: bool | None) -> None:
        """Force a status, taking the volume away from whoever holds it; ``attachments`` False
        forgets them.
        """

    @abc.abstractmethod
    def extend_volume(self, context: RequestContext, volume_id: str, new_size_gb: int, *,
                      limits: Mapping[str, int] | None = None) -> None:
        """Make a volume larger; the new part reads as zero.

        :raises InvalidVolume: neither available nor in-use, or held
        :raises InvalidInput: the size is not larger than it is
        :raises OverQuota: the limits do not allow it
        """

    @abc.abstractmethod
    def attach_volume(self, context: RequestContext, volume_id: str, *, instance_id: str | None,
                      host: str | None, mountpoint: str, mode: str) -> None:
        """Note that an instance or host uses the volume; it is ``in-use`` from then on."""

    @abc.abstractmethod
    def detach_volume(self, context: RequestContext, volume_id: str, *,
                      attachment_id: str | None) -> None:
        """Forget an attachment (the only one where none is named); without any the volume is
        available.
        """

    @abc.abstractmethod
    def remove_volume(self, context: RequestContext, volume_id: str, *, cascade: bool = False,
                      force: bool = False) -> None:
        """Delete as a user does: nothing that is in use, held or has snapshots.

        :param cascade: delete its snapshots too
        :param force: whatever the status is, held or attached
        :raises InvalidVolume: it may not be deleted now
        """

    @abc.abstractmethod
    def list_snapshots(self, context: RequestContext, listing: Listing) -> list[Snapshot]:
        """Return one page; temporary snapshots of backups are not there.

        :raises SnapshotNotFound: the marker is not visible
        """

    @abc.abstractmethod
    def count_snapshots(self, context: RequestContext, filters: Mapping[str, Any]) -> int:
        """Return how many snapshots the filters leave."""

    @abc.abstractmethod
    def create_snapshot(self, context: RequestContext, volume_id: str, *, name: str | None,
                        description: str | None, metadata: Mapping[str, str], force: bool,
                        limits: Mapping[str, int] | None = None) -> Snapshot:
        """Begin to make a snapshot; it may be ``creating`` still.

        :param force: of an in-use volume too
        :raises InvalidVolume: its status does not allow it
        :raises OverQuota: the limits do not allow it
        """

    @abc.abstractmethod
    def update_snapshot(self, context: RequestContext, snapshot_id: str,
                        **changes: Any) -> Snapshot:
        """Set name, description or metadata (replaced whole)."""

    @abc.abstractmethod
    def set_snapshot_metadata(self, context: RequestContext, snapshot_id: str,
                              pairs: Mapping[str, str], *,
                              replace: bool = False) -> dict[str, str]:
        """Add or replace metadata; return all of it."""

    @abc.abstractmethod
    def delete_snapshot_metadata(self, context: RequestContext, snapshot_id: str,
                                 key: str) -> None:
        """Remove one pair.

        :raises SnapshotMetadataNotFound: there is none of that key
        """

    @abc.abstractmethod
    def reset_snapshot(self, context: RequestContext, snapshot_id: str, status: str) -> None:
        """Force a status, taking the snapshot away from whoever holds it."""

    @abc.abstractmethod
    def delete_snapshot(self, context: RequestContext, snapshot_id: str, *,
                        force: bool = False) -> None:
        """Delete a snapshot.

        :raises InvalidSnapshot: it may not be deleted now
        """

    @abc.abstractmethod
    def usage(self, project_id: str) -> dict[str, int]:
        """Return what a project uses of ``volumes``, ``snapshots`` and ``gigabytes`` (of both), in
        all and by type (``volumes_<type>``).
        """

    @abc.abstractmethod
    def list_types(self) -> list[VolumeType]:
        """Return the volume types, the default one among them."""

    @abc.abstractmethod
    def create_type(self, name: str, *, description: str | None, is_public: bool,
                    extra_specs: Mapping[str, str]) -> VolumeType:
        """Add a volume type.

        :raises VolumeTypeExists: there is one of that name
        """

    @abc.abstractmethod
    def update_type(self, type_id: str, **changes: Any) -> VolumeType:
        """Set description or is_public, or extra_specs as a whole.

        :raises VolumeTypeNotFound: there is none, or it is of the configuration
        """

    @abc.abstractmethod
    def delete_type(self, type_id: str) -> None:
        """Remove a volume type.

        :raises VolumeTypeNotFound: there is none, or it is of the configuration
        :raises VolumeTypeInUse: volumes are of that type
        """

    @abc.abstractmethod
    def create_transfer(self, context: RequestContext, volume_id: str, *, name: str | None,
                        no_snapshots: bool) -> Transfer:
        """Offer a volume to another project; it is ``awaiting-transfer`` until that has ended.

        :raises InvalidVolume: it is not available
        """

    @abc.abstractmethod
    def list_transfers(self, context: RequestContext, listing: Listing) -> list[Transfer]:
        """Return one page of the offers of volumes that the caller sees."""

    @abc.abstractmethod
    def show_transfer(self, context: RequestContext, transfer_id: str) -> Transfer:
        """Return an offer.

        :raises TransferNotFound: there is none of a volume that the caller sees
        """

    @abc.abstractmethod
    def delete_transfer(self, context: RequestContext, transfer_id: str) -> None:
        """Withdraw an offer; the volume is available again.

        :raises TransferNotFound: there is none of a volume that the caller sees
        """

    @abc.abstractmethod
    def accept_transfer(self, context: RequestContext, transfer_id: str, auth_key: str, *,
                        limits: Mapping[str, int] | None = None) -> Transfer:
        """Take a volume over into the caller's project, with its snapshots unless the offer says
        otherwise.

        :raises TransferNotFound: there is no such offer
        :raises InvalidInput: the key is wrong
        :raises OverQuota: the caller's project may hold no more
        """

    @abc.abstractmethod
    def list_zones(self) -> list[str]:
        """Return the names of the availability zones."""

    @abc.abstractmethod
    def raw_path(self, context: RequestContext, volume_id: str) -> str:
        """Return the path of a volume's raw file, where any tool may read and write it.

        :raises VolumeNotFound: it does not exist or is another project's
        """
