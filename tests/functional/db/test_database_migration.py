# SPDX-License-Identifier: Apache-2.0
"""The migration that brings database instances: over rows of before, and with what its tables
hold and refuse, on every database.
"""

import datetime

import pytest
import sqlalchemy
from oslo_db import exception as db_exception

from backupsvc.db import engine, migration, models
from tests.fixtures import database
from tests.functional.db.test_migrations import _kinds

NOW = datetime.datetime(2026, 11, 22, 12, tzinfo=datetime.UTC)
BEFORE, AFTER = '0003', '0004'
#: Texts that a careless table would cut, fold or mix up.
NAME = 'ключ 😀 `"\' '


@pytest.fixture(params=_kinds())
def before(request, tmp_path):
    """A database as it was before, with a backup in it."""
    with database.blank(request.param, tmp_path) as url:
        with database.installed(database.configuration(url, tmp_path)):
            migration.sync(BEFORE)
            _insert(models.backups, id='b', project_id='p', kind='volume', source_id='s',
                    status='available', created_at=NOW)
            yield


def _part(table, names):
    """Return a table with these columns alone: it may have others by now."""
    return sqlalchemy.table(
        table.name, *(sqlalchemy.column(name, table.c[name].type) for name in names))


def _insert(table, **values):
    table = _part(table, values)
    with engine.get_engine().begin() as connection:
        connection.execute(table.insert().values(**values))


def _instance(instance_id, **values):
    _insert(models.db_instances, **{
        'id': instance_id, 'project_id': 'p', 'name': NAME, 'status': 'active',
        'driver': 'mariadb', 'datastore': 'mariadb', 'datastore_version': '10.11',
        'flavor_id': '1', 'volume_gb': 1, 'host': 'h', 'created_at': NOW, **values})


def _group(group_id, instance_id):
    _insert(models.security_groups, id=group_id, project_id='p', name='g',
            instance_id=instance_id, created_at=NOW)


def _rule(rule_id, group_id, cidr='0.0.0.0/0'):
    _insert(models.security_group_rules, id=rule_id, group_id=group_id, protocol='tcp',
            from_port=3306, to_port=3306, cidr=cidr, created_at=NOW)


def _rows(table, *names):
    with engine.get_engine().connect() as connection:
        return connection.execute(sqlalchemy.select(_part(table, names))).all()


def test_rows_of_before_stay(before):
    tables = set(sqlalchemy.inspect(engine.get_engine()).get_table_names())
    migration.sync(AFTER)
    assert set(sqlalchemy.inspect(engine.get_engine()).get_table_names()) - tables == {
        'db_instances', 'security_groups', 'security_group_rules'}
    assert _rows(models.backups, 'id', 'created_at') == [('b', NOW)]


def test_instances_are_kept_as_they_are(before):
    migration.sync(AFTER)
    _instance('i')
    _instance('I', name='x' * 255)
    assert set(_rows(models.db_instances, 'id', 'name', 'created_at', 'deleted')) == {
        ('i', NAME, NOW, False), ('I', 'x' * 255, NOW, False)}
    with pytest.raises(db_exception.DBDuplicateEntry):
        _instance('i')
    with engine.get_engine().connect() as connection:
        assert connection.scalar(sqlalchemy.select(sqlalchemy.func.count()).where(
            models.db_instances.c.name == NAME.rstrip())) == 0


def test_groups_belong_to_one_instance_and_rules_to_a_group(before):
    migration.sync(AFTER)
    _instance('i')
    _group('g', 'i')
    with pytest.raises(db_exception.DBDuplicateEntry):
        _group('h', 'i')
    with pytest.raises(db_exception.DBReferenceError):
        _group('h', 'nobody')
    _rule('r', 'g')
    _rule('s', 'g', '10.0.0.0/8')
    with pytest.raises(db_exception.DBDuplicateEntry):
        _rule('t', 'g')
    with pytest.raises(db_exception.DBReferenceError):
        _rule('t', 'nobody')
    assert set(_rows(models.security_group_rules, 'id')) == {('r',), ('s',)}
