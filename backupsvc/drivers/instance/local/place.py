# SPDX-License-Identifier: Apache-2.0
"""Where the local driver keeps its instances: a directory for each, with a document and a lock.

``instance.json`` is replaced as a whole and changed only under the lock of the instance, which
ends with the process that has it; it can be read without. A directory is made and removed under
another name, so that an instance is there with its document or not at all.
"""

import contextlib
import dataclasses
import datetime
import fcntl
import json
import os
import pathlib
import shutil
import time
import uuid
from collections.abc import Iterator
from typing import Any

from backupsvc import exception

_DOCUMENT = 'instance.json'
_LOCK = 'lock'


@dataclasses.dataclass(slots=True)
class Document:
    """What is known of an instance beside what its process tells.

    :ivar volumes: of each ``volume_id``, ``device`` and ``is_boot``
    :ivar is_paused: whether its user let it stand still
    :ivar holders: for whom it is quiesced → since when
    """

    id: str
    project_id: str
    user_id: str | None
    name: str | None
    host: str
    created_at: str
    updated_at: str | None = None
    volumes: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    is_paused: bool = False
    holders: dict[str, str] = dataclasses.field(default_factory=dict)


def now() -> str:
    """Return the present as documents have it."""
    return datetime.datetime.now(datetime.UTC).isoformat()


class Place:
    """The directory of all instances."""

    def __init__(self, directory: str):
        self.directory = pathlib.Path(directory)

    def path(self, instance_id: str) -> pathlib.Path:
        """Return the directory of an instance.

        :raises InstanceNotFound: that is no id; what a user wrote never becomes a path
        """
        try:
            is_id = str(uuid.UUID(instance_id)) == instance_id
        except ValueError:
            is_id = False
        if not is_id:
            raise exception.InstanceNotFound(instance_id=instance_id)
        return self.directory / instance_id

    def read(self, instance_id: str) -> Document:
        """Return the document of an instance.

        :raises InstanceNotFound: there is none
        """
        try:
            text = (self.path(instance_id) / _DOCUMENT).read_text(encoding='utf-8')
        except (FileNotFoundError, NotADirectoryError):
            raise exception.InstanceNotFound(instance_id=instance_id) from None
        return Document(**json.loads(text))

    def read_all(self) -> Iterator[Document]:
        """Yield every document, in no order."""
        try:
            names = os.listdir(self.directory)
        except FileNotFoundError:
            return
        for name in names:
            with contextlib.suppress(exception.InstanceNotFound):
                yield self.read(name)

    def prepare(self, leftover_age_s: float) -> None:
        """Make the directory; remove what is older of instances not made or removed to the end."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in self.directory.iterdir():
            if path.suffix in ('.part', '.gone'):
                with contextlib.suppress(FileNotFoundError):
                    if time.time() - path.stat().st_mtime > leftover_age_s:
                        shutil.rmtree(path, ignore_errors=True)

    def add(self, document: Document) -> None:
        """Make the directory of a new instance, in one that was prepared."""
        part = self.directory / f'{document.id}.part'
        part.mkdir(mode=0o700)
        _write(part, document)
        part.rename(self.path(document.id))

    @contextlib.contextmanager
    def changing(self, instance_id: str) -> Iterator[Document]:
        """Lend the document under the lock of its instance, and write it if it was changed; an
        exception leaves it as it was or was saved last.

        :raises InstanceNotFound: there is none
        """
        path = self.path(instance_id)
        self.read(instance_id)
        try:
            fd = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except (FileNotFoundError, NotADirectoryError):
            raise exception.InstanceNotFound(instance_id=instance_id) from None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            # Whoever had the lock before may have removed the instance.
            document = self.read(instance_id)
            before = dataclasses.asdict(document)
            yield document
            if dataclasses.asdict(document) != before:
                self.save(document)
        finally:
            os.close(fd)

    def save(self, document: Document) -> None:
        """Write the document now, by whoever is changing it."""
        document.updated_at = now()
        _write(self.path(document.id), document)

    def remove(self, instance_id: str) -> None:
        """Remove an instance, by whoever is changing it."""
        gone = self.directory / f'{instance_id}.gone'
        shutil.rmtree(gone, ignore_errors=True)
        self.path(instance_id).rename(gone)
        shutil.rmtree(gone, ignore_errors=True)


def _write(directory: pathlib.Path, document: Document) -> None:
    temporary = directory / f'{_DOCUMENT}.new'
    with open(temporary, 'w', encoding='utf-8') as file:
        json.dump(dataclasses.asdict(document), file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, directory / _DOCUMENT)
