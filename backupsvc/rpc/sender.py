# SPDX-License-Identifier: Apache-2.0
"""The thread that sends messages, so that a dead broker never holds up who has one to send."""

import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from oslo_log import log

LOG = log.getLogger(__name__)

#: More than this waiting means that the broker is away; further ones are dropped: each is a hint.
_LIMIT = 1000


class Sender:
    """Calls what is put into it, in order, in a thread made at first use (so after any fork)."""

    def __init__(self, limit: int = _LIMIT):
        self._queue: queue.Queue = queue.Queue(maxsize=limit)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def put(self, what: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Enqueue one message; ``what`` names it in the log."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name='rpc-sender', daemon=True)
                self._thread.start()
        try:
            self._queue.put_nowait((what, function, args, kwargs))
        except queue.Full:
            LOG.warning('Dropped %s: %d messages wait for the broker', what, self._queue.maxsize)

    def flush(self, timeout_s: float) -> bool:
        """Return whether everything put so far was sent or given up within ``timeout_s``."""
        deadline = time.monotonic() + timeout_s
        with self._queue.all_tasks_done:
            while self._queue.unfinished_tasks:
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._queue.all_tasks_done.wait(left)
        return True

    def stop(self, timeout_s: float = 2.0) -> None:
        """Send what waits, within ``timeout_s`` seconds, and end the thread."""
        self.flush(timeout_s)
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            return
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            what, function, args, kwargs = item
            try:
                function(*args, **kwargs)
            except Exception as exc:  # the work is a row: a message that is lost only delays it
                LOG.warning('%s was not sent: %s', what, exc)
            finally:
                self._queue.task_done()
        self._queue.task_done()
