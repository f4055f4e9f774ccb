# SPDX-License-Identifier: Apache-2.0
"""A prune frees what nobody needs and never takes away what an archive beside it comes to need."""

import random
import threading
import time

import pytest

from backupsvc.engine import errors, packer, pruner
from backupsvc.engine.repository import Repository
from backupsvc.engine.stores.memory import MemoryStore
from tests.fixtures import engine
from tests.fixtures.engine import BLOCK, SMALL, MemorySource, PlainWrapper, WatchedStore


@pytest.fixture(autouse=True)
def exact_clocks(monkeypatch):
    """Packs made just before a session are old already: they are what a prune is to take away."""
    monkeypatch.setattr(pruner, '_CLOCK_SLACK_S', 0)


@pytest.fixture
def store():
    store = MemoryStore()
    Repository.create(store, PlainWrapper(), SMALL)
    return store


def opened(store, hook=None):
    return Repository.open(WatchedStore(store, hook), PlainWrapper())


def pack_keys(store):
    return {info.key for info in store.list('packs/')}


def image_of(seed, blocks=40):
    return random.Random(seed).randbytes(blocks * BLOCK)


def test_nothing_needed_is_touched(store):
    opened(store).archive(MemorySource(image_of(1)), 'b1')
    before = {info.key for info in store.list('')}
    report = opened(store).prune(grace_s=0)
    assert (report.packs_deleted, report.packs_repacked, report.packs_condemned) == (0, 0, 0)
    assert {info.key for info in store.list('')} == before | {'locks/clock'}


def test_everything_goes_with_the_last_backup(store):
    opened(store).archive(MemorySource(image_of(1)), 'b1')
    sizes = sum(info.size_bytes for info in store.list('packs/'))
    opened(store).delete('b1')
    assert opened(store).prune(grace_s=0).bytes_freed == sizes
    assert not pack_keys(store)
    assert not list(store.list('index/'))


def test_what_is_condemned_stays_for_its_grace_period(store):
    opened(store).archive(MemorySource(image_of(1)), 'b1')
    opened(store).delete('b1')
    before = pack_keys(store)
    report = opened(store).prune(grace_s=1000)
    assert (report.packs_condemned, report.packs_deleted) == (len(before), 0)
    assert opened(store).prune(grace_s=1000).packs_deleted == 0
    assert pack_keys(store) == before
    assert opened(store).prune(grace_s=0).packs_deleted == len(before)
    assert not pack_keys(store)


def test_a_mostly_dead_pack_is_copied_and_its_frames_with_it(store):
    image = image_of(2, 64)
    opened(store).archive(MemorySource(image), 'b1', workers=1)
    # Three of four blocks go, the fourth stays in every pack.
    sparse = b''.join(image[at:at + BLOCK] for at in range(0, len(image), 4 * BLOCK))
    opened(store).archive(MemorySource(sparse), 'b2')
    opened(store).delete('b1')
    report = opened(store).prune(grace_s=0)
    assert report.packs_repacked >= 8
    assert engine.restored(opened(store), 'b2') == sparse
    assert not opened(store).verify(full=True).problems
    used = sum(info.size_bytes for info in store.list('packs/'))
    assert used < len(sparse) * 1.2


def test_blocks_found_again_rescue_their_pack(store):
    """A backup made from condemned blocks before the prune knew of it keeps them."""
    image = image_of(3)
    opened(store).archive(MemorySource(image), 'b1')
    manifest = store.get('manifests/b1')
    opened(store).delete('b1')
    assert opened(store).prune(grace_s=1000).packs_condemned
    store.put('manifests/b1', [manifest])
    report = opened(store).prune(grace_s=0)
    assert report.packs_rescued
    assert report.packs_deleted == 0
    assert engine.restored(opened(store), 'b1') == image


def test_an_archive_stores_condemned_blocks_again(store):
    image = image_of(4)
    opened(store).archive(MemorySource(image), 'b1')
    opened(store).delete('b1')
    opened(store).prune(grace_s=1000)
    assert opened(store).archive(MemorySource(image), 'b2').bytes_new == len(image)
    opened(store).prune(grace_s=0)
    assert engine.restored(opened(store), 'b2') == image


def test_a_parent_is_no_proof_while_packs_are_condemned(store):
    image = image_of(5)
    opened(store).archive(MemorySource(image), 'b1')
    opened(store).archive(MemorySource(image_of(6)), 'b0')
    manifest = store.get('manifests/b1')
    opened(store).delete('b1')
    opened(store).prune(grace_s=1000)
    store.put('manifests/b1', [manifest])
    opened(store).archive(MemorySource(image), 'b2', parent_id='b1')
    opened(store).delete('b1')
    opened(store).prune(grace_s=0)
    assert engine.restored(opened(store), 'b2') == image


def archive_with_prunes(store, image, at, *, grace_s, gone, parent_id):
    """Archive; before the ``at``-th call to the store delete a backup and prune twice."""
    calls = 0
    failures = []

    def prune():
        try:
            opened(store).delete(gone)
            for _ in range(2):
                opened(store).prune(grace_s=grace_s)
        except BaseException as exc:
            failures.append(exc)

    def hook(verb, key):
        nonlocal calls
        calls += 1
        if calls == at:
            thread = threading.Thread(target=prune)
            thread.start()
            thread.join()

    result = opened(store, hook).archive(MemorySource(image), 'b2', parent_id=parent_id, workers=1)
    assert not failures
    return result, calls


@pytest.mark.parametrize('grace_s', [0, 1000])
@pytest.mark.parametrize('has_parent', [False, True])
def test_a_prune_at_any_moment_of_an_archive(grace_s, has_parent, monkeypatch):
    """The archive wants exactly the blocks that the prune finds unused."""
    monkeypatch.setattr(packer, 'FLUSH_ENTRIES', 10)
    image = image_of(7, 20)
    calls = at = 1
    while at <= calls:
        store = MemoryStore()
        Repository.create(store, PlainWrapper(), SMALL)
        opened(store).archive(MemorySource(image), 'b1', workers=1)
        _, calls = archive_with_prunes(store, image, at, grace_s=grace_s, gone='b1',
                                       parent_id='b1' if has_parent else None)
        opened(store).prune(grace_s=0)
        opened(store).prune(grace_s=0)
        assert engine.restored(opened(store), 'b2') == image, at
        assert not opened(store).verify(full=True).problems
        at += 1
    assert at > 12


def test_an_archive_at_any_moment_of_a_prune():
    """The other way round: a whole archive runs between two calls of the prune."""
    image = image_of(8, 20)
    calls = at = 1
    while at <= calls:
        store = MemoryStore()
        Repository.create(store, PlainWrapper(), SMALL)
        opened(store).archive(MemorySource(image), 'b1', workers=1)
        opened(store).delete('b1')
        calls = 0
        failures = []

        def archive(store=store, failures=failures):
            try:
                opened(store).archive(MemorySource(image), 'b2', workers=1)
            except BaseException as exc:
                failures.append(exc)

        def hook(verb, key, at=at):
            nonlocal calls
            calls += 1
            if calls == at:
                thread = threading.Thread(target=archive)
                thread.start()
                thread.join()

        opened(store, hook).prune(grace_s=0)
        assert not failures
        if any(info.id == 'b2' for info in opened(store).list_manifests()):
            assert engine.restored(opened(store), 'b2') == image, at
        opened(store).prune(grace_s=0)
        assert not opened(store).verify(full=True).problems
        at += 1
    assert at > 12


def finish_archive_inside_prune(store, image, *, parent_id, before_prune, nth_deletion):
    """Begin an archive; let a prune mark; let the archive end; let the prune delete.

    :param before_prune: called when the archive has looked at what there is
    :param nth_deletion: which time that the prune is about to delete the archive ends before
    """
    begun, go_on = threading.Event(), threading.Event()
    source = MemorySource(image)
    failures = []

    def pause(offset):
        begun.set()
        assert go_on.wait(60)

    def archive():
        try:
            opened(store).archive(source, 'b2', parent_id=parent_id, workers=1)
        except BaseException as exc:
            failures.append(exc)

    source.on_read = pause
    thread = threading.Thread(target=archive)
    thread.start()
    assert begun.wait(60)
    before_prune()
    deletions = 0

    def hook(verb, key):
        nonlocal deletions
        # Asked for by the prune right before it deletes.
        if (verb, key) == ('get', 'locks/prune'):
            deletions += 1
            if deletions == nth_deletion:
                go_on.set()
                thread.join()

    opened(store, hook).prune(grace_s=0)
    assert deletions >= nth_deletion
    assert not failures


def test_a_list_that_came_while_the_archive_ran_is_heeded(store):
    """The archive ends between the mark and the deletion: neither saw the other's last word."""
    image = image_of(20)
    opened(store).archive(MemorySource(image), 'b1')
    opened(store).delete('b1')
    finish_archive_inside_prune(store, image, parent_id=None, before_prune=lambda: None,
                                nth_deletion=2)
    assert engine.restored(opened(store), 'b2') == image


def test_a_parent_that_leans_on_condemned_packs_is_not_trusted(store):
    """It is deleted when the archive has read it; its packs were condemned before that."""
    # Three leaf pages. Another backup has the last two of them: so the pack with the pages stays,
    # and the parent can be read although the blocks of its first leaf are condemned.
    image = image_of(21, 3 * 256)
    opened(store).archive(MemorySource(image), 'b1')
    opened(store).archive(MemorySource(image_of(22, 256) + image[256 * BLOCK:]), 'b0')
    manifest = store.get('manifests/b1')
    opened(store).delete('b1')
    opened(store).prune(grace_s=1000)
    store.put('manifests/b1', [manifest])
    finish_archive_inside_prune(store, image, parent_id='b1',
                                before_prune=lambda: opened(store).delete('b1'), nth_deletion=1)
    assert engine.restored(opened(store), 'b2') == image


def test_prunes_and_archives_at_the_same_time(store):
    """Nothing is arranged: threads archive, delete and prune as fast as they can."""
    choose = random.Random(9)
    pool = [choose.randbytes(BLOCK) for _ in range(40)]
    images = {}
    failures = []
    deadline = time.monotonic() + 8

    def archive(name):
        mine = random.Random(name)
        number = 0
        last = None
        try:
            while time.monotonic() < deadline:
                backup_id = f'{name}-{number}'
                image = b''.join(mine.choices(pool, k=mine.randrange(1, 30)))
                repository = opened(store)
                try:
                    repository.archive(MemorySource(image), backup_id, parent_id=last)
                except errors.RepositoryLocked:
                    continue
                images[backup_id] = image
                number += 1
                if mine.random() < 0.7:
                    repository.delete(backup_id)
                    del images[backup_id]
                last = backup_id
        except BaseException as exc:
            failures.append(exc)

    def prune():
        try:
            while time.monotonic() < deadline:
                try:
                    opened(store).prune(grace_s=0)
                except errors.RepositoryLocked:
                    continue
        except BaseException as exc:
            failures.append(exc)

    threads = [threading.Thread(target=archive, args=(name,)) for name in ('x', 'y')]
    threads += [threading.Thread(target=prune)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures
    assert images
    for backup_id, image in images.items():
        assert engine.restored(opened(store), backup_id) == image
    assert not opened(store).verify(full=True).problems


def test_a_restore_goes_on_when_a_prune_moves_its_blocks(store):
    image = image_of(10, 64)
    opened(store).archive(MemorySource(image), 'b1', workers=1)
    sparse = b''.join(image[at:at + BLOCK] for at in range(0, len(image), 4 * BLOCK))
    opened(store).archive(MemorySource(sparse), 'b2')
    opened(store).delete('b1')
    pruned = []

    def hook(verb, key):
        if verb == 'read_into' and key.startswith('packs/') and not pruned:
            pruned.append(key)
            thread = threading.Thread(target=lambda: opened(store).prune(grace_s=0))
            thread.start()
            thread.join()

    assert engine.restored(opened(store, hook), 'b2') == sparse
    assert pruned


def test_one_prune_at_a_time(store):
    store.put('locks/prune', [b'somebody'])
    with pytest.raises(errors.RepositoryLocked, match='another prune'):
        opened(store).prune(grace_s=0)
    assert store.get('locks/prune') == b'somebody'


def test_the_lock_of_a_dead_prune_is_taken_over(store, monkeypatch):
    monkeypatch.setattr(pruner, 'LOCK_STALE_S', 0)
    store.put('locks/prune', [b'somebody'])
    opened(store).prune(grace_s=0)
    assert not list(store.list('locks/prune'))


def test_a_prune_whose_lock_was_taken_over_deletes_nothing(store):
    opened(store).archive(MemorySource(image_of(11)), 'b1')
    opened(store).delete('b1')
    before = pack_keys(store)

    def hook(verb, key):
        if verb == 'put' and key.startswith('condemned/'):
            store.put('locks/prune', [b'somebody else'])

    with pytest.raises(errors.RepositoryLocked):
        opened(store, hook).prune(grace_s=0)
    assert pack_keys(store) == before
    assert store.get('locks/prune') == b'somebody else'


def test_young_packs_of_a_running_archive_are_left_alone(store):
    """Without this an archive would be made to store its blocks again and again."""
    pruned = []

    def hook(verb, key):
        if verb == 'put' and key.startswith('manifests/'):
            pruned.append(opened(store).prune(grace_s=1000))

    result = opened(store, hook).archive(MemorySource(image_of(12)), 'b1')
    assert pruned[0].packs_condemned == 0
    assert result.bytes_new == 40 * BLOCK


def test_an_archive_whose_session_was_removed_does_not_leave_a_manifest(store):
    """It slept for so long that prunes no longer counted on it; it looks again."""
    image = image_of(13)
    removed, deleted = [], []

    def hook(verb, key):
        if verb == 'delete' and key.startswith('manifests/'):
            deleted.append(key)
        if verb == 'put' and key.startswith('manifests/') and not removed:
            for info in list(store.list('sessions/')):
                removed.append(info.key)
                store.delete(info.key)

    opened(store, hook).archive(MemorySource(image), 'b1')
    assert removed
    assert deleted == ['manifests/b1']
    assert engine.restored(opened(store), 'b1') == image


def test_many_small_segments_become_few(store, monkeypatch):
    monkeypatch.setattr(packer, 'FLUSH_ENTRIES', 1)
    image = image_of(14, 200)
    opened(store).archive(MemorySource(image), 'b1')
    assert len(list(store.list('index/'))) > 20
    opened(store).prune(grace_s=0)
    assert len(list(store.list('index/'))) == 1
    assert engine.restored(opened(store), 'b1') == image
    assert opened(store).archive(MemorySource(image), 'b2').bytes_new == 0


def test_leftovers_of_a_crash_are_freed(store):
    """Packs that no segment knows go, as soon as no session protects them."""
    def hook(verb, key):
        if verb == 'put' and key.startswith('index/'):
            raise errors.StoreFull('no room')

    with pytest.raises(errors.StoreFull):
        opened(store, hook).archive(MemorySource(image_of(15)), 'b1')
    assert pack_keys(store)
    opened(store).prune(grace_s=0)
    assert not pack_keys(store)


def test_the_session_of_a_dead_archive_protects_for_a_fortnight(store, monkeypatch):
    class Killed(BaseException):
        pass

    def hook(verb, key):
        if f'{verb} {key}'.startswith(('put manifests/', 'delete sessions/')):
            raise Killed

    with pytest.raises(Killed):
        opened(store, hook).archive(MemorySource(image_of(16)), 'b1')
    assert len(list(store.list('sessions/'))) == 1
    assert opened(store).prune(grace_s=0).packs_deleted == 0
    monkeypatch.setattr(pruner, 'SESSION_STALE_S', -1)
    assert opened(store).prune(grace_s=0).packs_deleted > 0
    assert not list(store.list('sessions/'))


def test_the_session_of_a_killed_attempt_goes_with_the_next_one(store):
    store_keys = set()

    def hook(verb, key):
        if verb == 'put' and key.startswith('sessions/'):
            store_keys.add(key)
        if verb == 'delete' and key.startswith('sessions/'):
            raise errors.StoreDenied('not now')

    opened(store, hook).archive(MemorySource(image_of(17)), 'b1')
    opened(store).delete('b2')
    assert {info.key for info in store.list('sessions/')} == store_keys
    opened(store).delete('b1')
    assert not list(store.list('sessions/'))


def test_the_lock_of_an_earlier_attempt_of_the_same_work_is_taken_over(store):
    store.put('locks/prune', [b'task-1'])
    with pytest.raises(errors.RepositoryLocked):
        opened(store).prune(grace_s=0, owner='task-2')
    opened(store).prune(grace_s=0, owner='task-1')
    assert not list(store.list('locks/prune'))
