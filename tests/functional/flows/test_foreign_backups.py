# SPDX-License-Identifier: Apache-2.0
"""Records of cinder-backup, imported and restored through the manager."""

import hashlib

import pytest

from backupsvc import states
from backupsvc.orchestration import backups, records
from tests.fixtures import cinder_backups


@pytest.fixture(params=['zlib', 'none'])
def chain(request, tmp_path):
    return cinder_backups.unpack(tmp_path / 'cinder', 'posix', request.param)


@pytest.fixture
def rig(make_rig, chain):
    rig = make_rig(extra=f'\n[foreign_cinder]\nposix_path = {chain.store}\n', max_attempts=2)
    rig.start()
    rig.admin_of_project = type(rig.user).from_dict({**rig.user.to_dict(), 'is_admin': True})
    return rig


def imported(rig, made):
    return rig.settled(records.import_record(rig.admin_of_project, made.service, made.url).id)


def contents(directory):
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in directory.rglob('*') if path.is_file()}


def test_a_chain_is_restored_and_left_as_it_was(rig, chain):
    before = contents(chain.store)
    for made in reversed(chain.backups):  # the order of the imports does not matter
        backup = imported(rig, made)
        assert (backup.status, backup.fail_reason) == (states.AVAILABLE, None)
        assert (backup.id, backup.logical_bytes) == (made.id, made.size_bytes)
        assert backup.is_incremental == (made is not chain.backups[0])
        volume = rig.restore(backup.id)
        assert volume.status == 'available'
        assert made.matches(rig.path(volume.id))
        assert (volume.name, volume.metadata['tier']) == ('disk of cinder', 'gold')
        assert volume.bootable
    # Each stands for itself: without the rows of the others it is as good.
    for made in chain.backups[:2]:
        backups.delete(rig.user, made.id)
        assert rig.settled(made.id).deleted
    assert chain.backups[2].matches(rig.path(rig.restore(chain.backups[2].id).id))
    assert contents(chain.store) == before


def test_a_record_goes_back_as_it_came(rig, chain):
    made = chain.backups[1]
    imported(rig, made)
    again = records.export(rig.admin_of_project, made.id)
    assert again.service == made.service
    backups.delete(rig.user, made.id)
    rig.settled(made.id)
    twice = rig.settled(records.import_record(
        rig.admin_of_project, again.service, again.url).id)
    assert twice.status == states.AVAILABLE
    assert made.matches(rig.path(rig.restore(made.id).id))


def test_a_damaged_chunk_marks_the_volume(rig, chain):
    made = chain.backups[0]
    imported(rig, made)
    path, = chain.store.rglob(f'*{made.id}-00002')
    path.write_bytes(path.read_bytes()[:-1])
    fresh = rig.restore(made.id)
    assert fresh.status == 'error'
    used = rig.volume()
    assert rig.restore(made.id, used.id).status == 'error_restoring'
    backup = rig.read(made.id)
    assert backup.status == states.AVAILABLE
    assert f'{made.id}-00002' in backup.fail_reason


def test_a_record_whose_data_is_elsewhere_says_so(rig, chain):
    made = chain.backups[2]
    for path in chain.store.rglob(f'*{chain.backups[0].id}*_metadata'):
        path.unlink()
    backup = imported(rig, made)
    assert backup.status == states.ERROR
    assert f'builds on backup {chain.backups[0].id}' in backup.fail_reason


def test_a_service_that_nothing_reads_is_named(rig, chain):
    url = chain.backups[0].url
    backup = rig.settled(records.import_record(
        rig.admin_of_project, 'cinder.backup.drivers.ceph.CephBackupDriver', url).id)
    assert backup.status == states.ERROR
    assert 'cinder.backup.drivers.ceph.CephBackupDriver' in backup.fail_reason


def test_a_backup_of_the_restored_volume_is_ours(rig, chain):
    made = chain.backups[2]
    imported(rig, made)
    volume = rig.restore(made.id)
    backup = rig.backed_up(volume.id)
    assert backup.foreign_driver is None
    assert made.matches(rig.path(rig.restore(backup.id).id))
