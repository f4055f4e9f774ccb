# SPDX-License-Identifier: Apache-2.0
"""The state of a checkpoint follows from those of its partitions, by rules in a fixed order."""

import itertools

import pytest

from backupsvc import states
from backupsvc.orchestration import checkpoints

DONE, FAILED, RUNNING, MISSING = (
    states.CHECKPOINT_COMPLETED, states.CHECKPOINT_FAILED, states.CHECKPOINT_IN_PROGRESS,
    states.CHECKPOINT_MISSING)
INCOMPLETE = states.CHECKPOINT_INCOMPLETE


def aggregated(*found, reasons=()):
    reasons = dict(zip(range(1, len(found) + 1), itertools.chain(reasons, itertools.repeat(None)),
                       strict=False))
    return checkpoints.aggregate([
        checkpoints.PartitionState(number, state, failure_reason=reasons[number])
        for number, state in enumerate(found, 1)])


@pytest.mark.parametrize(('found', 'state'), [
    ([DONE], DONE),
    ([DONE, DONE, DONE], DONE),
    ([RUNNING], RUNNING),
    ([RUNNING, DONE], RUNNING),
    ([MISSING], MISSING),
    ([MISSING, MISSING], MISSING),
    ([MISSING, DONE], INCOMPLETE),
    ([MISSING, RUNNING], INCOMPLETE),
    ([MISSING, RUNNING, DONE], INCOMPLETE),
    ([FAILED], FAILED),
    ([FAILED, MISSING], FAILED),
    ([FAILED, RUNNING], FAILED),
    ([FAILED, DONE, RUNNING, MISSING], FAILED),
    ([], MISSING),
])
def test_the_rules(found, state):
    assert aggregated(*found)[0] == state


def test_all_combinations_of_four_partitions():
    """The same rules in other words: by what is there at all, whatever the order."""
    for found in itertools.product((DONE, FAILED, RUNNING, MISSING), repeat=4):
        state, reason = aggregated(*found)
        there = set(found)
        if FAILED in there:
            assert state == FAILED and reason.count('Backup on partition') == found.count(FAILED)
        else:
            assert reason is None
            assert state == {
                frozenset({DONE}): DONE, frozenset({MISSING}): MISSING,
                frozenset({RUNNING}): RUNNING, frozenset({RUNNING, DONE}): RUNNING,
            }.get(frozenset(there), INCOMPLETE)
        assert {aggregated(*other)[0] for other in itertools.permutations(found)} == {state}


def test_reasons_are_strung_together():
    assert aggregated(FAILED, DONE, FAILED, FAILED, reasons=('no space', None, None, 'Gone.')) == (
        FAILED, 'Backup on partition 1 failed due to no space. '
        'Backup on partition 3 failed due to Unknown reason. '
        'Backup on partition 4 failed due to Gone. ')
