# SPDX-License-Identifier: Apache-2.0
"""Broker and database go away in the middle of many backups; all come to their end, and equal."""

import time

import pytest

from backupsvc import states
from tests.services.hosts.conftest import eventually

pytestmark = [pytest.mark.services, pytest.mark.timeout(1800), pytest.mark.xdist_group('hosts')]

_COUNT = 20
_MIB = 2


@pytest.fixture
def running(cluster):
    """Twenty backups of which some are done, some are being made, and most wait."""
    volumes = [cluster.volume(seed, _MIB) for seed in range(_COUNT)]
    cluster.pace(0.3)
    backups = [cluster.create(volume, api=number % 2) for number, volume in enumerate(volumes)]
    eventually(lambda: cluster.tasks(kind=states.TASK_CREATE, state=states.DONE))
    cluster.pace(0.05)
    return volumes, backups


def judge(cluster, volumes, backups):
    """All of them are available, were made once each, and restore equal."""
    assert [each['status'] for each in cluster.settled(*backups)] == ['available'] * _COUNT
    done = cluster.tasks(kind=states.TASK_CREATE)
    assert sorted(task.resource_id for task in done) == sorted(backups)
    assert {task.state for task in done} == {states.DONE}
    assert len({task.owner.partition(':')[0] for task in done}) > 1
    cluster.pace(0)
    restored = [cluster.restore(backup) for backup in backups]
    assert [each['status'] for each in cluster.settled(*backups)] == ['available'] * _COUNT
    for source, target in zip(volumes, restored, strict=True):
        assert cluster.digest(source, _MIB) == cluster.digest(target, _MIB)
        assert cluster.ask('GET', f'/volumes/{target}')['volume']['status'] == 'available'
    assert cluster.live() == {host.name for host in cluster.managers}


def test_the_broker_restarts(cluster, running, broker):
    broker.kill()
    time.sleep(3)
    broker.start()
    judge(cluster, *running)


def test_the_database_restarts(cluster, running, mariadb_server):
    mariadb_server.kill()
    time.sleep(3)
    mariadb_server.start()
    judge(cluster, *running)


def test_the_way_to_the_database_changes(cluster, running):
    """As a fail-over does it: every connection ends, and others go elsewhere a while later."""
    for host in (*cluster.apis, *cluster.managers):
        host.relays[1].cut()
    time.sleep(2)
    for host in (*cluster.apis, *cluster.managers):
        host.relays[1].mend()
    judge(cluster, *running)
