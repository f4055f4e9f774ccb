# SPDX-License-Identifier: Apache-2.0
"""Tests of one xdist group run in one worker: what they share is started once."""

import subprocess
import sys

TESTS = """
import os, pytest

@pytest.mark.xdist_group('together')
@pytest.mark.parametrize('number', range(8))
def test_where(number):
    with open('workers', 'a') as file:
        print(os.environ['PYTEST_XDIST_WORKER'], file=file)
"""


def test_a_group_stays_in_one_worker(tmp_path):
    (tmp_path / 'test_group.py').write_text(TESTS)
    subprocess.run([sys.executable, '-m', 'pytest', '-n', '2', '--dist', 'loadgroup', '-q'],
                   cwd=tmp_path, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    workers = (tmp_path / 'workers').read_text().split()
    assert len(workers) == 8
    assert len(set(workers)) == 1
