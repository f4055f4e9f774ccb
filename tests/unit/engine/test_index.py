# SPDX-License-Identifier: Apache-2.0
"""Tables find what is in them, alone, merged and cached, and nothing else."""

import os
import random

import numpy
import pytest

from backupsvc.engine import errors, index, packer, segments
from backupsvc.engine.keys import Keys
from backupsvc.engine.repository import Repository
from backupsvc.engine.stores.memory import MemoryStore
from tests.fixtures import engine
from tests.fixtures.engine import BLOCK, SMALL, MemorySource, PlainWrapper


def make_packs(choose, count, entries):
    """Return packs as ``write_small`` takes them, and {id: (pack id, offset, size, number)}."""
    packs, places = [], {}
    for _ in range(count):
        pack_id = choose.randbytes(16)
        rows = b''
        for number in range(entries):
            blob_id = choose.randbytes(32)
            offset, size = choose.randrange(1 << 32), choose.randrange(1 << 24)
            rows += blob_id[:16] + offset.to_bytes(4, 'little') \
                + ((size << 8) + number % 256).to_bytes(4, 'little')
            places[blob_id] = index.Place(pack_id, offset, size, number % 256)
        packs.append((pack_id, choose.randrange(1 << 40), rows))
    return packs, places


def make_table(path, choose, count=3, entries=100):
    packs, places = make_packs(choose, count, entries)
    index.write_small(str(path), choose.randbytes(16), packs)
    return index.Table(str(path)), packs, places


@pytest.fixture(params=['mapped', 'read'])
def access(request, monkeypatch):
    """Small tables are searched in their map, large ones by reads."""
    if request.param == 'read':
        monkeypatch.setattr(index, '_LARGE_BYTES', 0)


@pytest.mark.parametrize('entries', [1, 2, 31, 33, 1000, 5000])
def test_a_table_finds_what_is_in_it(tmp_path, access, entries):
    choose = random.Random(entries)
    table, packs, places = make_table(tmp_path / 't', choose, 2, entries)
    found = index.Index([table])
    assert {blob_id: found.find(blob_id) for blob_id in places} == places
    for _ in range(1000):
        other = choose.randbytes(32)
        assert other not in found
        assert found.find_packed(other) is None
    with pytest.raises(errors.Corrupt):
        found.find(bytes(32))
    assert [(info.pack_id, info.size_bytes, info.entry_count) for info in table.packs()] == [
        (pack_id, size, entries) for pack_id, size, _ in packs]
    assert table.size_bytes / (2 * entries) <= 48 or entries < 100


def test_ids_that_differ_late_are_told_apart(tmp_path, access):
    head = bytes(8)
    rows = b''.join(head + low.to_bytes(8, 'big') + low.to_bytes(4, 'little') + bytes(4)
                    for low in range(200))
    index.write_small(str(tmp_path / 't'), bytes(16), [(bytes(16), 1, rows)])
    found = index.Index([index.Table(str(tmp_path / 't'))])
    for low in range(200):
        assert found.find(head + low.to_bytes(8, 'big') + bytes(16)).offset == low
    assert head + (200).to_bytes(8, 'big') not in found


def test_batches_find_what_single_questions_find(tmp_path):
    choose = random.Random(1)
    tables, places = [], {}
    for number in range(3):
        table, _, more = make_table(tmp_path / str(number), choose)
        tables.append(table)
        places.update(more)
    found = index.Index(tables)
    asked = [*places, *(choose.randbytes(32) for _ in range(100))]
    columns = numpy.frombuffer(b''.join(asked), '>u8').reshape(-1, 4)
    void = [numpy.zeros(table.pack_count, bool) for table in tables]
    void[1][0] = True
    which, rows = found.find_rows(columns[:, 0].astype('<u8'), columns[:, 1].astype('<u8'), void)
    for blob_id, table_number, row in zip(asked, which.tolist(), rows.tolist(), strict=True):
        place = places.get(blob_id)
        if place is None or place.pack_id == tables[1].pack_id(0):
            assert table_number == -1
        else:
            number, offset, last = tables[table_number].columns()[2][row].tolist()
            assert (tables[table_number].pack_id(number), offset, last >> 8, last & 255) == place


def test_void_packs_do_not_count(tmp_path, access):
    table, packs, places = make_table(tmp_path / 't', random.Random(2))
    table.dead = frozenset([1])
    found = index.Index([table])
    for blob_id, place in places.items():
        assert (blob_id in found) == (place.pack_id != packs[1][0])


def test_the_second_copy_of_an_id_counts_when_the_first_is_void(tmp_path, access):
    blob_id = random.Random(3).randbytes(32)
    row = blob_id[:16] + bytes(8)
    packs = [(bytes([number]) * 16, 1, row) for number in range(3)]
    index.write_small(str(tmp_path / 't'), bytes(16), packs)
    table = index.Table(str(tmp_path / 't'))
    for dead in ([], [0], [0, 1], [1, 2], [0, 2]):
        table.dead = frozenset(dead)
        assert index.Index([table]).find(blob_id).pack_id[0] not in dead
    table.dead = frozenset([0, 1, 2])
    assert blob_id not in index.Index([table])


@pytest.mark.parametrize('slice_entries', [1 << 19, 64])
def test_a_merge_has_everything_once_and_in_order(tmp_path, monkeypatch, slice_entries):
    monkeypatch.setattr(index, '_MERGE_ENTRIES', slice_entries)
    choose = random.Random(4)
    selections, places = [], {}
    dropped = set()
    for number in range(4):
        table, packs, more = make_table(tmp_path / str(number), choose, 3, 200)
        selections.append(index.Selection(table, [0, 2]))
        dropped.add(packs[1][0])
        places.update(more)
    # The same pack from two tables, as after a crash between two segments.
    selections.append(index.Selection(selections[0].table, [0]))
    index.merge(str(tmp_path / 'm'), selections)
    merged = index.Table(str(tmp_path / 'm'))
    assert merged.count == 4 * 2 * 200
    assert merged.pack_count == 8
    assert len(merged.sources) == 4
    found = index.Index([merged])
    for blob_id, place in places.items():
        assert (found.find(blob_id) == place) if place.pack_id not in dropped \
            else blob_id not in found
    highs = merged.columns()[0]
    assert (highs[:-1] <= highs[1:]).all()
    index.merge(str(tmp_path / 'n'), [index.Selection(merged, range(8))], b's' * 16)
    assert index.Table(str(tmp_path / 'n')).sources == [b's' * 16]


@pytest.mark.parametrize('damage', [
    lambda data: b'', lambda data: data[:40], lambda data: data[:-1], lambda data: data + b'x',
    lambda data: b'X' + data[1:], lambda data: data[:32] + b'\xff' + data[33:]])
def test_a_file_that_is_no_table_is_refused(tmp_path, damage):
    make_table(tmp_path / 't', random.Random(5))[0].close()
    data = (tmp_path / 't').read_bytes()
    (tmp_path / 't').write_bytes(damage(data))
    with pytest.raises(ValueError):
        index.Table(str(tmp_path / 't'))


@pytest.fixture
def cache(tmp_path):
    return segments.SegmentCache(MemoryStore(), Keys(bytes(32)), str(tmp_path / 'cache'))


def files_of(cache):
    return sorted(os.listdir(cache._directory))


def test_a_segment_goes_through_the_store(cache, monkeypatch):
    monkeypatch.setattr(segments, '_PIECE_BYTES', 1000)
    packs, places = make_packs(random.Random(6), 3, 200)
    cache.store_packs(packs).close()
    cache.forget()
    loaded, problems = cache.load(cache.segment_ids())
    assert not problems
    assert {blob_id: loaded.find(blob_id) for blob_id in places} == places


def test_cached_tables_are_not_fetched_again(cache):
    packs, places = make_packs(random.Random(7), 1, 10)
    table = cache.store_packs(packs)
    data = cache._store.get(segments.key_of(table.sources[0]))
    cache._store.put(segments.key_of(table.sources[0]), [b'lost'])
    loaded, _ = cache.load(cache.segment_ids())
    assert all(blob_id in loaded for blob_id in places)
    cache.forget()
    with pytest.raises(errors.Corrupt):
        cache.load(cache.segment_ids())
    cache._store.put(segments.key_of(table.sources[0]), [data])
    assert all(blob_id in cache.load(cache.segment_ids())[0] for blob_id in places)


def test_a_damaged_cache_file_is_fetched_again(cache):
    packs, places = make_packs(random.Random(8), 1, 10)
    cache.store_packs(packs).close()
    name, = files_of(cache)
    with open(os.path.join(cache._directory, name), 'r+b') as stream:
        stream.truncate(100)
    loaded, _ = cache.load(cache.segment_ids())
    assert all(blob_id in loaded for blob_id in places)


def test_many_tables_are_merged_and_the_merged_ones_used(cache):
    places = {}
    loaded, _ = cache.load([])
    for number in range(40):
        packs, more = make_packs(random.Random(number), 1, 10 + number)
        places.update(more)
        loaded.add(cache.store_packs(packs))
        cache.merge_tables(loaded)
        assert len(loaded.tables) <= 9
    assert {blob_id: loaded.find(blob_id) for blob_id in places} == places
    assert len(files_of(cache)) <= 9
    again, _ = cache.load(cache.segment_ids())
    assert len(again.tables) <= 9
    assert {blob_id: again.find(blob_id) for blob_id in places} == places


def test_entries_of_a_segment_that_is_gone_are_void(cache):
    """Also in a merged table, without fetching the others again."""
    loaded, _ = cache.load([])
    by_segment = {}
    for number in range(12):
        packs, places = make_packs(random.Random(number), 1, 10)
        table = cache.store_packs(packs)
        by_segment[table.sources[0]] = places
        loaded.add(table)
        cache.merge_tables(loaded)
    gone = next(iter(by_segment))
    cache._store.delete(segments.key_of(gone))
    for key in [segments.key_of(each) for each in by_segment if each != gone][:3]:
        cache._store.put(key, [b'not read'])
    again, _ = cache.load(cache.segment_ids())
    for segment_id, places in by_segment.items():
        assert all((blob_id in again) == (segment_id != gone) for blob_id in places)


def test_a_repository_with_a_cache_reads_its_index_once(tmp_path):
    store = MemoryStore()
    Repository.create(store, PlainWrapper(), SMALL)
    asked = []
    watched = engine.WatchedStore(store, lambda verb, key: asked.append((verb, key[:6])))
    image = random.Random(9).randbytes(20 * BLOCK)

    def opened():
        return Repository.open(watched, PlainWrapper(), cache_dir=str(tmp_path))

    opened().archive(MemorySource(image), 'b1')
    asked.clear()
    assert opened().archive(MemorySource(image), 'b2').bytes_new == 0
    assert engine.restored(opened(), 'b2') == image
    assert ('read_into', 'index/') not in asked


def test_new_entries_are_written_down_while_an_archive_runs(monkeypatch):
    monkeypatch.setattr(packer, 'FLUSH_ENTRIES', 8)
    store = MemoryStore()
    repository = Repository.create(store, PlainWrapper(), SMALL)
    image = random.Random(10).randbytes(200 * BLOCK)
    repository.archive(MemorySource(image), 'b1')
    assert len(list(store.list('index/'))) > 10
    assert engine.restored(repository, 'b1') == image
