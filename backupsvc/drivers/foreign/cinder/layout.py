# SPDX-License-Identifier: Apache-2.0
"""How cinder-backup's chunked drivers lay a backup out; version 1.0.0, the only one there is.

A backup is objects of one container whose names begin with its *prefix*, the ``service_metadata``
of its record (``volume_<volume>_<time>_backup_<id>`` in directories,
``volume_<volume>/<time>/az_<zone>_backup_<id>`` in Swift):

* ``<prefix>-00001`` …: chunks. Each is a range of the volume, compressed by itself or not;
* ``<prefix>_metadata``: JSON. ``objects`` lists the chunks, each as ``{name: {"offset", "length",
  "compression", "md5"}}``, lengths and sums of the plain bytes; ``parent_id``; ``volume_meta`` is
  JSON in a string;
* ``<prefix>_sha256file``: JSON. ``chunk_size`` is the size of a block, ``sha256s`` the sum of each
  block of the whole volume, also of those that this backup does not hold itself.

A full backup has chunks over the whole volume. An incremental one has those ranges that differ
from its parent, in whole blocks, so the volume is the newest chunk over every byte of it. The
record names the parent by id only.
"""

import bz2
import dataclasses
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, cast

from backupsvc.engine import errors

VERSION = '1.0.0'

#: Bytes of an object that are fetched, or made of it, at a time.
PIECE = 1 << 20

#: More than this of JSON is no list of chunks: some 100 bytes stand for each.
_METADATA_LIMIT = 256 << 20

#: A chunk's name behind the prefix of its backup.
_NUMBER = re.compile(r'-[0-9]{5,}')

_PLAIN = ('none', 'off', 'no')
_ZLIB = ('zlib', 'gzip')  # both are zlib's own format
_BZ2 = ('bz2', 'bzip2')


class Reader(Protocol):
    """An open object; reads fewer bytes than asked for only at its end."""

    def read(self, size: int, /) -> bytes: ...


@dataclasses.dataclass(frozen=True, slots=True)
class Layer:
    """Where one backup of a chain lies."""

    backup_id: str
    container: str
    prefix: str

    @property
    def metadata_name(self) -> str:
        return f'{self.prefix}_metadata'

    @property
    def sums_name(self) -> str:
        return f'{self.prefix}_sha256file'


@dataclasses.dataclass(frozen=True, slots=True)
class Chunk:
    """A range of the volume, and the object that holds it."""

    container: str
    name: str
    offset: int
    length: int
    compression: str

    @property
    def end(self) -> int:
        return self.offset + self.length


@dataclasses.dataclass(frozen=True, slots=True)
class Metadata:
    """What a backup says of itself; ``volume`` is what it kept of its source."""

    chunks: list[Chunk]
    parent_id: str | None
    volume: dict[str, Any]


def unreadable(name: str, reason: str) -> errors.Corrupt:
    """Return the error for an object that is not what this module describes."""
    return errors.Corrupt(f'object {name}: {reason}', name)


def read_metadata(reader: Reader, layer: Layer) -> Metadata:
    """Parse the metadata of a backup.

    :raises Corrupt: it is none, or of a version that is not known
    """
    name = layer.metadata_name
    text = reader.read(_METADATA_LIMIT)
    try:
        values = json.loads(text)
        version = values['version']
        if version != VERSION:
            raise unreadable(name, f'version {version!r} of the format is not known')
        if values.get('backup_id', layer.backup_id) != layer.backup_id:
            raise unreadable(name, f'it is of backup {values["backup_id"]!r}')
        chunks = [_chunk(layer, *entry) for each in values['objects'] for entry in each.items()]
        return Metadata(chunks, values.get('parent_id') or None,
                        _volume(values.get('volume_meta')))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise unreadable(name, f'it is no metadata of a backup ({error!r})') from error


def _chunk(layer: Layer, name: str, values: Mapping[str, Any]) -> Chunk:
    # The name comes from the store, where others may write: it must not lead out of it.
    if not name.startswith(layer.prefix) or not _NUMBER.fullmatch(name[len(layer.prefix):]):
        raise ValueError(f'chunk {name!r}')
    chunk = Chunk(layer.container, name, int(values['offset']), int(values['length']),
                  str(values['compression']).lower())
    if chunk.offset < 0 or chunk.length <= 0:
        raise ValueError(f'range of chunk {name}')
    return chunk


def _volume(text: Any) -> dict[str, Any]:
    """Return what ``volume_meta`` tells of the source, as a restore carries it over."""
    values = json.loads(text) if text else {}
    base = values.get('volume-base-metadata') or {}
    image = values.get('volume-glance-metadata') or {}
    return {
        'name': base.get('display_name'),
        'description': base.get('display_description'),
        'metadata': _texts(values.get('volume-metadata') or {}),
        'image_metadata': _texts(image),
        'bootable': bool(base.get('bootable')) or bool(image),
    }


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {str(key): str(value) for key, value in values.items()}


def plain_pieces(reader: Reader, chunk: Chunk) -> Iterator[bytes]:
    """Yield the plain bytes of a chunk in pieces of at most ``PIECE``, whatever its size.

    :raises Corrupt: it cannot be decompressed, or has another length than was written down
    """
    done = 0
    try:
        for piece in _decompress(reader, chunk):
            done += len(piece)
            if done > chunk.length:
                raise unreadable(chunk.name, f'more than the {chunk.length} bytes that it should '
                                             'have')
            yield piece
    except (zlib.error, OSError, EOFError, ValueError) as error:
        raise unreadable(chunk.name, f'it is no {chunk.compression} data ({error})') from error
    if done != chunk.length:
        raise unreadable(chunk.name, f'it ends after {done} of {chunk.length} bytes')


def _decompress(reader: Reader, chunk: Chunk) -> Iterator[bytes]:
    if chunk.compression in _PLAIN:
        return _fetch(reader)
    if chunk.compression in _ZLIB:
        return _inflate(reader)
    if chunk.compression in _BZ2:
        return _bunzip(reader)
    if chunk.compression == 'zstd':
        return _unzstd(reader)
    raise unreadable(chunk.name, f'compression {chunk.compression!r} is not known')


def _fetch(reader: Reader) -> Iterator[bytes]:
    while piece := reader.read(PIECE):
        yield piece


def _inflate(reader: Reader) -> Iterator[bytes]:
    decoder = zlib.decompressobj()
    for piece in _fetch(reader):
        while piece and not decoder.eof:
            yield decoder.decompress(piece, PIECE)
            piece = decoder.unconsumed_tail
    if not decoder.eof:
        raise EOFError('it is cut off')


def _bunzip(reader: Reader) -> Iterator[bytes]:
    decoder = bz2.BZ2Decompressor()
    for piece in _fetch(reader):
        while not decoder.eof:
            yield decoder.decompress(piece, PIECE)
            piece = b''
            if decoder.needs_input:
                break
    if not decoder.eof:
        raise EOFError('it is cut off')


def _unzstd(reader: Reader) -> Iterator[bytes]:
    import zstandard  # a process that restores nothing of this kind never comes here
    try:
        with zstandard.ZstdDecompressor().stream_reader(cast(Any, reader)) as stream:
            while piece := stream.read(PIECE):
                yield piece
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error
