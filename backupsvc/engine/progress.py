# SPDX-License-Identifier: Apache-2.0
"""How far a long operation is, told to its caller a few times per second; and whether it is to go
on.
"""

import dataclasses
import time
from collections.abc import Callable

from backupsvc.engine import errors

_INTERVAL_S = 0.25


@dataclasses.dataclass(slots=True)
class Progress:
    """Bytes of the volume that are dealt with, of how many; what was read, was new, was stored."""

    bytes_done: int = 0
    bytes_total: int = 0
    bytes_read: int = 0
    bytes_new: int = 0
    bytes_stored: int = 0


ProgressCallback = Callable[[Progress], None]
CancelCheck = Callable[[], bool]


class Reporter:
    """Calls ``progress`` at most four times per second and asks ``cancelled`` every time."""

    def __init__(self, progress: ProgressCallback | None, cancelled: CancelCheck | None):
        self._progress = progress
        self._cancelled = cancelled
        self._next_at = 0.0

    def tick(self, current: Callable[[], Progress]) -> None:
        """Report, if it is time to.

        :raises Cancelled: the caller wants no more of this
        """
        if self._cancelled is not None and self._cancelled():
            raise errors.Cancelled('the operation was cancelled')
        if self._progress is not None and time.monotonic() >= self._next_at:
            self.last(current())

    def last(self, current: Progress) -> None:
        """Report whatever the time."""
        if self._progress is not None:
            self._next_at = time.monotonic() + _INTERVAL_S
            self._progress(current)
