# SPDX-License-Identifier: Apache-2.0
"""Objects that are not what the layout describes, and those that nobody would make."""

import bz2
import io
import json
import zlib

import pytest
import zstandard

from backupsvc.drivers.foreign.cinder import layout, sums
from backupsvc.engine import errors

LAYER = layout.Layer('id', 'container', 'prefix')
COMPRESS = {'zlib': zlib.compress, 'gzip': zlib.compress, 'bz2': bz2.compress,
            'bzip2': bz2.compress, 'zstd': zstandard.ZstdCompressor().compress,
            'none': bytes, 'off': bytes, 'no': bytes}


def chunk(compression, length):
    return layout.Chunk('c', 'prefix-00001', 0, length, compression)


@pytest.mark.parametrize('compression', COMPRESS)
def test_pieces_are_small_whatever_the_chunk(compression):
    data = bytes(3 * layout.PIECE) + b'end'
    stored = COMPRESS[compression](data)
    pieces = list(layout.plain_pieces(io.BytesIO(stored), chunk(compression, len(data))))
    assert b''.join(pieces) == data
    assert max(map(len, pieces)) <= layout.PIECE


@pytest.mark.parametrize('compression', COMPRESS)
@pytest.mark.parametrize('length', [999, 1001])
def test_another_length_than_was_written_down(compression, length):
    stored = COMPRESS[compression](b'x' * 1000)
    with pytest.raises(errors.Corrupt, match='prefix-00001'):
        list(layout.plain_pieces(io.BytesIO(stored), chunk(compression, length)))


@pytest.mark.parametrize('compression', ['zlib', 'bz2', 'zstd', 'lzma'])
def test_no_such_data(compression):
    with pytest.raises(errors.Corrupt, match=compression):
        list(layout.plain_pieces(io.BytesIO(b'nothing of the kind'), chunk(compression, 10)))


@pytest.mark.parametrize('values', [
    {'version': '2.0.0'}, {'objects': [{'../../etc/passwd': {}}]}, {'objects': 7},
    {'objects': [7]},
    {'objects': [{'prefix-00001': {'offset': -1, 'length': 1, 'compression': 'none'}}]},
    {'objects': [{'prefix-00001': {'offset': 0, 'compression': 'none'}}]},
    {'objects': [{'prefix-00001/../x': {'offset': 0, 'length': 1, 'compression': 'none'}}]},
    {'backup_id': 'another'}, {'volume_meta': '7'}])
def test_metadata_that_cannot_be(values):
    text = json.dumps({'version': '1.0.0', 'objects': [], 'backup_id': 'id', **values})
    with pytest.raises(errors.Corrupt, match='prefix_metadata'):
        layout.read_metadata(io.BytesIO(text.encode()), LAYER)


def written(digests, **values):
    return json.dumps({'backup_name': 'a "sha256s": [ in "it', 'chunk_size': 512,
                       'sha256s': [each.hex() for each in digests], 'version': '1.0.0', **values},
                      sort_keys=True, indent=2).encode()


def test_sums_of_a_large_volume():
    digests = [number.to_bytes(32, 'big') for number in range(50000)]
    found = sums.Sums(io.BytesIO(written(digests)), 'name')
    assert (found.count, found.block_size) == (50000, 512)
    assert [found[number] for number in (0, 777, 49999)] == [
        digests[number] for number in (0, 777, 49999)]
    found.close()


@pytest.mark.parametrize('text', [
    b'', b'{}', b'{"sha256s": []}', b'x' * (3 << 20), written([bytes(32)])[:-60],
    written([bytes(32)], chunk_size=0), written([bytes(32)], chunk_size='x'), written([])])
def test_sums_that_are_none(text):
    with pytest.raises(errors.Corrupt, match='object name'):
        sums.Sums(io.BytesIO(text), 'name')
