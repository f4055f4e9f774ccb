# SPDX-License-Identifier: Apache-2.0
"""What a running local instance writes to its volumes, and what it says of their consistency.

Each volume begins with a *log*: a header of 4096 bytes and a ring of records of 512 bytes. Record
1 goes to the first volume, then to the second and so on to the last; then record 2 to the first.
So all records of all volumes are in one order, and volumes are of one point in time exactly when
what they hold is a beginning of that order: each holds every record up to its last, no volume is
ahead of one before it, and the last volume is at most one behind the first. Nothing but the
volumes is needed to tell.

Header (little endian): magic ``BSVCLOG1``, id of the log (16 bytes), position of the volume and
number of volumes (4 bytes each, from 1), slots of the ring (8), digest of all that (16).

Record n is in slot (n - 1) modulo slots: magic ``BREC``, position (4), id of the log (16), n (8),
time in ns since 1970 (8), random bytes, digest of all that (16). A record of another log is none.
Digests are BLAKE2b of 16 bytes.

Nothing of oslo is imported: the writer is a process for each instance.
"""

import dataclasses
import hashlib
import os
import struct
import uuid
from collections.abc import Iterator, Sequence

HEADER_BYTES = 4096
RECORD_BYTES = 512

_HEADER = struct.Struct('<8s16sIIQ')
_RECORD = struct.Struct('<4sI16sQQ')
_HEADER_MAGIC = b'BSVCLOG1'
_RECORD_MAGIC = b'BREC'
_DIGEST_BYTES = 16
_FILL_BYTES = RECORD_BYTES - _RECORD.size - _DIGEST_BYTES
_ZERO_RECORD = bytes(RECORD_BYTES)


class Refused(Exception):
    """The volumes do not hold what a writer can go on with; the text is fit for a user's eyes."""


@dataclasses.dataclass(frozen=True, slots=True)
class Header:
    """What a volume says of the log that it is part of."""

    log_id: bytes
    position: int
    count: int
    slots: int

    def pack(self) -> bytes:
        """Return the header as it is on the volume."""
        packed = _HEADER.pack(
            _HEADER_MAGIC, self.log_id, self.position, self.count, self.slots)
        return (packed + _digest(packed)).ljust(HEADER_BYTES, b'\0')


@dataclasses.dataclass(slots=True)
class Log:
    """The log of one volume, as it was read.

    :ivar header: None where there is none
    :ivar is_blank: all of the header's bytes are zero
    :ivar last: number of the last record, 0 for none
    :ivar last_ns: its time
    :ivar problems: what is wrong with this volume, whatever the others hold
    """

    volume_id: str
    header: Header | None
    is_blank: bool
    last: int = 0
    last_ns: int = 0
    problems: list[str] = dataclasses.field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether it is a log that nothing was written to yet."""
        return self.header is not None and not self.last and not self.problems


def pack_record(header: Header, number: int, time_ns: int) -> bytes:
    """Return a record as it is on the volume."""
    body = _RECORD.pack(_RECORD_MAGIC, header.position, header.log_id, number, time_ns)
    body += os.urandom(_FILL_BYTES)
    return body + _digest(body)


def size_of(slots: int) -> int:
    """Return how many bytes of a volume a log takes."""
    return HEADER_BYTES + slots * RECORD_BYTES


def offset_of(header: Header, number: int) -> int:
    """Return where in the volume a record is."""
    return HEADER_BYTES + (number - 1) % header.slots * RECORD_BYTES


def read(fd: int, volume_id: str) -> Log:
    """Read the log of a volume."""
    block = os.pread(fd, HEADER_BYTES, 0)
    header = _unpack_header(block)
    log = Log(volume_id, header, is_blank=not any(block))
    if header is None:
        log.problems.append('it holds no records' if log.is_blank else 'it holds other data')
        return log
    numbers, damaged = _read_ring(fd, log, header)
    wanted = range(max(1, log.last - header.slots + 1), log.last + 1)
    missing = [number for number in wanted if number not in numbers]
    if missing:
        log.problems.append(f'of {len(wanted)} records up to {log.last}, {len(missing)} are'
                            f' missing, the first is {missing[0]}')
    if damaged:
        log.problems.append(f'{len(damaged)} records are damaged, the first in slot {damaged[0]}')
    return log


def _read_ring(fd: int, log: Log, header: Header) -> tuple[set[int], list[int]]:
    """Find the last record; return the numbers that are in their slots, and the slots of what is
    damaged.
    """
    numbers: set[int] = set()
    damaged: list[int] = []
    ring = os.pread(fd, header.slots * RECORD_BYTES, HEADER_BYTES)
    # What was never written is one stretch of zeros, not worth a look at each slot.
    written = len(ring.rstrip(b'\0'))
    for start in range(0, written, RECORD_BYTES):
        raw = ring[start:start + RECORD_BYTES]
        if raw == _ZERO_RECORD:
            continue
        slot = start // RECORD_BYTES
        magic, position, log_id, number, time_ns = _RECORD.unpack_from(raw)
        is_whole = magic == _RECORD_MAGIC and raw[-_DIGEST_BYTES:] == _digest(raw[:-_DIGEST_BYTES])
        if is_whole and log_id != header.log_id:
            continue
        if not is_whole or position != header.position or (number - 1) % header.slots != slot:
            damaged.append(slot)
            continue
        numbers.add(number)
        if number > log.last:
            log.last, log.last_ns = number, time_ns
    return numbers, damaged


def problems_of_set(logs: Sequence[Log]) -> Iterator[str]:
    """Yield what keeps volumes, each of them sound, from being of one point in time."""
    headers = [log.header for log in logs if log.header is not None]
    if len({(header.log_id, header.count, header.slots) for header in headers}) > 1:
        yield 'the volumes were written by different instances, or before and after a new log'
        return
    count = headers[0].count if headers else 0
    positions = sorted(header.position for header in headers)
    if positions != list(range(1, count + 1)) or len(headers) != len(logs):
        yield (f'not every volume of the instance is there once: of {count}, there'
               f' {"is" if len(positions) == 1 else "are"}'
               f' {", ".join(map(str, positions)) or "none"}')
        return
    ordered = _ordered(logs)
    first = ordered[0]
    for before, log in zip(ordered, ordered[1:], strict=False):
        if log.last > before.last:
            yield (f'volume {log.volume_id} has record {log.last}, volume {before.volume_id},'
                   f' which is written before it, ends at {before.last}')
    if ordered[-1].last < first.last - 1:
        yield (f'volume {ordered[-1].volume_id} ends at record {ordered[-1].last}, volume'
               f' {first.volume_id} at {first.last}')


def next_record(logs: Sequence[Log]) -> tuple[int, int]:
    """Return (number, position) of the record that a writer writes next to consistent volumes."""
    ordered = _ordered(logs)
    for log in ordered:
        if log.last < ordered[0].last:
            return ordered[0].last, _header(log).position
    return ordered[0].last + 1, 1


def begin(logs: Sequence[Log], slots: int) -> list[Header]:
    """Return the headers of a new log over the volumes, in their order."""
    log_id = uuid.uuid4().bytes
    return [Header(log_id, position, len(logs), slots) for position in range(1, len(logs) + 1)]


def going_on(logs: Sequence[Log]) -> list[Header] | None:
    """Return the headers of the log that the volumes hold, in their order; None where none of them
    holds a record and a new log may begin.

    :raises Refused: they hold something else, or are not of one point in time
    """
    unsound = [f'volume {log.volume_id}: {problem}' for log in logs for problem in log.problems]
    problems = unsound or list(problems_of_set(logs))
    is_unused = all(log.is_blank or log.is_empty for log in logs)
    if problems and is_unused:
        return None
    if problems:
        raise Refused('; '.join(problems))
    return [_header(log) for log in logs]


def _ordered(logs: Sequence[Log]) -> list[Log]:
    return sorted(logs, key=lambda log: _header(log).position)


def _header(log: Log) -> Header:
    if log.header is None:
        raise Refused(f'volume {log.volume_id} holds no records')
    return log.header


def _unpack_header(block: bytes) -> Header | None:
    packed = block[:_HEADER.size]
    if len(packed) < _HEADER.size or not packed.startswith(_HEADER_MAGIC):
        return None
    if block[_HEADER.size:_HEADER.size + _DIGEST_BYTES] != _digest(packed):
        return None
    _, log_id, position, count, slots = _HEADER.unpack(packed)
    return Header(log_id, position, count, slots)


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_DIGEST_BYTES).digest()
