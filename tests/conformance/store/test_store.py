# SPDX-License-Identifier: Apache-2.0
"""What every store promises to the engine, tried on each kind."""

import concurrent.futures
import itertools
import random
import time

import pytest

from backupsvc.engine import errors

MIB = 1 << 20
BAD_KEYS = ['', '/', '/a', 'a/', 'a//b', '.', '..', 'a/../b', '../a', 'A', 'a b', 'a\n', 'a\0',
            'é', '.a', 'a/.b', 'x' * 201, 'TMP/a', 'CONTAINER']


def content(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def keys(store, prefix: str = '') -> list[str]:
    return [info.key for info in store.list(prefix)]


def test_put_stores_the_concatenation(store, other):
    for parts in ([], [b''], [b'one'], [b'', b'a', b'', b'b'],
                  [bytearray(b'ab'), memoryview(b'xcdx')[1:3]], [content(1000, 1)] * 40,
                  # more than one system call takes
                  [bytes([index % 251]) for index in range(2500)]):
        store.put('dir/object', parts)
        expected = b''.join(parts)
        assert other.get('dir/object') == expected
        assert other.stat('dir/object').size_bytes == len(expected)


def test_large_object_is_whole_and_read_by_ranges(store, other):
    data = content(5 * MIB + 12345)
    view = memoryview(data)
    store.put('packs/ab/large', [view[:3 * MIB], view[3 * MIB:3 * MIB + 1], view[3 * MIB + 1:]])
    assert other.stat('packs/ab/large').size_bytes == len(data)
    assert other.get('packs/ab/large') == data
    for offset in (0, MIB - 10, 3 * MIB - 5, len(data) - 70000):
        buffer = bytearray(70000)
        assert other.read_into('packs/ab/large', offset, memoryview(buffer)) == len(buffer)
        assert buffer == data[offset:offset + len(buffer)]
    assert keys(store) == ['packs/ab/large']
    store.delete('packs/ab/large')
    assert keys(other) == []


def test_put_replaces_for_every_reader(store, other):
    other.put('config', [b'first, and longer'])
    buffer = bytearray(100)
    assert store.read_into('config', 0, memoryview(buffer)) == 17
    other.put('config', [b'second'])
    count = store.read_into('config', 0, memoryview(buffer))
    assert bytes(buffer[:count]) == b'second'
    assert store.get('config') == b'second'
    assert store.stat('config').size_bytes == 6


def test_put_if_absent_keeps_what_is_there(store, other):
    store.put('locks/a', [b'mine'], if_absent=True)
    with pytest.raises(errors.ObjectExists) as caught:
        other.put('locks/a', [b'theirs'], if_absent=True)
    assert caught.value.key == 'locks/a'
    assert other.get('locks/a') == b'mine'
    other.delete('locks/a')
    other.put('locks/a', [b'theirs'], if_absent=True)
    assert store.get('locks/a') == b'theirs'


def test_race_of_puts_if_absent_has_one_winner(place):
    stores = [place.open() for _ in range(6)]
    assert stores[0].atomic_if_absent == place.decides_races
    if not place.decides_races:
        return

    def put(index: int) -> int | None:
        try:
            stores[index].put('locks/x', [b'%d' % index] * 5000, if_absent=True)
        except (errors.ObjectExists, errors.StoreTransient):
            return None
        return index

    with concurrent.futures.ThreadPoolExecutor(len(stores)) as pool:
        winners = [index for index in pool.map(put, range(len(stores))) if index is not None]
    assert len(winners) == 1
    assert stores[0].get('locks/x') == b'%d' % winners[0] * 5000


def test_read_into_gives_fewer_bytes_only_at_the_end(store):
    store.put('a', [b'0123456789'])
    for offset, size, expected in (
            (0, 10, b'0123456789'), (0, 4, b'0123'), (3, 4, b'3456'), (6, 100, b'6789'),
            (9, 1, b'9'), (10, 5, b''), (11, 5, b''), (5, 0, b'')):
        buffer = bytearray(b'.' * size)
        assert store.read_into('a', offset, memoryview(buffer)) == len(expected), (offset, size)
        assert buffer == expected.ljust(size, b'.'), (offset, size)


def test_missing_objects(store):
    store.put('dir/a', [b'a'])
    for key in ('b', 'dir', 'dir/b', 'dir/a/b', 'dir2/a'):
        for read in (lambda key=key: store.get(key), lambda key=key: store.stat(key),
                     lambda key=key: store.read_into(key, 0, memoryview(bytearray(1))),
                     lambda key=key: store.read_into(key, 0, memoryview(bytearray()))):
            with pytest.raises(errors.ObjectNotFound) as caught:
                read()
            assert caught.value.key == key


def test_stat_tells_when_the_object_was_put(store):
    before = time.time()
    store.put('a', [b'abc'])
    info = store.stat('a')
    assert info.key == 'a'
    assert info.size_bytes == 3
    assert before - 2 <= info.modified_at <= time.time() + 2
    [listed] = store.list('')
    assert listed.size_bytes == 3
    assert abs(listed.modified_at - info.modified_at) <= 2


def test_list_is_in_the_order_of_the_keys(store, other):
    names = ['a', 'a-b', 'a.b', 'b/a', 'b/b-c/d', 'b/b.c', 'b/b/a', 'b/b0', 'b/b_c', 'b-a', 'b.a',
             'b0', 'c/d/e/f/g', 'c/d/e/f-g', '0', '_', '-', 'manifests/x', 'packs/00/1',
             'packs/01/0']
    for name in random.Random(1).sample(names, len(names)):
        store.put(name, [b'x'])
    assert keys(other) == sorted(names)
    for prefix in ('a', 'b', 'b/', 'b/b', 'b/b-', 'b/b/', 'c/d/e/f', 'packs/0', 'packs/00/',
                   'nothing', 'nothing/', 'b/b/a', 'b/b/a/'):
        assert keys(other, prefix) == sorted(name for name in names if name.startswith(prefix))


def test_list_of_an_empty_store(store):
    assert keys(store) == []
    assert keys(store, 'packs/') == []


def test_listing_goes_on_while_objects_come_and_go(store, other):
    names = [f'packs/{index:03d}' for index in range(30)]
    for name in names:
        store.put(name, [b'x'])
    seen = []
    for info in store.list('packs/'):
        if not seen:
            other.delete('packs/029')
            other.delete('packs/000')
            other.put('packs/0305', [b'x'])
        seen.append(info.key)
    assert seen == sorted(seen)
    assert set(names[1:29]) <= set(seen) <= {*names, 'packs/0305'}


def test_delete(store, other):
    for name in ('a', 'b/c', 'b/d'):
        store.put(name, [b'x'])
    buffer = bytearray(1)
    assert other.read_into('b/c', 0, memoryview(buffer)) == 1
    store.delete('b/c')
    store.delete('b/c')
    store.delete('never/was')
    assert keys(other) == ['a', 'b/d']
    with pytest.raises(errors.ObjectNotFound):
        other.read_into('b/c', 0, memoryview(buffer))
    with pytest.raises(errors.ObjectNotFound):
        other.get('b/c')


def test_delete_many(store, other):
    names = [f'd{index % 3}/{index:02d}' for index in range(20)]
    for name in names:
        store.put(name, [b'x'])
    store.delete_many([*names[:15], 'never/was', names[0]])
    assert keys(other) == sorted(names[15:])
    store.delete_many([])
    assert keys(other) == sorted(names[15:])


def test_what_is_no_key_is_refused(store):
    for key, call in itertools.product(BAD_KEYS, (
            lambda key: store.put(key, [b'x']), store.get, store.stat,
            lambda key: store.read_into(key, 0, memoryview(bytearray(1))),
            store.delete, lambda key: store.delete_many([key]))):
        with pytest.raises(ValueError, match='cannot be the key'):
            call(key)
    assert keys(store) == []


def test_the_longest_key(store):
    key = 'packs/' + 'k' * 194
    store.put(key, [b'x'])
    assert keys(store) == [key]
    assert store.get(key) == b'x'


def test_many_threads_at_once(store, other):
    def work(number: int) -> None:
        key = f'packs/{number % 4:02d}/{number}'
        data = content(50000 + number, number)
        store.put(key, [data[:100], data[100:]])
        buffer = bytearray(1000)
        for offset in (0, 7000, 49000):
            assert other.read_into(key, offset, memoryview(buffer)) == 1000
            assert buffer == data[offset:offset + 1000]
        if number % 3 == 0:
            other.delete(key)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(48)))
    assert keys(store) == sorted(f'packs/{n % 4:02d}/{n}' for n in range(48) if n % 3)


def test_readers_never_see_a_part(place):
    """While one thread replaces an object again and again, every read is one of the contents."""
    size = 200000
    writer, reader = place.open(), place.open()
    writer.put('config', [b'\0' * size])

    def replace() -> None:
        for value in range(1, 15):
            writer.put('config', [bytes([value]) * (size // 2)] * 2)

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        writing = pool.submit(replace)
        while not writing.done():
            data = reader.get('config')
            assert len(data) == size
            assert data == data[:1] * size
        writing.result()


def test_random_work_gives_what_a_dict_gives(store, other):
    choose = random.Random(7)
    names = [f'{a}/{b}' for a in 'ab' for b in 'xyz'] + ['top', 'z-z']
    model: dict[str, bytes] = {}
    for step in range(120):
        one = choose.choice((store, other))
        key = choose.choice(names)
        verb = choose.choice(('put', 'put', 'put_if_absent', 'delete', 'get', 'list'))
        data = choose.randbytes(choose.choice((0, 1, 3000)))
        if verb == 'put':
            one.put(key, [data])
            model[key] = data
        elif verb == 'put_if_absent' and key in model:
            with pytest.raises(errors.ObjectExists):
                one.put(key, [data], if_absent=True)
        elif verb == 'put_if_absent':
            one.put(key, [data], if_absent=True)
            model[key] = data
        elif verb == 'delete':
            one.delete(key)
            model.pop(key, None)
        elif verb == 'get' and key in model:
            assert one.get(key) == model[key], step
        elif verb == 'list':
            found = [(info.key, info.size_bytes) for info in one.list(key[:2])]
            assert found == sorted((name, len(value)) for name, value in model.items()
                                   if name.startswith(key[:2])), step


#: The least that every store takes as a piece that is not the last.
PIECE = 5 * MIB


def test_an_upload_is_there_whole_or_not_at_all(store, other):
    pieces = [content(PIECE, number) for number in range(2)]
    store.put('dump', [b'an older one'])
    upload = store.upload('dump')
    for number, piece in enumerate([*pieces, content(90_000)]):
        upload.write(number, piece)
    last = content(70_000, 9)
    upload.write(2, last)  # repeated, as after a failure
    assert other.get('dump') == b'an older one'
    upload.commit()
    upload.commit()
    upload.abort()
    expected = b''.join([*pieces, last])
    assert other.get('dump') == expected
    assert other.stat('dump').size_bytes == len(expected)
    assert keys(store) == ['dump']
    store.delete('dump')
    assert keys(other) == []


@pytest.mark.parametrize('pieces', [[], [b''], [b'small']])
def test_a_small_upload(store, other, pieces):
    upload = store.upload('dump')
    for number, piece in enumerate(pieces):
        upload.write(number, piece)
    upload.commit()
    assert other.get('dump') == b''.join(pieces)


def test_nothing_is_left_of_an_upload_that_was_aborted(store, other):
    upload = store.upload('dump')
    for number in range(2):
        upload.write(number, content(PIECE, number))
    upload.abort()
    with pytest.raises(errors.ObjectNotFound):
        other.stat('dump')
    assert keys(other) == []


def test_an_upload_begins_anew_after_one_that_died(store, other):
    dead = other.upload('dump')
    for number in range(3):
        dead.write(number, content(PIECE, number))
    upload = store.upload('dump')
    upload.write(0, content(PIECE, 7))
    upload.write(1, b'b')
    upload.commit()
    assert other.get('dump') == content(PIECE, 7) + b'b'
