# SPDX-License-Identifier: Apache-2.0
"""Arguments that nobody on the message bus may read: sealed for the one process that opens them.

The reader makes a pair of keys for each call and tells the public one; the sealed text goes to it
and can be opened once, within a minute. (X25519, HKDF-SHA256, ChaCha20-Poly1305.) What the broker
sees, keeps or logs is worth nothing afterwards, not even with the memory of the reader.

Who may write to the bus can put a key of his own in the place of the reader's, or call the readers
himself: against that there are the broker's accounts, and TLS.
"""

import base64
import json
import threading
import time
from collections.abc import Mapping
from typing import Any

from cryptography import exceptions
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from backupsvc import exception

#: Seconds in which a key can be used, and how many wait for their text at most.
LIFE_S = 60.0
_LIMIT = 1000

#: A key is used for one text, so its nonce may be the same for all.
_NONCE = bytes(12)


def _raw(key: X25519PublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def _cipher(shared: bytes, sender: bytes, reader: bytes) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(HKDF(
        hashes.SHA256(), 32, salt=None, info=b'backupsvc sealed arguments' + sender + reader,
    ).derive(shared))


def label(*words: str) -> str:
    """Return the label of what some words say together."""
    return json.dumps(words)


def seal(key: str, label: str, arguments: Mapping[str, Any]) -> dict[str, str]:
    """Return plain values as only the maker of a key can read them.

    :param key: from ``Keys.make``
    :param label: what the call is about; it opens under the same one only
    :raises Unavailable: the key is none
    """
    try:
        reader = base64.b64decode(key, validate=True)
        mine = X25519PrivateKey.generate()
        shared = mine.exchange(X25519PublicKey.from_public_bytes(reader))
    except (ValueError, TypeError):
        raise exception.Unavailable('The manager sent no key.') from None
    sender = _raw(mine.public_key())
    text = _cipher(shared, sender, reader).encrypt(
        _NONCE, json.dumps(dict(arguments)).encode(), label.encode())
    return {'reader': key, 'sender': base64.b64encode(sender).decode(),
            'text': base64.b64encode(text).decode()}


class Keys:
    """The keys of one reader, each for one text. Usable by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, tuple[float, X25519PrivateKey]] = {}

    def make(self) -> str:
        """Return a new public key."""
        made = X25519PrivateKey.generate()
        name = base64.b64encode(_raw(made.public_key())).decode()
        now = time.monotonic()
        with self._lock:
            # in the order of their making: the oldest come first
            for old in [each for each, (ends_at, _) in self._waiting.items() if ends_at < now]:
                del self._waiting[old]
            while len(self._waiting) >= _LIMIT:
                del self._waiting[next(iter(self._waiting))]
            self._waiting[name] = (now + LIFE_S, made)
        return name

    def open(self, sealed: Mapping[str, str], label: str) -> dict[str, Any]:
        """Return what ``seal`` was given, once.

        :raises Unavailable: it was sealed for a reader of before, too long ago, opened already, or
            is about something else
        """
        with self._lock:
            ends_at, mine = self._waiting.pop(sealed.get('reader', ''), (0.0, None))
        if mine is None or ends_at < time.monotonic():
            raise exception.Unavailable('The manager has not got the key (any more); try again.')
        try:
            sender = base64.b64decode(sealed['sender'], validate=True)
            shared = mine.exchange(X25519PublicKey.from_public_bytes(sender))
            text = _cipher(shared, sender, base64.b64decode(sealed['reader'])).decrypt(
                _NONCE, base64.b64decode(sealed['text'], validate=True), label.encode())
        except (KeyError, ValueError, TypeError, exceptions.InvalidTag):
            raise exception.Unavailable('The message was not sealed for this call.') from None
        found: dict[str, Any] = json.loads(text)
        return found
