# SPDX-License-Identifier: Apache-2.0
"""Sealed JSON objects: manifests, sessions, condemned lists; each bound to its store key."""

import json
import os
from typing import Any

from cryptography.exceptions import InvalidTag

from backupsvc.engine import errors
from backupsvc.engine.keys import Keys
from backupsvc.engine.store import Store

MAGIC = b'BSVCDOC1'
_NONCE_BYTES = 12
_HEAD_BYTES = len(MAGIC) + _NONCE_BYTES


def seal(keys: Keys, key: str, content: dict[str, Any]) -> bytes:
    """Return ``content`` sealed for the store key ``key``."""
    nonce = os.urandom(_NONCE_BYTES)
    plain = json.dumps(content, sort_keys=True, separators=(',', ':')).encode()
    return MAGIC + nonce + keys.document(key).encrypt(nonce, plain, MAGIC + key.encode())


def unseal(keys: Keys, key: str, sealed: bytes) -> dict[str, Any]:
    """Return the content of a document.

    :raises Corrupt: these are not the bytes that were sealed for this key
    """
    if len(sealed) < _HEAD_BYTES or sealed[:len(MAGIC)] != MAGIC:
        raise errors.Corrupt(f'object {key} is not a document of this repository', key)
    try:
        plain = keys.document(key).decrypt(sealed[len(MAGIC):_HEAD_BYTES], sealed[_HEAD_BYTES:],
                                           MAGIC + key.encode())
    except InvalidTag:
        raise errors.Corrupt(f'object {key} is damaged or belongs elsewhere', key) from None
    return json.loads(plain)


def put(store: Store, keys: Keys, key: str, content: dict[str, Any], *,
        if_absent: bool = False) -> None:
    """Seal and store a document."""
    store.put(key, [seal(keys, key, content)], if_absent=if_absent)


def get(store: Store, keys: Keys, key: str) -> dict[str, Any]:
    """Return a stored document.

    :raises ObjectNotFound: it is not there
    :raises Corrupt: it is damaged
    """
    return unseal(keys, key, store.get(key))
