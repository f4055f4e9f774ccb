# SPDX-License-Identifier: Apache-2.0
"""``backupsvc-status upgrade check``: 0 good, 1 warnings, 2 failures."""

import datetime

import pytest

from backupsvc import conf as service_conf
from backupsvc import context as request_context
from backupsvc import rpc, states
from backupsvc.cmd import status
from backupsvc.db import engine, migration, models
from backupsvc.objects.service import Service
from backupsvc.objects.task import Task


@pytest.fixture
def check(tmp_path, capsys):
    """Run the check on a database of its own; return (status, output)."""
    before = service_conf._current
    path = tmp_path / 'backupsvc.conf'
    path.write_text(f'[DEFAULT]\nstate_path = {tmp_path}\n')

    def check():
        engine.reset()
        result = status.main(['--config-file', str(path), 'upgrade', 'check'])
        return result, capsys.readouterr().out

    yield check
    engine.reset()
    service_conf._current = before


def test_no_schema_is_a_failure(check):
    result, output = check()
    assert result == 2 and 'db sync' in output.replace('\n', ' ')


def test_a_schema_at_head_is_good(check):
    check()
    migration.sync()
    result, output = check()
    assert result == 0 and migration.head() in output


def test_a_schema_of_a_newer_release_is_a_failure(check):
    check()
    migration.sync()
    with engine.get_engine().begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'future'")
    assert check()[0] == 2


def test_missing_migrations_are_a_failure(check, monkeypatch):
    def missing():
        raise migration.MigrationsNotFound('nowhere')

    monkeypatch.setattr(migration, 'migrations_directory', missing)
    result, output = check()
    assert result == 2 and 'nowhere' in output


def test_a_service_that_is_down_is_a_warning(check):
    check()
    migration.sync()
    Service.heartbeat(request_context.get_admin_context(), 'h', 'b')
    assert check()[0] == 0
    with engine.get_engine().begin() as connection:
        connection.execute(models.services.update().values(
            last_seen_at=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)))
    result, output = check()
    assert result == 1 and 'b on h' in output


def test_work_of_a_host_that_is_gone_is_a_warning(check):
    check()
    migration.sync()
    admin = request_context.get_admin_context()
    Task(admin, kind=states.TASK_CREATE, resource_id='r', host_affinity='gone').create()
    result, output = check()
    assert result == 1 and 'gone' in output
    Service.heartbeat(admin, 'gone', 'backupsvc-manager', rpc_version=rpc.VERSION)
    assert check()[0] == 0


def test_versions_of_managers_are_compared_with_the_pin(check, tmp_path):
    def lives(host, version):
        Service.heartbeat(request_context.get_admin_context(), host, 'backupsvc-manager',
                          rpc_version=version)

    def pin(version):
        path.write_text(f'{text}[upgrade_levels]\nmanager = {version}\n')

    path = tmp_path / 'backupsvc.conf'
    text = path.read_text()
    check()
    migration.sync()
    lives('old', '1.1')
    result, output = check()
    assert result == 1 and 'old (1.1)' in output
    pin(rpc.VERSION)
    result, output = check()
    assert result == 2 and 'old (1.1)' in output
    pin('1.1')
    assert check()[0] == 1
    lives('old', rpc.VERSION)
    result, output = check()
    assert result == 1 and 'can go' in output
    pin('auto')
    assert check()[0] == 0
