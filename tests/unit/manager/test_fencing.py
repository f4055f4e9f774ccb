# SPDX-License-Identifier: Apache-2.0
"""Without a lease nothing is changed; reading goes on."""

import pytest

from backupsvc.engine.source import RawFileTarget, Target
from backupsvc.engine.store import Store, Upload
from backupsvc.engine.stores.memory import MemoryStore
from backupsvc.manager import fencing


@pytest.fixture
def lease():
    return fencing.Lease(fencing.now() + 3600)


def run_out(lease):
    lease.extend(fencing.now())


def test_a_store_is_read_only_without_the_lease(lease):
    inner = MemoryStore()
    store = fencing.FencedStore(inner, lease)
    store.put('a', [b'1'])
    upload = store.upload('b')
    upload.write(0, b'2')
    run_out(lease)
    for change in (lambda: store.put('a', [b'3']), lambda: store.delete('a'),
                   lambda: store.delete_many(['a']), lambda: store.upload('c'),
                   lambda: upload.write(1, b'4'), upload.commit, upload.abort):
        with pytest.raises(fencing.LeaseRanOut):
            change()
    assert store.get('a') == b'1'
    assert [info.key for info in store.list('')] == ['a']
    lease.extend(fencing.now() + 3600)
    upload.commit()
    store.delete('a')
    assert [info.key for info in inner.list('')] == ['b']


def test_a_target_is_read_only_without_the_lease(lease, tmp_path):
    target = fencing.FencedTarget(RawFileTarget(str(tmp_path / 'disk'), 100), lease)
    target.reserve(0, 100)
    target.write(0, memoryview(b'12'))
    run_out(lease)
    for change in (lambda: target.write(0, memoryview(b'34')), lambda: target.zero(0, 100),
                   lambda: target.reserve(0, 100)):
        with pytest.raises(fencing.LeaseRanOut):
            change()
    found = bytearray(2)
    target.read_into(0, memoryview(found))
    assert found == b'12'
    assert target.size_bytes == 100
    target.close()


@pytest.mark.parametrize(('port', 'fenced'), [
    pytest.param(Store, fencing.FencedStore, id='store'),
    pytest.param(Target, fencing.FencedTarget, id='target'),
    pytest.param(Upload, fencing._FencedUpload, id='upload')])
def test_every_verb_of_the_ports_is_passed_on(port, fenced):
    verbs = {name for name, value in vars(port).items()
             if not name.startswith('_') and (callable(value) or isinstance(value, property))}
    assert verbs <= set(vars(fenced))
