# SPDX-License-Identifier: Apache-2.0
"""A thousand backups are one page that takes as many statements as one backup does."""

import contextlib
import datetime
import uuid

import sqlalchemy as sa

from backupsvc.db import engine, models
from tests.functional.actuator_v1.conftest import BACKUPS, Operator

PARTITIONS = 3


def _fill(first, last):
    """Write records of completed backups with the ids from ``first`` to ``last``."""
    now = datetime.datetime.now(datetime.UTC)
    ids = range(first, last + 1)
    with engine.schema_change() as connection:
        connection.execute(sa.insert(models.checkpoints), [
            {'id': number, 'uuid': str(uuid.uuid4()), 'status': 'COMPLETED', 'phase': 'ended',
             'round': 0, 'position': number, 'data_timestamp': now, 'created_at': now}
            for number in ids])
        connection.execute(sa.insert(models.checkpoint_partitions), [
            {'checkpoint_id': number, 'partition_id': partition, 'kind': 'volume',
             'source_id': str(uuid.UUID(int=partition)), 'share_id': str(uuid.UUID(int=number)),
             'host': 'here', 'broker_id': 1, 'broker_version': '1.0', 'status': 'COMPLETED',
             'created_at': now}
            for number in ids for partition in range(1, PARTITIONS + 1)])


@contextlib.contextmanager
def _statements():
    """Collect what is sent to the database, without the beginning of transactions."""
    seen = []

    def note(connection, cursor, statement, parameters, execution, many):
        if not statement.startswith('BEGIN'):
            seen.append(statement)

    sa.event.listen(engine.get_engine(), 'before_cursor_execute', note)
    try:
        yield seen
    finally:
        sa.event.remove(engine.get_engine(), 'before_cursor_execute', note)


def test_a_thousand_backups_take_as_many_statements_as_one(service):
    service.override('partitions', ', '.join(
        f'{number}=volume:{uuid.UUID(int=number)}@here' for number in range(1, PARTITIONS + 1)),
        'actuator')
    operator = Operator(service)
    found = {}
    for first, last in ((1, 1), (2, 1000)):
        _fill(first, last)
        for path in ('', '/*', '/1*', '/1', '/state'):
            with _statements() as seen:
                answer = operator.get(BACKUPS + path)
            assert answer.status_int == 200, answer.text
            found.setdefault(path, []).append(len(seen))
    # Of one backup and of a thousand.
    assert found == {path: [number, number] for path, (number, _) in found.items()}
    assert max(number for numbers in found.values() for number in numbers) <= 2
    listed = operator.get(BACKUPS).json
    assert [each['backupId'] for each in listed] == list(range(1000, 0, -1))
    assert {len(each['details']) for each in listed} == {PARTITIONS}
    assert len(operator.get(f'{BACKUPS}/99*').json) == 11
