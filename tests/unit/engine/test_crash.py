# SPDX-License-Identifier: Apache-2.0
"""Work that breaks off at any call to the store leaves whole backups only, and goes on later."""

import random

import pytest

from backupsvc.engine import errors, packer
from backupsvc.engine.repository import Repository
from backupsvc.engine.stores.memory import MemoryStore
from tests.fixtures import engine
from tests.fixtures.engine import BLOCK, SMALL, MemorySource, PlainWrapper, WatchedStore


class Broken(errors.StoreError):
    """The store is gone from here on."""


class Breaking:
    """A hook that lets so many writes through, then breaks every call."""

    def __init__(self, writes):
        self.left = writes
        self.is_broken = False

    def __call__(self, verb, key):
        if verb in ('put', 'delete') and not self.is_broken:
            self.left -= 1
        if self.left < 0:
            self.is_broken = True
            raise Broken('the store is gone')


def count_writes(work):
    """Return how many writes ``work(hook)`` makes."""
    made = []
    work(lambda verb, key: made.append(key) if verb in ('put', 'delete') else None)
    return len(made)


def copy_of(store):
    copy = MemoryStore()
    for info in store.list(''):
        copy.put(info.key, [store.get(info.key)])
    return copy


@pytest.fixture
def two_backups():
    choose = random.Random(1)
    store = MemoryStore()
    repository = Repository.create(store, PlainWrapper(), SMALL)
    images = {'b1': choose.randbytes(60 * BLOCK)}
    images['b2'] = images['b1'][:20 * BLOCK] + choose.randbytes(30 * BLOCK)
    repository.archive(MemorySource(images['b1']), 'b1', workers=1)
    repository.archive(MemorySource(images['b2']), 'b2', workers=1)
    return store, images


def assert_whole(store, images):
    repository = Repository.open(store, PlainWrapper())
    found = {info.id for info in repository.list_manifests()}
    assert found <= set(images)
    for backup_id in found:
        assert engine.restored(repository, backup_id) == images[backup_id]
    assert not [problem for problem in repository.verify(full=True).problems
                if problem.backup_id is not None]
    return found


def test_an_archive_that_breaks_off_anywhere_is_run_again(two_backups, monkeypatch):
    monkeypatch.setattr(packer, 'FLUSH_ENTRIES', 10)
    store, images = two_backups
    image = random.Random(2).randbytes(50 * BLOCK) + images['b1']
    images = {**images, 'b3': image}

    def archive(hook, on=None):
        watched = WatchedStore(on or copy_of(store), hook)
        return Repository.open(watched, PlainWrapper()).archive(
            MemorySource(image), 'b3', parent_id='b2', facts={'attempt_of': 't'}, workers=1)

    writes = count_writes(archive)
    assert writes > 12
    reused = 0
    for number in range(writes):
        broken = copy_of(store)
        # The last write removes the session, after the backup came to be.
        try:
            archive(Breaking(number), broken)
        except Broken:
            pass
        assert assert_whole(broken, images) >= {'b1', 'b2'}
        result = archive(None, broken)
        reused += result.bytes_new < len(image) - len(images['b1'])
        assert assert_whole(broken, images) == {'b1', 'b2', 'b3'}
    # What an index segment tells of was not stored twice.
    assert reused > writes // 2


def test_an_archive_that_breaks_off_says_why(two_backups):
    store, _ = two_backups
    for number in range(6):
        watched = WatchedStore(copy_of(store), Breaking(number))
        with pytest.raises(Broken, match='the store is gone'):
            Repository.open(watched, PlainWrapper()).archive(
                MemorySource(random.Random(3).randbytes(40 * BLOCK)), 'b3')


def test_a_prune_that_breaks_off_anywhere_harms_nothing(two_backups):
    store, images = two_backups
    Repository.open(store, PlainWrapper()).delete('b1')
    images = {'b2': images['b2']}

    def prune(hook, on=None):
        Repository.open(WatchedStore(on or copy_of(store), hook), PlainWrapper()).prune(grace_s=0)

    writes = count_writes(prune)
    assert writes > 10
    for number in range(writes):
        broken = copy_of(store)
        with pytest.raises(Broken):
            prune(Breaking(number), broken)
        assert assert_whole(broken, images) == {'b2'}
        # Another archive in between finds its way too.
        again = Repository.open(broken, PlainWrapper())
        again.archive(MemorySource(images['b2']), 'b4', parent_id='b2')
        broken.delete('locks/prune')
        prune(None, broken)
        prune(None, broken)
        both = {**images, 'b4': images['b2']}
        assert assert_whole(broken, both) == {'b2', 'b4'}
        used = sum(info.size_bytes for info in broken.list('packs/'))
        assert used < 1.1 * len(images['b2']) + 20 * BLOCK


def test_a_rewrap_that_breaks_off_leaves_one_of_the_keys(two_backups):
    store, images = two_backups
    broken = copy_of(store)
    with pytest.raises(Broken):
        Repository.open(WatchedStore(broken, Breaking(0)), PlainWrapper()).rewrap(
            PlainWrapper('two', 1))
    assert assert_whole(broken, images) == {'b1', 'b2'}
