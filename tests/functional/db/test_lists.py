# SPDX-License-Identifier: Apache-2.0
"""Lists of backups mean the same on every database, and are served by its indexes."""

import contextlib
import datetime
import random
import re
import uuid

import pytest
import sqlalchemy

from backupsvc import exception, states
from backupsvc.db import backups as db
from backupsvc.db import engine, models
from backupsvc.objects.backup import BackupList
from tests.functional.db import records
from tests.functional.db.conftest import OTHER_PROJECT, PROJECT


def _ids(context, filters=None, **page):
    return [backup.id for backup in BackupList.get_all(context, filters, **page)]


def _at(second: int) -> datetime.datetime:
    return datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(seconds=second)


@contextlib.contextmanager
def _statements():
    """Collect what is sent to the database, without the beginning of transactions."""
    seen = []

    def note(connection, cursor, statement, parameters, execution, many):
        if not statement.startswith('BEGIN'):
            seen.append((statement, parameters))

    sqlalchemy.event.listen(engine.get_engine(), 'before_cursor_execute', note)
    try:
        yield seen
    finally:
        sqlalchemy.event.remove(engine.get_engine(), 'before_cursor_execute', note)


# Who sees what -----------------------------------------------------------------------------------


def test_a_project_sees_its_own_and_an_admin_sees_all(context, stranger, admin):
    mine = records.create_backup(context)
    theirs = records.create_backup(stranger)
    assert _ids(context) == [mine.id]
    assert _ids(context, {'project_id': OTHER_PROJECT}) == []
    assert set(_ids(admin)) == {mine.id, theirs.id}
    assert _ids(admin, {'project_id': OTHER_PROJECT}) == [theirs.id]
    assert BackupList.count(context) == 1 and BackupList.count(admin) == 2


def test_the_newest_comes_first(context):
    made = [records.create_backup(context, created_at=_at(second)) for second in (2, 3, 1)]
    assert _ids(context) == [made[1].id, made[0].id, made[2].id]


def test_deleted_ones_are_seen_only_when_asked_for(context):
    live, gone = records.create_backup(context), records.create_backup(context)
    gone.destroy()
    assert _ids(context) == [live.id]
    assert _ids(context, {'deleted': True}) == [gone.id]
    assert set(_ids(context, {'deleted': [True, False]})) == {live.id, gone.id}


# Filters -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(('column', 'value', 'others'), [
    ('name', 'nightly', ['Nightly', 'nightly ', ' nightly', 'nightly\u0301', None]),
    ('name', '', [' ', None]),
    ('name', 'a%b_c', ['aXXbYc', 'a%bYc']),
    ('name', '\U0001f4be', ['\U0001f4bf', '?', '']),
    ('status', 'available', ['error']),
    ('container', 'c', ['C', None]),
    ('size_gb', 5, [50]),
    ('snapshot_id', 'abcdefab-0000-4000-8000-000000000000',
     ['ABCDEFAB-0000-4000-8000-000000000000', None]),
    ('name', None, ['', 'x']),
])
def test_a_filter_matches_exactly(context, column, value, others):
    wanted = records.create_backup(context, **{column: value})
    for other in others:
        records.create_backup(context, **{column: other})
    assert _ids(context, {column: value}) == [wanted.id]
    assert BackupList.count(context, {column: value}) == 1


def test_a_filter_may_name_several_values(context):
    made = [records.create_backup(context, name=name) for name in ('a', 'b', None)]
    assert set(_ids(context, {'name': ['a', 'b']})) == {made[0].id, made[1].id}
    assert set(_ids(context, {'name': ['a', None]})) == {made[0].id, made[2].id}
    assert _ids(context, {'name': []}) == []


def test_filters_are_combined(context):
    wanted = records.create_backup(context, name='a', size_gb=1)
    records.create_backup(context, name='a', size_gb=2)
    records.create_backup(context, name='b', size_gb=1)
    assert _ids(context, {'name': 'a', 'size_gb': '1'}) == [wanted.id]


@pytest.mark.parametrize(('column', 'value'), [
    ('name', '\U0001f4be'), ('name', 'nul\x00'), ('name', '\ud800'), ('name', 'x' * 10_000),
    ('size_gb', 'many'), ('size_gb', '9' * 30), ('size_gb', 2**31), ('size_gb', ''),
    ('stored_bytes', 2**63), ('created_at', 'yesterday'), ('created_at', ''),
    ('created_at', '9999-99-99T00:00:00'), ('deleted', 'perhaps'), ('no_such_column', 'x'),
    ('id', "' OR 1=1 --"), ('name~', 'nul\x00'), ('size_gb~', '1'), ('no_such_column~', 'x'),
    ('metadata', {'a\x00': 'b'}), ('metadata', {'a': '\ud800'}), ('metadata', 'text'),
    ('metadata', {'\U0001f4be': '\U0001f4be'}),
])
def test_what_no_row_can_hold_matches_nothing(context, column, value):
    records.create_backup(context, name='x', metadata={'a': 'b'})
    assert _ids(context, {column: value}) == []
    assert BackupList.count(context, {column: value}) == 0


@pytest.mark.parametrize('text', [
    '2026-01-01T00:00:07', '2026-01-01T00:00:07.000000', '2026-01-01T01:00:07+01:00',
    '2026-01-01T00:00:07Z', '2026-01-01 00:00:07'])
def test_a_time_matches_in_any_spelling(context, text):
    wanted = records.create_backup(context, created_at=_at(7))
    records.create_backup(context, created_at=_at(8))
    assert _ids(context, {'created_at': text}) == [wanted.id]


@pytest.mark.parametrize(('part', 'names'), [
    ('ight', {'nightly'}), ('IGHT', {'NIGHTLY'}), ('%', {'50%'}), ('_', {'a_b'}),
    ('\\', {'c\\d'}), ('\U0001f4be', {'x\U0001f4be'}), ('é', {'é'})])
def test_a_filter_by_part_of_a_text_takes_it_literally(context, part, names):
    for name in ('nightly', 'NIGHTLY', '50%', 'a_b', 'c\\d', 'x\U0001f4be', 'é', 'e', None):
        records.create_backup(context, name=name)
    found = {backup.name for backup in BackupList.get_all(context, {'name~': part})}
    assert found == names


def test_metadata_must_have_all_pairs_exactly(context):
    both = records.create_backup(context, metadata={'env': 'prod', 'tier': 'gold', 'x': 'y'})
    one = records.create_backup(context, metadata={'env': 'prod'})
    for pairs in ({'env': 'Prod'}, {'Env': 'prod'}, {'env': 'prod '}, {'env': 'production'},
                  {'tier': 'gold', 'env': 'test'}, {}):
        records.create_backup(context, metadata=pairs)
    assert set(_ids(context, {'metadata': {'env': 'prod'}})) == {both.id, one.id}
    assert _ids(context, {'metadata': {'env': 'prod', 'tier': 'gold'}}) == [both.id]
    assert _ids(context, {'metadata': {'env': 'gold'}}) == []
    assert BackupList.count(context, {'metadata': {'env': 'prod'}}) == 2
    assert len(_ids(context, {'metadata': {}})) == 8


def test_metadata_that_was_changed_or_deleted_matches_no_more(context):
    backup = records.create_backup(context, metadata={'env': 'prod', 'tier': 'gold'})
    backup.set_metadata({'env': 'test'})
    backup.delete_metadata('tier')
    assert _ids(context, {'metadata': {'env': 'prod'}}) == []
    assert _ids(context, {'metadata': {'tier': 'gold'}}) == []
    assert _ids(context, {'metadata': {'env': 'test'}}) == [backup.id]


def test_metadata_of_another_project_does_not_match(context, stranger):
    records.create_backup(stranger, metadata={'env': 'prod'})
    assert _ids(context, {'metadata': {'env': 'prod'}}) == []


@pytest.mark.parametrize('rare', [0, 2, 100])
def test_metadata_matches_the_same_whichever_way_it_is_found(context, monkeypatch, rare):
    monkeypatch.setattr(db, 'RARE', rare)
    made = [records.create_backup(
        context, created_at=_at(number),
        metadata={'all': 'x', 'parity': str(number % 2), 'number': str(number)})
        for number in range(6)]
    odd = [backup.id for backup in made if backup.metadata['parity'] == '1'][::-1]
    assert _ids(context, {'metadata': {'parity': '1'}}) == odd
    assert _ids(context, {'metadata': {'all': 'x', 'parity': '1'}}) == odd
    assert _ids(context, {'metadata': {'all': 'x', 'parity': '1'}}, limit=1,
                marker_id=odd[0]) == odd[1:2]
    assert _ids(context, {'metadata': {'all': 'x', 'number': '3', 'parity': '1'}}) == [made[3].id]


# Pages -------------------------------------------------------------------------------------------


def _fill(context, number):
    """Write backups with ties and nulls in every column that is sorted by."""
    chance = random.Random(7)
    names = [None, '', 'a', 'A', 'b', 'é', 'z', '\U0001f4be', '\uff5e', 'a b', 'a-b', 'ab', '_']
    return [records.create_backup(
        context, name=chance.choice(names), size_gb=chance.randrange(3),
        created_at=_at(chance.randrange(4)), status=chance.choice(states.BACKUP[:2]),
        data_timestamp=chance.choice([None, _at(1), _at(2)]), container=chance.choice(['c', None]),
    ) for _ in range(number)]


def _expected(backups, sort):
    """Sort as the definition says: null first in ascending order, texts by code point."""
    ordered = list(backups)
    for key, direction in reversed(sort):
        ordered.sort(
            key=lambda backup, key=key: (
                (0,) if getattr(backup, key) is None else (1, getattr(backup, key))),
            reverse=direction == 'desc')
    return [backup.id for backup in ordered]


@pytest.mark.parametrize('sort', [
    [('created_at', 'desc'), ('id', 'desc')],
    [('created_at', 'asc'), ('id', 'asc')],
    [('name', 'asc'), ('id', 'asc')],
    [('name', 'desc'), ('id', 'desc')],
    [('name', 'desc'), ('size_gb', 'asc'), ('id', 'desc')],
    [('data_timestamp', 'asc'), ('name', 'desc'), ('id', 'asc')],
    [('data_timestamp', 'desc'), ('container', 'asc'), ('status', 'desc'), ('id', 'asc')],
    [('id', 'asc')],
], ids=lambda sort: ','.join(f'{key}:{direction}' for key, direction in sort))
def test_pages_walk_any_order_without_gaps_or_repeats(context, sort):
    expected = _expected(_fill(context, 40), sort)
    assert _ids(context, sort=sort) == expected
    for limit in (1, 7):
        walked = []
        while page := _ids(context, sort=sort, limit=limit,
                           marker_id=walked[-1] if walked else None):
            walked += page
        assert walked == expected


def test_the_last_key_of_an_order_is_the_id_in_its_direction(context):
    made = _fill(context, 12)
    for direction in ('asc', 'desc'):
        full = [('size_gb', direction), ('id', direction)]
        assert _ids(context, sort=[('size_gb', direction)]) == _expected(made, full)


def test_an_offset_skips(context):
    expected = _expected(_fill(context, 6), list(db.DEFAULT_SORT))
    assert _ids(context, offset=2) == expected[2:]
    assert _ids(context, offset=2, limit=3) == expected[2:5]
    assert _ids(context, marker_id=expected[0], offset=1, limit=2) == expected[2:4]
    assert _ids(context, offset=6) == [] and _ids(context, offset=2**31 - 1) == []


def test_limit_zero_is_an_empty_page(context):
    records.create_backup(context)
    assert _ids(context, limit=0) == []


@pytest.mark.parametrize('marker', [
    '', 'x', 'a\x00', '\ud800', pytest.param(str(uuid.uuid4()), id='unknown')])
def test_an_unknown_marker_is_not_found(context, marker):
    with pytest.raises(exception.BackupNotFound):
        _ids(context, marker_id=marker)


def test_a_marker_of_another_project_is_not_found(context, stranger):
    theirs = records.create_backup(stranger)
    with pytest.raises(exception.BackupNotFound):
        _ids(context, marker_id=theirs.id)


def test_a_marker_that_was_deleted_meanwhile_still_says_where(context):
    made = [records.create_backup(context, created_at=_at(second)) for second in range(3)]
    made[1].destroy()
    assert _ids(context, marker_id=made[1].id) == [made[0].id]


def test_rows_that_come_meanwhile_are_not_repeated(context):
    made = [records.create_backup(context, created_at=_at(second)) for second in range(4)]
    first = _ids(context, limit=2)
    records.create_backup(context, created_at=_at(9))
    assert first + _ids(context, limit=2, marker_id=first[-1]) == [
        backup.id for backup in made[::-1]]


@pytest.mark.parametrize(('sort', 'text'), [
    ([('no_such', 'asc')], 'Invalid sort key'),
    ([('metadata', 'asc')], 'Invalid sort key'),
    ([('name', 'up')], 'Unknown sort direction'),
])
def test_an_order_that_there_is_not_is_refused(context, sort, text):
    with pytest.raises(exception.InvalidInput, match=text):
        _ids(context, sort=sort)


# Cost --------------------------------------------------------------------------------------------


def _fill_fast(number):
    """Insert many backups of PROJECT with three pairs each, and some of OTHER_PROJECT."""
    rows = [{'id': str(uuid.UUID(int=index)), 'kind': 'volume', 'status': 'available',
             'project_id': OTHER_PROJECT if index % 4 else PROJECT,
             'source_id': str(uuid.UUID(int=index % 50)),
             'created_at': _at(index), 'data_timestamp': _at(index), 'size_gb': 1}
            for index in range(number)]
    pairs = [{'backup_id': row['id'], 'key': key, 'value': value, 'created_at': _at(0)}
             for index, row in enumerate(rows)
             for key, value in (('env', 'prod'), ('shard', str(index % 100)), ('n', str(index)))]
    with engine.get_engine().begin() as connection:
        connection.execute(models.backups.insert(), rows)
        connection.execute(models.backup_metadata.insert(), pairs)
    with engine.get_engine().connect() as connection:
        connection = connection.execution_options(isolation_level='AUTOCOMMIT')
        analyse = {'sqlite': 'ANALYZE', 'postgresql': 'ANALYZE',
                   'mysql': 'ANALYZE TABLE backups, backup_metadata'}
        connection.exec_driver_sql(analyse[connection.dialect.name])


@pytest.mark.parametrize('filters', [
    None, {'metadata': {'env': 'prod'}}, {'metadata': {'n': '8', 'env': 'prod'}}])
def test_a_page_takes_as_many_statements_wherever_it_is(context, filters):
    _fill_fast(400)
    counts = set()
    marker = None
    for limit in (1, 10, 80):
        with _statements() as seen:
            _ids(context, filters, limit=limit)
        counts.add(len(seen))
    expected = {None: 2, 1: 4, 2: 4}[filters and len(filters['metadata'])]
    assert counts == {expected}
    for limit in (1, 10, 80):
        marker = str(uuid.UUID(int=396 - 4))
        with _statements() as seen:
            _ids(context, filters, limit=limit, marker_id=marker)
        counts.add(len(seen))
    assert counts == {expected, expected + 1}
    with _statements() as seen:
        BackupList.dependent_counts(context, _ids(context, limit=80))
    assert len(seen) == 3


def _plan(statement, parameters):
    """Return the plan of a statement as text, in lower case."""
    with engine.get_engine().connect() as connection:
        prefix = {'sqlite': 'EXPLAIN QUERY PLAN ', 'mysql': 'EXPLAIN FORMAT=JSON ',
                  'postgresql': 'EXPLAIN '}[connection.dialect.name]
        rows = connection.exec_driver_sql(prefix + statement, parameters).fetchall()
        return '\n'.join(str(row[-1]) for row in rows).lower()


def _assert_indexed(plan, table):
    """Check that no table is read whole and nothing is sorted."""
    kind = engine.get_engine().dialect.name
    assert 'ix_' in plan, plan
    if kind == 'sqlite':
        assert 'temp b-tree' not in plan and f'scan {table}' not in plan, plan
    elif kind == 'mysql':
        assert 'filesort' not in plan and '"access_type": "all"' not in plan, plan
        assert 'temporary_table' not in plan, plan
    else:
        assert 'sort key' not in plan and 'seq scan' not in plan, plan


@pytest.mark.parametrize('who', ['project', 'all projects'])
@pytest.mark.parametrize('place', ['first', 'middle', 'last'])
@pytest.mark.parametrize('direction', ['asc', 'desc'])
def test_the_default_list_is_read_from_an_index(context, admin, who, place, direction):
    _fill_fast(4000)
    marker = {'first': None, 'middle': str(uuid.UUID(int=2000)),
              'last': str(uuid.UUID(int=40 if direction == 'desc' else 3956))}[place]
    with _statements() as seen:
        found = _ids(context if who == 'project' else admin, limit=10, marker_id=marker,
                     sort=[('created_at', direction), ('id', direction)])
    assert len(found) == 10
    [(statement, parameters)] = [
        item for item in seen if 'ORDER BY' in item[0]]
    plan = _plan(statement, parameters)
    _assert_indexed(plan, 'backups')
    if marker:
        # The marker says where in the index to begin; else every page would read those before.
        start = {'sqlite': r'search .*created_at[<>]', 'postgresql': r'index cond: .*created_at',
                 'mysql': r'"used_key_parts": \[[^]]*"created_at"'}
        assert re.search(start[engine.get_engine().dialect.name], plan), plan


def test_a_rare_pair_is_found_by_index(context):
    _fill_fast(4000)
    with _statements() as seen:
        assert len(_ids(context, {'metadata': {'n': '8', 'env': 'prod'}}, limit=10)) == 1
    # The first one counts, up to a limit.
    for statement, parameters in seen[1:]:
        plan = _plan(statement, parameters)
        assert 'scan backup' not in plan and 'seq scan' not in plan, plan
        # Nor is the list walked.
        assert 'ix_backups_' not in plan, plan
        assert '"table_name": "backups", "access_type": "all"' not in ' '.join(plan.split()), plan


def test_a_frequent_pair_walks_the_list_and_stops_when_the_page_is_full(context, monkeypatch):
    monkeypatch.setattr(db, 'RARE', 50)
    _fill_fast(4000)
    with _statements() as seen:
        found = _ids(context, {'metadata': {'env': 'prod'}}, limit=10)
    assert found == [str(uuid.UUID(int=3996 - 4 * step)) for step in range(10)]
    [(statement, parameters)] = [item for item in seen if 'ORDER BY' in item[0]]
    plan = _plan(statement, parameters)
    assert 'ix_backups_project_list' in plan, plan
    assert 'temp b-tree' not in plan and 'filesort' not in plan and 'sort key' not in plan, plan
