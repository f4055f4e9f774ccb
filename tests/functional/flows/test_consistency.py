# SPDX-License-Identifier: Apache-2.0
"""What is restored from a backup of a running instance is of one point in time, by its own data.

The instance writes all the while. ``BACKUPSVC_CONSISTENCY_RUNS`` says how often it is backed up,
by default twice.
"""

import os
import random

import pytest

from backupsvc.drivers import loader
from backupsvc.drivers.instance.local import records
from backupsvc.orchestration import instances
from tests.fixtures import written_records
from tests.fixtures.deployment import eventually
from tests.functional.flows.conftest import MIB, noise
from tests.functional.flows.instances import running

RUNS = int(os.environ.get('BACKUPSVC_CONSISTENCY_RUNS', '2'))

VOLUMES = 3

@pytest.fixture
def machines(make_rig):
    rig = make_rig(written_records.OPTIONS)
    rig.start()
    with running(rig) as machines:
        yield machines


def boot(machines, draw):
    """Return a running instance whose volumes hold so different amounts of data that their
    snapshots do not take the same time.
    """
    instance = machines.make(volumes=VOLUMES, is_started=False)
    for volume_id in machines.volume_ids(instance):
        machines.rig.write(
            volume_id, (128 * MIB, noise(draw.random(), draw.randint(1, 12) * MIB)))
    return instances.start(machines.admin, instance.id)


def written(rig, volume_ids, **values):
    """Return what the records of volumes say, however they go on meanwhile."""
    return loader.instance_driver().check_volumes(
        {volume_id: str(rig.path(volume_id)) for volume_id in volume_ids}, **values)


def restored(rig, backup):
    """Restore every member to a volume of its own; return source volume id → new volume id."""
    return {member.source_id: rig.restore(member.id).id for member in backup.members()}


def assert_of_one_time(rig, backup, copies):
    """Check the copies against each other, and against the volumes, which have gone on."""
    check = written(rig, copies.values(), not_after=backup.data_timestamp)
    assert check.is_consistent, check
    assert len(check.volumes) == VOLUMES and all(volume.last > 0 for volume in check.volumes)

    logs = {volume_id: written_records.read_log(rig.path(copy), copy)
            for volume_id, copy in copies.items()}
    for volume_id, log in logs.items():
        # The copy is the beginning of what the volume holds by now, record for record.
        size = records.HEADER_BYTES + log.last * records.RECORD_BYTES
        with open(rig.path(log.volume_id), 'rb') as ours, open(rig.path(volume_id), 'rb') as live:
            assert ours.read(size) == live.read(size)

    # The record that comes next may have been under way, with its time in it. The one behind it
    # was written after the point in time: none from before is missing.
    number, position = written_records.first_missing(list(logs.values()))
    [(volume_id, log)] = [(volume_id, log) for volume_id, log in logs.items()
                          if log.header.position == position]
    next_ns = eventually(lambda: written_records.time_of(rig.path(volume_id), log.header, number))
    assert next_ns / 1e9 > backup.data_timestamp.timestamp()
    return sum(volume.last for volume in check.volumes)


def test_members_of_a_running_instance_s_backup_are_of_one_point_in_time(machines):
    draw = random.Random(20)
    rig = machines.rig
    for run in range(RUNS):
        instance = boot(machines, draw)
        volume_ids = machines.volume_ids(instance)
        wanted = draw.randint(5, 60)
        eventually(lambda: written(rig, volume_ids).volumes[-1].last > wanted)  # noqa: B023

        backup = machines.backed_up(instance)
        first = assert_of_one_time(rig, backup, restored(rig, backup))
        if run % 4 == 3:
            again = machines.backed_up(instance, incremental=True)
            assert assert_of_one_time(rig, again, restored(rig, again)) > first

        assert machines.show(instance.id).status == 'ACTIVE'
        assert not list(machines.driver.list_holds(rig.admin))
        machines.stop(instance)
        assert written(rig, volume_ids).is_consistent
