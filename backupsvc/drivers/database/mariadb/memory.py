# SPDX-License-Identifier: Apache-2.0
"""How the memory of a server is divided, and limited for real."""

import contextlib
import os
import pathlib

MIB = 1024 ** 2

#: The least that a server is of use with.
MIN_RAM_MB = 256

#: What a server needs beside its buffer pool and its connections, measured: code that is its own,
#: caches, the stacks of its threads.
_OWN_MB = 144

_ROOT = pathlib.Path('/sys/fs/cgroup')


def buffer_pool_mb(ram_mb: int) -> int:
    """Return the size of the buffer pool for a server's memory: three quarters of what the server
    does not need for itself; the rest is left to connections.
    """
    return max(16, (ram_mb - _OWN_MB) * 3 // 4)


def max_connections(ram_mb: int) -> int:
    """Return how many clients a server takes at once."""
    return min(2000, max(30, ram_mb // 8))


class MemoryLimit:
    """The limit of one server: its cgroup, or None of that where there is no parent for it.

    :param parent: directory of the cgroup that gets the child; None looks for one
    """

    def __init__(self, instance_id: str, parent: str | None):
        found = pathlib.Path(parent) if parent else _own_parent()
        self._path = (found / f'backupsvc-database-{instance_id}'
                      if found is not None and _can_hold(found) else None)

    @property
    def data_bytes_needed(self) -> bool:
        """Whether the data segment has to be limited, because there is no cgroup."""
        return self._path is None

    def set(self, ram_mb: int) -> None:
        """Make the cgroup, or change its limit."""
        if self._path is None:
            return
        self._path.mkdir(exist_ok=True)
        (self._path / 'memory.max').write_text(str(ram_mb * MIB))
        # without swap a limit is a limit; a kernel may have no such file
        with contextlib.suppress(OSError):
            (self._path / 'memory.swap.max').write_text('0')

    def hold(self, pid: int) -> None:
        """Put a process into the cgroup."""
        if self._path is not None:
            (self._path / 'cgroup.procs').write_text(str(pid))

    def remove(self) -> None:
        """Remove the cgroup of a server that has ended."""
        if self._path is not None:
            with contextlib.suppress(FileNotFoundError):
                self._path.rmdir()


def _own_parent() -> pathlib.Path | None:
    """Return the parent of our own cgroup of version 2: a sibling may be made there, while a
    cgroup that holds processes can give its children no controllers.
    """
    try:
        with open('/proc/self/cgroup', encoding='ascii') as stream:
            own = next(line.strip()[3:] for line in stream if line.startswith('0::'))
    except (OSError, StopIteration):
        return None
    path = _ROOT / own.lstrip('/')
    return path if path == _ROOT else path.parent


def _can_hold(parent: pathlib.Path) -> bool:
    try:
        controllers = (parent / 'cgroup.subtree_control').read_text().split()
    except OSError:
        return False
    return 'memory' in controllers and os.access(parent, os.W_OK)
