# SPDX-License-Identifier: Apache-2.0
"""Dumps of database servers, to and from the objects that they are kept in; the mover's part.

An object is what the driver gives, byte by byte, so that its users can download and load it by
hand. Reading and storing go on at the same time; memory is bounded by a few pieces.
"""

import concurrent.futures
import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

from backupsvc import conf as service_conf
from backupsvc.context import RequestContext
from backupsvc.drivers import loader
from backupsvc.drivers.base import DumpFacts, StoredDump
from backupsvc.engine import errors, progress
from backupsvc.engine.store import Store
from backupsvc.engine.stores.retry import RetryStore
from backupsvc.manager import fencing

Report = Callable[[progress.Progress], None]

#: Bytes asked of a store at once.
_READ_BYTES = 8 << 20

#: Bytes asked of a dump at once.
_PIPE_BYTES = 1 << 20


def dump(context: RequestContext, job: dict[str, Any], report: Report,
         cancelled: threading.Event) -> DumpFacts:
    """Store what a server dumps as one object, and return what is known of it.

    :raises DriverFailed: the dump failed, or the store refuses
    """
    driver = loader.database_driver()
    with contextlib.ExitStack() as stack:
        store = stack.enter_context(_store(context, job['repository'], create=True))
        source = stack.enter_context(
            driver.dump(context, job['instance_id'], since=job['since']))
        upload = store.upload(job['key'])
        reporter = progress.Reporter(report, cancelled.is_set)
        state = progress.Progress()
        try:
            with concurrent.futures.ThreadPoolExecutor(1) as writer:
                pending: concurrent.futures.Future | None = None
                for number, piece in enumerate(_pieces(source, upload.piece_bytes, cancelled)):
                    if pending is not None:
                        pending.result()
                    pending = writer.submit(upload.write, number, piece)
                    state.bytes_done += len(piece)
                    reporter.tick(lambda: state)
                if pending is not None:
                    pending.result()
            facts = source.facts()
            # From here on only the object is to be finished.
            state.bytes_total = state.bytes_read = state.bytes_new = state.bytes_stored = (
                state.bytes_done)
            reporter.last(state)
            upload.commit()
        except BaseException:
            upload.abort()
            raise
    return facts


def _pieces(source: Any, size: int, cancelled: threading.Event) -> Iterator[bytearray]:
    piece = bytearray()
    while data := source.read(min(_PIPE_BYTES, size - len(piece))):
        if cancelled.is_set():
            raise errors.Cancelled('the operation was cancelled')
        piece += data
        if len(piece) == size:
            yield piece
            piece = bytearray()
    if piece:
        yield piece


def load(context: RequestContext, job: dict[str, Any], report: Report,
         cancelled: threading.Event) -> progress.Progress:
    """Load stored dumps, a full one and then increments, into a server made for it.

    :raises DumpDamaged: one is not what was stored
    """
    state = progress.Progress(bytes_total=sum(each['stored_bytes'] for each in job['dumps']))
    reporter = progress.Reporter(report, cancelled.is_set)
    with contextlib.ExitStack() as stack:

        def opener(where: dict[str, Any], key: str) -> Callable[[], _Reader]:
            def open_() -> _Reader:
                store = stack.enter_context(_store(context, where))
                return stack.enter_context(
                    contextlib.closing(_Reader(store, key, state, reporter)))
            return open_

        loader.database_driver().load(context, job['instance_id'], [
            StoredDump(opener(each['repository'], each['key']), each['checksum'])
            for each in job['dumps']])
    return state


@contextlib.contextmanager
def _store(
    context: RequestContext, where: dict[str, Any], create: bool = False
) -> Iterator[Store]:
    conf = service_conf.current()
    driver = loader.repository_driver(where['driver'])
    opened = driver.open_store(context, where['project_id'], where['container'],
                               create=create and conf.repository.create_containers)
    with contextlib.closing(RetryStore(
            fencing.fenced_store(opened), attempts=conf.engine.store_attempts,
            deadline_s=conf.engine.store_deadline)) as store:
        yield store


class _Reader:
    """An object as a stream, read one piece ahead."""

    def __init__(self, store: Store, key: str, state: progress.Progress,
                 reporter: progress.Reporter):
        self._store = store
        self._key = key
        self._state = state
        self._reporter = reporter
        self._offset = 0
        self._piece = memoryview(b'')
        self._ahead = concurrent.futures.ThreadPoolExecutor(1)
        self._next = self._ahead.submit(self._fetch, 0)

    def read(self, size: int) -> bytes:
        """Return the next bytes, at most ``size``; empty at the end.

        :raises Cancelled: the operation was
        """
        if not self._piece:
            self._piece = self._next.result()
            self._offset += len(self._piece)
            if self._piece:
                self._next = self._ahead.submit(self._fetch, self._offset)
        data = bytes(self._piece[:size])
        self._piece = self._piece[size:]
        self._state.bytes_done += len(data)
        self._state.bytes_read += len(data)
        self._reporter.tick(lambda: self._state)
        return data

    def _fetch(self, offset: int) -> memoryview:
        buffer = bytearray(_READ_BYTES)
        count = self._store.read_into(self._key, offset, memoryview(buffer))
        return memoryview(buffer)[:count]

    def close(self) -> None:
        self._ahead.shutdown(cancel_futures=True)
