# SPDX-License-Identifier: Apache-2.0
"""Ranges of microversions neither overlap nor leave gaps, and no row hides another."""

import collections
import re

import pytest

from backupsvc.wsgi import router, validation
from tests.unit.gates import dialects


@pytest.mark.parametrize(('dialect', 'row'), dialects.rows())
def test_bounds_lie_within_those_of_the_dialect(dialect, row):
    bounds = [row.min_version, row.max_version]
    for kind in ('body', 'query', 'response'):
        for rule in getattr(validation.rules_of(row.handler), kind):
            bounds += [rule.since, rule.until]
    bounds = [bound for bound in bounds if bound is not None]
    assert not bounds or dialect.versions
    for bound in bounds:
        assert dialect.versions.minimum <= bound <= dialect.versions.maximum


@pytest.mark.parametrize('dialect', dialects.DIALECTS, ids=lambda dialect: dialect.name)
def test_rows_of_one_call_neither_overlap_nor_leave_gaps(dialect):
    calls = collections.defaultdict(list)
    for row in dialects.served(dialect):
        calls[row.method, row.path, row.action].append(row)
    for call, rows in calls.items():
        served = [
            sum(row.serves(version) for row in rows) for version in dialects.versions(dialect)
        ]
        assert max(served) == 1, f'{call} has two rows at one version'
        runs = ''.join(map(str, served)).strip('0')
        assert '0' not in runs, f'{call} is not served at some version between others'


def _example(path):
    """Return a path that fits a row's template."""
    return re.sub(r'\{\w+(:[^{}]*)?\}', 'xyz', path)


@pytest.mark.parametrize('dialect', dialects.DIALECTS, ids=lambda dialect: dialect.name)
def test_every_row_is_reached(dialect):
    table = router.Router(dialects.served(dialect))
    for row in dialects.served(dialect):
        path = _example(row.path)
        match = table.match(row.method, path)
        assert match is not None and row in match.rows, f'{path} is taken by an earlier row'


@pytest.mark.parametrize('dialect', dialects.DIALECTS, ids=lambda dialect: dialect.name)
def test_no_other_dialect_takes_a_call(dialect):
    """A mount may be shared where no path of one dialect is in the table of the other."""
    for other in dialects.DIALECTS:
        if other is dialect or not set(other.mounts) & set(dialect.mounts):
            continue
        table = router.Router(dialects.served(other))
        for row in dialects.served(dialect):
            path = re.sub(r'\{[^{}]*\}', 'x', row.path)
            assert not table.allowed(path), f'{path} is of {dialect.name} and of {other.name}'
