# SPDX-License-Identifier: Apache-2.0
"""What the Swift and the S3 store make of servers that refuse, break off or do not answer."""

import socket
import threading
import uuid

import pytest

from backupsvc.drivers.repository.s3 import store as s3_store
from backupsvc.drivers.repository.swift.store import SwiftStore
from backupsvc.engine import errors
from backupsvc.engine.stores.retry import RetryStore
from tests.fixtures import flaky_http

DATA = bytes(range(256)) * 400

S3_ERROR = '<Error><Code>{}</Code><Message>no</Message></Error>'


@pytest.fixture(params=[
    pytest.param('swift', marks=pytest.mark.xdist_group('swift')),
    pytest.param('s3', marks=pytest.mark.xdist_group('moto'))])
def kind(request):
    return request.param


@pytest.fixture
def front(request, kind):
    if kind == 'swift':
        server = request.getfixturevalue('swift_server')
        upstream = f'http://127.0.0.1:{server.port}'
    else:
        upstream = request.getfixturevalue('moto_server')
    with flaky_http.in_front_of(upstream) as running:
        yield running


def new_store(request, kind, url, name, read_s=30.0):
    """Return a store whose requests, but not those for a token, go to ``url``."""
    if kind == 'swift':
        server = request.getfixturevalue('swift_server')
        return SwiftStore(server.client(storage_url=f'{url}/v1/AUTH_test', read_s=read_s), name)
    client = s3_store.new_client(endpoint_url=url, access_key='a', secret_key='b',
                                 read_timeout_s=read_s)
    return s3_store.S3Store(client, name)


@pytest.fixture
def store(request, kind, front):
    name = uuid.uuid4().hex
    opened = new_store(request, kind, front.url, name)
    if kind == 'swift':
        opened.create_container()
    else:
        client = s3_store.new_client(endpoint_url=front.url, access_key='a', secret_key='b')
        s3_store.ensure_bucket(client, name, create=True)
    opened.put('a', [DATA])
    front.requests.clear()
    yield opened
    opened.close()


def read(store) -> bytes:
    buffer = bytearray(1000)
    assert store.read_into('a', 100, memoryview(buffer)) == 1000
    return bytes(buffer)


CALLS = {
    'put': lambda store: store.put('b', [DATA]),
    'get': lambda store: store.get('a'),
    'read_into': read,
    'stat': lambda store: store.stat('a'),
    'list': lambda store: list(store.list('')),
    'delete': lambda store: store.delete('a'),
}

STATUSES = [
    (500, errors.StoreTransient), (502, errors.StoreTransient), (503, errors.StoreTransient),
    (504, errors.StoreTransient), (429, errors.StoreTransient), (408, errors.StoreTransient),
    (403, errors.StoreDenied), (413, errors.StoreFull), (507, errors.StoreFull),
    (418, errors.StoreError),
]


@pytest.mark.parametrize('verb', CALLS)
def test_statuses(store, front, verb):
    for code, expected in STATUSES:
        front.add(flaky_http.status(code, Retry_After='17'))
        with pytest.raises(errors.StoreError) as caught:
            CALLS[verb](store)
        assert type(caught.value) is expected, code
        assert str(code) in str(caught.value)
        if expected is errors.StoreTransient:
            assert caught.value.retry_after == 17


@pytest.mark.parametrize('verb', CALLS)
def test_a_connection_that_is_reset(store, front, verb):
    # Twice: the client may by itself repeat a request on a connection that was idle.
    front.add(flaky_http.reset(), flaky_http.reset())
    with pytest.raises(errors.StoreTransient):
        CALLS[verb](store)


@pytest.mark.parametrize('verb', CALLS)
def test_a_server_that_does_not_answer(request, kind, front, verb):
    store = new_store(request, kind, front.url, 'container', read_s=0.3)
    event = threading.Event()
    front.add(flaky_http.hang(event))
    try:
        with pytest.raises(errors.StoreTransient, match='no answer in time'):
            CALLS[verb](store)
    finally:
        event.set()


@pytest.mark.parametrize('verb', ['get', 'read_into', 'list'])
def test_an_answer_that_breaks_off(store, front, verb):
    for size in (0, 1, 150):
        front.add(flaky_http.break_off(size), method='GET')
        with pytest.raises(errors.StoreTransient):
            CALLS[verb](store)


@pytest.mark.parametrize('verb', CALLS)
def test_a_server_that_is_gone(request, kind, verb):
    with socket.create_server(('127.0.0.1', 0)) as listener:
        url = f'http://127.0.0.1:{listener.getsockname()[1]}'
    store = new_store(request, kind, url, 'container')
    with pytest.raises(errors.StoreTransient, match='the connection failed'):
        CALLS[verb](store)


def test_with_retries_all_of_this_passes_by(store, front, kind):
    retried = RetryStore(store, first_wait_s=0.001, max_wait_s=0.001)
    troubles = [flaky_http.status(503), flaky_http.reset(), flaky_http.status(500)]
    for verb, call in CALLS.items():
        front.add(*troubles)
        if verb in ('get', 'read_into', 'list'):
            front.add(flaky_http.break_off(50), method='GET')
        call(retried)
    assert retried.get('b') == DATA
    assert [info.key for info in retried.list('')] == ['b']


@pytest.mark.xdist_group('swift')
class TestSwift:
    """What only Swift does."""

    @pytest.fixture
    def kind(self):
        return 'swift'

    @pytest.mark.parametrize('verb', CALLS)
    def test_a_refused_token_is_renewed_once(self, store, front, verb):
        front.add(flaky_http.status(401))
        CALLS[verb](store)
        store.put('a', [DATA])
        front.add(flaky_http.status(401), flaky_http.status(401))
        with pytest.raises(errors.StoreDenied):
            CALLS[verb](store)

    def test_wrong_credentials(self, swift_server):
        store = SwiftStore(swift_server.client(key='wrong'), 'container')
        with pytest.raises(errors.StoreDenied, match='Keystone refuses the credentials'):
            store.get('a')

    @pytest.mark.parametrize('answer, expected', [
        (flaky_http.status(503), errors.StoreTransient),
        (flaky_http.reset(), errors.StoreTransient),
        (flaky_http.status(404), errors.StoreError),
    ], ids=['503', 'reset', '404'])
    def test_an_identity_service_in_trouble(self, swift_server, front, answer, expected):
        client = swift_server.client(auth_url=f'{front.url}/auth/v1.0')
        front.add(*[answer] * 5)
        with pytest.raises(errors.StoreError) as caught:
            SwiftStore(client, 'container').get('a')
        assert type(caught.value) is expected

    def test_a_body_damaged_on_the_way_is_not_stored(self, store, front):
        front.add(flaky_http.status(422), method='PUT')
        with pytest.raises(errors.StoreTransient):
            store.put('b', [DATA])

    def test_a_quota_of_the_container(self, swift_server):
        client = swift_server.client()
        name = uuid.uuid4().hex
        client.request('x', 'PUT', name, headers={'X-Container-Meta-Quota-Bytes': '1000'})
        store = SwiftStore(client, name)
        store.put('small', [b'x' * 100])
        for size in (2000, 16 << 20):
            with pytest.raises(errors.StoreFull):
                store.put('large', [b'x' * size])
        assert [info.key for info in store.list('')] == ['small']

    def test_a_container_that_was_removed(self, swift_server):
        store = SwiftStore(swift_server.client(), uuid.uuid4().hex)
        with pytest.raises(errors.StoreError, match='the container .* does not exist') as caught:
            store.put('a', [b'x'])
        assert not isinstance(caught.value, errors.ObjectNotFound)

    def test_segments_go_with_their_object(self, swift_server):
        client = swift_server.client()
        name = uuid.uuid4().hex
        store = SwiftStore(client, name, 'pre', segment_size=1 << 20)
        store.create_container()
        store.put('large', [b'x' * (3 << 20), b'y'])
        segments = SwiftStore(client, name + '_segments')
        assert [info.size_bytes for info in segments.list('')] == [1 << 20] * 3 + [1]
        store.delete('large')
        assert list(segments.list('')) == []

    def test_segments_of_a_put_that_failed_are_removed(self, swift_server):
        client = swift_server.client()
        name = uuid.uuid4().hex
        store = SwiftStore(client, name, segment_size=1 << 20)
        store.create_container()
        store.put('large', [b'old'])
        with pytest.raises(errors.ObjectExists):
            store.put('large', [b'x' * (3 << 20)], if_absent=True)
        assert store.get('large') == b'old'
        assert list(SwiftStore(client, name + '_segments').list('')) == []


@pytest.mark.xdist_group('moto')
class TestS3:
    """What only S3 does."""

    @pytest.fixture
    def kind(self):
        return 's3'

    @pytest.mark.parametrize('status, code, expected', [
        (503, 'SlowDown', errors.StoreTransient), (400, 'RequestTimeout', errors.StoreTransient),
        (403, 'QuotaExceeded', errors.StoreFull), (400, 'ExpiredToken', errors.StoreDenied),
        (403, 'SignatureDoesNotMatch', errors.StoreDenied),
        (400, 'InvalidArgument', errors.StoreError),
    ])
    def test_codes(self, store, front, status, code, expected):
        front.add(flaky_http.status(status, S3_ERROR.format(code).encode()))
        with pytest.raises(errors.StoreError) as caught:
            store.put('b', [DATA])
        assert type(caught.value) is expected
        assert code in str(caught.value)

    def test_a_server_without_conditional_writes(self, store, front):
        answer = flaky_http.status(501, S3_ERROR.format('NotImplemented').encode())
        front.add(answer, method='PUT')
        store.put('b', [b'x'], if_absent=True)
        assert not store.atomic_if_absent
        with pytest.raises(errors.ObjectExists):
            store.put('b', [b'y'], if_absent=True)
        assert store.get('b') == b'x'

    def test_a_conditional_put_that_lost_a_race(self, store, front):
        front.add(flaky_http.status(409, S3_ERROR.format('ConditionalRequestConflict').encode()),
                  method='PUT')
        with pytest.raises(errors.StoreTransient):
            store.put('b', [b'x'], if_absent=True)

    def test_a_server_without_bulk_deletes(self, store, front):
        store.put('b', [b'x'])
        front.add(flaky_http.status(501, S3_ERROR.format('NotImplemented').encode()),
                  method='POST')
        store.delete_many(['a', 'b'])
        assert list(store.list('')) == []

    def test_a_bulk_delete_that_fails_in_part(self, store, front):
        body = ('<DeleteResult><Error><Key>a</Key><Code>AccessDenied</Code></Error>'
                '</DeleteResult>')
        front.add(flaky_http.status(200, body.encode()), method='POST')
        with pytest.raises(errors.StoreDenied, match='a: AccessDenied'):
            store.delete_many(['a', 'b'])

    def test_a_bucket_that_was_removed(self, moto_server):
        client = s3_store.new_client(endpoint_url=moto_server, access_key='a', secret_key='b')
        store = s3_store.S3Store(client, uuid.uuid4().hex)
        with pytest.raises(s3_store.BucketNotFound):
            store.put('a', [b'x'])

    def test_no_credentials(self, moto_server, monkeypatch, tmp_path):
        for name in ('AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv('AWS_EC2_METADATA_DISABLED', 'true')
        monkeypatch.setenv('AWS_SHARED_CREDENTIALS_FILE', str(tmp_path / 'none'))
        monkeypatch.setenv('AWS_CONFIG_FILE', str(tmp_path / 'none'))
        client = s3_store.new_client(endpoint_url=moto_server)
        with pytest.raises(errors.StoreDenied, match='no S3 credentials'):
            s3_store.S3Store(client, 'bucket').get('a')
