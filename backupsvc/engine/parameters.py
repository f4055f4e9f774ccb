# SPDX-License-Identifier: Apache-2.0
"""Parameters of a repository, fixed when it is made."""

import dataclasses

from backupsvc.engine import compression

MIB = 1 << 20
_FRAME_SIZE = 262144


@dataclasses.dataclass(frozen=True, slots=True)
class Parameters:
    """Sizes in bytes. Only ``block_size`` matters for reading; the others are what a writer aims
    at.

    :raises ValueError: a value is out of its range
    """

    block_size: int = 65536
    frame_size: int = _FRAME_SIZE
    segment_size: int = MIB
    pack_size: int = 16 * MIB
    compression: str = 'zstd:1'

    def __post_init__(self) -> None:
        if self.block_size & (self.block_size - 1) or not 32768 <= self.block_size <= MIB:
            raise ValueError('block_size is a power of two from 32768 to 1048576')
        if not self.block_size <= self.frame_size <= 4 * MIB:
            raise ValueError('frame_size is from block_size to 4194304')
        if not self.block_size <= self.segment_size <= 16 * MIB:
            raise ValueError('segment_size is from block_size to 16777216')
        if not self.frame_size <= self.pack_size <= 256 * MIB:
            raise ValueError('pack_size is from frame_size to 268435456')
        if self.compression not in compression.CHOICES:
            raise ValueError(f'compression is one of {", ".join(compression.CHOICES)}')

    @classmethod
    def of(cls, block_size: int, compression: str) -> 'Parameters':
        """Return parameters with the default sizes, or what this block size needs.

        :raises ValueError: a value is out of its range
        """
        return cls(block_size=block_size, compression=compression,
                   frame_size=max(_FRAME_SIZE, block_size))

    @property
    def largest_frame(self) -> int:
        """Plain bytes of a frame, at most."""
        return max(self.frame_size, self.block_size)
