# SPDX-License-Identifier: Apache-2.0
"""The posix store after a power loss at every instant of a piece of work."""

import os
import random

import pytest

from backupsvc.drivers.repository.posix.store import TMP, PosixStore
from backupsvc.engine import errors
from tests.fixtures import power_loss

#: Chances of an unsynced change to survive: none, each way by itself, all.
SHARES = (0.0, 0.3, 0.5, 0.8, 1.0)


def work(store, system) -> None:
    """Put, replace and delete; before and after each change the record says what is promised."""
    def change(call, key, content):
        system.mark(('may', key, content))
        call()
        system.mark(('is', key, content))

    def put(key, data, **options):
        change(lambda: store.put(key, [data[:5], data[5:]], **options), key, data)

    put('config', b'the first config')
    put('packs/00/a', b'A' * 3000)
    put('packs/00/b', b'B' * 10)
    put('packs/ff/c', b'C' * 500, if_absent=True)
    put('config', b'the second config, longer than the first')
    put('locks/one', b'a lock', if_absent=True)
    with pytest.raises(errors.ObjectExists):
        store.put('locks/one', [b'another lock'], if_absent=True)
    put('index/1/2/3/deep', b'deep')
    change(lambda: store.delete('locks/one'), 'locks/one', None)
    put('locks/one', b'a second lock', if_absent=True)
    for key in ('packs/00/a', 'packs/ff/c'):
        system.mark(('may', key, None))
    store.delete_many(['packs/00/a', 'packs/ff/c', 'never/was'])
    for key in ('packs/00/a', 'packs/ff/c'):
        system.mark(('is', key, None))
    put('packs/00/a', b'')
    put('empty', b'')


def allowed_contents(events) -> dict[str, set]:
    """Return, for each key, the contents that a store may show after these events."""
    allowed: dict[str, set] = {}
    for event in events:
        if event.verb == 'mark':
            verb, key, content = event.mark
            if verb == 'is':
                allowed[key] = {content}
            else:
                allowed.setdefault(key, {None}).add(content)
    return allowed


@pytest.fixture(scope='module')
def record(tmp_path_factory):
    base = tmp_path_factory.mktemp('recorded')
    system = power_loss.RecordingOs(str(base))
    PosixStore.create_root(str(base), 'project/container', system=system)
    system.mark(('is', 'never/put', None))
    store = PosixStore(str(base / 'project/container'), system=system)
    work(store, system)
    store.close()
    return system.events


def content_of(store, key):
    try:
        return store.get(key)
    except errors.ObjectNotFound:
        return None


@pytest.mark.parametrize('share', SHARES)
def test_every_promise_holds_after_a_loss_at_any_instant(record, tmp_path, share):
    assert len(record) > 100
    made = next(index for index, event in enumerate(record) if event.verb == 'mark')
    rounds = 1 if share in (0.0, 1.0) else 3
    for end in range(len(record) + 1):
        for number in range(rounds):
            disk = tmp_path / f'{end}-{number}'
            disk.mkdir()
            power_loss.write_what_is_left(
                record[:end], str(disk), random.Random(end * 100 + number), share)
            root = disk / 'project/container'
            if end <= made and not root.exists():
                continue
            check_store(str(root), allowed_contents(record[:end]), f'event {end} of {len(record)}')


def check_store(root: str, allowed: dict[str, set], moment: str) -> None:
    store = PosixStore(root)
    for key, contents in allowed.items():
        assert content_of(store, key) in contents, (moment, key)
    for info in store.list(''):
        assert content_of(store, info.key) in allowed[info.key], (moment, info.key)
    # It works on: the same keys can be put again, and what was cut off is not in the way.
    store.put('packs/00/a', [b'again'])
    assert store.get('packs/00/a') == b'again', moment
    store.close()


def test_unfinished_files_are_removed_once_they_are_old(tmp_path):
    store = PosixStore(str(tmp_path))
    store.put('a', [b'x'])
    old, young = tmp_path / TMP / 'old', tmp_path / TMP / 'young'
    for path in (old, young):
        path.write_bytes(b'cut off')
    os.utime(old, (1, 1))
    PosixStore(str(tmp_path)).close()
    assert not old.exists()
    assert young.exists()
    assert [info.key for info in store.list('')] == ['a']


def test_an_old_file_that_is_still_being_written_stays(tmp_path):
    held = []

    class Slow:
        """``os``, but at the first sync the file looks old and another process opens the store."""

        def __getattr__(self, name):
            return getattr(os, name)

        def fsync(self, descriptor):
            names = os.listdir(tmp_path / TMP)
            if names and not held:
                os.utime(tmp_path / TMP / names[0], (1, 1))
                PosixStore(str(tmp_path)).close()
                held.append((tmp_path / TMP / names[0]).exists())
            os.fsync(descriptor)

    store = PosixStore(str(tmp_path), system=Slow())
    store.put('a', [b'x' * 100])
    assert held == [True]
    assert store.get('a') == b'x' * 100
