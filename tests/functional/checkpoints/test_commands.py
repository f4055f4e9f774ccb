# SPDX-License-Identifier: Apache-2.0
"""``backupsvc-manage checkpoint``, and the way back by it."""

import json

import pytest

from backupsvc import conf as service_conf
from backupsvc.cmd import manage
from backupsvc.drivers import loader
from backupsvc.orchestration import backups, instances
from tests.functional.flows.conftest import same_bytes


@pytest.fixture
def checkpoint(cluster, tmp_path, capsys, monkeypatch):
    """The command over the cluster's configuration, beside its manager."""
    partitions = ','.join(str(each) for each in cluster.rig.conf.actuator.partitions)
    path = tmp_path / f'{cluster.rig.conf.host}.conf'
    path.write_text(f'{path.read_text()}\n[actuator]\npartitions = {partitions}\n')
    # One process has one configuration; the command's is of the same file.
    monkeypatch.setattr(service_conf, 'install', lambda config: None)

    def run(*arguments, status=0):
        assert manage.main(['--config-file', str(path), 'checkpoint', *arguments]) == status
        shown = capsys.readouterr()
        return shown.err if status else shown.out
    return run


def test_list_and_show(cluster, checkpoint):
    assert checkpoint('list') == ''
    for number in (1, 20):
        cluster.taken(number)
    assert [line.split()[:2] for line in checkpoint('list').splitlines()] == [
        ['20', 'COMPLETED'], ['1', 'COMPLETED']]
    found = json.loads(checkpoint('list', '--prefix', '2', '--json'))
    assert [each['id'] for each in found] == [20]
    shown = json.loads(checkpoint('show', '20', '--json'))
    assert shown['state'] == 'COMPLETED' and len(shown['partitions']) == 3
    assert shown['partitions'][0]['snapshot_id'] in checkpoint('show', '20')
    assert checkpoint('show', '3', status=1) == 'Backup with id 3 does not exist\n'


def test_restore_brings_every_partition_back(cluster, checkpoint):
    cluster.machines.wait_for_writes(cluster.instance)
    cluster.taken(5)
    cluster.rig.write(cluster.alone.id, (0, b'later'))
    restored = json.loads(checkpoint('restore', '5', '--into', 'back', '--json'))
    assert [(each['partition_id'], each['new_name'], each['error']) for each in restored] == [
        (1, 'back-1', None), (2, 'back-2-vda', None), (3, 'back-3-vda', None),
        (3, 'back-3-vdb', None)]
    for each in restored:
        volume = loader.volume_driver().show_volume(cluster.rig.user, each['new_volume_id'])
        assert (volume.status, volume.name) == ('available', each['new_name'])
    with open(cluster.rig.path(restored[0]['new_volume_id']), 'rb') as file:
        assert file.read(5) == b'alone'
    found = instances.check(
        cluster.admin, [each['new_volume_id'] for each in restored if each['partition_id'] == 3])
    assert found.is_consistent, found.problems
    assert not same_bytes(cluster.rig.path(cluster.alone.id),
                          cluster.rig.path(restored[0]['new_volume_id']))


def test_what_is_not_whole_is_not_restored(cluster, checkpoint):
    cluster.taken(1)
    assert checkpoint('restore', '1', '--into', 'x', '--partitions', '4', status=1) == (
        'Checkpoint 1 cannot be restored: it has 3 partitions, where 4 are expected.\n')
    assert 'does not exist' in checkpoint('restore', '2', '--into', 'x', status=1)
    backups.force_delete(cluster.admin, cluster.members(1)[1][0].id)
    cluster.ended(1)
    assert 'it is FAILED and not COMPLETED' in checkpoint(
        'restore', '1', '--into', 'x', status=1)
