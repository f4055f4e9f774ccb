# SPDX-License-Identifier: Apache-2.0
"""Codecs of frames. A coder or decoder belongs to one thread: it keeps a context that is reused.
"""

from collections.abc import Callable
from typing import Any

RAW, ZSTD, LZ4 = 0, 1, 2

#: A frame that does not shrink to this share of its size is kept raw: reading it costs less.
WORTHWHILE = 0.95

CHOICES = ('zstd:1', 'zstd:3', 'lz4', 'none')


class Encoder:
    """Compresses frames as one of ``CHOICES`` says."""

    def __init__(self, choice: str):
        self._choice = choice
        self._compressor: tuple[int, Callable[[memoryview], bytes] | None] | None = None

    def encode(self, plain: memoryview) -> tuple[int, Any]:
        """Return (codec, encoded bytes); the bytes are ``plain`` itself where that is best."""
        if self._compressor is None:
            # Not before: an archive of what did not change does not even import one.
            self._compressor = _compressor(self._choice)
        codec, compress = self._compressor
        if compress is None:
            return RAW, plain
        encoded = compress(plain)
        if len(encoded) > len(plain) * WORTHWHILE:
            return RAW, plain
        return codec, encoded


class Decoder:
    """Decompresses frames of any codec."""

    def __init__(self) -> None:
        self._zstd: Callable[..., bytes] | None = None

    def decode(self, codec: int, encoded: memoryview, plain_bytes: int) -> memoryview:
        """Return the plain text.

        :raises ValueError: it cannot be decoded, or has not the promised length
        """
        if codec == RAW:
            plain = encoded
        elif codec == ZSTD:
            plain = memoryview(self._decode_zstd(encoded, plain_bytes))
        elif codec == LZ4:
            plain = memoryview(self._decode_lz4(encoded, plain_bytes))
        else:
            raise ValueError(f'unknown codec {codec}')
        if len(plain) != plain_bytes:
            raise ValueError(f'{len(plain)} bytes instead of {plain_bytes}')
        return plain

    def _decode_zstd(self, encoded: memoryview, plain_bytes: int) -> bytes:
        import zstandard
        if self._zstd is None:
            self._zstd = zstandard.ZstdDecompressor().decompress
        try:
            return self._zstd(encoded, max_output_size=plain_bytes)
        except zstandard.ZstdError as exc:
            raise ValueError(str(exc)) from exc

    def _decode_lz4(self, encoded: memoryview, plain_bytes: int) -> bytes:
        import lz4.block
        try:
            return lz4.block.decompress(encoded, uncompressed_size=plain_bytes)
        except lz4.block.LZ4BlockError as exc:
            raise ValueError(str(exc)) from exc


def _compressor(choice: str) -> tuple[int, Callable[[memoryview], bytes] | None]:
    name, _, level = choice.partition(':')
    if name == 'none':
        return RAW, None
    if name == 'lz4':
        import lz4.block
        return LZ4, lambda plain: lz4.block.compress(plain, store_size=False)
    if name == 'zstd':
        import zstandard
        return ZSTD, zstandard.ZstdCompressor(
            level=int(level), write_checksum=False, write_content_size=True).compress
    raise ValueError(f'unknown compression {choice}; known are {", ".join(CHOICES)}')
