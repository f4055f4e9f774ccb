# SPDX-License-Identifier: Apache-2.0
"""What every driver that reads another service's backups promises."""

import hashlib

import pytest

from backupsvc import context as request_context
from backupsvc import exception
from backupsvc.drivers import loader
from backupsvc.engine import errors
from backupsvc.engine.source import RawFileTarget
from tests.conformance.foreign.conftest import CASES, record

EXTRA = 5000

#: Where the way of compression makes no difference.
few = pytest.mark.parametrize('case', ['cinder_posix-bz2', 'cinder_swift-zlib'], indirect=True)


def nothing(_backup_id):
    return None


@pytest.fixture
def locate(case, driver):
    """Return what finds a backup of the case."""
    def find(made, find_place=nothing, **values):
        return driver.locate(request_context.get_admin_context(), made.service,
                             record(made, **{**case.values, **values}), find_place)
    return find


def restore(driver, found, path, cancelled=lambda: False, reports=None):
    target = RawFileTarget(str(path), None if path.exists() else found.size_bytes + EXTRA)
    try:
        return driver.restore(
            request_context.get_admin_context(), found.place, target, workers=2,
            report=lambda *counts: (reports if reports is not None else []).append(counts),
            cancelled=cancelled)
    finally:
        target.close()


def test_the_suite_runs_on_every_installed_driver():
    assert loader.list_drivers('foreign') == ['cinder']
    assert CASES


def test_every_backup_of_a_chain_is_restored_byte_for_byte(case, driver, locate, tmp_path):
    for made in case.made:
        found = locate(made)
        assert found.size_bytes == made.size_bytes
        path, reports = tmp_path / made.id, []
        fetched = restore(driver, found, path, reports=reports)
        assert made.matches(path)
        assert reports[-1] == (made.size_bytes, fetched)


@few
def test_what_was_in_the_target_before_does_not_stay(case, driver, locate, tmp_path):
    made = case.made[-1]
    found = locate(made)
    path = tmp_path / 'used'
    path.write_bytes(b'x' * (found.size_bytes + EXTRA))
    restore(driver, found, path)
    assert hashlib.sha256(path.read_bytes()[:made.size_bytes]).hexdigest() == made.sha256


@few
def test_the_volume_is_described(case, driver, locate):
    assert locate(case.made[0]).volume == {
        'name': 'disk of cinder', 'description': 'said so', 'metadata': {'tier': 'gold'},
        'image_metadata': {'image_name': 'cirros'}, 'bootable': True}


@few
def test_a_record_under_another_id_is_found(case, driver, locate, tmp_path):
    found = locate(case.made[1], id='00000000-0000-4000-8000-000000000000')
    restore(driver, found, tmp_path / 'out')
    assert case.made[1].matches(tmp_path / 'out')


@few
@pytest.mark.parametrize('ending', ['-00001', '_sha256file', '_metadata'])
def test_a_missing_object_is_found_at_once(case, driver, locate, ending):
    name = f'{case.made[0].id}{ending}'
    case.change(name, None)
    for made in case.made:
        with pytest.raises(exception.InvalidBackup) as caught:
            locate(made)
        # Without its metadata a parent is not even found.
        lost = name if made is case.made[0] or ending != '_metadata' else case.made[0].id
        assert lost in str(caught.value)


@few
def test_a_parent_that_is_not_there_is_named(case, driver, locate):
    case.change(f'{case.made[0].id}_metadata', None)
    with pytest.raises(exception.InvalidBackup, match=case.made[0].id):
        locate(case.made[1])


@few
def test_a_parent_elsewhere_is_found_by_its_own_record(case, driver, locate):
    asked = []

    def find(backup_id):
        asked.append(backup_id)
        return places.get(backup_id)

    places = {case.made[0].id: locate(case.made[0]).place}
    found = locate(case.made[1], find)
    assert asked == [case.made[0].id]
    assert found.place['layers'][1:] == places[case.made[0].id]['layers']


@pytest.mark.parametrize('damage', [
    pytest.param(lambda data: data[:-1], id='cut'),
    pytest.param(lambda data: data[:12] + bytes([data[12] ^ 1]) + data[13:], id='flipped'),
    pytest.param(lambda data: b'', id='emptied'),
])
def test_a_damaged_object_is_named_and_its_bytes_are_not_written(
        case, driver, locate, tmp_path, damage):
    made = case.made[0]
    found = locate(made)
    restore(driver, found, tmp_path / 'good')
    good = (tmp_path / 'good').read_bytes()
    case.change(f'{made.id}-00002', damage)
    with pytest.raises(errors.Corrupt) as caught:
        restore(driver, found, tmp_path / 'out')
    assert f'{made.id}-00002' in str(caught.value)
    written = (tmp_path / 'out').read_bytes()
    assert all(each in (0, right) for each, right in zip(written, good, strict=True))


@few
def test_damaged_sums_are_noticed(case, driver, locate, tmp_path):
    found = locate(case.made[2])
    case.change(f'{case.made[2].id}_sha256file', lambda data: data[:len(data) // 2])
    with pytest.raises(errors.Corrupt, match=f'{case.made[2].id}_sha256file'):
        restore(driver, found, tmp_path / 'out')
    assert not (tmp_path / 'out').read_bytes().strip(b'\0')


@few
def test_an_object_that_went_meanwhile_is_named(case, driver, locate, tmp_path):
    found = locate(case.made[0])
    case.change(f'{case.made[0].id}-00003', None)
    with pytest.raises(errors.Corrupt, match='-00003 is missing; bytes of the volume affected'):
        restore(driver, found, tmp_path / 'out')


@few
def test_a_target_that_is_too_small_is_not_touched(case, driver, locate, tmp_path):
    path = tmp_path / 'small'
    path.write_bytes(b'x' * 100)
    with pytest.raises(errors.TargetTooSmall):
        restore(driver, locate(case.made[0]), path)
    assert path.read_bytes() == b'x' * 100


@few
def test_a_restore_is_cancelled(case, driver, locate, tmp_path):
    with pytest.raises(errors.Cancelled):
        restore(driver, locate(case.made[0]), tmp_path / 'out', cancelled=lambda: True)


@few
@pytest.mark.parametrize('values', [
    {'container': '../../etc'}, {'container': '/etc'}, {'service_metadata': '../passwd'},
    {'container': None}, {'service_metadata': None}, {'container': 'none-such'},
    {'service_metadata': 'volume_x'}, {'container': 7}])
def test_a_record_of_nothing_is_refused(case, driver, locate, values):
    with pytest.raises(exception.InvalidBackup):
        locate(case.made[0], **values)
