# SPDX-License-Identifier: Apache-2.0
"""Every kind of store that the suite runs on."""

import dataclasses
import functools
import uuid
from collections.abc import Callable

import pytest

from backupsvc.drivers.repository.posix.store import PosixStore
from backupsvc.drivers.repository.s3 import store as s3_store
from backupsvc.drivers.repository.swift.store import SwiftStore
from backupsvc.engine.store import Store
from backupsvc.engine.stores.memory import MemoryStore
from backupsvc.engine.stores.retry import RetryStore
from tests.fixtures.object_stores import moto_server, swift_server  # noqa: F401

#: Small, so that a listing of a few objects has pages and an object of some MiB has segments.
PAGE_SIZE = 7
SEGMENT_SIZE = 1 << 20


@dataclasses.dataclass(frozen=True)
class Place:
    """An empty place for objects; every ``open`` is another store on it.

    ``decides_races``: of several puts that must not replace, exactly one succeeds.
    """

    open: Callable[[], Store]
    decides_races: bool = True


def _memory(request) -> Place:
    store = MemoryStore()
    return Place(lambda: store)


def _posix(request) -> Place:
    path = request.getfixturevalue('tmp_path')
    return Place(lambda: PosixStore(str(path)))


def _posix_retried(request) -> Place:
    path = request.getfixturevalue('tmp_path')
    return Place(lambda: RetryStore(PosixStore(str(path))))


def _swift(request, **options) -> Place:
    server = request.getfixturevalue('swift_server')
    container = uuid.uuid4().hex

    def open_store() -> SwiftStore:
        store = SwiftStore(server.client(), container, page_size=PAGE_SIZE, **options)
        store.create_container()
        return store
    return Place(open_store, decides_races=False)


def _swift_prefixed(request) -> Place:
    return _swift(request, prefix='some/where')


def _swift_segmented(request) -> Place:
    return _swift(request, segment_size=SEGMENT_SIZE)


def _moto(request) -> Place:
    url = request.getfixturevalue('moto_server')
    return _s3(_moto_client(url))


def _swift_s3(request) -> Place:
    server = request.getfixturevalue('swift_server')
    return _s3(_swift_s3_client(server), decides_races=False)


# boto3 reads megabytes of descriptions for each client.
@functools.cache
def _moto_client(url):
    return s3_store.new_client(endpoint_url=url, access_key='a', secret_key='b')


@functools.cache
def _swift_s3_client(server):
    return server.s3_client()


def _s3(client, decides_races: bool = True) -> Place:
    bucket = uuid.uuid4().hex

    def open_store() -> s3_store.S3Store:
        s3_store.ensure_bucket(client, bucket, create=True)
        return s3_store.S3Store(client, bucket, 'pre/fix', page_size=PAGE_SIZE,
                                conditional_writes=decides_races)
    return Place(open_store, decides_races)


PLACES = {
    'memory': _memory, 'posix': _posix, 'posix-retried': _posix_retried, 'swift': _swift,
    'swift-prefixed': _swift_prefixed, 'swift-segmented': _swift_segmented, 's3-moto': _moto,
    's3-swift': _swift_s3,
}


#: The server that a kind needs; the tests of one server run in one process, which starts it.
SERVERS = {'swift': 'swift', 'swift-prefixed': 'swift', 'swift-segmented': 'swift',
           's3-swift': 'swift', 's3-moto': 'moto'}


@pytest.fixture(params=[
    pytest.param(name, marks=[pytest.mark.xdist_group(SERVERS.get(name, name))])
    for name in PLACES])
def place(request) -> Place:
    return PLACES[request.param](request)


@pytest.fixture
def store(place):
    opened = place.open()
    yield opened
    opened.close()


@pytest.fixture
def other(place):
    """A second store on the same place, as another process has it."""
    opened = place.open()
    yield opened
    opened.close()
