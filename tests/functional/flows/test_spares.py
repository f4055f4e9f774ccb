# SPDX-License-Identifier: Apache-2.0
"""Movers that are started ahead of their work: one task each, and none is missed when it dies."""

import os
import re
import signal

import pytest

from backupsvc import states
from tests.fixtures import processes
from tests.fixtures.deployment import eventually
from tests.functional.flows.conftest import MIB, movers, noise, same_bytes


@pytest.fixture
def spared(make_rig):
    """A rig that keeps one mover ahead, which waits."""
    rig = make_rig(spare_movers=1)
    rig.start()
    return rig


def waiting():
    """Return the mover that waits for work, once it does."""
    pid, = eventually(lambda: [pid for pid in movers() if processes.is_idle(pid)])
    return pid


def used(caplog):
    """Return the movers that the manager gave work to."""
    return [int(pid) for pid in re.findall(r'mover (\d+) began to', caplog.text)]


def test_task_goes_to_the_mover_that_waits_and_another_takes_its_place(spared, caplog):
    caplog.set_level('INFO')
    source = spared.volume((0, noise(1, MIB)))
    pids = []
    for _ in range(2):
        pids.append(waiting())
        backup = spared.backed_up(source.id)
    assert used(caplog) == pids
    assert waiting() not in pids
    assert same_bytes(spared.path(source.id), spared.path(spared.restore(backup.id).id))


def test_waiting_mover_that_is_killed_costs_no_attempt(spared, caplog):
    caplog.set_level('INFO')
    source = spared.volume((0, noise(2, MIB)))
    pid = waiting()
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not processes.is_running(pid))
    backup = spared.backed_up(source.id)
    task, = spared.tasks(backup.id)
    assert (task.state, task.attempt) == (states.DONE, 1)
    assert pid not in used(caplog)


def test_two_tasks_at_once_get_a_mover_each(spared):
    made = [spared.create(spared.volume((0, noise(number, MIB))).id) for number in (3, 4)]
    assert [spared.settled(backup.id).status for backup in made] == [states.AVAILABLE] * 2


def test_stopped_manager_leaves_no_mover(spared):
    waiting()
    spared.stop()
    assert movers() == []
