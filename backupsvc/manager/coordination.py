# SPDX-License-Identifier: Apache-2.0
"""Locks that all managers of a cloud share, by tooz."""

import contextlib
import threading
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

from backupsvc import conf as service_conf

if TYPE_CHECKING:
    from tooz import coordination

_lock = threading.Lock()
_coordinator: 'coordination.CoordinationDriver | None' = None


@contextlib.contextmanager
def lock(name: str, *, is_waiting: bool = True) -> Iterator[bool]:
    """Hold a lock by name; yields whether it is held, which ``is_waiting`` makes sure of."""
    held = _get().get_lock(f'backupsvc-{name}'.encode())
    is_held = held.acquire(blocking=is_waiting)
    try:
        yield is_held
    finally:
        if is_held:
            held.release()


def reset() -> None:
    """Leave the back end; the next lock connects anew."""
    global _coordinator
    with _lock:
        coordinator, _coordinator = _coordinator, None
    if coordinator is not None:
        coordinator.stop()


def _get() -> 'coordination.CoordinationDriver':
    global _coordinator
    from tooz import coordination  # a mover needs it once in the life of a repository
    with _lock:
        if _coordinator is None:
            url = service_conf.current().coordination.backend_url
            coordinator = coordination.get_coordinator(url, uuid.uuid4().hex.encode())
            coordinator.start(start_heart=True)
            _coordinator = coordinator
        return _coordinator
