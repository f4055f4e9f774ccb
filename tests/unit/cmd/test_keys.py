# SPDX-License-Identifier: Apache-2.0
"""``backupsvc-manage keys``: rotation by a key file and by a key manager."""

import contextlib
import json
import os
import pathlib

import pytest
from castellan.common.objects import symmetric_key
from castellan.tests.unit.key_manager import mock_key_manager
from oslo_config import cfg

from backupsvc import conf as service_conf
from backupsvc import context, objects
from backupsvc.cmd import manage
from backupsvc.engine.source import RawFileSource, RawFileTarget
from backupsvc.manager import repositories
from backupsvc.objects.repository import Repository
from tests.fixtures import database as databases
from tests.fixtures import deployment

CONTAINERS = ('one', 'two')


class Place:
    """A deployment with two repositories that hold a backup each."""

    def __init__(self, config_file, directory, capsys):
        self.config_file = config_file
        self.admin = context.get_admin_context()
        self._directory = directory
        self._capsys = capsys
        self._data = os.urandom(200_000)
        (directory / 'source').write_bytes(self._data)

    def fill(self):
        for container in CONTAINERS:
            Repository.get_or_create(self.admin, 'posix', deployment.PROJECT, container)
            with self.opened(container, create=True) as repository, contextlib.closing(
                    RawFileSource(str(self._directory / 'source'))) as source:
                repository.archive(source, 'backup')

    def opened(self, container, create=False):
        return contextlib.closing(repositories.open_repository(
            self.admin, deployment.PROJECT, container, driver='posix', create=create))

    def run(self, *words):
        """Run a command; return (status, what it printed, what it complained of)."""
        status = manage.main(['--config-file', self.config_file, 'keys', *words])
        output = self._capsys.readouterr()
        return status, output.out, output.err

    def keys(self):
        """Return the current key, and that of each repository."""
        status, out, _ = self.run('list', '--json')
        assert status == 0
        found = json.loads(out)
        return found['current'], [row['key'] for row in found['repositories']]

    def assert_restorable(self):
        for container in CONTAINERS:
            path = self._directory / 'restored'
            path.write_bytes(b'')
            with self.opened(container) as repository:
                target = RawFileTarget(str(path), len(self._data))
                repository.restore('backup', target)
                target.close()
            assert path.read_bytes() == self._data


@pytest.fixture
def make_place(tmp_path, capsys):
    """Return what makes the place of a test, with lines for its configuration file."""
    with contextlib.ExitStack() as stack:
        def make(extra=''):
            path = deployment.write_config(tmp_path, extra=extra)
            databases.copy_template(tmp_path / 'backupsvc.sqlite')
            objects.register_all()
            stack.enter_context(deployment.deployed(path))
            place = Place(path, tmp_path, capsys)
            place.fill()
            return place
        yield make


def test_rotation_of_a_key_file(make_place):
    place = make_place()
    old, wrapping = place.keys()
    assert wrapping == [old, old]
    status, out, _ = place.run('rotate')
    assert (status, '2 rewrapped' in out, 'copy the key file' in out) == (0, True, True)
    new, wrapping = place.keys()
    assert new != old
    assert wrapping == [new, new]
    assert place.run('remove', old)[0] == 0
    place.assert_restorable()
    assert old not in pathlib.Path(service_conf.current()['keys'].file).read_text()


def test_key_that_wraps_something_is_not_removed(make_place):
    place = make_place()
    old, _ = place.keys()
    place.run('rotate')
    with place.opened('two') as repository:
        class Old:
            def wrap(self, key, context):
                from backupsvc.manager import keyring
                ring = keyring.FileKeyring(service_conf.current()['keys'].file)
                return old, keyring.seal(ring._keys[old], key, context)
        repository.rewrap(Old())
    status, _, complaint = place.run('remove', old)
    assert status == 1
    assert 'two' in complaint
    assert place.run('rewrap')[:2] == (0, f'{place.keys()[0]}: 1 rewrapped, 1 right already, '
                                          '0 gone\n')
    assert place.run('remove', old)[0] == 0
    place.assert_restorable()


def test_current_and_unknown_keys_are_not_removed(make_place):
    place = make_place()
    place.run('rotate')
    current, _ = place.keys()
    status, _, complaint = place.run('remove', 'vault:x')
    assert (status, 'no configured key provider' in complaint) == (1, True)
    status, _, complaint = place.run('remove', current)
    assert (status, current in complaint) == (1, True)
    place.assert_restorable()


def test_repository_that_cannot_be_opened_is_told_and_the_others_are_rewrapped(
        make_place, tmp_path):
    place = make_place()
    old, _ = place.keys()
    damaged = next((tmp_path / 'repositories').rglob('one/config'))
    content = damaged.read_bytes()
    damaged.chmod(0o600)
    damaged.write_bytes(b'{')
    status, out, complaint = place.run('rotate')
    assert (status, '1 rewrapped' in out) == (1, True)
    assert 'one: ' in complaint
    assert place.run('remove', old)[0] == 1  # nobody knows whether it is needed
    damaged.write_bytes(content)
    assert place.run('rewrap')[0] == 0
    assert place.run('remove', old)[0] == 0
    place.assert_restorable()


def test_repository_that_is_gone_needs_no_key(make_place):
    place = make_place()
    Repository.get_or_create(place.admin, 'posix', deployment.PROJECT, 'three')
    old, _ = place.keys()
    assert place.run('rotate')[0] == 0
    assert place.keys()[1][2] is None
    assert place.run('remove', old)[0] == 0
    place.assert_restorable()


@pytest.fixture
def key_manager(monkeypatch):
    """castellan's own key manager in memory, wherever one is asked for."""
    made = mock_key_manager.MockKeyManager(cfg.ConfigOpts())
    monkeypatch.setattr('castellan.key_manager.API', lambda configuration: made)
    return made


def test_rotation_of_a_managed_key(make_place, key_manager):
    first = key_manager.store(context.get_admin_context(),
                              symmetric_key.SymmetricKey('AES', 256, os.urandom(32)))
    place = make_place(f'\n[keys]\nprovider = castellan\nkey_id = {first}\n')
    old = f'castellan:{first}'
    assert place.keys() == (old, [old, old])

    status, out, _ = place.run('rotate')
    assert status == 0
    new = out.split()[0]
    assert f'set [keys] key_id = {new.removeprefix("castellan:")}' in out
    # Not configured yet: it opens what it wraps all the same.
    assert place.keys() == (old, [new, new])
    place.assert_restorable()

    with open(place.config_file) as file:
        text = file.read().replace(first, new.removeprefix('castellan:'))
    with open(place.config_file, 'w') as file:
        file.write(text)
    assert place.keys() == (new, [new, new])
    assert place.run('remove', old)[0] == 0
    assert first not in key_manager.keys
    place.assert_restorable()


def test_change_of_the_provider(make_place, key_manager):
    place = make_place()
    old, _ = place.keys()
    key_id = key_manager.store(context.get_admin_context(),
                               symmetric_key.SymmetricKey('AES', 256, os.urandom(32)))
    with open(place.config_file, 'a') as file:
        file.write(f'\n[keys]\nprovider = castellan\nkey_id = {key_id}\n')
    assert place.run('rewrap')[0] == 0
    assert place.keys() == (f'castellan:{key_id}', [f'castellan:{key_id}'] * 2)
    os.unlink(service_conf.current()['keys'].file)
    assert old.startswith('file:')
    place.assert_restorable()
