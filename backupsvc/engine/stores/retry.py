# SPDX-License-Identifier: Apache-2.0
"""A store that repeats what failed for a reason that may pass."""

import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from backupsvc.engine import errors
from backupsvc.engine.store import Buffer, ObjectInfo, Store, Upload

if TYPE_CHECKING:
    import tenacity

LOG = logging.getLogger(__name__)

T = TypeVar('T')


class RetryStore(Store):
    """Repeats calls that raise StoreTransient, with exponential backoff and full jitter.

    A wait that the store asks for (``retry_after``) is kept when it is longer than the backoff. A
    listing that breaks goes on behind the last object that it yielded.

    :param store: the store to call
    :param attempts: calls made before the last error is raised, at least 1
    :param deadline_s: seconds from the first call after which no further one is begun
    :param first_wait_s: upper bound of the first wait; each further one is twice as long
    :param max_wait_s: upper bound of any wait that the store did not ask for
    :param sleep: waits so many seconds
    :param clock: seconds that only go forward
    :param jitter: a number in [0, 1) by which a wait is spread, so that many clients do not come
        back at the same moment
    """

    def __init__(self, store: Store, *, attempts: int = 10, deadline_s: float = 600.0,
                 first_wait_s: float = 0.5, max_wait_s: float = 60.0,
                 sleep: Callable[[float], None] = time.sleep,
                 clock: Callable[[], float] = time.monotonic,
                 jitter: Callable[[], float] = random.random):
        self._store = store
        self._attempts = attempts
        self._deadline_s = deadline_s
        self._first_wait_s = first_wait_s
        self._max_wait_s = max_wait_s
        self._sleep = sleep
        self._clock = clock
        self._jitter = jitter

    @property
    def atomic_if_absent(self) -> bool:
        return self._store.atomic_if_absent

    def put(self, key: str, parts: Sequence[Buffer], *, if_absent: bool = False) -> None:
        has_failed = False

        def attempt() -> None:
            nonlocal has_failed
            try:
                self._store.put(key, parts, if_absent=if_absent)
            except errors.StoreTransient:
                has_failed = True
                raise
            except errors.ObjectExists:
                # The call that failed may have stored it: then what stands there is ours.
                if not has_failed or not self._holds(key, parts):
                    raise

        self._run(attempt)

    def get(self, key: str) -> bytes:
        return self._run(lambda: self._store.get(key))

    def read_into(self, key: str, offset: int, buffer: memoryview) -> int:
        return self._run(lambda: self._store.read_into(key, offset, buffer))

    def stat(self, key: str) -> ObjectInfo:
        return self._run(lambda: self._store.stat(key))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        last = ''
        listing = self._store.list(prefix)
        while True:
            def step() -> ObjectInfo | None:
                nonlocal listing
                try:
                    return next((info for info in listing if info.key > last), None)  # noqa: B023
                except errors.StoreTransient:
                    listing = self._store.list(prefix)
                    raise

            info = self._run(step)
            if info is None:
                return
            last = info.key
            yield info

    def delete(self, key: str) -> None:
        self._run(lambda: self._store.delete(key))

    def delete_many(self, keys: Sequence[str]) -> None:
        self._run(lambda: self._store.delete_many(keys))

    def upload(self, key: str) -> Upload:
        return _RetryUpload(self._run(lambda: self._store.upload(key)), self._run)

    def close(self) -> None:
        self._store.close()

    def _holds(self, key: str, parts: Sequence[Buffer]) -> bool:
        if self._store.stat(key).size_bytes != sum(memoryview(part).nbytes for part in parts):
            return False
        offset = 0
        for part in parts:
            wanted = memoryview(part).cast('B')
            found = bytearray(len(wanted))
            self._store.read_into(key, offset, memoryview(found))
            if found != wanted:
                return False
            offset += len(wanted)
        return True

    def _run(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except errors.StoreTransient as error:
            if self._attempts <= 1:
                raise
            return self._repeat(call, error)

    def _repeat(self, call: Callable[[], T], first_error: errors.StoreTransient) -> T:
        # Deferred: the import costs more than a whole repository command on a store that works.
        import tenacity
        begun = self._clock()
        pending: errors.StoreTransient | None = first_error

        def attempt() -> T:
            nonlocal pending
            if pending is not None:
                error, pending = pending, None
                raise error
            return call()

        def must_stop(state: 'tenacity.RetryCallState') -> bool:
            return (state.attempt_number >= self._attempts
                    or self._clock() - begun + state.upcoming_sleep > self._deadline_s)

        def give_up(state: 'tenacity.RetryCallState') -> T:
            error = _error_of(state)
            raise errors.StoreTransient(
                f'{error} (given up after {state.attempt_number} attempts in '
                f'{self._clock() - begun:.0f} s)', error.retry_after) from error

        return tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(errors.StoreTransient), stop=must_stop,
            wait=self._wait_s, sleep=self._sleep, before_sleep=_log, retry_error_callback=give_up,
        )(attempt)

    def _wait_s(self, state: 'tenacity.RetryCallState') -> float:
        longest = min(self._max_wait_s, self._first_wait_s * 2 ** (state.attempt_number - 1))
        # Never less than a tenth, or the jitter could use up all attempts at once.
        wait_s = longest * (0.1 + 0.9 * self._jitter())
        return max(wait_s, _error_of(state).retry_after or 0.0)


class _RetryUpload(Upload):
    """Repeats each step of an upload by itself."""

    def __init__(self, upload: Upload, run: Callable[[Callable[[], None]], None]):
        self._upload = upload
        self._run = run
        self.piece_bytes = upload.piece_bytes

    def write(self, number: int, piece: Buffer) -> None:
        self._run(lambda: self._upload.write(number, piece))

    def commit(self) -> None:
        self._run(self._upload.commit)

    def abort(self) -> None:
        self._upload.abort()


def _error_of(state: 'tenacity.RetryCallState') -> errors.StoreTransient:
    error = state.outcome.exception() if state.outcome is not None else None
    assert isinstance(error, errors.StoreTransient), 'only these are repeated'
    return error


def _log(state: 'tenacity.RetryCallState') -> None:
    LOG.warning('%s; trying again in %.1f s', _error_of(state), state.upcoming_sleep)
