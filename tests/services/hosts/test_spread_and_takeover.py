# SPDX-License-Identifier: Apache-2.0
"""Work is spread over managers, and that of one that is gone is another's, never both's."""

import os
import signal
import time

import pytest

from backupsvc import states
from tests.fixtures import processes
from tests.services.hosts.conftest import LEASE_S, MIB, eventually

pytestmark = [pytest.mark.services, pytest.mark.timeout(900), pytest.mark.xdist_group('hosts')]

_DATA_MIB = 24


@pytest.mark.parametrize('kind', ['mysql', 'postgresql'])
def test_work_is_spread_and_that_of_a_killed_manager_taken_over(cluster):
    cluster.pace(0.05)
    volumes = [cluster.volume(seed, 8) for seed in range(9)]
    backups = [cluster.create(volume, api=number % 2) for number, volume in enumerate(volumes)]
    busy = eventually(lambda: len(found := {
        task.owner.partition(':')[0] for task in cluster.tasks(state=states.RUNNING)}) > 1
        and found)
    lost = next(host for host in cluster.managers if host.name in busy)
    lost.process.kill()
    killed_at = time.monotonic()
    eventually(lambda: lost.name not in cluster.live())
    # What it held is another's as soon as the lease has run out.
    eventually(lambda: not [task for task in cluster.tasks(state=states.RUNNING)
                            if task.owner.startswith(f'{lost.name}:')])
    print('taken over after', round(time.monotonic() - killed_at, 1), 's, lease', LEASE_S)
    assert [each['status'] for each in cluster.settled(*backups)] == ['available'] * 9
    done = [task for task in cluster.tasks(kind=states.TASK_CREATE)]
    assert len({task.owner.partition(':')[0] for task in done}) >= 2
    restored = [cluster.restore(backup) for backup in backups[:3]]
    cluster.settled(*backups[:3])
    assert [cluster.digest(each, 8) for each in restored] == [
        cluster.digest(each, 8) for each in volumes[:3]]
    lost.process.start()
    eventually(lambda: lost.name in cluster.live())


def _restoring(cluster):
    """Return (backup, volume, its manager, its movers) of a restore that is under way."""
    source = cluster.volume(1, _DATA_MIB)
    backup = cluster.create(source)
    assert cluster.settled(backup)[0]['status'] == 'available'
    cluster.pace(0.4)
    target = cluster.restore(backup)
    eventually(lambda: len(cluster.writes()) > 2)
    return source, backup, target, cluster.owner(backup, states.TASK_RESTORE)


def test_a_manager_that_stood_still_writes_nothing_when_it_goes_on(cluster):
    source, backup, target, frozen = _restoring(cluster)
    pids = frozen.freeze()
    assert len(pids) == 2
    cluster.pace(0)
    assert cluster.settled(backup)[0]['status'] == 'available'
    other, = cluster.tasks(resource_id=backup, kind=states.TASK_RESTORE)
    assert (other.state, other.attempt) == (states.DONE, 2)
    assert not other.owner.startswith(f'{frozen.name}:')
    assert cluster.digest(target, _DATA_MIB) == cluster.digest(source, _DATA_MIB)
    # The volume is its user's again, who writes.
    with open(cluster.path(target), 'r+b') as file:
        file.write(b'u' * (_DATA_MIB * MIB))
    mine, written = cluster.digest(target, _DATA_MIB), len(cluster.writes())
    os.kill(pids[1], signal.SIGCONT)  # the mover first: nobody is there to end it
    eventually(lambda: not processes.is_running(pids[1]))
    os.kill(pids[0], signal.SIGCONT)
    eventually(lambda: frozen.name in cluster.live())
    time.sleep(LEASE_S)
    assert len(cluster.writes()) == written
    assert cluster.digest(target, _DATA_MIB) == mine
    task, = cluster.tasks(resource_id=backup, kind=states.TASK_RESTORE)
    assert (task.state, task.owner) == (states.DONE, other.owner)
    assert cluster.ask('GET', f'/volumes/{target}')['volume']['status'] == 'available'
    # It is as good as any other again.
    for host in cluster.managers:
        if host is not frozen:
            host.process.kill()
    assert cluster.settled(cluster.create(source))[0]['status'] == 'available'


def test_an_archive_that_stood_still_stores_nothing_when_it_goes_on(cluster):
    source = cluster.volume(2, _DATA_MIB)
    cluster.pace(0.4)
    backup = cluster.create(source)
    eventually(lambda: [path for path in cluster.objects() if '/packs/' in path or
                        'sessions' in path])
    frozen = cluster.owner(backup, states.TASK_CREATE)
    pids = frozen.freeze()
    cluster.pace(0)
    assert cluster.settled(backup)[0]['status'] == 'available'
    cluster.ask('DELETE', f'/backups/{backup}')
    eventually(lambda: not [task for task in cluster.tasks() if task.is_live])
    before = cluster.objects()
    for pid in reversed(pids):
        os.kill(pid, signal.SIGCONT)
    eventually(lambda: frozen.name in cluster.live())
    eventually(lambda: not any(map(processes.is_running, pids[1:])))
    time.sleep(LEASE_S)
    assert cluster.objects() == before
    assert not [task for task in cluster.tasks() if task.is_live]


def test_a_manager_that_is_cut_off_stops_before_another_begins(cluster):
    source, backup, target, lost = _restoring(cluster)
    movers = lost.process.movers()
    lost.cut()
    eventually(lambda: not any(map(processes.is_running, movers)))
    cluster.pace(0)
    assert cluster.settled(backup)[0]['status'] == 'available'
    assert cluster.digest(target, _DATA_MIB) == cluster.digest(source, _DATA_MIB)
    times = {}
    for pid, at, _, _ in cluster.writes():
        times.setdefault(pid, []).append(at)
    assert len(times) == 2
    first, second = sorted(times.values())
    assert max(first) < min(second)
    eventually(lambda: lost.name not in cluster.live())
    lost.mend()
    eventually(lambda: lost.name in cluster.live())
