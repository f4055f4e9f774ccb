# SPDX-License-Identifier: Apache-2.0
"""Which chunk gives which bytes, compared with writing the chain one backup after the other."""

import random

import pytest

from backupsvc.drivers.foreign.cinder import chain, layout
from backupsvc.engine import errors


def chunk(number, start, end):
    return layout.Chunk('c', f'p-{number:05d}', start, end - start, 'none')


@pytest.mark.parametrize('seed', range(20))
def test_the_newest_chunk_wins_over_every_byte(seed):
    pick = random.Random(seed)
    size = 200
    written = [None] * size
    layers = []
    for age in range(5):
        cuts = sorted(pick.sample(range(size + 1), 2 * pick.randrange(1, 12)))
        pairs = list(zip(cuts[::2], cuts[1::2], strict=True)) if age else [(0, size)]
        layers.insert(0, [chunk(1000 * age + n, *pair) for n, pair in enumerate(pairs)])
        for each in layers[0]:
            written[each.offset:each.end] = [each.name] * each.length
    plan = chain.plan(layers)
    found = [None] * size
    for part in plan.parts:
        for start, end in part.ranges:
            assert found[start:end] == [None] * (end - start)
            assert part.chunk.offset <= start < end <= part.chunk.end
            found[start:end] = [part.chunk.name] * (end - start)
    assert (found, plan.size_bytes) == (written, size)


def test_bytes_that_no_chunk_has_are_named():
    with pytest.raises(errors.Corrupt, match='10\\+5, 25\\+5') as caught:
        chain.plan([[chunk(1, 0, 10), chunk(2, 15, 25)], [chunk(3, 30, 40)]])
    assert caught.value.ranges == ((10, 5), (25, 5))


def test_a_backup_of_nothing_is_none():
    with pytest.raises(errors.Corrupt):
        chain.plan([[]])
