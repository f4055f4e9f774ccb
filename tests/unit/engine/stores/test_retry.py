# SPDX-License-Identifier: Apache-2.0
"""The retry store: what it repeats, how long it waits, and when it gives up."""

import pytest

from backupsvc.engine import errors
from backupsvc.engine.stores import faulty
from backupsvc.engine.stores.faulty import Fault, FaultyStore
from backupsvc.engine.stores.memory import MemoryStore
from backupsvc.engine.stores.retry import RetryStore


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self):
        self.now = 1000.0
        self.sleeps = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def memory():
    store = MemoryStore()
    store.put('a', [b'0123456789'])
    return store


@pytest.fixture
def script(memory):
    return FaultyStore(memory)


@pytest.fixture
def store(script, clock):
    return RetryStore(script, attempts=5, deadline_s=100, first_wait_s=1, max_wait_s=6,
                      sleep=clock.sleep, clock=clock, jitter=lambda: 1.0)


def transient(retry_after=None):
    return lambda: errors.StoreTransient('a: 503 Service Unavailable', retry_after)


CALLS = {
    'put': lambda store: store.put('a', [b'x']),
    'get': lambda store: store.get('a'),
    'read_into': lambda store: store.read_into('a', 0, memoryview(bytearray(5))),
    'stat': lambda store: store.stat('a'),
    'list': lambda store: list(store.list('')),
    'delete': lambda store: store.delete('a'),
}


@pytest.mark.parametrize('verb', CALLS)
def test_every_verb_is_repeated_until_it_works(store, script, memory, clock, verb):
    script.add(Fault(faulty.failing(transient()), verb, times=3))
    expected = CALLS[verb](memory)
    memory.put('a', [b'0123456789'])
    found = CALLS[verb](store)
    assert clock.sleeps == [1, 2, 4]
    if verb in ('get', 'read_into'):
        assert found == expected


def test_waits_are_bounded_and_spread(script, clock):
    store = RetryStore(script, attempts=8, first_wait_s=1, max_wait_s=6, sleep=clock.sleep,
                       clock=clock, jitter=lambda: 0.5)
    script.add(Fault(faulty.failing(transient()), times=6))
    store.get('a')
    assert clock.sleeps == pytest.approx([0.55, 1.1, 2.2, 3.3, 3.3, 3.3])


def test_gives_up_after_the_attempts_and_says_so(store, script, clock):
    script.add(Fault(faulty.failing(transient()), times=None))
    with pytest.raises(errors.StoreTransient,
                       match=r'^a: 503 Service Unavailable \(given up after 5 attempts in 13 s\)'):
        store.get('a')
    assert clock.sleeps == [1, 2, 4, 6]
    assert len(script.calls) == 5


def test_gives_up_before_the_deadline_passes(script, clock):
    store = RetryStore(script, attempts=1000, deadline_s=10, first_wait_s=1, max_wait_s=6,
                       sleep=clock.sleep, clock=clock, jitter=lambda: 1.0)
    script.add(Fault(faulty.failing(transient()), times=None))
    with pytest.raises(errors.StoreTransient, match='given up after 4 attempts'):
        store.get('a')
    assert clock.now - 1000 <= 10


def test_waits_as_long_as_the_store_asks(store, script, clock):
    script.add(Fault(faulty.failing(transient(30)), times=1))
    script.add(Fault(faulty.failing(transient(0.1)), first=2))
    assert store.get('a') == b'0123456789'
    assert clock.sleeps == [30, 2]


def test_a_wait_past_the_deadline_is_not_begun(store, script, clock):
    script.add(Fault(faulty.failing(transient(101)), times=1))
    with pytest.raises(errors.StoreTransient):
        store.get('a')
    assert clock.sleeps == []


@pytest.mark.parametrize('error', [
    errors.StoreDenied('403'), errors.StoreFull('413'), errors.StoreError('400'),
    errors.ObjectNotFound('a'),
], ids=lambda error: type(error).__name__)
def test_what_a_retry_does_not_cure_is_raised_at_once(store, script, clock, error):
    script.add(Fault(faulty.failing(lambda: error), times=None))
    with pytest.raises(type(error)) as caught:
        store.get('a')
    assert caught.value is error
    assert clock.sleeps == []
    assert len(script.calls) == 1


def test_a_put_whose_answer_was_lost_is_not_its_own_obstacle(store, script, memory):
    script.add(Fault(faulty.losing_answer(transient()), 'put'))
    store.put('locks/a', [b'mi', b'ne'], if_absent=True)
    assert memory.get('locks/a') == b'mine'


@pytest.mark.parametrize('theirs', [b'them', b'longer than ours'])
def test_somebody_elses_object_stays_an_obstacle_after_a_failure(store, script, memory, theirs):
    memory.put('locks/a', [theirs])
    script.add(Fault(faulty.failing(transient()), 'put'))
    with pytest.raises(errors.ObjectExists):
        store.put('locks/a', [b'mine'], if_absent=True)
    assert memory.get('locks/a') == theirs


def test_an_equal_object_of_somebody_else_is_an_obstacle_without_a_failure(store, memory):
    memory.put('locks/a', [b'mine'])
    with pytest.raises(errors.ObjectExists):
        store.put('locks/a', [b'mine'], if_absent=True)


def test_a_listing_that_breaks_goes_on_where_it_was(memory, clock):
    names = [f'k{index}' for index in range(5)]
    for name in names:
        memory.put(name, [b'x'])

    class Breaking(FaultyStore):
        breaks = 3

        def list(self, prefix):
            for index, info in enumerate(super().list(prefix)):
                if index == 2 and self.breaks:
                    self.breaks -= 1
                    raise errors.StoreTransient('connection reset')
                yield info

    store = RetryStore(Breaking(memory), sleep=clock.sleep, clock=clock)
    assert [info.key for info in store.list('k')] == names
    assert len(clock.sleeps) == 3
