# SPDX-License-Identifier: Apache-2.0
"""Damage is told by the name of the object and the bytes that are lost; the rest comes back."""

import random

import blake3
import pytest

from backupsvc.engine import errors, pack
from backupsvc.engine.repository import Repository
from backupsvc.engine.stores.memory import MemoryStore
from tests.fixtures import engine
from tests.fixtures.engine import BLOCK, SMALL, MemorySource, MemoryTarget, PlainWrapper


class Setting:
    """A store with two backups: ``b2`` shares all but the last 40 of its blocks with ``b1``."""

    def __init__(self):
        choose = random.Random(1)
        self.store = MemoryStore()
        repository = Repository.create(self.store, PlainWrapper(), SMALL)
        first = choose.randbytes(100 * BLOCK)
        second = first[:60 * BLOCK] + choose.randbytes(40 * BLOCK)
        self.images = {'b1': first, 'b2': second}
        repository.archive(MemorySource(first), 'b1', workers=1)
        self.of_first = set(self.keys('packs/'))
        repository.archive(MemorySource(second), 'b2', parent_id='b1', workers=1)

    def keys(self, prefix):
        return [info.key for info in self.store.list(prefix)]

    def open(self):
        """Return the repository as a process sees it that has no cache."""
        return Repository.open(self.store, PlainWrapper())

    def pack_of(self, backup_id, number):
        """Return the key of the pack that a block is in."""
        repository = self.open()
        plain = self.images[backup_id][number * BLOCK:(number + 1) * BLOCK]
        current, _ = repository.load_index()
        blob_id = blake3.blake3(plain, key=repository._keys.block_id).digest()
        return pack.pack_key(current.find(blob_id).pack_id)

    def frames_of(self, key):
        return pack.read_trailer(self.store, self.open()._keys, pack.pack_id_of(key),
                                 self.store.stat(key).size_bytes)

    def flip(self, key, at):
        data = bytearray(self.store.get(key))
        data[at] ^= 0x10
        self.store.put(key, [bytes(data)])

    def restore(self, backup_id):
        """Restore into a poisoned target; return (its image, the error)."""
        target = MemoryTarget(len(self.images[backup_id]), is_zeroed=False)
        try:
            self.open().restore(backup_id, target, workers=1)
        except errors.EngineError as exc:
            return bytes(target.image), exc
        return bytes(target.image), None

    def assert_nothing_wrong_was_written(self, backup_id, image):
        for at in range(0, len(image), BLOCK):
            block = image[at:at + BLOCK]
            assert block in (self.images[backup_id][at:at + BLOCK], b'\xaa' * len(block))

    def differing(self, backup_id, ranges):
        """Return the image with some ranges taken from the poison of the target."""
        image = bytearray(self.images[backup_id])
        for offset, length in ranges:
            image[offset:offset + length] = b'\xaa' * length
        return bytes(image)


@pytest.fixture
def setting():
    return Setting()


def assert_told(setting, key, *, suffering, fine):
    """The error of a restore and both kinds of verify name the object and the ranges."""
    for backup_id in suffering:
        image, error = setting.restore(backup_id)
        assert isinstance(error, errors.Corrupt), error
        assert error.key == key
        assert key in str(error)
        assert error.ranges
        setting.assert_nothing_wrong_was_written(backup_id, image)
    for backup_id in fine:
        image, error = setting.restore(backup_id)
        assert error is None
        assert image == setting.images[backup_id]
    report = setting.open().verify(full=True)
    assert {problem.backup_id for problem in report.problems} == set(suffering) or not suffering
    assert {problem.key for problem in report.problems} == {key}
    for problem in report.problems:
        assert key in problem.message
    return report


def test_a_flipped_bit_takes_its_frame_away_and_no_more(setting):
    key = setting.pack_of('b1', 10)
    frame = setting.frames_of(key)[1]
    setting.flip(key, frame.offset + frame.size_bytes // 2)
    report = assert_told(setting, key, suffering=['b1', 'b2'], fine=[])
    assert all(problem.ranges == report.problems[0].ranges for problem in report.problems)
    (offset, length), = report.problems[0].ranges
    assert length == frame.plain_bytes == 2 * BLOCK
    image, error = setting.restore('b1')
    assert error.ranges == report.problems[0].ranges
    assert image[offset:offset + length] == b'\xaa' * length


@pytest.mark.parametrize('at', [0, 1, 2, 4, 8, 12, 40])
def test_a_flipped_bit_in_the_head_of_a_frame_shows(setting, at):
    key = setting.pack_of('b1', 10)
    setting.flip(key, pack.HEAD_BYTES + at)
    assert_told(setting, key, suffering=['b1', 'b2'], fine=[])


def test_damage_to_new_blocks_leaves_the_parent_alone(setting):
    key = setting.pack_of('b2', 70)
    setting.flip(key, pack.HEAD_BYTES + 500)
    assert_told(setting, key, suffering=['b2'], fine=['b1'])


def test_a_missing_pack_takes_its_blocks_away(setting):
    key = setting.pack_of('b2', 70)
    setting.store.delete(key)
    report = assert_told(setting, key, suffering=['b2'], fine=['b1'])
    assert setting.open().verify(full=False).problems == report.problems
    _, error = setting.restore('b2')
    assert error.ranges == report.problems[0].ranges
    assert all(offset >= 60 * BLOCK for offset, _ in error.ranges)


def test_a_truncated_pack_is_noticed_by_a_quick_verify(setting):
    key = setting.pack_of('b2', 70)
    data = setting.store.get(key)
    setting.store.put(key, [data[:len(data) // 2]])
    problems = setting.open().verify(full=False).problems
    assert [(problem.backup_id, problem.key) for problem in problems] == [('b2', key)]
    image, error = setting.restore('b2')
    assert error.key == key
    setting.assert_nothing_wrong_was_written('b2', image)


def test_swapped_packs_are_noticed(setting):
    first, second = setting.pack_of('b1', 10), setting.pack_of('b1', 30)
    one, other = setting.store.get(first), setting.store.get(second)
    setting.store.put(first, [other])
    setting.store.put(second, [one])
    image, error = setting.restore('b1')
    assert error.key in (first, second)
    setting.assert_nothing_wrong_was_written('b1', image)
    problems = setting.open().verify(full=True).problems
    assert {problem.key for problem in problems} == {first, second}


def test_a_swapped_frame_is_noticed(setting):
    """The same bytes at another place of the same pack are not what was written there."""
    key = setting.pack_of('b1', 10)
    data = bytearray(setting.store.get(key))
    one, other = setting.frames_of(key)[:2]
    assert one.size_bytes == other.size_bytes
    data[one.offset:one.offset + one.size_bytes], \
        data[other.offset:other.offset + other.size_bytes] = \
        data[other.offset:other.offset + other.size_bytes], \
        data[one.offset:one.offset + one.size_bytes]
    setting.store.put(key, [bytes(data)])
    assert_told(setting, key, suffering=['b1', 'b2'], fine=[])


def test_an_index_that_points_to_another_blob_writes_nothing_wrong(setting):
    """What opens is genuine and yet not what the map asks for: the id tells."""
    repository = setting.open()
    packs = []
    for key in setting.keys('packs/'):
        rows = [frame.entries()[at:at + pack.ENTRY_BYTES] for frame in setting.frames_of(key)
                if frame.kind == pack.BLOCKS
                for at in range(0, len(frame.entries()), pack.ENTRY_BYTES)]
        pages = [frame.entries() for frame in setting.frames_of(key) if frame.kind == pack.PAGE]
        moved = [row[:16] + other[16:]
                 for row, other in zip(rows, rows[1:] + rows[:1], strict=True)]
        packs.append((pack.pack_id_of(key), setting.store.stat(key).size_bytes,
                      b''.join(moved + pages)))
    for key in setting.keys('index/'):
        setting.store.delete(key)
    repository._cache.store_packs(packs)
    for backup_id, plain in setting.images.items():
        image, error = setting.restore(backup_id)
        assert isinstance(error, errors.Corrupt)
        setting.assert_nothing_wrong_was_written(backup_id, image)
        assert image != plain


def test_a_damaged_trailer_does_no_harm_to_a_restore(setting):
    key = setting.pack_of('b1', 10)
    setting.flip(key, setting.store.stat(key).size_bytes - pack.FOOT_BYTES - 3)
    for backup_id, image in setting.images.items():
        assert setting.restore(backup_id) == (image, None)
    problems = setting.open().verify(full=True).problems
    assert [(problem.backup_id, problem.key) for problem in problems] == [(None, key)]


@pytest.mark.parametrize('how', ['flip', 'cut', 'delete'])
def test_a_lost_map_page_takes_its_subtree_away(setting, how):
    key, = (key for key in setting.of_first
            if all(frame.kind == pack.PAGE for frame in setting.frames_of(key)))
    if how == 'flip':
        setting.flip(key, pack.HEAD_BYTES + 100)
    elif how == 'cut':
        setting.store.put(key, [setting.store.get(key)[:50]])
    else:
        setting.store.delete(key)
    image, error = setting.restore('b1')
    assert isinstance(error, errors.Corrupt)
    assert error.key == key
    assert error.ranges == ((0, len(image)),)
    assert image == b'\xaa' * len(image)
    assert setting.restore('b2') == (setting.images['b2'], None)
    problems = setting.open().verify(full=True).problems
    assert {(problem.backup_id, problem.key, problem.ranges) for problem in problems} == {
        ('b1', key, ((0, len(image)),))}


@pytest.mark.parametrize('how', ['flip', 'cut', 'delete', 'swap'])
def test_a_lost_index_segment_is_named_and_rebuilt(setting, how):
    key, other = setting.keys('index/')
    if how == 'flip':
        setting.flip(key, 700)
    elif how == 'cut':
        setting.store.put(key, [setting.store.get(key)[:-20]])
    elif how == 'swap':
        setting.store.put(key, [setting.store.get(other)])
    else:
        setting.store.delete(key)
    failed = {}
    for backup_id in setting.images:
        image, error = setting.restore(backup_id)
        setting.assert_nothing_wrong_was_written(backup_id, image)
        if error is not None:
            assert error.ranges
            assert error.key == ('index' if how == 'delete' else key)
            failed[backup_id] = error
    assert failed
    problems = setting.open().verify().problems
    assert set(failed) == {problem.backup_id for problem in problems} - {None}
    report = setting.open().rebuild_index()
    assert (report.packs_damaged, report.segments_removed) == (0, 0 if how == 'delete' else 1)
    assert setting.open().verify(full=True).problems == []
    for backup_id, image in setting.images.items():
        assert setting.restore(backup_id) == (image, None)


def test_the_index_is_rebuilt_from_packs_without_trailers(setting):
    for key in setting.keys('index/'):
        setting.store.delete(key)
    for key in setting.keys('packs/'):
        setting.store.put(key, [setting.store.get(key)[:-pack.FOOT_BYTES - 10]])
    report = setting.open().rebuild_index()
    assert report.packs_read == report.packs_damaged == len(setting.keys('packs/'))
    for backup_id, image in setting.images.items():
        assert setting.restore(backup_id) == (image, None)


@pytest.mark.parametrize('how', ['flip', 'cut', 'swap'])
def test_a_damaged_manifest_harms_no_other(setting, how):
    key = 'manifests/b1'
    if how == 'flip':
        setting.flip(key, 60)
    elif how == 'cut':
        setting.store.put(key, [setting.store.get(key)[:10]])
    else:
        setting.store.put(key, [setting.store.get('manifests/b2')])
    _, error = setting.restore('b1')
    assert isinstance(error, errors.Corrupt)
    assert error.key == key
    assert setting.restore('b2') == (setting.images['b2'], None)
    assert [info.id for info in setting.open().list_manifests()] == ['b2']
    problems = setting.open().verify(full=True).problems
    assert [(problem.backup_id, problem.key) for problem in problems] == [('b1', key)]


def test_a_second_copy_is_used(setting):
    """What is damaged in one pack is restored from another, when there is one."""
    kept = setting.keys('index/')
    hidden = {key: setting.store.get(key) for key in kept}
    for key in kept:
        setting.store.delete(key)
    setting.open().archive(MemorySource(setting.images['b1']), 'b3')
    for key, data in hidden.items():
        setting.store.put(key, [data])
    key = setting.pack_of('b1', 10)
    setting.flip(key, pack.HEAD_BYTES + 400)
    assert setting.restore('b1') == (setting.images['b1'], None)


def test_a_damaged_parent_is_archived_anew(setting):
    """A backup that follows a damaged index stores what can no longer be found."""
    for key in setting.keys('index/'):
        setting.flip(key, 600)
    result = setting.open().archive(MemorySource(setting.images['b2']), 'b3', parent_id='b2')
    assert result.bytes_new == len(setting.images['b2'])
    for key in setting.keys('index/'):
        try:
            setting.open().verify(['b3'])
        except errors.EngineError as exc:
            raise AssertionError(key) from exc
    assert engine.restored(setting.open(), 'b3') == setting.images['b2']


def test_a_prune_deletes_nothing_while_a_backup_misses_something(setting):
    key = setting.keys('index/')[0]
    setting.store.delete(key)
    setting.open().delete('b1')
    before = setting.keys('packs/')
    with pytest.raises(errors.Corrupt):
        setting.open().prune(grace_s=0)
    assert setting.keys('packs/') == before
    assert not setting.keys('locks/prune')
    setting.open().rebuild_index()
    setting.open().prune(grace_s=0)
    assert setting.restore('b2') == (setting.images['b2'], None)


def test_every_flipped_bit_of_any_object_shows_or_does_no_harm(setting):
    """No single flip, wherever, makes a restore write a wrong byte."""
    choose = random.Random(2)
    for key in setting.keys(''):
        if key == 'config':
            continue
        for _ in range(3):
            data = setting.store.get(key)
            setting.flip(key, choose.randrange(len(data)))
            for backup_id in setting.images:
                image, error = setting.restore(backup_id)
                setting.assert_nothing_wrong_was_written(backup_id, image)
                assert error is not None or image == setting.images[backup_id]
            setting.store.put(key, [data])
