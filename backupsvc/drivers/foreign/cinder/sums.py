# SPDX-License-Identifier: Apache-2.0
"""The sums of a backup's blocks, kept in a file: a volume of 1 TiB has 33 million."""

import json
import mmap
import re
import tempfile

from backupsvc.drivers.foreign.cinder import layout

_SUM = re.compile(rb'"([0-9a-f]{64})"')
_DIGEST = 32

#: The list of sums follows what is said of the backup, which has a few hundred characters.
_HEAD_LIMIT = 1 << 20


class Sums:
    """The SHA-256 of each block of a volume.

    :raises Corrupt: the object is not what the layout describes
    """

    def __init__(self, reader: layout.Reader, name: str):
        self._file = tempfile.TemporaryFile(prefix='backupsvc-sums-')  # noqa: SIM115
        try:
            rest = self._read_head(reader, name)
            self._read_list(reader, rest, name)
            self.count = self._file.tell() // _DIGEST
            if not self.count:
                raise layout.unreadable(name, 'it has no sums')
            self._file.flush()
            self._map = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        except BaseException:
            self._file.close()
            raise

    def _read_head(self, reader: layout.Reader, name: str) -> bytes:
        """Read up to the list of sums, and return what was read of that."""
        text = b''
        while (piece := reader.read(layout.PIECE)) and len(text) < _HEAD_LIMIT:
            text += piece
            # In a string, which a user may have chosen, the quotes would have backslashes.
            begin = re.search(rb'(?<!\\)"sha256s"\s*:\s*\[', text)
            if begin:
                break
        else:
            raise layout.unreadable(name, 'it has no list of sums')
        try:
            head = json.loads(text[:begin.end()] + b']}')
            self.block_size = int(head['chunk_size'])  # before the sums: the keys are sorted
        except (ValueError, TypeError, KeyError) as error:
            raise layout.unreadable(name, f'it is no list of sums ({error!r})') from error
        if self.block_size <= 0:
            raise layout.unreadable(name, f'blocks of {self.block_size} bytes')
        return text[begin.end():]

    def _read_list(self, reader: layout.Reader, text: bytes, name: str) -> None:
        while True:
            end = text.find(b']')
            last = 0
            for found in _SUM.finditer(text, 0, len(text) if end < 0 else end):
                self._file.write(bytes.fromhex(found[1].decode()))
                last = found.end()
            if end >= 0:
                return
            piece = reader.read(layout.PIECE)
            if not piece:
                raise layout.unreadable(name, 'it is cut off')
            text = text[last:] + piece

    def __getitem__(self, block: int) -> bytes:
        return self._map[block * _DIGEST:(block + 1) * _DIGEST]

    def close(self) -> None:
        """Remove the file."""
        self._map.close()
        self._file.close()
