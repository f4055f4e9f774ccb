# SPDX-License-Identifier: Apache-2.0
"""What the posix store makes of file systems in trouble, and how it treats what it holds open."""

import errno
import os
import resource
import shutil
import signal

import pytest

from backupsvc import exception
from backupsvc.drivers import loader
from backupsvc.drivers.repository.posix import store as posix_store
from backupsvc.drivers.repository.posix.store import TMP, PosixStore
from backupsvc.engine import errors


class FailingOs:
    """``os``, but the next call of one name raises."""

    def __init__(self):
        self.call = None
        self.number = 0

    def fail(self, call: str, number: int) -> None:
        self.call, self.number = call, number

    def __getattr__(self, name: str):
        if name == self.call:
            self.call = None
            raise OSError(self.number, os.strerror(self.number))
        return getattr(os, name)


@pytest.fixture
def system():
    return FailingOs()


@pytest.fixture
def store(tmp_path, system):
    opened = PosixStore(str(tmp_path), system=system)
    opened.put('dir/a', [b'old'])
    yield opened
    opened.close()


@pytest.mark.parametrize('number, expected', [
    (errno.ENOSPC, errors.StoreFull), (errno.EDQUOT, errors.StoreFull),
    (errno.EACCES, errors.StoreDenied), (errno.EPERM, errors.StoreDenied),
    (errno.EROFS, errors.StoreDenied), (errno.ESTALE, errors.StoreTransient),
    (errno.ETIMEDOUT, errors.StoreTransient), (errno.EMFILE, errors.StoreTransient),
    (errno.EIO, errors.StoreError),
], ids=lambda value: errno.errorcode.get(value, '') if isinstance(value, int) else '')
@pytest.mark.parametrize('call', ['writev', 'fsync', 'rename', 'open', 'mkdir'])
def test_a_put_that_fails_leaves_what_was_there(store, system, tmp_path, call, number, expected):
    system.fail(call, number)
    with pytest.raises(errors.StoreError) as caught:
        store.put('new/a' if call == 'mkdir' else 'dir/a', [b'new'])
    assert type(caught.value) is expected
    assert os.strerror(number) in str(caught.value)
    assert store.get('dir/a') == b'old'
    assert os.listdir(tmp_path / TMP) == []
    store.put('dir/a', [b'new'])
    assert store.get('dir/a') == b'new'


@pytest.mark.parametrize('number, expected', [
    (errno.EACCES, errors.StoreDenied), (errno.EIO, errors.StoreError),
    (errno.ESTALE, errors.StoreTransient)], ids=['EACCES', 'EIO', 'ESTALE'])
@pytest.mark.parametrize('call, use', [
    ('open', lambda store: store.get('dir/a')),
    ('preadv', lambda store: store.get('dir/a')),
    ('preadv', lambda store: store.read_into('dir/a', 0, memoryview(bytearray(1)))),
    ('stat', lambda store: store.stat('dir/a')),
    ('scandir', lambda store: list(store.list(''))),
    ('unlink', lambda store: store.delete('dir/a')),
])
def test_other_calls_that_fail(store, system, call, use, number, expected):
    system.fail(call, number)
    with pytest.raises(errors.StoreError) as caught:
        use(store)
    assert type(caught.value) is expected
    assert store.get('dir/a') == b'old'


def test_a_real_full_file_system(tmp_path):
    """The limit of a file's size stands for it: it needs no mount, and cuts a write short."""
    store = PosixStore(str(tmp_path))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100000, hard))
    try:
        with pytest.raises(errors.StoreFull):
            store.put('a', [b'x' * 60000] * 3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, previous)
    assert list(store.list('')) == []
    assert os.listdir(tmp_path / TMP) == []


def test_short_writes_are_carried_on(tmp_path):
    class Short:
        """``os``, but it writes seven bytes at a time."""

        def __getattr__(self, name):
            return getattr(os, name)

        def writev(self, descriptor, buffers):
            return os.write(descriptor, bytes(buffers[0][:7]))

    store = PosixStore(str(tmp_path), system=Short())
    parts = [b'', b'0123456', b'789', bytearray(b'abcdefghijklmnop'), b'q']
    store.put('a', parts)
    assert store.get('a') == b''.join(parts)


def test_a_directory_removed_under_the_store_is_made_again_by_a_retry(store, tmp_path):
    shutil.rmtree(tmp_path / 'dir')
    with pytest.raises(errors.StoreTransient):
        store.put('dir/b', [b'x'])
    store.put('dir/b', [b'x'])
    assert store.get('dir/b') == b'x'


def test_a_root_removed_under_the_store_is_not_made_again(store, tmp_path):
    shutil.rmtree(tmp_path)
    with pytest.raises(errors.StoreError, match='has been removed') as caught:
        store.put('dir/b', [b'x'])
    assert not isinstance(caught.value, errors.StoreTransient)
    assert not tmp_path.exists()


def test_what_is_no_object_is_not_listed(store, tmp_path):
    (tmp_path / 'dir' / 'lost+found').mkdir()
    (tmp_path / 'dir' / 'UPPER').write_bytes(b'x')
    (tmp_path / 'dir' / '.hidden').write_bytes(b'x')
    os.symlink('/etc/passwd', tmp_path / 'dir' / 'link')
    assert [info.key for info in store.list('')] == ['dir/a']
    with pytest.raises(errors.ObjectNotFound):
        store.stat('dir/link')


def test_an_object_where_a_directory_should_be(store):
    for key in ('dir', 'dir/a/b'):
        with pytest.raises(errors.StoreError, match='have one name') as caught:
            store.put(key, [b'x'])
        assert not isinstance(caught.value, errors.ObjectNotFound)
    assert store.get('dir/a') == b'old'


def test_listing_holds_a_bounded_part_of_a_directory(tmp_path, monkeypatch):
    store = PosixStore(str(tmp_path))
    names = sorted(f'packs/{index * 7919 % 1000:03d}' for index in range(101))
    for name in names:
        store.put(name, [b'x'])
    for limit in (1, 7, 100, 101, 102):
        monkeypatch.setattr(posix_store, '_LIST_BATCH', limit)
        assert [info.key for info in store.list('packs/')] == names


def test_open_files_are_bounded_and_closed(tmp_path):
    def count() -> int:
        return len(os.listdir('/proc/self/fd'))

    store = PosixStore(str(tmp_path))
    before = count()
    buffer = bytearray(3)
    for index in range(200):
        store.put(f'a{index}', [b'%03d' % index])
    for index in range(200):
        assert store.read_into(f'a{index}', 0, memoryview(buffer)) == 3
        assert buffer == b'%03d' % index
    assert count() <= before + 64
    store.close()
    assert count() == before - 1


def test_files_are_for_their_owner_alone(tmp_path):
    store = PosixStore(str(tmp_path))
    store.put('dir/a', [b'x'])
    assert (tmp_path / 'dir/a').stat().st_mode & 0o777 == 0o600
    assert (tmp_path / 'dir').stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize('form', ['file://{}', 'file://localhost{}', '{}'])
def test_opening_by_url(tmp_path, form):
    url = form.format(tmp_path / 'some%20place')
    with pytest.raises(exception.NotFound):
        loader.open_repository_url(url)
    loader.open_repository_url(url, create=True).put('a', [b'x'])
    assert loader.open_repository_url(url).get('a') == b'x'
    name = 'some place' if '://' in url else 'some%20place'
    assert (tmp_path / name / 'a').exists()


@pytest.mark.parametrize('url', ['file://host/path', 'file:///path?x=1', 'file://', 'nfs://a/b'])
def test_urls_that_are_not_of_the_form(url):
    with pytest.raises(exception.InvalidInput):
        loader.open_repository_url(url)
