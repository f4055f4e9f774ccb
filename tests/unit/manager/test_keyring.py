# SPDX-License-Identifier: Apache-2.0
"""Keys that wrap master keys: the key file, a key manager, and the change between them."""

import concurrent.futures
import json
import os
import stat

import pytest
from castellan.common.objects import symmetric_key
from castellan.tests.unit.key_manager import mock_key_manager
from oslo_config import cfg

from backupsvc import conf as service_conf
from backupsvc import context as request_context
from backupsvc import exception
from backupsvc.engine import errors
from backupsvc.manager import keyring
from backupsvc.manager.keyring import FileKeyring, ManagedKey

MASTER = bytes(range(32))


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'keys' / 'keyring.json'


@pytest.fixture
def ring(path):
    return FileKeyring(str(path), create=True)


def test_a_new_file_is_for_its_owner_alone(ring, path):
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert os.listdir(path.parent) == ['keyring.json']
    assert list(json.loads(path.read_text())) == ['current', 'keys']


def test_what_one_process_wraps_another_unwraps(ring, path):
    reference, wrapped = ring.wrap(MASTER, b'repository 1')
    assert MASTER not in wrapped
    assert FileKeyring(str(path)).unwrap(reference, wrapped, b'repository 1') == MASTER
    assert ring.wrap(MASTER, b'repository 1')[1] != wrapped


def test_what_was_wrapped_opens_only_whole_and_in_its_place(ring):
    reference, wrapped = ring.wrap(MASTER, b'repository 1')
    with pytest.raises(errors.WrongKey):
        ring.unwrap(reference, wrapped, b'repository 2')
    with pytest.raises(errors.WrongKey):
        ring.unwrap('file:unknown', wrapped, b'repository 1')
    for index in range(len(wrapped)):
        damaged = bytearray(wrapped)
        damaged[index] ^= 1
        with pytest.raises(errors.WrongKey):
            ring.unwrap(reference, bytes(damaged), b'repository 1')
    for size in (0, 5, 12, len(wrapped) - 1):
        with pytest.raises(errors.WrongKey):
            ring.unwrap(reference, wrapped[:size], b'repository 1')


def test_another_file_is_another_key(ring, tmp_path):
    reference, wrapped = ring.wrap(MASTER, b'')
    other = FileKeyring(str(tmp_path / 'other.json'), create=True)
    with pytest.raises(errors.WrongKey, match='holds no key'):
        other.unwrap(reference, wrapped, b'')


def test_rotation(ring, path):
    old, wrapped = ring.wrap(MASTER, b'')
    new = ring.rotate()
    assert new != old
    again = FileKeyring(str(path))
    assert again.current == new
    assert again.references == tuple(sorted([old, new]))
    assert again.unwrap(old, wrapped, b'') == MASTER
    assert again.wrap(MASTER, b'')[0] == new
    with pytest.raises(exception.Invalid, match='rotate first'):
        again.forget(new)
    again.forget(old)
    with pytest.raises(errors.WrongKey):
        FileKeyring(str(path)).unwrap(old, wrapped, b'')
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(path.parent) == ['keyring.json']


def test_processes_that_start_at_once_use_one_key(path):
    def open_and_wrap(_index: int) -> tuple[str, bytes]:
        return FileKeyring(str(path), create=True).wrap(MASTER, b'')

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        wrapped = list(pool.map(open_and_wrap, range(16)))
    ring = FileKeyring(str(path))
    assert all(ring.unwrap(*pair, b'') == MASTER for pair in wrapped)
    assert os.listdir(path.parent) == ['keyring.json']


def test_rotations_at_once_lose_no_key(ring, path):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: FileKeyring(str(path)).rotate(), range(8)))
    assert set(made) < set(FileKeyring(str(path)).references)


@pytest.mark.parametrize('mode', [0o640, 0o604, 0o660])
def test_a_file_that_others_may_read_is_refused(ring, path, mode):
    path.chmod(mode)
    with pytest.raises(exception.DriverFailed, match='chmod it to 0600'):
        FileKeyring(str(path))


@pytest.mark.parametrize('content', [
    '', '{}', '[]', 'null', '{"current": "a", "keys": []}', '{"current": "a", "keys": {}}',
    '{"current": "a", "keys": {"a": "short"}}', '{"current": "a", "keys": {"a": 5}}',
    '{"current": "a", "keys": {"a": "!!!!"}}', '\0\1\2',
])
def test_a_file_of_another_form_is_refused(path, content):
    path.parent.mkdir()
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(exception.DriverFailed, match='is not a keyring'):
        FileKeyring(str(path), create=True)
    assert path.read_text() == content


def test_a_file_that_is_not_there(path):
    with pytest.raises(exception.DriverFailed, match='cannot read the key file'):
        FileKeyring(str(path))
    assert not path.exists()


@pytest.fixture
def manager():
    """castellan's own key manager in memory."""
    return mock_key_manager.MockKeyManager(cfg.ConfigOpts())


def store_key(manager, size: int = 32) -> str:
    key = symmetric_key.SymmetricKey('AES', size * 8, os.urandom(size))
    return manager.store(request_context.get_admin_context(), key)


def test_a_managed_key(manager):
    context = request_context.get_admin_context()
    old, new = store_key(manager), store_key(manager)
    reference, wrapped = ManagedKey(manager, context, old).wrap(MASTER, b'r')
    assert reference == f'castellan:{old}'
    later = ManagedKey(manager, context, new)
    assert later.unwrap(reference, wrapped, b'r') == MASTER
    assert later.wrap(MASTER, b'r')[0] == f'castellan:{new}'
    with pytest.raises(errors.WrongKey):
        later.unwrap(f'castellan:{new}', wrapped, b'r')
    manager.delete(context, old)
    with pytest.raises(errors.WrongKey):
        later.unwrap(reference, wrapped, b'r')


def test_a_managed_key_that_cannot_be_used(manager):
    context = request_context.get_admin_context()
    with pytest.raises(exception.DriverFailed, match='not a symmetric key of 256 bits'):
        ManagedKey(manager, context, store_key(manager, 16)).wrap(MASTER, b'')
    with pytest.raises(exception.DriverFailed, match='key_id is not set'):
        ManagedKey(manager, context, None).wrap(MASTER, b'')
    with pytest.raises(exception.DriverFailed, match='does not give key'):
        # No context is what castellan calls forbidden.
        ManagedKey(manager, None, store_key(manager)).wrap(MASTER, b'')


def test_rotation_of_a_managed_key(manager):
    context = request_context.get_admin_context()
    ring = ManagedKey(manager, context, store_key(manager))
    old, wrapped = ring.wrap(MASTER, b'r')
    assert ring.current == old
    new = ring.rotate()
    assert ring.current == new != old
    assert len(manager.get(context, new.removeprefix('castellan:')).get_encoded()) == 32
    assert ring.wrap(MASTER, b'r')[0] == new
    assert ring.unwrap(old, wrapped, b'r') == MASTER
    with pytest.raises(exception.Invalid, match='rotate first'):
        ring.forget(new)
    ring.forget(old)
    with pytest.raises(errors.WrongKey):
        ring.unwrap(old, wrapped, b'r')
    with pytest.raises(exception.DriverFailed, match='does not make a key'):
        ManagedKey(manager, None, None).rotate()


@pytest.fixture
def configure(tmp_path):
    """Return the wrapper of a configuration, as a manager gets it."""
    def get_wrapper(**options) -> keyring.Keyring:
        conf = service_conf.new_config()
        conf([], project='backupsvc', default_config_dirs=[], default_config_files=[])
        conf.set_override('state_path', str(tmp_path))
        for name, value in options.items():
            conf.set_override(name, value, 'keys')
        service_conf.install(conf)
        return keyring.get_wrapper(request_context.get_admin_context())
    return get_wrapper


def test_the_default_is_a_file_in_the_state_directory(configure, tmp_path):
    reference, wrapped = configure().wrap(MASTER, b'r')
    assert (tmp_path / 'keys/keyring.json').exists()
    assert configure().unwrap(reference, wrapped, b'r') == MASTER


def test_the_provider_can_be_changed(configure, manager, monkeypatch, tmp_path):
    monkeypatch.setattr('castellan.key_manager.API', lambda configuration: manager)
    key_id = store_key(manager)
    from_file = configure().wrap(MASTER, b'r')
    ring = configure(provider='castellan', key_id=key_id)
    from_manager = ring.wrap(MASTER, b'r')
    assert from_manager[0] == f'castellan:{key_id}'
    assert ring.unwrap(*from_file, b'r') == MASTER
    assert configure(provider='file', key_id=key_id).unwrap(*from_manager, b'r') == MASTER
    with pytest.raises(errors.WrongKey, match='no configured key provider'):
        configure().unwrap(*from_manager, b'r')
    (tmp_path / 'keys/keyring.json').unlink()
    with pytest.raises(errors.WrongKey, match='no configured key provider'):
        configure(provider='castellan', key_id=key_id).unwrap(*from_file, b'r')
    assert not (tmp_path / 'keys/keyring.json').exists()
