# SPDX-License-Identifier: Apache-2.0
"""What every driver is, and the data that drivers hand upwards.

A driver sees configuration, a request context and plain values; never a record and never a
message. It raises errors of ``backupsvc.exception`` (or the engine's store errors, for a store),
never a client library's.
"""

import abc
import dataclasses
import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from oslo_config import cfg


class Driver(abc.ABC):
    """Base of every driver of every family."""

    #: The entry-point name.
    name: ClassVar[str]

    def __init__(self, conf: cfg.ConfigOpts):
        self.conf = conf

    @classmethod
    def list_opts(cls) -> Sequence[tuple[str, Sequence[cfg.Opt]]]:
        """Return (group, options) pairs; the loader registers them and the sample generator lists
        them.
        """
        return ()

    def check_setup(self) -> None:  # noqa: B027 - optional
        """Raise DriverFailed with the thing to mend when the configuration cannot work."""


@dataclasses.dataclass(frozen=True, slots=True)
class Volume:
    """A volume as its driver shows it. Times are aware UTC; ``size_gb`` is whole GiB."""

    id: str
    project_id: str
    user_id: str | None
    name: str | None
    description: str | None
    status: str
    size_gb: int
    created_at: datetime.datetime
    updated_at: datetime.datetime | None = None
    availability_zone: str | None = None
    volume_type: str | None = None
    bootable: bool = False
    multiattach: bool = False
    encrypted: bool = False
    encryption_key_id: str | None = None
    snapshot_id: str | None = None
    source_volid: str | None = None
    host: str | None = None
    previous_status: str | None = None
    metadata: dict[str, str] = dataclasses.field(default_factory=dict)
    image_metadata: dict[str, str] = dataclasses.field(default_factory=dict)
    attachments: tuple[dict[str, Any], ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Snapshot:
    """A point-in-time copy of a volume on the volume's own storage."""

    id: str
    volume_id: str
    project_id: str
    user_id: str | None
    name: str | None
    description: str | None
    status: str
    size_gb: int
    created_at: datetime.datetime
    updated_at: datetime.datetime | None = None
    metadata: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class NewVolume:
    """What a caller wants of a volume to be made. ``holder`` names the task that will fill it (see
    VolumeDriver.acquire_volume).

    ``limits`` (resource → quota of the project, -1 for none) binds a driver that serves the
    volumes itself; others have their own.
    """

    size_gb: int
    name: str | None = None
    description: str | None = None
    volume_type: str | None = None
    availability_zone: str | None = None
    snapshot_id: str | None = None
    source_volid: str | None = None
    bootable: bool = False
    metadata: dict[str, str] = dataclasses.field(default_factory=dict)
    image_metadata: dict[str, str] = dataclasses.field(default_factory=dict)
    multiattach: bool = False
    holder: str | None = None
    limits: dict[str, int] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class AttachedVolume:
    """A volume as its instance has it.

    :param is_boot: the instance boots from it
    """

    volume_id: str
    device: str
    is_boot: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Instance:
    """A machine as its driver shows it. Times are aware UTC.

    :param status: in the words of the compute API: ``ACTIVE``, ``SHUTOFF``, ``PAUSED``,
        ``SUSPENDED``, ``ERROR``, and others that a cloud has
    :param task_state: what is being done to it at this moment, None for nothing
    :param fault: why it is in ``ERROR``
    :param volumes: every attached volume, ordered by device
    """

    id: str
    project_id: str
    user_id: str | None
    name: str | None
    status: str
    created_at: datetime.datetime
    updated_at: datetime.datetime | None = None
    task_state: str | None = None
    fault: str | None = None
    host: str | None = None
    availability_zone: str | None = None
    volumes: tuple[AttachedVolume, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Hold:
    """A volume, snapshot or instance that a task has taken for itself.

    :param is_taken: a snapshot that the task had taken and that is to go with it
    :param is_unwritten: a volume that was made for the task and has never been opened for writing
    """

    holder: str
    resource_id: str
    is_snapshot: bool
    status: str
    since: datetime.datetime
    is_taken: bool = False
    is_unwritten: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class HoldRecord:
    """A hold as a HoldBook keeps it.

    :param status: what the resource shows while it is held
    :param previous_status: what it showed before, or is to show if its task never ends well
    :param is_unwritten: as in Hold
    """

    resource_id: str
    is_snapshot: bool
    holder: str
    status: str
    previous_status: str
    since: datetime.datetime
    is_unwritten: bool = False


class HoldBook(abc.ABC):
    """Where a driver keeps its holds when the service that its resources are of has no room for
    them. All processes of a deployment but the movers see one book.
    """

    @abc.abstractmethod
    def take(self, record: HoldRecord) -> HoldRecord:
        """Write a hold down unless its resource is held; return the one that is there then."""

    @abc.abstractmethod
    def find(self, resource_id: str) -> HoldRecord | None:
        """Return the hold on a resource, if there is one."""

    @abc.abstractmethod
    def change(self, resource_id: str, holder: str, **values: Any) -> bool:
        """Change fields of a hold; False: ``holder`` has none."""

    @abc.abstractmethod
    def drop(self, resource_id: str, holder: str) -> bool:
        """Strike a hold out; False: ``holder`` has none."""

    @abc.abstractmethod
    def records(self) -> Sequence[HoldRecord]:
        """Return all holds, the oldest first."""


@dataclasses.dataclass(frozen=True, slots=True)
class VolumeType:
    """A kind of volume on offer."""

    id: str
    name: str
    description: str | None
    is_default: bool
    is_public: bool = True
    extra_specs: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Listing:
    """Which volumes, snapshots or instances a list wants.

    :param filters: field → value or several; ``field~`` → part of it; ``metadata`` → pairs that
        must all be there. The project is a filter like any other.
    :param sort: (field, ``asc`` or ``desc``); ties are broken by id
    :param marker: id of the last one of the page before
    """

    filters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    sort: Sequence[tuple[str, str]] = (('created_at', 'desc'),)
    limit: int | None = None
    marker: str | None = None
    offset: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Transfer:
    """An offer of a volume to whoever knows its key.

    :param auth_key: only in the answer to its creation
    :param no_snapshots: its snapshots are not handed over
    """

    id: str
    volume_id: str
    name: str | None
    created_at: datetime.datetime
    source_project_id: str
    no_snapshots: bool = False
    auth_key: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class DatabaseFlavor:
    """A size of database servers on offer; ``ram_mb`` is MiB."""

    id: str
    name: str
    ram_mb: int
    vcpus: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Datastore:
    """What serves the databases, and its version."""

    type: str
    version: str


@dataclasses.dataclass(frozen=True, slots=True)
class NewDatabaseServer:
    """What a caller wants of a database server to be made.

    :param volume_path: raw file or block device of ``volume_gb`` GiB for the data, on the driver's
        host; None keeps them in a directory of the driver, whose size nothing limits
    :param allowed_cidrs: from where clients may connect; none at all when empty
    """

    ram_mb: int
    volume_gb: int
    volume_path: str | None = None
    allowed_cidrs: Sequence[str] = ('0.0.0.0/0', '::/0')


@dataclasses.dataclass(frozen=True, slots=True)
class DatabaseServer:
    """A database server as its driver finds it.

    ``host`` and ``port`` are where clients connect. ``size_bytes`` is the room for data, None
    where nothing limits it.
    """

    id: str
    host: str
    port: int
    is_running: bool
    used_bytes: int
    size_bytes: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Database:
    """A database of a server. None takes the server's character set (``utf8``), and the character
    set's collation.
    """

    name: str
    character_set: str | None = None
    collation: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class DatabaseUser:
    """Who may connect to a database server from ``host``, a pattern as the server knows them, and
    the names of the databases that are granted whole, ascending.
    """

    name: str
    host: str = '%'
    databases: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class NewDatabaseUser:
    """A user to be made. ``password_hash`` is what ``DatabaseDriver.hash_password`` returned."""

    name: str
    password_hash: str = dataclasses.field(repr=False)
    host: str = '%'
    databases: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class DumpFacts:
    """What is known of a dump once it was read to its end.

    :param point: what the next increment is taken since (opaque text)
    :param checksum: ``sha256:<hex>`` of the bytes that were read
    :param stored_bytes: how many that were
    :param data_bytes: room that the data took on the server; what a load needs at least
    """

    point: str
    checksum: str
    stored_bytes: int
    data_bytes: int


@dataclasses.dataclass(frozen=True, slots=True)
class StoredDump:
    """A dump to be loaded.

    :param open: called once, returns an object with ``read(size) -> bytes``, empty at the end; its
        errors pass through the load
    :param checksum: as DumpFacts has it; None loads unchecked
    """

    open: Callable[[], Any]
    checksum: str | None = None
