# SPDX-License-Identifier: Apache-2.0
"""Whether volumes, or copies of them, are of one point in time: the records of ``records``, read
from raw files and told in the values of the port.
"""

import datetime
import os
from collections.abc import Mapping

from backupsvc import exception
from backupsvc.drivers.instance.base import RecordsCheck, VolumeRecords
from backupsvc.drivers.instance.local import records


def check(paths: Mapping[str, str], not_after: datetime.datetime | None) -> RecordsCheck:
    """Read volumes and tell what they hold (see LocalInstances.check_volumes)."""
    logs = [_read(volume_id, path) for volume_id, path in paths.items()]
    return RecordsCheck(
        volumes=tuple(_told(log, not_after) for log in logs),
        problems=tuple(records.problems_of_set(logs)))


def _read(volume_id: str, path: str) -> records.Log:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise exception.DriverFailed(
            reason=f'Volume {volume_id} cannot be read: {error}') from error
    try:
        return records.read(fd, volume_id)
    finally:
        os.close(fd)


def _told(log: records.Log, not_after: datetime.datetime | None) -> VolumeRecords:
    problems = list(log.problems)
    last_at = _time(log.last_ns) if log.last else None
    if not_after is not None and last_at is not None and last_at > not_after:
        problems.append(f'record {log.last} was written at {last_at.isoformat()}, after'
                        f' {not_after.isoformat()}')
    return VolumeRecords(
        volume_id=log.volume_id, position=log.header.position if log.header else None,
        last=log.last, last_at=last_at, problems=tuple(problems))


def _time(time_ns: int) -> datetime.datetime:
    seconds, rest = divmod(time_ns, 10 ** 9)
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).replace(microsecond=rest // 1000)
