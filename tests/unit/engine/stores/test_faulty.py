# SPDX-License-Identifier: Apache-2.0
"""The scripted store does what its script says, and nothing else."""

import pytest

from backupsvc.engine import errors
from backupsvc.engine.stores import faulty
from backupsvc.engine.stores.faulty import Fault, FaultyStore
from backupsvc.engine.stores.memory import MemoryStore


@pytest.fixture
def memory():
    store = MemoryStore()
    store.put('packs/a', [bytes(range(10))])
    store.put('index/a', [b'index'])
    return store


def denied():
    return errors.StoreDenied('403')


def test_only_the_chosen_calls_fail(memory):
    fault = Fault(faulty.failing(denied), 'get', 'packs/*', first=2, times=2)
    store = FaultyStore(memory, [fault])
    assert store.get('packs/a') == bytes(range(10))
    for _ in range(2):
        assert store.get('index/a') == b'index'
        assert store.stat('packs/a').size_bytes == 10
        with pytest.raises(errors.StoreDenied):
            store.get('packs/a')
    assert store.get('packs/a') == bytes(range(10))


def test_a_failing_put_stores_nothing_and_one_that_loses_its_answer_does(memory):
    store = FaultyStore(memory, [Fault(faulty.failing(denied), 'put', 'x'),
                                 Fault(faulty.losing_answer(denied), 'put', 'y')])
    for key in ('x', 'y'):
        with pytest.raises(errors.StoreDenied):
            store.put(key, [b'data'])
    assert [info.key for info in memory.list('')] == ['index/a', 'packs/a', 'y']


def test_bits_flip_in_what_is_read_and_not_in_what_is_stored(memory):
    store = FaultyStore(memory, [Fault(faulty.flipping_bit(17), times=2)])
    assert store.get('packs/a') == bytes([0, 1, 0, *range(3, 10)])
    buffer = bytearray(5)
    assert store.read_into('packs/a', 4, memoryview(buffer)) == 5
    assert buffer == bytes([4, 5, 6 ^ 2, 7, 8])
    assert store.get('packs/a') == bytes(range(10))


def test_reads_end_early(memory):
    store = FaultyStore(memory, [Fault(faulty.shortening(3), times=2)])
    assert store.get('packs/a') == bytes(range(3))
    buffer = bytearray(b'.' * 6)
    assert store.read_into('packs/a', 0, memoryview(buffer)) == 3
    assert buffer[:3] == bytes(range(3))


def test_slow_calls_work_in_the_end(memory):
    waits = []
    store = FaultyStore(memory, [Fault(faulty.slow(lambda: waits.append(1)), times=None)])
    assert store.get('index/a') == b'index'
    assert [info.key for info in store.list('')] == ['index/a', 'packs/a']
    assert waits == [1, 1]
    store.clear()
    store.get('index/a')
    assert waits == [1, 1]


def test_calls_are_written_down(memory):
    store = FaultyStore(memory)
    store.put('x', [b''])
    store.delete_many(['x', 'y'])
    assert store.calls == [('put', 'x'), ('delete', 'x'), ('delete', 'y')]
