# SPDX-License-Identifier: Apache-2.0
"""Makes the volumes of the benchmark: raw, sparse, always the same but for the machine's files.

====  =============================================================  =============================
case  first generation (``X1.img``)                                  second generation (``X2.img``)
====  =============================================================  =============================
a     2 GiB ext4 image, some 1.2 GiB of the machine's files, a       200 MB of new files, 1 % of
      database file                                                  all pages partly rewritten
b     1 GiB of random bytes                                          1 % of the pages rewritten
c     20 GiB sparse, 1 GiB of data in 64 extents of 16 MiB           1 % of the pages rewritten
====  =============================================================  =============================

Usage: ``python -m tests.benchmarks.volumes DIRECTORY``; about 7 GB. The new files of a2 need root,
for a loop mount.
"""

import argparse
import os
import random
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator, Sequence

PAGE = 4096
MIB = 1 << 20
_FIRST_TREES = ('/usr/lib/python3', '/usr/lib/postgresql', '/usr/lib/llvm-14', '/usr/share/doc',
                '/usr/share/locale', '/usr/lib/gcc', '/usr/lib/git-core', '/usr/lib/jvm')
_SECOND_TREES = ('/usr/share/vim', '/usr/lib/x86_64-linux-gnu', '/usr/share/man')
_FIRST_BYTES = 1150 * MIB
_SECOND_BYTES = 200 * 10 ** 6
_DATABASE_ROWS = 400_000
_EXTENT = 16 * MIB
_EXTENTS = 64


def main() -> None:
    """Make what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('directory')
    directory = parser.parse_args().directory
    os.makedirs(directory, exist_ok=True)
    for make, name in ((_make_a1, 'a1'), (_make_a2, 'a2'), (_make_b1, 'b1'), (_make_b2, 'b2'),
                       (_make_c1, 'c1'), (_make_c2, 'c2')):
        path = os.path.join(directory, f'{name}.img')
        if not os.path.exists(path):
            make(directory, path + '.partial')
            os.rename(path + '.partial', path)
        status = os.stat(path)
        print(f'{path}: {status.st_size // MIB} MiB, {status.st_blocks * 512 // MIB} allocated')


def _make_a1(directory: str, path: str) -> None:
    stage = os.path.join(directory, 'stage')
    shutil.rmtree(stage, ignore_errors=True)
    os.makedirs(stage)
    _copy_trees(stage, _FIRST_TREES, _FIRST_BYTES)
    _make_database(os.path.join(stage, 'app.db'))
    _truncate(path, 2048 * MIB)
    subprocess.run(['mkfs.ext4', '-q', '-F', '-b', '4096', '-d', stage, path], check=True)
    shutil.rmtree(stage)


def _make_a2(directory: str, path: str) -> None:
    _copy_sparse(os.path.join(directory, 'a1.img'), path)
    mount = os.path.join(directory, 'mnt')
    os.makedirs(mount, exist_ok=True)
    subprocess.run(['mount', '-o', 'loop', path, mount], check=True)
    try:
        _copy_trees(os.path.join(mount, 'new'), _SECOND_TREES, _SECOND_BYTES)
    finally:
        os.sync()
        subprocess.run(['umount', mount], check=True)
        os.rmdir(mount)
    _rewrite_pages(path, os.path.getsize(path) // PAGE // 100, 2)


def _make_b1(directory: str, path: str) -> None:
    choose = random.Random(1)
    with open(path, 'wb') as stream:
        for _ in range(1024):
            stream.write(choose.randbytes(MIB))


def _make_b2(directory: str, path: str) -> None:
    _copy_sparse(os.path.join(directory, 'b1.img'), path)
    _rewrite_pages(path, os.path.getsize(path) // PAGE // 100, 3)


def _make_c1(directory: str, path: str) -> None:
    """Scatter extents of a1 over 20 GiB, a few bytes of each block changed: no mere copy."""
    choose = random.Random(4)
    source = os.path.join(directory, 'a1.img')
    starts = [start for first, end in _extents(source)
              for start in range(first, end - _EXTENT, _EXTENT)][:_EXTENTS]
    places = sorted(choose.sample(range(20 * 1024 * MIB // _EXTENT), len(starts)))
    _truncate(path, 20 * 1024 * MIB)
    with open(source, 'rb') as reader, open(path, 'r+b') as writer:
        for place, start in zip(places, starts, strict=True):
            reader.seek(start)
            data = bytearray(reader.read(_EXTENT))
            for at in range(0, _EXTENT, 65536):
                data[at + 100:at + 108] = choose.randbytes(8)
            writer.seek(place * _EXTENT)
            writer.write(data)


def _make_c2(directory: str, path: str) -> None:
    _copy_sparse(os.path.join(directory, 'c1.img'), path)
    _rewrite_pages(path, _EXTENTS * _EXTENT // PAGE // 100, 5)


def _truncate(path: str, size: int) -> None:
    with open(path, 'wb') as stream:
        stream.truncate(size)


def _copy_sparse(source: str, target: str) -> None:
    subprocess.run(['cp', '--sparse=always', source, target], check=True)


def _copy_trees(target: str, trees: Sequence[str], limit: int) -> None:
    total = 0
    for tree in trees:
        for root, directories, names in os.walk(tree):
            directories.sort()
            for name in sorted(names):
                path = os.path.join(root, name)
                if os.path.islink(path) or not os.path.isfile(path):
                    continue
                size = os.path.getsize(path)
                if total + size <= limit:
                    total += size
                    os.makedirs(os.path.dirname(target + path), exist_ok=True)
                    shutil.copyfile(path, target + path)


def _make_database(path: str) -> None:
    choose = random.Random(1)
    words = sorted(set(dir(os) + dir(str) + dir(random)))
    database = sqlite3.connect(path)
    database.execute('create table t(id integer primary key, name text, mail text, amount real, '
                     'note blob)')
    database.executemany('insert into t values(?,?,?,?,?)', (
        (number, f'{choose.choice(words)} {choose.choice(words)}',
         f'{choose.choice(words)}@example.org', choose.random() * 1e4,
         choose.randbytes(96) + choose.choice(words).encode() * 6)
        for number in range(_DATABASE_ROWS)))
    database.commit()
    database.close()


def _extents(path: str) -> Iterator[tuple[int, int]]:
    with open(path, 'rb') as stream:
        size, end = os.path.getsize(path), 0
        while end < size:
            try:
                start = os.lseek(stream.fileno(), end, os.SEEK_DATA)
            except OSError:
                return
            end = os.lseek(stream.fileno(), start, os.SEEK_HOLE)
            yield start, end


def _rewrite_pages(path: str, count: int, seed: int) -> None:
    """Rewrite a quarter of each of ``count`` pages, chosen among those that hold something."""
    choose = random.Random(seed)
    pages = [page for start, end in _extents(path) for page in range(start // PAGE, end // PAGE)]
    with open(path, 'r+b') as stream:
        for page in choose.sample(pages, len(pages)):
            if not count:
                return
            stream.seek(page * PAGE)
            data = bytearray(stream.read(PAGE))
            if any(data):
                at = choose.randrange(PAGE - PAGE // 4)
                data[at:at + PAGE // 4] = choose.randbytes(PAGE // 4)
                stream.seek(page * PAGE)
                stream.write(data)
                count -= 1


if __name__ == '__main__':
    main()
