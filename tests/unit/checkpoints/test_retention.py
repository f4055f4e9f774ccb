# SPDX-License-Identifier: Apache-2.0
"""Which checkpoints are kept: by number, by age, and the last completed one in any case."""

import datetime

import pytest

from backupsvc import states
from backupsvc.manager import checkpoints
from backupsvc.objects.checkpoint import Checkpoint

_STATES = {'c': states.CHECKPOINT_COMPLETED, 'f': states.CHECKPOINT_FAILED,
           'i': states.CHECKPOINT_IN_PROGRESS}
_BEGIN = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def made(letters):
    """Return checkpoints 1, 2, … in the states of the letters, one made each hour."""
    return [Checkpoint(id=number, status=_STATES[letter],
                       created_at=_BEGIN + datetime.timedelta(hours=number))
            for number, letter in enumerate(letters, 1)][::-1]


def gone(letters, count=0, older_than=None):
    before = None if older_than is None else _BEGIN + datetime.timedelta(hours=older_than)
    return sorted(record.id for record in checkpoints.expired(made(letters), count, before))


@pytest.mark.parametrize(('letters', 'count', 'expected'), [
    ('ccccc', 2, [1, 2, 3]),
    ('ccccc', 5, []),
    ('ccccc', 9, []),
    ('ccccc', 0, []),
    ('cfcfc', 2, [1, 2]),
    ('cccff', 1, [1, 2]),
    ('ffff', 1, []),
    ('ciccc', 1, [1, 3, 4]),
    ('', 1, []),
])
def test_by_number(letters, count, expected):
    assert gone(letters, count) == expected


@pytest.mark.parametrize(('letters', 'older_than', 'expected'), [
    ('ccccc', 3, [1, 2]),
    ('ccccc', 99, [1, 2, 3, 4]),
    ('cffff', 99, [2, 3, 4, 5]),
    ('ffii', 99, [1, 2]),
    ('ccccc', 0, []),
])
def test_by_age(letters, older_than, expected):
    assert gone(letters, older_than=older_than) == expected


def test_either_limit_is_enough():
    assert gone('cccccc', count=3, older_than=5) == [1, 2, 3, 4]
    assert gone('cccccc', count=2, older_than=2) == [1, 2, 3, 4]


def test_the_last_completed_one_is_always_kept_and_nothing_in_progress_goes():
    for count in range(4):
        for older_than in (None, 0, 3, 99):
            for letters in ('ccc', 'cff', 'cii', 'fci', 'icf'):
                last = letters.rindex('c') + 1
                found = gone(letters, count, older_than)
                assert last not in found
                assert not any(letters[number - 1] == 'i' for number in found)
