# SPDX-License-Identifier: Apache-2.0
"""Codec of packs: frames, the trailer, and reading them back.

Bytes as in ``doc/source/contributor/repository-format.rst``, section Packs.
"""

import os
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from backupsvc.engine import errors
from backupsvc.engine.compression import Decoder
from backupsvc.engine.keys import TAG_BYTES, Keys
from backupsvc.engine.store import Buffer, Store

MAGIC = b'BSVCPAK1'
END_MAGIC = b'BSVCPKE1'
ID_BYTES = 32
PACK_ID_BYTES = 16
BLOCKS, PAGE = 0, 1
MAX_BLOBS = 255

HEAD_BYTES = len(MAGIC) + PACK_ID_BYTES
FOOT_BYTES = len(END_MAGIC) + 8 + PACK_ID_BYTES
_FRAME_HEAD = struct.Struct('<BBBxII')
FRAME_HEAD_BYTES = _FRAME_HEAD.size
_NONCE = struct.Struct('<QI')
_U64 = struct.Struct('<Q')
_U32 = struct.Struct('<I')
_FOOT = struct.Struct('<8sII16s')
_PLACE = struct.Struct('<16sII')

#: What a frame needs beyond its blobs, at most.
FRAME_OVERHEAD = FRAME_HEAD_BYTES + MAX_BLOBS * ID_BYTES + TAG_BYTES

#: An entry of a finished pack: 16 bytes of id, u32 offset of the frame, u32 frame bytes and
#: number.
ENTRY_BYTES = _PLACE.size


def pack_key(pack_id: bytes) -> str:
    """Return the store key of a pack."""
    name = pack_id.hex()
    return f'packs/{name[:2]}/{name}'


def pack_id_of(key: str) -> bytes:
    """Return the pack id of a store key.

    :raises ValueError: it is not the key of a pack
    """
    pack_id = bytes.fromhex(key.rpartition('/')[2])
    if len(pack_id) != PACK_ID_BYTES:
        raise ValueError(f'{key} is not the key of a pack')
    return pack_id


class PackBuilder:
    """One pack being filled in a buffer that the caller reuses for later ones. Of one thread.

    Its id, hence its key, is its own.
    """

    def __init__(self, keys: Keys, buffer: memoryview):
        self._view = buffer
        self.pack_id = os.urandom(PACK_ID_BYTES)
        self._aead = keys.pack(self.pack_id)
        self._view[:HEAD_BYTES] = MAGIC + self.pack_id
        self.length = HEAD_BYTES
        self.frame_count = 0
        self._entries: list[bytes] = []
        self._trailer: list[bytes] = []
        #: Bytes that the trailer would take now.
        self.trailer_bytes = TAG_BYTES + FOOT_BYTES

    @property
    def is_empty(self) -> bool:
        return self.frame_count == 0

    def append(self, kind: int, codec: int, ids: Sequence[bytes], encoded: Buffer,
               plain_bytes: int) -> None:
        """Seal a frame behind the others. The caller sees to it that the buffer has room."""
        offset = self.length
        sealed_bytes = len(encoded) + TAG_BYTES
        head = _FRAME_HEAD.pack(codec, kind, len(ids), plain_bytes, sealed_bytes) + b''.join(ids)
        start = offset + len(head)
        end = start + sealed_bytes
        self._view[offset:start] = head
        self._aead.encrypt_into(_NONCE.pack(offset, 0), encoded,
                                self.pack_id + _U64.pack(offset) + head, self._view[start:end])
        size = (end - offset) << 8
        self._entries += [_PLACE.pack(blob_id[:16], offset, size + number)
                          for number, blob_id in enumerate(ids)]
        self._trailer += (_U32.pack(offset), head)
        self.trailer_bytes += 4 + len(head)
        self.length = end
        self.frame_count += 1

    def finish(self) -> tuple[memoryview, bytes]:
        """Append the trailer; return (the bytes of the pack, its entries)."""
        offset = self.length
        plain = b''.join(self._trailer)
        end = offset + len(plain) + TAG_BYTES
        self._aead.encrypt_into(_NONCE.pack(offset, 1), plain,
                                self.pack_id + _U64.pack(offset) + b'trailer',
                                self._view[offset:end])
        self._view[end:end + FOOT_BYTES] = _FOOT.pack(
            END_MAGIC, len(plain) + TAG_BYTES, self.frame_count, self.pack_id)
        return self._view[:end + FOOT_BYTES], b''.join(self._entries)


class FrameInfo(NamedTuple):
    """A frame as the trailer lists it; ``size_bytes`` is head, ids, cipher text and tag."""

    offset: int
    size_bytes: int
    kind: int
    plain_bytes: int
    ids: tuple[bytes, ...]

    def entries(self) -> bytes:
        """Return the frame's index entries."""
        return b''.join(_PLACE.pack(blob_id[:16], self.offset, (self.size_bytes << 8) + number)
                        for number, blob_id in enumerate(self.ids))


class FrameReader:
    """Opens frames. Belongs to one thread; what it returns holds until its next call."""

    _MAX_CIPHERS = 64

    def __init__(self, keys: Keys, frame_bytes: int):
        self._keys = keys
        self._ciphers: dict[bytes, AESGCM] = {}
        self._decoder = Decoder()
        self._scratch = memoryview(bytearray(frame_bytes))

    def open(self, pack_id: bytes, offset: int,
             frame: memoryview) -> tuple[int, tuple[bytes, ...], memoryview]:
        """Return (kind, ids, plain text) of a whole frame; the ids are not checked yet.

        :raises Corrupt: the frame is not what was written at this place of this pack
        """
        try:
            codec, kind, count, plain_bytes, sealed_bytes = _FRAME_HEAD.unpack_from(frame)
            start = FRAME_HEAD_BYTES + count * ID_BYTES
            if len(frame) != start + sealed_bytes or sealed_bytes < TAG_BYTES:
                raise ValueError('wrong length')
            head = bytes(frame[:start])
            size = sealed_bytes - TAG_BYTES
            if size > len(self._scratch):
                self._scratch = memoryview(bytearray(size))
            self._cipher(pack_id).decrypt_into(
                _NONCE.pack(offset, 0), frame[start:], pack_id + _U64.pack(offset) + head,
                self._scratch[:size])
            plain = self._decoder.decode(codec, self._scratch[:size], plain_bytes)
        except (InvalidTag, ValueError, struct.error) as exc:
            raise _damaged(pack_id, f'the frame at {offset}', exc) from exc
        ids = tuple(head[at:at + ID_BYTES] for at in range(FRAME_HEAD_BYTES, start, ID_BYTES))
        return kind, ids, plain

    def _cipher(self, pack_id: bytes) -> AESGCM:
        cipher = self._ciphers.get(pack_id)
        if cipher is None:
            if len(self._ciphers) >= self._MAX_CIPHERS:
                self._ciphers.clear()
            cipher = self._ciphers[pack_id] = self._keys.pack(pack_id)
        return cipher


def read_trailer(store: Store, keys: Keys, pack_id: bytes, size_bytes: int) -> list[FrameInfo]:
    """Return the frames of a pack in a store, from its trailer.

    :param size_bytes: size of the object
    :raises Corrupt: the trailer is damaged
    :raises ObjectNotFound: the pack is not there
    """
    foot = _read(store, pack_id, size_bytes - FOOT_BYTES, FOOT_BYTES)
    size = min(size_bytes, _FOOT.unpack(foot)[1] + FOOT_BYTES)
    return parse_trailer(keys, pack_id, memoryview(_read(store, pack_id, size_bytes - size, size)),
                         size_bytes - size)


def parse_trailer(keys: Keys, pack_id: bytes, tail: memoryview, offset: int = 0,
                  ) -> list[FrameInfo]:
    """Return the frames that the trailer at the end of ``tail`` lists.

    :param tail: the end of a pack, or the whole of it
    :param offset: where in the pack ``tail`` begins
    :raises Corrupt: the trailer is damaged
    """
    if len(tail) < FOOT_BYTES:
        raise _damaged(pack_id, 'the end', 'the object is too short')
    magic, sealed_bytes, count, found_id = _FOOT.unpack(tail[-FOOT_BYTES:])
    start = len(tail) - FOOT_BYTES - sealed_bytes
    if magic != END_MAGIC or found_id != pack_id or start < 0:
        raise _damaged(pack_id, 'the end', 'it is not the end of this pack')
    try:
        plain = keys.pack(pack_id).decrypt(
            _NONCE.pack(offset + start, 1), bytes(tail[start:start + sealed_bytes]),
            pack_id + _U64.pack(offset + start) + b'trailer')
    except InvalidTag as exc:
        raise _damaged(pack_id, 'the trailer', exc) from exc
    frames = list(_parse_trailer(plain))
    if len(frames) != count:
        raise _damaged(pack_id, 'the trailer', f'{len(frames)} frames instead of {count}')
    return frames


def parse_frames(keys: Keys, pack_id: bytes, data: memoryview) -> Iterator[FrameInfo]:
    """Yield the frames that can be opened one behind the other from the start of a pack.

    For packs whose trailer is lost. What does not open is stepped over by the length that it
    claims, as far as that leads.
    """
    reader = FrameReader(keys, 1 << 18)
    offset = HEAD_BYTES
    while offset + FRAME_HEAD_BYTES <= len(data):
        _, _, count, plain_bytes, sealed_bytes = _FRAME_HEAD.unpack_from(data, offset)
        size = FRAME_HEAD_BYTES + count * ID_BYTES + sealed_bytes
        if not count or offset + size > len(data):
            return
        try:
            kind, ids, _ = reader.open(pack_id, offset, data[offset:offset + size])
        except errors.Corrupt:
            pass
        else:
            yield FrameInfo(offset, size, kind, plain_bytes, ids)
        offset += size


def _parse_trailer(plain: bytes) -> Iterator[FrameInfo]:
    at = 0
    while at < len(plain):
        offset, = _U32.unpack_from(plain, at)
        _, kind, count, plain_bytes, sealed_bytes = _FRAME_HEAD.unpack_from(plain, at + 4)
        start = at + 4 + FRAME_HEAD_BYTES
        at = start + count * ID_BYTES
        ids = tuple(plain[i:i + ID_BYTES] for i in range(start, at, ID_BYTES))
        yield FrameInfo(offset, FRAME_HEAD_BYTES + count * ID_BYTES + sealed_bytes, kind,
                        plain_bytes, ids)


def _read(store: Store, pack_id: bytes, offset: int, length: int) -> bytearray:
    buffer = bytearray(max(0, length))
    if offset < 0 or store.read_into(pack_key(pack_id), offset, memoryview(buffer)) != length:
        raise _damaged(pack_id, f'{length} bytes at {offset}', 'the object is too short')
    return buffer


def _damaged(pack_id: bytes, what: str, why: object) -> errors.Corrupt:
    key = pack_key(pack_id)
    reason = str(why) or 'the authentication fails'
    return errors.Corrupt(f'object {key}: {what} is damaged ({reason})', key)
