# SPDX-License-Identifier: Apache-2.0
"""Which volumes are of one point in time, told from what was written to them."""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backupsvc.drivers.instance.local import records

SLOTS = 8


class Disk:
    """A volume in a file, as far as it was written at a time of its own."""

    def __init__(self, path, header):
        self.header = header
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        os.pwrite(self.fd, header.pack(), 0)

    def write(self, number, time_ns=None):
        os.pwrite(self.fd, records.pack_record(self.header, number, time_ns or number),
                  records.offset_of(self.header, number))

    def read(self):
        return records.read(self.fd, f'volume-{self.header.position}')


@pytest.fixture
def disks(tmp_path):
    """Make the volumes of one new log."""
    made = []

    def make(count, slots=SLOTS):
        blank = [records.Log(f'volume-{number}', None, is_blank=True) for number in range(count)]
        disks = [Disk(tmp_path / f'{len(made)}-{header.position}', header)
                 for header in records.begin(blank, slots)]
        made.extend(disks)
        return disks

    yield make
    for disk in made:
        os.close(disk.fd)


def is_consistent(disks):
    logs = [disk.read() for disk in disks]
    return not any(log.problems for log in logs) and not list(records.problems_of_set(logs))


def counts(time, count):
    """Return how many records each volume has after that many in all."""
    return [(time + count - position) // count for position in range(1, count + 1)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None,
          max_examples=150)
@given(st.integers(1, 4).flatmap(
    lambda count: st.lists(st.integers(0, 60), min_size=count, max_size=count)
    | st.integers(0, 60).map(lambda time: [time] * count)))
def test_volumes_are_consistent_exactly_when_one_time_explains_them(disks, times):
    """Each volume is as it was after that many records of all were written."""
    made = disks(len(times))
    held = []
    for position, (disk, time) in enumerate(zip(made, times, strict=True)):
        held.append(counts(time, len(times))[position])
        for number in range(1, held[-1] + 1):
            disk.write(number)
    explained = any(counts(time, len(times)) == held for time in range(61))
    assert is_consistent(made) == explained
    if explained:
        number, position = records.next_record([disk.read() for disk in made])
        time = next(time for time in range(61) if counts(time, len(times)) == held)
        assert (number - 1) * len(times) + position - 1 == time


def test_a_record_that_is_missing_is_told(disks):
    disk, = disks(1)
    for number in (1, 2, 4, 5):
        disk.write(number)
    problem, = disk.read().problems
    assert 'the first is 3' in problem
    assert not is_consistent([disk])


def test_a_record_that_the_ring_left_from_before_is_missing(disks):
    """Slot of record 11 still holds record 3."""
    disk, = disks(1)
    for number in range(1, 15):
        if number != 11:
            disk.write(number)
    assert 'the first is 11' in disk.read().problems[0]


def test_a_torn_record_is_told(disks):
    disk, = disks(1)
    for number in range(1, 6):
        disk.write(number)
    os.pwrite(disk.fd, b'torn', records.offset_of(disk.header, 5) + 300)
    assert any('damaged' in problem for problem in disk.read().problems)


def test_a_record_of_another_volume_is_no_record(disks):
    first, second = disks(2)
    for number in (1, 2):
        first.write(number)
        second.write(number)
    raw = os.pread(second.fd, records.RECORD_BYTES, records.offset_of(second.header, 2))
    os.pwrite(first.fd, raw, records.offset_of(first.header, 2))
    assert first.read().problems and not is_consistent([first, second])


def test_records_of_an_earlier_log_do_not_count(disks):
    old, = disks(1)
    for number in range(1, 6):
        old.write(number)
    new = records.begin([old.read()], SLOTS)[0]
    os.pwrite(old.fd, new.pack(), 0)
    log = old.read()
    assert (log.last, log.problems) == (0, [])


def test_volumes_of_two_logs_are_no_set(disks):
    first, _ = disks(2)
    _, other = disks(2)
    first.write(1)
    other.write(1)
    assert not is_consistent([first, other])


def test_every_volume_has_to_be_there_once(disks):
    first, second = disks(2)
    first.write(1)
    assert is_consistent([first, second]) and is_consistent([second, first])
    assert not is_consistent([first])
    assert not is_consistent([second])
    assert not is_consistent([first, first])


def test_nothing_at_all_is_no_set(tmp_path):
    fd = os.open(tmp_path / 'blank', os.O_RDWR | os.O_CREAT)
    os.truncate(fd, 1024 ** 2)
    log = records.read(fd, 'blank')
    assert log.is_blank and log.problems
    assert records.going_on([log]) is None
    os.pwrite(fd, b'data', 100)
    with pytest.raises(records.Refused):
        records.going_on([records.read(fd, 'blank')])
    os.close(fd)


def test_a_log_whose_beginning_was_interrupted_begins_again(disks, tmp_path):
    """The header of the first volume was written, that of the second not."""
    first, second = disks(2)
    os.pwrite(second.fd, bytes(records.HEADER_BYTES), 0)
    assert records.going_on([first.read(), second.read()]) is None
    first.write(1)
    with pytest.raises(records.Refused):
        records.going_on([first.read(), second.read()])
