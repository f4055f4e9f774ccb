# SPDX-License-Identifier: Apache-2.0
"""What a large index costs: synthetic entries are written, opened in a fresh process, asked for.

Usage: ``python -m tests.benchmarks.index_size DIRECTORY [--entries 160000000]``; 29 bytes of disk
per entry. 160 million are 10 TiB of 64 KiB blocks.
"""

import argparse
import json
import os
import random
import resource
import struct
import subprocess
import sys
import time

from backupsvc.engine import index

#: Blobs of a pack of 16 MiB of half compressed blocks of 64 KiB.
_PER_PACK = 512
_SLICE_BITS = 8


def main() -> int:
    """Make the table, or, in the child process, measure it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('directory')
    parser.add_argument('--entries', type=int, default=160_000_000)
    parser.add_argument('--lookups', type=int, default=200_000)
    parser.add_argument('--measure', action='store_true', help=argparse.SUPPRESS)
    args = parser.parse_args()
    path = os.path.join(args.directory, f'table-{args.entries}')
    if args.measure:
        measure(path, args.lookups)
        return 0
    if not os.path.exists(path):
        os.makedirs(args.directory, exist_ok=True)
        started = time.monotonic()
        make(path + '.partial', args.entries)
        os.rename(path + '.partial', path)
        print(f'made in {time.monotonic() - started:.0f} s: {os.path.getsize(path) / 1e9:.2f} GB, '
              f'{os.path.getsize(path) / args.entries:.1f} bytes per entry')
    # The child starts small: its peak is its own.
    return subprocess.run([sys.executable, '-m', 'tests.benchmarks.index_size', args.directory,
                           '--entries', str(args.entries), '--lookups', str(args.lookups),
                           '--measure'], check=False).returncode


def make(path: str, entries: int) -> None:
    """Write a table of random ids, slice by slice of the id space."""
    import numpy
    choose = numpy.random.default_rng(1)
    packs = -(-entries // _PER_PACK)
    layout = index.layout_of(entries, packs, 1)
    sources_at, packs_at, fanout_at, high_at, low_at, places_at, size = layout.offsets
    counts = choose.multinomial(entries, [1 / (1 << _SLICE_BITS)] * (1 << _SLICE_BITS))
    fanout = numpy.zeros((1 << layout.bits) + 1, '<u4')
    with open(path, 'wb') as stream:
        stream.truncate(size)

        def write(at: int, data: bytes) -> None:
            stream.seek(at)
            stream.write(data)

        write(0, layout.header())
        write(sources_at, bytes(16))
        write(packs_at, b''.join(struct.pack('<QQQII', number, number, 16 << 20, 0, _PER_PACK)
                                 for number in range(packs)))
        done = 0
        for part, count in enumerate(counts.tolist()):
            high = choose.integers(0, 1 << (64 - _SLICE_BITS), count, 'u8', endpoint=False)
            high.sort()
            high |= numpy.uint64(part << (64 - _SLICE_BITS))
            numpy.add.at(fanout, (high >> numpy.uint64(64 - layout.bits)).astype('i8') + 1, 1)
            low = choose.integers(0, 1 << 63, count, 'u8')
            places = choose.integers(0, 1 << 24, (count, 3), 'u4')
            places[:, 0] %= packs
            write(high_at + 8 * done, high.tobytes())
            write(low_at + 8 * done, low.tobytes())
            write(places_at + 12 * done, places.tobytes())
            done += count
        write(fanout_at, numpy.cumsum(fanout, dtype='<u4').tobytes())


def measure(path: str, lookups: int) -> None:
    """Print the cost of opening the table and of look-ups in it."""
    before = _resident_mb()
    started = time.perf_counter()
    table = index.Table(path)
    found = index.Index([table])
    opened_s = time.perf_counter() - started
    opened_mb = _resident_mb() - before
    choose = random.Random(2)
    misses = [choose.randbytes(32) for _ in range(lookups)]
    with open(path, 'rb') as stream:
        at = index.layout_of(table.count, table.pack_count, 1).offsets
        hits = []
        for _ in range(lookups):
            number = choose.randrange(table.count)
            high, = struct.unpack('<Q', os.pread(stream.fileno(), 8, at[3] + 8 * number))
            low, = struct.unpack('<Q', os.pread(stream.fileno(), 8, at[4] + 8 * number))
            hits.append(struct.pack('>QQ', high, low) + bytes(16))
    figures = {'entries': table.count, 'open_ms': round(opened_s * 1e3, 2),
               'open_mb': round(opened_mb, 1)}
    for name, ids, expected in (('hit', hits, True), ('miss', misses, False)):
        started = time.perf_counter()
        answers = [blob_id in found for blob_id in ids]
        seconds = time.perf_counter() - started
        assert answers == [expected] * lookups
        figures[f'{name}_lookups_per_s'] = round(lookups / seconds)
    figures['peak_mb'] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    print(json.dumps(figures))


def _resident_mb() -> float:
    with open('/proc/self/statm') as stream:
        return int(stream.read().split()[1]) * resource.getpagesize() / (1 << 20)


if __name__ == '__main__':
    sys.exit(main())
