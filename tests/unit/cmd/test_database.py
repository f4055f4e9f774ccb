# SPDX-License-Identifier: Apache-2.0
"""``backupsvc-manage db``: what it does, what it prints, how it fails."""

import pytest

from backupsvc import conf as service_conf
from backupsvc import context as request_context
from backupsvc import policy
from backupsvc.cmd import manage
from backupsvc.db import engine, migration, models
from backupsvc.objects.backup import Backup
from tests.fixtures import database


@pytest.fixture
def run(tmp_path, capsys):
    """Run ``db`` on a database of its own; return (status, output, errors)."""
    before = service_conf._current
    path = tmp_path / 'backupsvc.conf'
    path.write_text(f'[DEFAULT]\nstate_path = {tmp_path}\n[database]\nmax_retries = 1\n'
                    'retry_interval = 0\n')

    def run(*argv, connection=None):
        engine.reset()
        config = [] if connection is None else ['--config-file', str(_with(connection))]
        try:
            status = manage.main(['--config-file', str(path), *config, 'db', *argv])
        except SystemExit as stopped:
            status = stopped.code
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    def _with(connection):
        more = tmp_path / 'more.conf'
        more.write_text(f'[database]\nconnection = {connection}\n')
        return more

    yield run
    engine.reset()
    policy.reset()
    service_conf._current = before


def _create_backup():
    context = request_context.get_admin_context()
    backup = Backup(context, project_id='p', kind='volume', source_id='s', status='available',
                    size_gb=2)
    backup.create(None)
    return backup


def test_sync_makes_the_tables_and_says_so_once(run):
    head = migration.head()
    assert run('version')[:2] == (0, 'none\n')
    assert run('sync')[:2] == (0, f'The schema went from nothing to version {head}.\n')
    assert run('sync')[:2] == (0, f'The schema is at version {head} already.\n')
    assert run('version')[:2] == (0, f'{head}\n')
    assert _create_backup().id


def test_sync_makes_the_directory_of_the_state(run, tmp_path):
    deep = tmp_path / 'a' / 'b' / 'x.sqlite'
    assert run('sync', connection=f'sqlite:///{deep}')[0] == 0
    assert deep.exists()


def test_sync_to_a_version_that_there_is_not_names_those_that_there_are(run):
    status, _, errors = run('sync', 'nope')
    assert status == 1 and 'nope' in errors and migration.head() in errors
    assert run('version')[1] == 'none\n'


def test_check_tells_what_is_missing(run):
    status, _, errors = run('check')
    assert status == 1 and 'backupsvc-manage db sync' in errors
    run('sync')
    status, output, _ = run('check')
    assert status == 0 and migration.head() in output


@pytest.mark.parametrize('action', ['check', 'sync'])
def test_a_schema_of_a_newer_release_is_recognised(run, action):
    run('sync')
    with engine.get_engine().begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'future'")
    status, _, errors = run(action)
    assert status == 1 and 'future' in errors and 'newer' in errors


def test_check_finds_wrong_usage_and_mends_it_when_asked(run):
    run('sync')
    _create_backup()
    with engine.get_engine().begin() as connection:
        connection.execute(models.quota_usages.update().values(in_use=7))
    status, output, _ = run('check')
    assert status == 1
    assert 'backup_gigabytes is recorded as 7 but adds up to 2' in output
    status, output, _ = run('check', '--fix-usage')
    assert status == 0 and 'was 7, is 2 now' in output
    assert run('check')[0] == 0


def test_purge_removes_and_counts(run):
    run('sync')
    _create_backup().destroy()
    assert ' 0 backups' in run('purge', '--older-than', '1')[1]
    status, output, _ = run('purge', '--older-than', '0', '--batch', '1')
    assert status == 0 and ' 1 backups' in output


@pytest.mark.parametrize('argv', [
    (), ('purge',), ('purge', '--older-than', '-1'), ('purge', '--older-than', 'x'),
    ('purge', '--older-than', '1', '--batch', '0'), ('nope',)])
def test_wrong_usage_is_status_2(run, argv):
    status, _, errors = run(*argv)
    assert status == 2 and 'usage:' in errors


@pytest.mark.parametrize(('connection', 'text'), [
    ('nonsense', 'not the URL of a database'),
    ('nosuch://x/y', 'not the URL of a database'),
    ('sqlite:////proc/version/x.sqlite', 'Cannot use'),
    ('mysql+pymysql://root:geheim@127.0.0.1:1/x', 'Cannot connect to'),
    ('postgresql+psycopg://root:geheim@127.0.0.1:1/x', 'Connection refused'),
])
def test_a_database_that_cannot_be_reached_is_one_line_without_the_password(
        run, connection, text):
    status, output, errors = run('version', connection=connection)
    assert status == 1 and output == ''
    assert text in errors and 'geheim' not in errors and 'Traceback' not in errors


def test_tables_that_are_missing_are_told(run):
    run('sync')
    with engine.get_engine().begin() as connection:
        connection.exec_driver_sql('DROP TABLE messages')
    status, _, errors = run('purge', '--older-than', '0')
    assert status == 1 and 'messages' in errors and 'db sync' in errors


def test_a_template_of_the_fixtures_is_a_database_of_this_release(tmp_path):
    with database.sqlite(tmp_path):
        assert migration.version() == migration.head()
