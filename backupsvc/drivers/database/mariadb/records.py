# SPDX-License-Identifier: Apache-2.0
"""What is known of the servers of this host, on its disk: a JSON file and a lock for each."""

import contextlib
import dataclasses
import fcntl
import json
import os
import pathlib
import re
import shutil
from collections.abc import Iterator

from backupsvc import exception
from backupsvc.drivers.database.mariadb.places import make_open

_ID = re.compile(r'[0-9A-Za-z][0-9A-Za-z-]{0,63}')
_FILE = 'server.json'

#: Nothing of the data can be relied on.
NEW = 'new'
#: The place for the data is made, and waits for a dump.
EMPTY = 'empty'
#: A dump was loaded; no server has run on it yet.
LOADED = 'loaded'
#: There is a database server's data.
READY = 'ready'


@dataclasses.dataclass(slots=True)
class Record:
    """One server.

    :ivar uid: user and group that it runs as; None runs it as this process
    :ivar secret: password of our own account, of this start of the server
    :ivar holders: for whom its volume is quiesced → since when
    """

    id: str
    stage: str
    ram_mb: int
    volume_gb: int
    volume_path: str | None
    allowed: list[str]
    filter: str
    port: int
    uid: int | None
    secret: str = dataclasses.field(default='', repr=False)
    holders: dict[str, str] = dataclasses.field(default_factory=dict)


def _is_there(path: pathlib.Path, descriptor: int) -> bool:
    """Say whether an open file still has its name: who locked it before may have removed it."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


class Records:
    """The directory of the servers."""

    def __init__(self, directory: str):
        self._directory = pathlib.Path(directory)

    def path(self, instance_id: str) -> pathlib.Path:
        """Return the directory of a server."""
        if not _ID.fullmatch(instance_id):
            raise exception.DatabaseServerNotFound(instance_id=instance_id)
        return self._directory / instance_id

    def ids(self) -> list[str]:
        """Return the ids of all servers, ascending."""
        try:
            names = os.listdir(self._directory)
        except FileNotFoundError:
            return []
        return sorted(name for name in names if (self._directory / name / _FILE).exists())

    def load(self, instance_id: str) -> Record:
        """Return a record.

        :raises DatabaseServerNotFound: there is none
        """
        try:
            return Record(**json.loads((self.path(instance_id) / _FILE).read_bytes()))
        except FileNotFoundError:
            raise exception.DatabaseServerNotFound(instance_id=instance_id) from None

    def save(self, record: Record) -> None:
        """Write a record; after a power loss it is there whole, as it was or as it is now."""
        path = self.path(record.id)
        self._make()
        make_open(path)
        temporary = path / f'{_FILE}.part'
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, 'w', encoding='utf-8') as stream:
            json.dump(dataclasses.asdict(record), stream)
            stream.flush()
            os.fsync(descriptor)
        os.rename(temporary, path / _FILE)
        for directory in (path, self._directory):
            descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def remove(self, instance_id: str) -> None:
        """Forget a server, with all that is in its directory; the record goes last."""
        path = self.path(instance_id)
        with contextlib.suppress(FileNotFoundError):
            for entry in os.scandir(path):
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path)
                elif entry.name != _FILE:
                    os.unlink(entry.path)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path / _FILE)
            path.rmdir()

    @contextlib.contextmanager
    def locked(self, instance_id: str) -> Iterator[None]:
        """Keep other threads and processes from changing a server as a whole."""
        self.path(instance_id)
        with self._lock(f'.{instance_id}.lock', remove=True):
            yield

    @contextlib.contextmanager
    def dumping(self, instance_id: str) -> Iterator[None]:
        """Keep other threads and processes from dumping a server.

        :raises DriverFailed: one does
        """
        self.path(instance_id)
        try:
            with self._lock(f'.{instance_id}.dump', remove=True, wait=False):
                yield
        except BlockingIOError:
            raise exception.DriverFailed(
                reason=f'Another backup of instance {instance_id} is running.') from None

    @contextlib.contextmanager
    def allocating(self) -> Iterator[list[Record]]:
        """Yield every record, and keep others from taking a port or a user id meanwhile."""
        with self._lock('.allocation.lock', remove=False):
            records = []
            for instance_id in self.ids():
                with contextlib.suppress(exception.DatabaseServerNotFound):
                    records.append(self.load(instance_id))
            yield records

    def _make(self) -> None:
        make_open(self._directory)

    @contextlib.contextmanager
    def _lock(self, name: str, *, remove: bool, wait: bool = True) -> Iterator[None]:
        self._make()
        path = self._directory / name
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
                if _is_there(path, descriptor):
                    break
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)
        try:
            yield
        finally:
            if remove:
                os.unlink(path)
            os.close(descriptor)
