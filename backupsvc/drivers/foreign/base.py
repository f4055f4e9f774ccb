# SPDX-License-Identifier: Apache-2.0
"""Port of the foreign family: backups that another service made, read where they lie.

A driver finds such a backup from the record that the other service exported, and writes it to a
target. It never changes or removes anything in the other service's storage.
"""

import abc
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from backupsvc.context import RequestContext
from backupsvc.drivers.base import Driver
from backupsvc.engine.source import Target


@dataclasses.dataclass(frozen=True, slots=True)
class ForeignBackup:
    """A backup of another service, found and complete.

    :param size_bytes: of the volume that it holds
    :param place: plain values: all that ``restore`` needs, with no record of its parents
    :param volume: name, description, metadata, image_metadata and bootable of the source, as far
        as they were kept
    """

    size_bytes: int
    place: dict[str, Any]
    volume: dict[str, Any]


#: Takes the id of a backup and returns the place of it that an earlier import found, or None.
FindPlace = Callable[[str], Mapping[str, Any] | None]

#: Takes (bytes of the volume that are done, bytes fetched).
Report = Callable[[int, int], None]


class ForeignBackupDriver(Driver):
    """Reads backups of one other service."""

    #: What the records that it understands are made by.
    services: ClassVar[tuple[str, ...]]

    @abc.abstractmethod
    def locate(self, context: RequestContext, service: str, record: Mapping[str, Any],
               find_place: FindPlace) -> ForeignBackup:
        """Find what a record names, and see whether nothing of it is missing.

        :param service: one of ``services``
        :param record: as the other service exported it; nothing in it can be trusted
        :param find_place: asked for the backups that this one builds on
        :raises InvalidBackup: it is not there, not complete, or not readable, with the reason
        :raises DriverFailed: the storage refuses, with the reason
        """

    @abc.abstractmethod
    def restore(self, context: RequestContext, place: Mapping[str, Any], target: Target, *,
                workers: int, report: Report, cancelled: Callable[[], bool]) -> int:
        """Write a located backup to a target, and return how many bytes were fetched; called in a
        mover.

        Only bytes are written that were proved to be those that the other service read.

        :param report: called from several threads
        :param cancelled: asked often
        :raises TargetTooSmall: before anything was written
        :raises Corrupt: something is damaged or missing, with its name
        :raises Cancelled: ``cancelled`` said so
        """
