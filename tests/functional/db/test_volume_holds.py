# SPDX-License-Identifier: Apache-2.0
"""The book of holds on volumes of another service."""

import datetime
import threading

from backupsvc.drivers.base import HoldRecord
from backupsvc.orchestration.holds import RecordedHolds

SINCE = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)


def record(resource_id='v', holder='task', **values):
    return HoldRecord(**{
        'resource_id': resource_id, 'is_snapshot': False, 'holder': holder, 'since': SINCE,
        'status': 'backing-up', 'previous_status': 'available', **values})


def test_what_is_taken_is_there_until_it_is_dropped(any_database):
    book = RecordedHolds()
    assert book.find('v') is None
    assert book.take(record()) == record()
    assert book.find('v') == record()
    assert book.records() == [record()]
    assert book.drop('v', 'task')
    assert not book.drop('v', 'task')
    assert book.records() == []


def test_the_first_keeps_it(any_database):
    book = RecordedHolds()
    book.take(record())
    assert book.take(record(holder='other')) == record()
    assert not book.drop('v', 'other')
    assert not book.change('v', 'other', status='in-use')
    assert book.find('v') == record()


def test_fields_change_for_the_holder(any_database):
    book = RecordedHolds()
    book.take(record(is_unwritten=True))
    assert book.change('v', 'task', is_unwritten=False, status='restoring-backup')
    assert book.find('v') == record(status='restoring-backup')


def test_one_of_many_gets_it(any_database):
    start = threading.Barrier(8)
    winners = []

    def take(number):
        start.wait()
        winners.append(RecordedHolds().take(record(holder=f'task{number}')).holder)

    threads = [threading.Thread(target=take, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(winners) == 8
    assert len(set(winners)) == 1


def test_records_come_oldest_first(any_database):
    book = RecordedHolds()
    book.take(record('b', since=SINCE + datetime.timedelta(seconds=1)))
    book.take(record('a', is_snapshot=True))
    assert [found.resource_id for found in book.records()] == ['a', 'b']
