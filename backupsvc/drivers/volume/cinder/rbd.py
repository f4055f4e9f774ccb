# SPDX-License-Identifier: Apache-2.0
"""RBD images in user space, as a source and as a target.

``rados`` and ``rbd`` are the bindings that Ceph ships for the system's Python; they are imported
where an image is opened, and release the interpreter while the cluster works.
"""

import contextlib
import errno
from collections.abc import Callable, Iterator
from typing import Any

from oslo_log import log as logging

from backupsvc.engine.source import Extent, Source, Target

LOG = logging.getLogger(__name__)


class RbdSource(Source):
    """An image, or a snapshot of it, to be read.

    :param image: an open ``rbd.Image``, set to the snapshot where one is read
    :param token: what a later backup names as the point that it compares with
    :param find_snapshot: from such a token to the name of the image's snapshot; None: it is gone
    :param close: called in the end with the token that was compared with, if any
    """

    def __init__(self, image: Any, *, token: str | None = None,
                 find_snapshot: Callable[[str], str | None] = lambda token: None,
                 close: Callable[[str | None], None] = lambda since: None):
        self._image = image
        self._token = token
        self._find_snapshot = find_snapshot
        self._close = close
        self._since: str | None = None
        self._is_open = True
        with io_errors():
            self._size = image.size()

    @property
    def size_bytes(self) -> int:
        return self._size

    @property
    def change_token(self) -> str | None:
        return self._token

    def extents(self) -> Iterator[Extent]:
        # Whole objects: the object map answers without asking every object.
        yield from _diff(self._image, self._size, None, whole_object=True)

    def changed_extents(self, since: str) -> Iterator[Extent] | None:
        name = self._find_snapshot(since)
        if name is None:
            LOG.warning('The snapshot %s that the parent was read from is gone; all is read',
                        since)
            return None
        with io_errors():
            known = {snapshot['name'] for snapshot in self._image.list_snaps()}
        if name not in known:
            LOG.warning('The image has no snapshot %s; all is read', name)
            return None
        self._since = since
        return _diff(self._image, self._size, name, whole_object=False)

    def read_into(self, offset: int, buffer: memoryview) -> None:
        read_into(self._image, offset, buffer)

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._close(self._since)


class RbdTarget(Target):
    """An image to be written.

    :param image: an open ``rbd.Image``
    :param close: called in the end
    """

    def __init__(self, image: Any, close: Callable[[], None]):
        self._image = image
        self._close = close
        self._is_open = True
        with io_errors():
            self._size = image.size()
            self._object_bytes = 1 << image.stat()['order']
            # Until the first flush librbd waits for each write: a guest that never flushes could
            # not know what is on disk. We flush in the end.
            image.flush()
        # Numbers of the objects that may hold something else than zero.
        self._filled: set[int] = set()
        for extent in _diff(image, self._size, None, whole_object=True):
            self._filled.update(self._objects(extent.offset, extent.length))
        self._is_zeroed = not self._filled

    @property
    def size_bytes(self) -> int:
        return self._size

    @property
    def is_zeroed(self) -> bool:
        return self._is_zeroed

    def _objects(self, offset: int, length: int) -> range:
        return range(offset // self._object_bytes, -(-(offset + length) // self._object_bytes))

    def write(self, offset: int, data: memoryview) -> None:
        # Noted first: a write that fails may have written something.
        self._filled.update(self._objects(offset, len(data)))
        with io_errors():
            self._image.write(bytes(data), offset)

    def zero(self, offset: int, length: int) -> None:
        # Object by object: those that are not there need nothing, and a cluster answers for one
        # that is not there as slowly as for one that is.
        for number in self._objects(offset, length):
            if number in self._filled:
                start = max(offset, number * self._object_bytes)
                end = min(offset + length, (number + 1) * self._object_bytes)
                self._zero(start, end - start)

    def _zero(self, offset: int, length: int) -> None:
        """Zero within one object. Not by ``discard`` where it is a part: discarding leaves what is
        smaller than its granularity as it is.
        """
        with io_errors():
            if length == self._object_bytes:
                self._image.discard(offset, length)
            elif hasattr(self._image, 'write_zeroes'):
                self._image.write_zeroes(offset, length)
            else:
                self._image.write(bytes(length), offset)

    def flush(self) -> None:
        with io_errors():
            self._image.flush()

    def extents(self) -> Iterator[Extent]:
        yield from _diff(self._image, self._size, None, whole_object=True)

    def read_into(self, offset: int, buffer: memoryview) -> None:
        read_into(self._image, offset, buffer)

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._close()


def read_into(image: Any, offset: int, buffer: memoryview) -> None:
    """Fill the whole buffer from an image."""
    with io_errors():
        data = image.read(offset, len(buffer))
    if len(data) != len(buffer):
        raise OSError(errno.EIO, f'the image ends at byte {offset + len(data)}')
    buffer[:] = data


def _diff(image: Any, size: int, since: str | None, *, whole_object: bool) -> Iterator[Extent]:
    """Yield what holds data, or what has changed since a snapshot, discarded ranges too."""
    found: list[Extent] = []

    def note(offset: int, length: int, exists: bool) -> None:
        if exists or since is not None:
            found.append(Extent(offset, length))

    with io_errors():
        image.diff_iterate(0, size, since, note, whole_object=whole_object)
    found.sort(key=lambda extent: extent.offset)
    return iter(found)


@contextlib.contextmanager
def io_errors() -> Iterator[None]:
    """Raise OSError for what the bindings raise, as the ports promise."""
    import rados
    import rbd
    try:
        yield
    except (rbd.Error, rados.Error) as error:
        raise OSError(getattr(error, 'errno', None) or errno.EIO, str(error)) from error
