# SPDX-License-Identifier: Apache-2.0
"""The engine on a store that fails: at every call, in every way that a store can fail.

What passes by itself is retried and leaves no trace. What does not ends the work with the store's
own error, harms no backup, and the same work done again later succeeds.
"""

import random
import threading
import time

import pytest

from backupsvc.engine import errors
from backupsvc.engine.repository import Repository
from backupsvc.engine.stores import faulty
from backupsvc.engine.stores.faulty import Fault, FaultyStore
from backupsvc.engine.stores.memory import MemoryStore
from backupsvc.engine.stores.retry import RetryStore
from tests.fixtures import engine
from tests.fixtures.engine import BLOCK, SMALL, MemorySource, MemoryTarget, PlainWrapper

KEPT, OLD, NEW = 'kept', 'old', 'new'


class Setting:
    """A repository with two backups, the older one of them deleted; a third is to be made."""

    def __init__(self):
        choose = random.Random(3)
        first = engine.make_image(choose, 60)
        second = engine.change_image(choose, first, 12)
        third = engine.change_image(choose, second, 12)
        self.images = {OLD: first, KEPT: second, NEW: third}
        self.store = MemoryStore()
        repository = Repository.create(self.store, PlainWrapper(), SMALL)
        repository.archive(MemorySource(first), OLD, workers=1)
        repository.archive(MemorySource(second), KEPT, parent_id=OLD, workers=1)
        repository.delete(OLD)

    def copy(self) -> MemoryStore:
        copied = MemoryStore()
        for info in self.store.list(''):
            copied.put(info.key, [self.store.get(info.key)])
        return copied

    def archive(self, store, workers=1) -> None:
        repository = Repository.open(store, PlainWrapper())
        repository.archive(MemorySource(self.images[NEW]), NEW, parent_id=KEPT,
                           facts={'attempt_of': 'task'}, workers=workers)

    def restore(self, store, workers=1, target=None) -> None:
        target = target or MemoryTarget(len(self.images[KEPT]), is_zeroed=False)
        Repository.open(store, PlainWrapper()).restore(KEPT, target, workers=workers)
        assert bytes(target.image) == self.images[KEPT]

    def verify(self, store, workers=1) -> None:
        report = Repository.open(store, PlainWrapper()).verify(full=True, workers=workers)
        assert report.problems == []

    def prune(self, store, workers=1) -> None:
        Repository.open(store, PlainWrapper()).prune(grace_s=0, owner='task')

    def check(self, store, wanted: set[str]) -> None:
        """The backups wanted are there, perhaps the new one too, and all are whole."""
        repository = Repository.open(store, PlainWrapper())
        found = {info.id for info in repository.list_manifests()}
        assert wanted <= found <= wanted | {NEW}
        for backup_id in found:
            assert engine.restored(repository, backup_id) == self.images[backup_id]
        assert [problem for problem in repository.verify(full=True).problems
                if problem.backup_id is not None] == []


@pytest.fixture(scope='module')
def setting():
    return Setting()


WORK = ['archive', 'restore', 'verify', 'prune']


def count_calls(setting, work) -> int:
    counting = FaultyStore(setting.copy())
    getattr(setting, work)(counting)
    return len(counting.calls)


def after(work) -> set[str]:
    return {KEPT, NEW} if work == 'archive' else {KEPT}


def unavailable():
    return errors.StoreTransient('503 Service Unavailable')


@pytest.mark.parametrize('kind', [faulty.failing, faulty.losing_answer],
                         ids=['refused', 'answer lost'])
@pytest.mark.parametrize('work', WORK)
def test_troubles_that_pass_are_not_noticed(setting, work, kind):
    """Each call in turn fails three times."""
    calls = count_calls(setting, work)
    assert calls > 10
    for first in range(1, calls + 1):
        store = setting.copy()
        script = FaultyStore(store, [Fault(kind(unavailable), first=first, times=3)])
        getattr(setting, work)(RetryStore(script, sleep=lambda seconds: None))
        setting.check(store, after(work))


@pytest.mark.parametrize('work', WORK)
def test_every_third_call_of_all_fails(setting, work):
    store = setting.copy()
    script = FaultyStore(store)
    for first in range(1, 5000, 3):
        script.add(Fault(faulty.failing(unavailable), first=first))
    getattr(setting, work)(RetryStore(script, sleep=lambda seconds: None), workers=3)
    setting.check(store, after(work))


LASTING = {
    'gone': (lambda: errors.StoreTransient('connection refused'), '*'),
    'denied': (lambda: errors.StoreDenied('403 Forbidden'), '*'),
    'broken': (lambda: errors.StoreError('input/output error'), '*'),
    'full': (lambda: errors.StoreFull('no space left'), 'put'),
}


@pytest.mark.parametrize('trouble', LASTING)
@pytest.mark.parametrize('work', WORK)
def test_troubles_that_stay_end_the_work_and_nothing_else(setting, work, trouble):
    """From each call on, every further one fails; later the store works again."""
    make_error, verb = LASTING[trouble]
    for first in range(1, count_calls(setting, work) + 1):
        store = setting.copy()
        script = FaultyStore(store, [Fault(faulty.failing(make_error), verb, first=first,
                                           times=None)])
        failed = None
        try:
            getattr(setting, work)(script)
        except errors.EngineError as error:
            failed = error
        if failed is not None:
            assert isinstance(failed, type(make_error())), (first, failed)
            assert str(make_error()) in str(failed), first
        setting.check(store, {KEPT})
        getattr(setting, work)(store)
        setting.check(store, after(work))


@pytest.mark.parametrize('work', ['archive', 'restore', 'verify'])
def test_a_store_that_goes_away_stops_all_threads(setting, work):
    calls = count_calls(setting, work)
    for first in (2, calls // 3, calls // 2):
        before = threading.active_count()
        script = FaultyStore(setting.copy(), [
            Fault(faulty.failing(unavailable), first=first, times=None)])
        with pytest.raises(errors.StoreTransient):
            getattr(setting, work)(script, workers=4)
        deadline = time.monotonic() + 30
        while threading.active_count() > before:
            assert time.monotonic() < deadline, threading.enumerate()
            time.sleep(0.01)


DAMAGE = {
    'first bit': faulty.flipping_bit(0), 'a bit': faulty.flipping_bit(12345),
    'cut short': faulty.shortening(100), 'empty': faulty.shortening(0),
}


@pytest.mark.parametrize('damage', DAMAGE)
@pytest.mark.parametrize('verb', ['get', 'read_into'])
def test_a_restore_writes_nothing_that_was_damaged(setting, verb, damage):
    """Each read in turn brings damaged bytes: once, and then every time."""
    image = setting.images[KEPT]
    for times in (1, None):
        counting = FaultyStore(setting.copy())
        setting.restore(counting)
        reads = sum(call[0] == verb for call in counting.calls)
        assert reads
        for first in range(1, reads + 1):
            script = FaultyStore(setting.copy(), [
                Fault(DAMAGE[damage], verb, first=first, times=times)])
            target = MemoryTarget(len(image), is_zeroed=False)
            try:
                setting.restore(script, target=target)
            except (errors.Corrupt, errors.WrongKey):
                for at in range(0, len(image), BLOCK):
                    block = bytes(target.image[at:at + BLOCK])
                    assert block in (image[at:at + BLOCK], b'\xaa' * len(block))


@pytest.mark.parametrize('damage', DAMAGE)
@pytest.mark.parametrize('work', ['archive', 'prune'])
def test_damaged_reads_do_not_spread(setting, work, damage):
    """What an archive or a prune reads wrongly makes it fail or work harder; nothing is lost."""
    counting = FaultyStore(setting.copy())
    getattr(setting, work)(counting)
    reads = sum(call[0] in ('get', 'read_into') for call in counting.calls)
    assert reads
    for verb in ('get', 'read_into'):
        for first in range(1, reads + 1):
            store = setting.copy()
            script = FaultyStore(store, [Fault(DAMAGE[damage], verb, first=first)])
            try:
                getattr(setting, work)(script)
            except (errors.Corrupt, errors.WrongKey, errors.RepositoryLocked):
                setting.check(store, {KEPT})
                getattr(setting, work)(store)
            setting.check(store, after(work))


def test_a_full_store_has_room_again_after_a_prune(setting):
    """The old backup's blocks take the room that the new one needs."""
    store = setting.copy()
    used = sum(info.size_bytes for info in store.list(''))
    store._capacity_bytes = used + 4 * BLOCK
    choose = random.Random(9)
    image = choose.randbytes(12 * BLOCK)
    repository = Repository.open(store, PlainWrapper())
    with pytest.raises(errors.StoreFull, match='no room'):
        repository.archive(MemorySource(image), NEW, workers=1)
    setting.check(store, {KEPT})
    repository.delete(KEPT)
    repository.prune(grace_s=0)
    repository.archive(MemorySource(image), NEW, workers=1)
    assert engine.restored(repository, NEW) == image
