# SPDX-License-Identifier: Apache-2.0
"""Keys of a repository: how the master key is wrapped, and what is derived from it.

Rules in ``doc/source/contributor/repository-format.rst``, section Keys.
"""

from typing import Protocol

from blake3 import blake3
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
TAG_BYTES = 16
_CONTEXT = 'backupsvc repository v1 '


class KeyWrapper(Protocol):
    """Keeps the wrapping key: a key file, or a key manager."""

    def wrap(self, key: bytes, context: bytes) -> tuple[str, bytes]:
        """Return (reference of the wrapping key, wrapped bytes); ``context`` is authenticated."""

    def unwrap(self, reference: str, wrapped: bytes, context: bytes) -> bytes:
        """Return the key.

        :raises WrongKey: the wrapping key is not there or does not open these bytes
        """


class Keys:
    """What is derived from one master key."""

    __slots__ = ('_document', '_index', '_pack', 'block_id', 'config', 'page_id')

    def __init__(self, master: bytes):
        self.block_id = _derive(master, 'block id')
        self.page_id = _derive(master, 'page id')
        self.config = _derive(master, 'config')
        self._pack = _derive(master, 'pack')
        self._index = _derive(master, 'index')
        self._document = _derive(master, 'document')

    def pack(self, pack_id: bytes) -> AESGCM:
        """Return the cipher of a pack."""
        return AESGCM(blake3(pack_id, key=self._pack).digest())

    def index(self, segment_id: bytes) -> AESGCM:
        """Return the cipher of an index segment."""
        return AESGCM(blake3(segment_id, key=self._index).digest())

    def document(self, store_key: str) -> AESGCM:
        """Return the cipher of a document."""
        return AESGCM(blake3(store_key.encode(), key=self._document).digest())


def _derive(master: bytes, purpose: str) -> bytes:
    return blake3(master, derive_key_context=_CONTEXT + purpose).digest()
