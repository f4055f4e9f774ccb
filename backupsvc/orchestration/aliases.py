# SPDX-License-Identifier: Apache-2.0
"""Use cases of dialects whose ids are integers: what a caller means by an id, and what a backup or
a volume is called before that caller.

A project sees its own numbers only, and gets one for a thing when it is first shown the thing.
What a number stands for is looked up with the caller's rights like anything else.
"""

import contextlib
import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence

from oslo_utils import uuidutils

from backupsvc import exception
from backupsvc.context import RequestContext
from backupsvc.objects import alias
from backupsvc.objects.backup import Backup
from backupsvc.orchestration import volumes

BACKUP = alias.BACKUP
VOLUME = alias.VOLUME

_NUMBER = re.compile(r'[1-9][0-9]{0,9}\Z', re.ASCII)

#: Kind → (error about one that is not there, the detail that names it).
_NOT_FOUND: Mapping[str, tuple[type[exception.NotFound], str]] = {
    BACKUP: (exception.BackupNotFound, 'backup_id'),
    VOLUME: (exception.VolumeNotFound, 'volume_id'),
}


@dataclasses.dataclass(frozen=True)
class Names:
    """Ids as one project knows them.

    :ivar backups: uuid to number, as text; volumes likewise
    """

    backups: Mapping[str, str]
    volumes: Mapping[str, str]


def names_of(context: RequestContext, backups: Sequence[Backup]) -> Names:
    """Return the names of backups and of the volumes that they are of; new ones are given here."""
    return Names(
        backups=_names(context, BACKUP, [backup.id for backup in backups]),
        volumes=_names(context, VOLUME, [backup.volume_id for backup in backups]))


def name_of(context: RequestContext, kind: str, target_id: str) -> str:
    """Return the name of one backup or volume."""
    return _names(context, kind, [target_id])[target_id]


def _names(context: RequestContext, kind: str, ids: Sequence[str]) -> dict[str, str]:
    given = alias.numbers(context, volumes.own_project(context), kind, ids)
    return {target_id: str(number) for target_id, number in given.items()}


@contextlib.contextmanager
def meant(
    context: RequestContext, kind: str, given: str,
    missing: type[exception.NotFound] | None = None,
) -> Iterator[str]:
    """Give the uuid that a caller means by a number or by a uuid.

    Errors within the block that say that the thing does not exist name it as the caller did.

    :param missing: raised instead of the error of the kind
    :raises BackupNotFound, VolumeNotFound: it is neither, or stands for nothing of this caller's
    """
    error, detail = _NOT_FOUND[kind]
    target_id = _target(context, kind, given)
    if target_id is None:
        raise (missing or error)(**{detail: given})
    try:
        yield target_id
    except error as err:
        if err.details.get(detail) != target_id:
            raise
        raise (missing or error)(**{detail: given}) from err


def _target(context: RequestContext, kind: str, given: str) -> str | None:
    if _NUMBER.match(given):
        return alias.target(context, volumes.own_project(context), kind, int(given))
    return given if uuidutils.is_uuid_like(given) else None
