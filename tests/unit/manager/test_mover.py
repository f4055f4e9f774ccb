# SPDX-License-Identifier: Apache-2.0
"""The child process by itself: what it imports, and what it does with input that is no job."""

import subprocess
import sys

from backupsvc.manager import mover

_PROGRAM = """
import sys
import backupsvc.manager.mover
print(','.join(sorted({name.split('.')[0] for name in sys.modules})))
"""


def test_it_knows_neither_records_nor_messages():
    output = subprocess.run([sys.executable, '-c', _PROGRAM], capture_output=True, text=True,
                            check=True).stdout
    loaded = set(output.strip().split(','))
    assert 'oslo_config' in loaded  # so the list is one
    assert not loaded & {'sqlalchemy', 'oslo_db', 'oslo_messaging', 'kombu', 'alembic', 'boto3',
                         'swiftclient', 'openstack'}


def run(line):
    return subprocess.run([sys.executable, '-m', mover.__name__], input=line,
                          capture_output=True, text=True, timeout=60)


def test_input_that_is_no_job_is_refused():
    assert run('{"verb": \n').returncode == mover.EXIT_BAD_JOB
    assert run('').returncode == mover.EXIT_BAD_JOB


def test_it_does_nothing_for_a_manager_that_is_not_its_parent():
    ended = run('{"manager_pid": 1}\n')
    assert ended.returncode == mover.EXIT_ORPHANED
    assert ended.stdout == ''
