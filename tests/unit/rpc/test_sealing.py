# SPDX-License-Identifier: Apache-2.0
"""Sealed arguments: for one reader, for one call, once."""

import base64

import pytest

from backupsvc import exception
from backupsvc.rpc import sealing

ARGUMENTS = {'name': 'bob', 'password_hash': '*0123', 'databases': ['a', 'ключ']}
LABEL = sealing.label('id', 'create_users')


@pytest.fixture
def keys():
    return sealing.Keys()


def test_what_was_sealed_is_opened(keys):
    sealed = sealing.seal(keys.make(), LABEL, ARGUMENTS)
    assert all(word.encode() not in base64.b64decode(text) for text in sealed.values()
               for word in ('bob', '*0123', 'password'))
    assert keys.open(sealed, LABEL) == ARGUMENTS


def test_a_key_is_used_once(keys):
    key = keys.make()
    sealed = sealing.seal(key, LABEL, ARGUMENTS)
    again = sealing.seal(key, LABEL, ARGUMENTS)
    keys.open(sealed, LABEL)
    for late in (sealed, again):
        with pytest.raises(exception.Unavailable):
            keys.open(late, LABEL)


def test_nobody_else_opens_it(keys):
    other = sealing.Keys()
    other.make()
    sealed = sealing.seal(keys.make(), LABEL, ARGUMENTS)
    with pytest.raises(exception.Unavailable):
        other.open(sealed, LABEL)


@pytest.mark.parametrize(
    'change', [{'text': 'AAAA'}, {'sender': 'AAAA'}, {'sender': None}, {'text': '%'},
               {'sender': base64.b64encode(bytes(32)).decode()}])
def test_what_was_changed_is_refused(keys, change):
    sealed = {**sealing.seal(keys.make(), LABEL, ARGUMENTS), **change}
    with pytest.raises(exception.Unavailable):
        keys.open(sealed, LABEL)


def test_it_opens_for_what_it_was_sealed_for(keys):
    sealed = sealing.seal(keys.make(), LABEL, ARGUMENTS)
    with pytest.raises(exception.Unavailable):
        keys.open(sealed, sealing.label('id', 'enable_root'))


@pytest.mark.parametrize('key', [None, '', 'AAAA', '%', base64.b64encode(bytes(32)).decode()])
def test_what_is_no_key_seals_nothing(key):
    with pytest.raises(exception.Unavailable):
        sealing.seal(key, LABEL, ARGUMENTS)


def test_keys_that_nobody_uses_go_away(keys, monkeypatch):
    first = keys.make()
    monkeypatch.setattr(sealing, '_LIMIT', 10)
    for _ in range(20):
        last = keys.make()
    with pytest.raises(exception.Unavailable):
        keys.open(sealing.seal(first, LABEL, ARGUMENTS), LABEL)
    assert keys.open(sealing.seal(last, LABEL, ARGUMENTS), LABEL) == ARGUMENTS
    monkeypatch.setattr(sealing, 'LIFE_S', -1.0)
    with pytest.raises(exception.Unavailable):
        keys.open(sealing.seal(keys.make(), LABEL, ARGUMENTS), LABEL)
