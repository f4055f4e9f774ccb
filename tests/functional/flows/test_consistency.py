# SPDX-License-Identifier: Apache-2.0
"""What is restored from a backup of a running instance is of one point in time, by its own data.

The instance writes all the while. ``CONSISTENCY_RUNS`` says how often it is backed up, by default
twice.
"""

import os
import random
import struct

import pytest

from backupsvc import states
from backupsvc.drivers import loader
from backupsvc.drivers.base import Listing
from backupsvc.drivers.instance.local import records
from backupsvc.objects.backup_set import BackupSet
from backupsvc.orchestration import instance_backups, instances
from tests.fixtures.deployment import eventually
from tests.functional.flows.conftest import MIB, noise

RUNS = int(os.environ.get('CONSISTENCY_RUNS', '2'))

VOLUMES = 3

_OPTIONS = """
[quota]
volumes = -1
gigabytes = -1
snapshots = -1
backups = -1
backup_gigabytes = -1

[instance_local]
write_interval = 0.0005
log_size_kb = 65536
"""


@pytest.fixture
def rig(make_rig):
    rig = make_rig(_OPTIONS)
    rig.start()
    yield rig
    driver = loader.instance_driver()
    for instance in driver.list_instances(rig.admin, Listing()):
        driver.stop_instance(rig.admin, instance.id, force=True)


def boot(rig, draw):
    """Return a running instance whose volumes hold so different amounts of data that their
    snapshots do not take the same time.
    """
    instance = instances.local().create_instance(rig.user, name='web')
    for number in range(VOLUMES):
        volume = rig.volume((128 * MIB, noise(draw.random(), draw.randint(1, 12) * MIB)))
        instance = instances.attach(rig.admin, instance.id, volume.id, is_boot=number == 0)
    return instances.start(rig.admin, instance.id)


def written(rig, volume_ids, **values):
    """Return what the records of volumes say, however they go on meanwhile."""
    driver = loader.instance_driver()
    return driver.check_volumes(
        {volume_id: str(rig.path(volume_id)) for volume_id in volume_ids}, **values)


def backed_up(rig, instance, **values):
    made = instance_backups.create(rig.user, instance_backups.NewInstanceBackup(
        instance_id=instance.id, origin='test', **values))

    def ended():
        record = BackupSet.get_by_id(rig.admin, made.record.id)
        return record if record.status != states.CREATING else None

    record = eventually(ended, 120)
    assert (record.status, record.fail_reason) == (states.AVAILABLE, None)
    return instance_backups.get(rig.user, record.id)


def restored(rig, backup):
    """Restore every member to a volume of its own; return source volume id → new volume id."""
    members = {member.source_id: member for member in backup.members}
    return {volume_id: rig.restore(member.id).id for volume_id, member in members.items()}


def time_of(path, header, number):
    """Return the time of a record in ns, None where it was not written (yet)."""
    with open(path, 'rb') as file:
        raw = os.pread(file.fileno(), records.RECORD_BYTES, records.offset_of(header, number))
    magic, _, _, found, time_ns = struct.unpack_from('<4sI16sQQ', raw)
    return time_ns if (magic, found) == (b'BREC', number) else None


def read_log(path, volume_id):
    with open(path, 'rb') as file:
        return records.read(file.fileno(), volume_id)


def assert_of_one_time(rig, backup, copies):
    """Check the copies against each other, and against the volumes, which have gone on."""
    check = written(rig, copies.values(), not_after=backup.record.data_timestamp)
    assert check.is_consistent, check
    assert len(check.volumes) == VOLUMES and all(volume.last > 0 for volume in check.volumes)

    logs = [read_log(rig.path(copy), copy) for copy in copies.values()]
    number, position = records.next_record(logs)
    for (volume_id, copy), log in zip(copies.items(), logs, strict=True):
        # The copy is the beginning of what the volume holds by now, record for record.
        size = records.HEADER_BYTES + log.last * records.RECORD_BYTES
        with open(rig.path(copy), 'rb') as ours, open(rig.path(volume_id), 'rb') as live:
            assert ours.read(size) == live.read(size)
        if log.header.position == position:
            # And the record that comes next was written after the point in time.
            next_ns = eventually(
                lambda: time_of(rig.path(volume_id), log.header, number))  # noqa: B023
            assert next_ns / 1e9 > backup.record.data_timestamp.timestamp()
    return sum(volume.last for volume in check.volumes)


def test_members_of_a_running_instance_s_backup_are_of_one_point_in_time(rig):
    draw = random.Random(20)
    for run in range(RUNS):
        instance = boot(rig, draw)
        volume_ids = [volume.volume_id for volume in instance.volumes]
        wanted = draw.randint(10, 300)
        eventually(lambda: written(rig, volume_ids).volumes[-1].last > wanted)  # noqa: B023

        backup = backed_up(rig, instance)
        first = assert_of_one_time(rig, backup, restored(rig, backup))
        if run % 2:
            again = backed_up(rig, instance, incremental=True)
            assert assert_of_one_time(rig, again, restored(rig, again)) > first

        driver = loader.instance_driver()
        assert driver.show_instance(rig.user, instance.id).status == 'ACTIVE'
        assert not list(driver.list_holds(rig.admin))
        driver.stop_instance(rig.admin, instance.id)
        assert written(rig, volume_ids).is_consistent
