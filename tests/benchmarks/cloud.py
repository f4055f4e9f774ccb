# SPDX-License-Identifier: Apache-2.0
"""Against cinder-backup itself, on the same volumes of the same cloud: full, incremental, restore.

Both back up a volume of 1 GiB, once all random and once with 64 MiB of data, into Swift,
by the request that a user makes until the status that a user waits for. 10 MiB change between the
full backup and the incremental one, in ten places. Each restore is compared with the volume.

``python -m tests.benchmarks.cloud [--keep-snapshots] [--rounds N]`` with ``OS_CLOUD`` naming an
administrator of a cloud in which cinder-backup runs. See
``doc/source/contributor/benchmarks.rst``.
"""

import argparse
import os
import pathlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import openstack
from openstack import connection

from tests.fixtures import cinder_volumes
from tests.fixtures import cloud as fixture

MIB = 1 << 20
STEPS = ('full', 'incremental', 'restore')
#: How many times faster than cinder-backup each step is to be.
WANTED = 5


def fill(volume_id: str, mib: int) -> None:
    """Write random data to the first part of a volume."""
    with cinder_volumes.image(volume_id) as image:
        for start in range(0, mib, 4):
            image.write(os.urandom(4 * MIB), start * MIB)
        image.flush()


def change(volume_id: str, mib: int) -> None:
    """Write one MiB in ten places."""
    with cinder_volumes.image(volume_id) as image:
        for number in range(10):
            image.write(os.urandom(MIB), number * (mib // 10) * MIB)
        image.flush()


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds that something took, and its result."""
    begin = time.perf_counter()
    result = work()
    return time.perf_counter() - begin, result


def ended(user: connection.Connection, backup_id: str) -> None:
    """Wait until nothing is done with a backup any more."""
    while True:
        backup = user.block_storage.get_backup(backup_id)
        if backup.status == 'available':
            return
        if backup.status not in ('creating', 'restoring'):
            sys.exit(f'backup {backup_id}: {backup.status}: {backup.fail_reason}')
        time.sleep(0.1)


def backed_up(user: connection.Connection, volume_id: str, **values: Any) -> str:
    """Back a volume up and return the backup."""
    made = user.block_storage.create_backup(volume_id=volume_id, **values)
    ended(user, made.id)
    return made.id


def restored(user: connection.Connection, backup_id: str) -> str:
    """Restore a backup to a new volume and return that."""
    known = {volume.id for volume in user.block_storage.volumes(details=False)}
    user.block_storage.restore_backup(backup_id, name=f'of-{backup_id}')
    ended(user, backup_id)
    found = next(volume for volume in user.block_storage.volumes() if volume.id not in known)
    user.block_storage.wait_for_status(found, 'available', interval=0.1)
    return found.id


def measure(cloud: connection.Connection, user: connection.Connection, mib: int) -> list[float]:
    """Return the seconds of each step."""
    volume = user.block_storage.create_volume(size=1)
    user.block_storage.wait_for_status(volume, 'available', interval=0.2)
    fill(volume.id, mib)
    full, _ = timed(lambda: backed_up(user, volume.id))
    change(volume.id, mib)
    increment, backup_id = timed(lambda: backed_up(user, volume.id, is_incremental=True))
    restore, target_id = timed(lambda: restored(user, backup_id))
    if cinder_volumes.content(target_id) != cinder_volumes.content(volume.id):
        sys.exit('the restored volume differs')
    cinder_volumes.clear(cloud, user.current_project_id)
    return [full, increment, restore]


def main() -> int:
    """Print the seconds of both and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--keep-snapshots', action='store_true')
    parser.add_argument('--rounds', type=int, default=1)
    args = parser.parse_args()
    cloud = openstack.connect()
    for name in ('service-user', 'volume-roles', 'swift-service-role'):
        fixture.guide('keystone.rst', name)
    sections = (
        fixture.section('api', auth_strategy='noauth'),
        cinder_volumes.section(cloud, keep_snapshots=args.keep_snapshots),
        fixture.section('repository', driver='swift'),
        fixture.section('repository_swift', fixture.service_user(cloud), interface='public'))
    with (tempfile.TemporaryDirectory() as directory,
          fixture.project(cloud, ('member', 'swiftoperator')) as project,
          fixture.Service(pathlib.Path(directory) / 'state', *sections) as service):
        users = {'cinder-backup': project.connect(), 'ours': project.connect(service)}
        for mib in (1024, 64):
            found: dict[str, list[list[float]]] = {name: [] for name in users}
            for _ in range(args.rounds):
                for name, user in users.items():
                    found[name].append(measure(cloud, user, mib))
                    print(name, mib, *(f'{seconds:.1f}' for seconds in found[name][-1]),
                          file=sys.stderr, flush=True)
            show(mib, found)
    return 0


def show(mib: int, found: dict[str, list[list[float]]]) -> None:
    """Print one table."""
    medians = {name: [statistics.median(column) for column in zip(*rounds, strict=True)]
               for name, rounds in found.items()}
    print(f'1 GiB with {mib} MiB of random data')
    for number, step in enumerate(STEPS):
        theirs, ours = medians['cinder-backup'][number], medians['ours'][number]
        print(f'  {step:<12} cinder-backup {theirs:6.1f} s   ours {ours:6.1f} s   '
              f'{theirs / ours:5.1f} times (wanted: {WANTED})', flush=True)


if __name__ == '__main__':
    sys.exit(main())
