# SPDX-License-Identifier: Apache-2.0
"""Backups come back as they went in, whatever the image, the changes, the order of deletion."""

import random
import threading

import hypothesis
import pytest
from hypothesis import strategies

from backupsvc.engine import errors, maps
from backupsvc.engine.parameters import Parameters
from backupsvc.engine.repository import Repository
from backupsvc.engine.source import Extent, RawFileTarget
from backupsvc.engine.stores.memory import MemoryStore
from tests.fixtures import engine
from tests.fixtures.engine import BLOCK, SMALL, MemorySource, MemoryTarget, PlainWrapper


@pytest.fixture
def store():
    return MemoryStore()


@pytest.fixture
def repository(store):
    return Repository.create(store, PlainWrapper(), SMALL)


def keys(store, prefix):
    return [info.key for info in store.list(prefix)]


def test_an_image_comes_back(repository):
    image = engine.make_image(random.Random(1), 40, 100)
    result = repository.archive(MemorySource(image), 'b1')
    assert result.size_bytes == result.bytes_read == len(image)
    assert engine.restored(repository, 'b1') == image


@pytest.mark.parametrize('size', [0, 1, 511, BLOCK - 1, BLOCK, BLOCK + 1, 256 * BLOCK,
                                  256 * BLOCK + 1, 257 * BLOCK])
def test_every_size_comes_back(repository, size):
    image = random.Random(size).randbytes(size)
    repository.archive(MemorySource(image), 'b1')
    assert engine.restored(repository, 'b1') == image


@pytest.mark.parametrize('compression', ['zstd:1', 'zstd:3', 'lz4', 'none'])
def test_every_compression_comes_back(store, compression):
    repository = Repository.create(store, PlainWrapper(), Parameters.of(65536, compression))
    image = engine.make_image(random.Random(2), 30)
    repository.archive(MemorySource(image), 'b1')
    assert engine.restored(repository, 'b1') == image


@pytest.mark.parametrize('block_size', [32768, 131072, 1048576])
def test_every_block_size_comes_back(store, block_size):
    repository = Repository.create(store, PlainWrapper(), Parameters.of(block_size, 'zstd:1'))
    image = engine.make_image(random.Random(3), 70, 5)
    repository.archive(MemorySource(image), 'b1')
    assert engine.restored(repository, 'b1') == image


def test_an_unchanged_image_costs_a_manifest(repository, store):
    image = engine.make_image(random.Random(4), 40)
    repository.archive(MemorySource(image), 'b1')
    before = keys(store, '')
    result = repository.archive(MemorySource(image), 'b2', parent_id='b1')
    assert (result.bytes_new, result.bytes_stored) == (0, 0)
    assert set(keys(store, '')) - set(before) == {'manifests/b2'}


def test_a_change_costs_what_changed(repository):
    choose = random.Random(5)
    image = choose.randbytes(600 * BLOCK)
    repository.archive(MemorySource(image), 'b1')
    changed = image[:7 * BLOCK] + b'x' + image[7 * BLOCK + 1:]
    result = repository.archive(MemorySource(changed), 'b2', parent_id='b1')
    assert (result.bytes_new, result.blob_count) == (BLOCK, 1)
    # One block, one leaf page, one root page; not the other 2 leaf pages.
    assert result.bytes_stored < BLOCK + 2 * maps.PAGE_BYTES
    assert engine.restored(repository, 'b2') == changed


def test_without_a_parent_known_blocks_are_found_all_the_same(repository):
    image = random.Random(6).randbytes(100 * BLOCK)
    repository.archive(MemorySource(image), 'b1')
    assert repository.archive(MemorySource(image), 'b2').bytes_stored == 0
    assert repository.archive(MemorySource(image), 'b3', parent_id='gone').bytes_stored == 0


def test_a_repository_is_opened_again_by_its_key_only(repository, store):
    image = engine.make_image(random.Random(7), 20)
    repository.archive(MemorySource(image), 'b1')
    assert engine.restored(Repository.open(store, PlainWrapper()), 'b1') == image
    with pytest.raises(errors.WrongKey):
        Repository.open(store, PlainWrapper('two'))
    with pytest.raises(errors.Corrupt):
        Repository.open(store, PlainWrapper(mask=0x56))


def test_a_rewrapped_repository_opens_by_the_new_key_only(repository, store):
    image = engine.make_image(random.Random(8), 20)
    repository.archive(MemorySource(image), 'b1')
    repository.rewrap(PlainWrapper('two', 0x33))
    assert engine.restored(Repository.open(store, PlainWrapper('two', 0x33)), 'b1') == image
    with pytest.raises(errors.WrongKey):
        Repository.open(store, PlainWrapper())


def test_what_is_not_there_is_said(store):
    with pytest.raises(errors.RepositoryNotFound):
        Repository.open(store, PlainWrapper())
    repository = Repository.create(store, PlainWrapper(), SMALL)
    with pytest.raises(errors.RepositoryExists):
        Repository.create(store, PlainWrapper(), SMALL)
    with pytest.raises(errors.BackupNotFound):
        repository.show_manifest('b1')
    with pytest.raises(errors.BackupNotFound):
        repository.restore('../config', MemoryTarget(0))
    repository.delete('b1')


def test_another_format_is_refused(repository, store):
    store.put('config', [store.get('config').replace(b'"format": 1', b'"format": 2')])
    with pytest.raises(errors.UnsupportedFormat):
        Repository.open(store, PlainWrapper())


def test_changed_parameters_are_noticed(repository, store):
    store.put('config', [store.get('config').replace(b'"block_size": 32768',
                                                     b'"block_size": 65536')])
    with pytest.raises(errors.Corrupt):
        Repository.open(store, PlainWrapper())


def test_holes_are_not_read_and_stay_holes(repository):
    image = engine.make_image(random.Random(9), 8, zero_share=0)
    source = MemorySource(bytes(1000 * BLOCK) + image,
                          extents=[Extent(1000 * BLOCK, len(image))])
    repository.archive(source, 'b1')
    assert source.bytes_read == len(image)
    target = MemoryTarget(1008 * BLOCK)
    result = repository.restore('b1', target)
    assert bytes(target.image) == source.image
    assert (result.bytes_written, result.bytes_zeroed) == (len(image), 0)
    assert min(offset for offset, _ in target.written) == 1000 * BLOCK


def test_a_target_with_content_is_zeroed_where_the_backup_is_zero(repository):
    image = engine.make_image(random.Random(10), 50, 10, zero_share=0.6) + bytes(3 * BLOCK)
    repository.archive(MemorySource(image), 'b1')
    assert engine.restored(repository, 'b1', is_zeroed=False) == image


def test_a_larger_target_keeps_its_end(repository):
    image = engine.make_image(random.Random(11), 10)
    repository.archive(MemorySource(image), 'b1')
    target = MemoryTarget(len(image) + 1000, is_zeroed=False)
    repository.restore('b1', target)
    assert bytes(target.image) == image + b'\xaa' * 1000


def test_a_smaller_target_is_refused_before_a_byte_is_written(repository):
    image = engine.make_image(random.Random(12), 10)
    repository.archive(MemorySource(image), 'b1')
    target = MemoryTarget(len(image) - 1, is_zeroed=False)
    with pytest.raises(errors.TargetTooSmall):
        repository.restore('b1', target)
    assert not target.written


def test_changed_extents_are_all_that_is_read(repository):
    choose = random.Random(13)
    image = bytearray(engine.make_image(choose, 600, zero_share=0))
    repository.archive(MemorySource(bytes(image), token='t1'), 'b1')
    image[300 * BLOCK:301 * BLOCK] = choose.randbytes(BLOCK)
    image[599 * BLOCK:] = bytes(BLOCK)
    source = MemorySource(bytes(image), token='t2', changed=[
        Extent(300 * BLOCK + 17, 100), Extent(599 * BLOCK, BLOCK)])
    result = repository.archive(source, 'b2', parent_id='b1')
    assert result.used_changed_extents
    assert source.bytes_read == 2 * BLOCK
    assert engine.restored(repository, 'b2') == bytes(image)


def test_no_changed_extents_is_the_parent(repository):
    image = engine.make_image(random.Random(14), 20)
    repository.archive(MemorySource(image, token='t1'), 'b1')
    source = MemorySource(image, token='t2', changed=[])
    repository.archive(source, 'b2', parent_id='b1')
    assert source.bytes_read == 0
    assert engine.restored(repository, 'b2') == image


def test_changed_extents_of_another_size_are_not_trusted(repository):
    image = engine.make_image(random.Random(15), 20)
    repository.archive(MemorySource(image, token='t1'), 'b1')
    grown = image + random.Random(16).randbytes(3 * BLOCK)
    repository.archive(MemorySource(grown, token='t2', changed=[]), 'b2', parent_id='b1')
    assert engine.restored(repository, 'b2') == grown


@pytest.mark.parametrize('blocks', [20, 300])
def test_a_volume_grows_into_another_level(repository, blocks):
    image = engine.make_image(random.Random(17), blocks, 77)
    repository.archive(MemorySource(image), 'b1')
    grown = image + engine.make_image(random.Random(18), 700)
    repository.archive(MemorySource(grown), 'b2', parent_id='b1')
    shrunk = image[:5 * BLOCK + 3]
    repository.archive(MemorySource(shrunk), 'b3', parent_id='b2')
    assert engine.restored(repository, 'b2') == grown
    assert engine.restored(repository, 'b3') == shrunk


def test_a_huge_sparse_volume_costs_next_to_nothing(repository, store):
    size = 10 << 40
    image = random.Random(19).randbytes(2 * BLOCK)
    at = 7 << 40

    class Huge(MemorySource):
        def read_into(self, offset, buffer):
            buffer[:] = image[offset - at:offset - at + len(buffer)]

    result = repository.archive(
        Huge(b'', size_bytes=size, extents=[Extent(at, len(image))]), 'b1')
    assert (result.bytes_read, result.blob_count) == (len(image), 2)
    assert result.seconds < 5
    assert sum(info.size_bytes for info in store.list('packs/')) < 2 * len(image)
    found = []

    class Sink(MemoryTarget):
        size_bytes = size

        def write(self, offset, data):
            found.append((offset, bytes(data)))

    repository.restore('b1', Sink(0))
    assert b''.join(data for _, data in sorted(found)) == image
    assert min(offset for offset, _ in found) == at


def test_the_same_attempt_is_not_made_twice(repository):
    image = engine.make_image(random.Random(20), 10)
    first = repository.archive(MemorySource(image), 'b1', facts={'attempt_of': 'task-1'})
    source = MemorySource(image)
    again = repository.archive(source, 'b1', facts={'attempt_of': 'task-1'})
    assert source.bytes_read == 0
    assert again == first
    for facts in ({'attempt_of': 'task-2'}, {}):
        with pytest.raises(errors.BackupExists):
            repository.archive(source, 'b1', facts=facts)


def test_manifests_say_what_the_caller_gave(repository):
    image = engine.make_image(random.Random(21), 3)
    facts = {'name': 'Ünïcode', 'volume': {'id': 'v', 'list': [1, None]}}
    repository.archive(MemorySource(image, token='snap-1'), 'b1', facts=facts)
    repository.archive(MemorySource(image), 'b2', parent_id='b1')
    infos = list(repository.list_manifests())
    assert [info.id for info in infos] == ['b1', 'b2']
    assert infos[0].facts == facts
    assert (infos[0].change_token, infos[0].size_bytes) == ('snap-1', len(image))
    assert (infos[1].parent_id, infos[1].created_at.utcoffset().total_seconds()) == ('b1', 0)


def test_reading_that_fails_names_the_offset(repository):
    source = MemorySource(bytes(100 * BLOCK))

    def fail(offset):
        if offset == 64 * BLOCK:
            raise OSError(5, 'Input/output error')

    source.on_read = fail
    with pytest.raises(errors.SourceFailed, match=str(64 * BLOCK)):
        repository.archive(source, 'b1')
    assert not list(repository.list_manifests())


def test_writing_that_fails_names_the_offset(repository):
    image = engine.make_image(random.Random(22), 10, zero_share=0)
    repository.archive(MemorySource(image), 'b1')

    class Broken(MemoryTarget):
        def write(self, offset, data):
            if offset + len(data) > 5 * BLOCK:
                raise OSError(28, 'No space left on device')
            super().write(offset, data)

    with pytest.raises(errors.SourceFailed, match='No space left'):
        repository.restore('b1', Broken(len(image)))


def test_what_a_restore_writes_is_reserved_before_and_nothing_else(repository):
    image = bytes(3 * BLOCK) + engine.make_image(random.Random(24), 40) + bytes(5 * BLOCK) + b'end'
    repository.archive(MemorySource(image), 'b1')

    class Reserving(MemoryTarget):
        def __init__(self, size_bytes):
            super().__init__(size_bytes)
            self.reserved = bytearray(size_bytes)

        def reserve(self, offset, length):
            self.reserved[offset:offset + length] = b'\1' * length

        def write(self, offset, data):
            assert all(self.reserved[offset:offset + len(data)])
            super().write(offset, data)

    target = Reserving(len(image))
    repository.restore('b1', target)
    assert target.image == image
    assert sum(target.reserved) == sum(length for _, length in target.written)


def test_a_target_without_room_is_not_written(repository):
    image = engine.make_image(random.Random(25), 10, zero_share=0)
    repository.archive(MemorySource(image), 'b1')

    class Full(MemoryTarget):
        def reserve(self, offset, length):
            raise OSError(28, 'No space left on device')

    target = Full(len(image))
    with pytest.raises(errors.SourceFailed, match=f'{len(image)} bytes at byte 0.*No space left'):
        repository.restore('b1', target)
    assert target.written == []


def test_a_reserved_range_of_a_file_has_room_and_reads_as_before(tmp_path):
    path = tmp_path / 'image'
    path.write_bytes(b'x' * BLOCK)
    target = RawFileTarget(str(path), 64 * BLOCK)
    target.reserve(0, 32 * BLOCK)
    assert path.stat().st_blocks * 512 >= 32 * BLOCK
    assert path.read_bytes() == b'x' * BLOCK + bytes(63 * BLOCK)
    target.close()


def test_cancelling_stops_an_archive_and_a_restore(repository, store):
    image = random.Random(23).randbytes(200 * BLOCK)
    reads = threading.Event()
    source = MemorySource(image)
    source.on_read = lambda offset: reads.set()
    with pytest.raises(errors.Cancelled):
        repository.archive(source, 'b1', cancelled=lambda: True)
    assert not list(repository.list_manifests())
    assert not keys(store, 'sessions/')
    repository.archive(source, 'b1')
    target = MemoryTarget(len(image))
    with pytest.raises(errors.Cancelled):
        repository.restore('b1', target, cancelled=lambda: True)


def test_a_hanging_store_does_not_hold_up_a_cancel(store):
    released = threading.Event()
    hanging = threading.Event()

    def hook(verb, key):
        if verb == 'put' and key.startswith('packs/'):
            hanging.set()
            released.wait(30)

    watched = engine.WatchedStore(store, hook)
    repository = Repository.create(watched, PlainWrapper(), SMALL)
    source = MemorySource(random.Random(24).randbytes(400 * BLOCK))
    try:
        with pytest.raises(errors.Cancelled):
            repository.archive(source, 'b1', cancelled=hanging.is_set)
        assert not released.is_set()
    finally:
        released.set()


def test_progress_ends_at_the_whole(repository):
    image = engine.make_image(random.Random(25), 100)
    seen = []
    repository.archive(MemorySource(image), 'b1', progress=seen.append)
    assert (seen[-1].bytes_done, seen[-1].bytes_total) == (len(image), len(image))
    assert seen[-1].bytes_stored > 0
    repository.restore('b1', MemoryTarget(len(image)), progress=seen.append)
    assert seen[-1].bytes_done == seen[-1].bytes_total == len(image)


def test_archives_at_the_same_time_do_not_disturb_each_other(store):
    Repository.create(store, PlainWrapper(), SMALL)
    choose = random.Random(26)
    common = engine.make_image(choose, 60)
    images = {f'b{number}': engine.change_image(choose, common, 10) for number in range(6)}
    failures = []

    def archive(backup_id, image):
        try:
            Repository.open(store, PlainWrapper()).archive(MemorySource(image), backup_id)
        except BaseException as exc:
            failures.append(exc)

    threads = [threading.Thread(target=archive, args=item) for item in images.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    repository = Repository.open(store, PlainWrapper())
    assert {backup_id: engine.restored(repository, backup_id) for backup_id in images} == images
    assert not repository.verify(full=True).problems


@hypothesis.settings(max_examples=25, deadline=None)
@hypothesis.given(seed=strategies.integers(0, 1 << 32), blocks=strategies.integers(0, 300),
                  tail=strategies.integers(0, BLOCK - 1), generations=strategies.integers(1, 5),
                  data=strategies.data())
def test_any_image_any_change_any_order_of_deletion(seed, blocks, tail, generations, data):
    """Whatever is deleted and pruned, every backup that is left comes back."""
    choose = random.Random(seed)
    repository = Repository.create(MemoryStore(), PlainWrapper(), SMALL)
    image = engine.make_image(choose, blocks, tail)
    images = {}
    parent_id = None
    for number in range(generations):
        backup_id = f'b{number}'
        repository.archive(MemorySource(image), backup_id, parent_id=parent_id)
        images[backup_id] = image
        parent_id = choose.choice([backup_id, parent_id, None])
        image = engine.change_image(choose, image, choose.randrange(4))
        if choose.random() < 0.3:
            image += engine.make_image(choose, choose.randrange(4))
    for backup_id in data.draw(strategies.permutations(sorted(images))):
        assert {each: engine.restored(repository, each) for each in images} == images
        repository.delete(backup_id)
        del images[backup_id]
        repository.prune(grace_s=data.draw(strategies.sampled_from([0, 0, 3600])))
        assert not repository.verify(full=True).problems
    repository.prune(grace_s=0)
    assert not list(repository.list_manifests())
