# SPDX-License-Identifier: Apache-2.0
"""Migrations lead from nothing to what the models say, on every database, whoever runs them."""

import pathlib
import shutil
import subprocess
import sys

import alembic.autogenerate
import alembic.runtime.migration
import pytest
import sqlalchemy
from oslo_db import exception as db_exception

from backupsvc.db import engine, migration, models
from tests.fixtures import database


def _kinds(*without):
    return [kind if kind == 'sqlite' else pytest.param(kind, marks=pytest.mark.services)
            for kind in database.selected() if kind not in without]


@pytest.fixture(params=_kinds())
def blank(request, tmp_path):
    """A database without tables, configured."""
    with database.blank(request.param, tmp_path) as url:
        with database.installed(database.configuration(url, tmp_path)) as config:
            yield config


def test_each_step_leads_to_the_next_and_the_last_is_the_head(blank):
    assert migration.version() is None
    for revision in migration.revisions():
        migration.sync(revision)
        assert migration.version() == revision
    assert migration.version() == migration.head()


def test_the_head_equals_the_models(blank):
    migration.sync()
    with engine.get_engine().connect() as connection:
        context = alembic.runtime.migration.MigrationContext.configure(
            connection, opts={'compare_type': True})
        assert alembic.autogenerate.compare_metadata(context, models.metadata) == []
        found = sqlalchemy.inspect(connection)
        for table in models.metadata.sorted_tables:
            # compare_metadata looks neither at these nor at the names of primary keys.
            assert {column['name']: column['nullable'] for column in found.get_columns(
                table.name)} == {column.name: column.nullable for column in table.c}
            assert found.get_pk_constraint(table.name)['constrained_columns'] == [
                column.name for column in table.primary_key]


def test_a_second_sync_changes_nothing(blank):
    migration.sync()
    with engine.get_engine().begin() as connection:
        connection.execute(models.quotas.insert().values(
            project_id='p', resource='r', hard_limit=1,
            created_at=sqlalchemy.func.current_timestamp()))
    migration.sync()
    with engine.get_engine().connect() as connection:
        assert connection.scalar(sqlalchemy.select(models.quotas.c.hard_limit)) == 1


_SYNC = '''
import sys
from backupsvc import conf
from backupsvc.db import engine, migration
config = conf.new_config()
config([], default_config_files=[], default_config_dirs=[])
config.set_override('connection', sys.argv[1], 'database')
conf.install(config)
engine.get_engine().connect().close()
print('ready', flush=True)
sys.stdin.readline()
migration.sync()
'''


def test_processes_that_sync_at_once_all_succeed(blank):
    syncs = [subprocess.Popen(
        [sys.executable, '-W', 'ignore', '-c', _SYNC, blank.database.connection],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)]
    for sync in syncs:
        assert sync.stdout.readline() == 'ready\n'
    for sync in syncs:
        sync.stdin.write('go\n')
        sync.stdin.flush()
    errors = [sync.communicate(timeout=120)[1] for sync in syncs]
    assert [sync.returncode for sync in syncs] == [0, 0, 0], errors
    assert migration.version() == migration.head()


# MariaDB commits each change of a table.
@pytest.mark.parametrize('blank', _kinds('mysql'), indirect=True)
def test_a_migration_that_fails_leaves_no_half(blank, tmp_path, monkeypatch):
    directory = _copy(tmp_path)
    (directory / 'versions' / '9999_bad.py').write_text(
        'import sqlalchemy as sa\nfrom alembic import op\n'
        f'revision, down_revision = "9999", "{migration.head()}"\n'
        'def upgrade():\n'
        '    op.create_table("half", sa.Column("id", sa.Integer, primary_key=True))\n'
        '    raise RuntimeError("broken")\n')
    monkeypatch.setattr(migration, 'migrations_directory', lambda: directory)
    head = migration.revisions()[-2]
    migration.sync(head)
    with pytest.raises(RuntimeError, match='broken'):
        migration.sync()
    assert migration.version() == head
    with engine.get_engine().connect() as connection:
        assert 'half' not in sqlalchemy.inspect(connection).get_table_names()


def test_a_table_that_others_refer_to_can_be_altered(blank, tmp_path, monkeypatch):
    """On SQLite that makes the table anew, which must not touch the rows that refer to it."""
    migration.sync()
    now = sqlalchemy.func.current_timestamp()
    with engine.get_engine().begin() as connection:
        connection.execute(models.backups.insert().values(
            id='b', project_id='p', kind='volume', source_id='s', status='available',
            created_at=now))
        connection.execute(models.backup_metadata.insert().values(
            backup_id='b', key='k', value='v', created_at=now))
    directory = _copy(tmp_path)
    (directory / 'versions' / '9999_alter.py').write_text(
        'import sqlalchemy as sa\nfrom alembic import op\n'
        f'revision, down_revision = "9999", "{migration.head()}"\n'
        'def upgrade():\n'
        '    with op.batch_alter_table("backups") as table:\n'
        '        table.alter_column("kind", existing_type=sa.String(16), type_=sa.String(20),\n'
        '                           existing_nullable=False)\n')
    monkeypatch.setattr(migration, 'migrations_directory', lambda: directory)
    migration.sync()
    with engine.get_engine().connect() as connection:
        assert connection.scalar(sqlalchemy.select(models.backup_metadata.c.value)) == 'v'
        assert connection.scalar(sqlalchemy.select(models.backups.c.id)) == 'b'
    with pytest.raises(db_exception.DBReferenceError):
        with engine.get_engine().begin() as connection:
            connection.execute(models.backup_metadata.insert().values(
                backup_id='nobody', key='k', value='v', created_at=now))


def _copy(tmp_path: pathlib.Path) -> pathlib.Path:
    """Copy the migrations to a directory that may be added to; its name is a hard one."""
    directory = tmp_path / '100% mine' / 'alembic'
    shutil.copytree(migration.migrations_directory(), directory,
                    ignore=shutil.ignore_patterns('__pycache__'))
    return directory


def test_the_migrations_are_found_where_a_wheel_puts_them(tmp_path, monkeypatch):
    installed = tmp_path / 'share' / 'backupsvc' / 'alembic'
    installed.mkdir(parents=True)
    (installed / 'alembic.ini').touch()
    monkeypatch.setattr(migration, '_PACKAGE', tmp_path / 'lib' / 'site-packages' / 'backupsvc')
    monkeypatch.setattr(migration.sysconfig, 'get_path', lambda name: str(tmp_path))
    assert migration.migrations_directory() == installed


def test_missing_migrations_are_named_with_the_places(tmp_path, monkeypatch):
    monkeypatch.setattr(migration, '_PACKAGE', tmp_path / 'a' / 'b' / 'c' / 'd' / 'backupsvc')
    monkeypatch.setattr(migration.sysconfig, 'get_path', lambda name: str(tmp_path))
    monkeypatch.setattr(migration.sys, 'prefix', str(tmp_path))
    with pytest.raises(migration.MigrationsNotFound, match='share/backupsvc/alembic'):
        migration.migrations_directory()


def test_the_library_is_not_shadowed_by_our_directory():
    """An __init__.py beside alembic.ini would make ``import alembic`` find ours in a checkout."""
    assert not (migration.migrations_directory() / '__init__.py').exists()
    assert not (migration.migrations_directory() / 'versions' / '__init__.py').exists()
    subprocess.run([sys.executable, '-c', 'import alembic.config'], check=True,
                   cwd=migration.migrations_directory().parent)
