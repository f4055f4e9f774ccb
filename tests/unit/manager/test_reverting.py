# SPDX-License-Identifier: Apache-2.0
"""A target equals the source afterwards, and no more of it is written than differs."""

import os
import random

import pytest

from backupsvc.engine import errors
from backupsvc.engine.source import RawFileSource, RawFileTarget
from backupsvc.manager import reverting

KIB = 1024
MIB = 1024 * 1024


def _image(path, size, *pieces):
    with open(path, 'wb') as file:
        file.truncate(size)
        for offset, data in pieces:
            file.seek(offset)
            file.write(data)
    return path


def _revert(source, target, target_class=RawFileTarget, **options):
    opened = RawFileSource(str(source)), target_class(str(target))
    try:
        return reverting.revert(*opened, **options)
    finally:
        for each in opened:
            each.close()


def noise(seed, size):
    return random.Random(seed).randbytes(size)


@pytest.mark.parametrize('size', [10 * MIB, 10 * MIB + 513, 0, 1, 64 * KIB, 4 * MIB])
def test_everything_equals_the_source(tmp_path, size):
    for seed in range(4):
        chance = random.Random(f'{size}-{seed}')
        images = []
        for name in ('source', 'target'):
            pieces = []
            for _ in range(6):
                offset = chance.randrange(0, size) if size else 0
                length = min(chance.choice([1, 700, 64 * KIB, 2 * MIB]), size - offset)
                pieces.append((offset, chance.randbytes(length)))
            images.append(_image(tmp_path / name, size, *pieces))
        _revert(*images)
        assert images[0].read_bytes() == images[1].read_bytes()


def test_only_blocks_that_differ_are_written(tmp_path):
    data = noise(1, 8 * MIB)
    source = _image(tmp_path / 'source', 64 * MIB, (0, data))
    target = _image(tmp_path / 'target', 64 * MIB, (0, data), (3 * MIB + 5, b'changed'))
    report = _revert(source, target)
    assert report.bytes_written == 64 * KIB
    assert source.read_bytes() == target.read_bytes()
    again = _revert(source, target)
    assert (again.bytes_written, again.bytes_read) == (0, 8 * MIB)


def test_what_was_written_since_becomes_a_hole_again(tmp_path):
    source = _image(tmp_path / 'source', 64 * MIB, (0, b'x'))
    target = _image(tmp_path / 'target', 64 * MIB, (0, b'x'), (32 * MIB, noise(2, 8 * MIB)))
    _revert(source, target)
    assert source.read_bytes() == target.read_bytes()
    assert os.stat(target).st_blocks * 512 < MIB


def test_what_the_target_grew_by_reads_as_zero(tmp_path):
    source = _image(tmp_path / 'source', MIB + 100, (MIB, noise(3, 100)))
    target = _image(tmp_path / 'target', 3 * MIB, (MIB, noise(4, MIB)))
    _revert(source, target)
    assert target.read_bytes() == source.read_bytes() + bytes(2 * MIB - 100)


def test_a_target_that_is_too_small_is_left_alone(tmp_path):
    source = _image(tmp_path / 'source', 2 * MIB, (0, b'new'))
    target = _image(tmp_path / 'target', MIB, (0, b'old'))
    with pytest.raises(errors.TargetTooSmall):
        _revert(source, target)
    assert target.read_bytes()[:3] == b'old'


def test_a_target_that_loses_writes_is_found_out(tmp_path):
    class Forgetful(RawFileTarget):
        def write(self, offset, data):
            super().write(offset, memoryview(bytes(len(data))))

    source = _image(tmp_path / 'source', MIB, (70 * KIB, b'new'))
    target = _image(tmp_path / 'target', MIB)
    with pytest.raises(errors.SourceFailed, match='bytes 65536 to 131072'):
        _revert(source, target, Forgetful)


def test_an_error_of_the_disk_names_the_place(tmp_path):
    class Full(RawFileTarget):
        def write(self, offset, data):
            raise OSError(28, 'No space left on device')

    source = _image(tmp_path / 'source', MIB, (70 * KIB, b'new'))
    with pytest.raises(errors.SourceFailed, match='byte 65536.*No space left'):
        _revert(source, _image(tmp_path / 'target', MIB), Full)


def test_progress_comes_to_the_end_and_cancelling_stops(tmp_path):
    source = _image(tmp_path / 'source', 32 * MIB, (0, noise(5, 32 * MIB)))
    target = _image(tmp_path / 'target', 32 * MIB)
    seen = []
    with pytest.raises(errors.Cancelled):
        _revert(source, target, progress=seen.append, cancelled=lambda: len(seen) > 0)
    assert seen[0].bytes_total == 32 * MIB
    _revert(source, target, progress=seen.append)
    assert source.read_bytes() == target.read_bytes()
    assert (seen[-1].bytes_done, seen[-1].bytes_new) == (32 * MIB, seen[-1].bytes_stored)
