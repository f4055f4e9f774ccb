# SPDX-License-Identifier: Apache-2.0
"""How a process of the service is asked to stop, and what it says when it then does not."""

import faulthandler
import os
import select
import signal
import sys
import types

#: What asks for a graceful stop.
SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopRequest:
    """SIGTERM and SIGINT, for the main thread to wait for.

    The signal arrives as a byte in a pipe. A handler that set an event would run in the main
    thread alone, when that next runs: it would sleep on where the kernel gave the signal to
    another thread, or gave it just before the sleep; and it would wait for itself where it
    interrupts the event's own lock.

    Made in the main thread, once in the life of a process.
    """

    def __init__(self) -> None:
        self._asked, written = os.pipe()
        os.set_blocking(written, False)
        signal.set_wakeup_fd(written, warn_on_full_buffer=False)
        for number in SIGNALS:
            signal.signal(number, _noted)

    def wait(self) -> None:
        """Block until the process is asked to stop; at once if it was already."""
        while True:
            select.select([self._asked], [], [])
            if any(number in SIGNALS for number in os.read(self._asked, 512)):
                return


def expect_end(seconds: float) -> None:
    """Have the stack of every thread written to standard error if the process is still there
    after so many seconds: a stop that hangs is told from one that takes its time.
    """
    if sys.stderr is not None:
        faulthandler.dump_traceback_later(seconds, file=sys.stderr)


def _noted(number: int, frame: types.FrameType | None) -> None:
    """Have Python not do what it does by default; the byte in the pipe is what counts."""
