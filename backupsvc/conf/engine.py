# SPDX-License-Identifier: Apache-2.0
"""Options of the engine: what new repositories are like, and what a mover may use."""

from oslo_config import cfg

GROUP = cfg.OptGroup('engine', title='Engine',
                     help='How backups are cut up, compressed and sealed.')

OPTS = [
    cfg.StrOpt('cache_dir', default='$state_path/cache', help='''
Directory for decrypted index tables, about 28 bytes per 64 KiB stored. It can be emptied at any
time when no mover runs; it is filled again from the repositories, which then takes longer once.
'''),
    cfg.IntOpt('block_size', default=65536, min=32768, max=1048576, help='''
Bytes of a block, the unit of deduplication, in new repositories; a power of two. Smaller blocks
make incremental backups smaller and everything slower. Existing repositories keep theirs.
'''),
    cfg.StrOpt('compression', default='zstd:1', choices=[
        ('zstd:1', 'fast and good'), ('zstd:3', 'some 5 % smaller, half as fast'),
        ('lz4', 'faster, some 30 % larger'), ('none', 'for volumes that hold compressed data')],
        help='''
How blocks are compressed in new repositories. Existing repositories keep theirs.
'''),
    cfg.IntOpt('workers', default=0, min=0, max=4, help='''
Threads of a mover that read, hash, compress and seal; each takes some 20 MB of memory. 0 is one
per processor, at most 4.
'''),
    cfg.IntOpt('store_attempts', default=10, min=1, help='''
How often a call to an object store is made that fails for a reason that may pass, before the
backup or restore fails.
'''),
    cfg.IntOpt('store_deadline', default=600, min=1, help='''
Seconds after the first failure of a call to an object store from which it is not repeated any
more.
'''),
]
