# SPDX-License-Identifier: Apache-2.0
"""Locks between managers by way of Redis: two processes, one of them killed."""

import subprocess
import sys
import uuid

import pytest

from backupsvc import conf as service_conf
from backupsvc.manager import coordination

pytestmark = pytest.mark.services

_URL = 'redis://127.0.0.1:6379?lock_timeout=2&timeout=2'

_HOLDER = """
import sys
from backupsvc import conf
from backupsvc.manager import coordination
config = conf.new_config()
config([], project='backupsvc')
config.set_override('backend_url', sys.argv[1], group='coordination')
conf.install(config)
with coordination.lock(sys.argv[2]) as is_held:
    print(is_held, flush=True)
    sys.stdin.read()
coordination.reset()
"""


@pytest.fixture(autouse=True)
def configuration():
    conf = service_conf.new_config()
    conf([], project='backupsvc')
    conf.set_override('backend_url', _URL, group='coordination')
    coordination.reset()
    service_conf.install(conf)
    yield
    coordination.reset()


@pytest.fixture
def name():
    return f'test-{uuid.uuid4().hex}'


@pytest.fixture
def holder(name):
    """Another process that holds the lock until its standard input ends."""
    process = subprocess.Popen([sys.executable, '-W', 'ignore', '-c', _HOLDER, _URL, name],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == 'True\n'
    yield process
    process.kill()
    process.communicate()


def is_free(name):
    with coordination.lock(name, is_waiting=False) as is_held:
        return is_held


def test_one_process_at_a_time_holds_a_lock(name, holder):
    assert not is_free(name)
    assert is_free(f'{name}-other')
    holder.communicate()
    assert holder.returncode == 0
    assert is_free(name)


def test_a_lock_outlives_its_timeout_while_its_holder_lives(name, holder):
    with pytest.raises(subprocess.TimeoutExpired):
        holder.wait(timeout=5)  # two and a half times as long as the lock keeps by itself
    assert not is_free(name)


def test_the_lock_of_a_killed_process_comes_free(name, holder):
    holder.kill()
    holder.wait()
    with coordination.lock(name) as is_held:
        assert is_held
