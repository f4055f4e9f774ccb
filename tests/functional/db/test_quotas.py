# SPDX-License-Identifier: Apache-2.0
"""Quotas: limits by precedence; usage that never differs from what there is."""

import threading

import pytest

from backupsvc import exception, states
from backupsvc.db import engine, models
from backupsvc.db import quotas as db
from backupsvc.objects import quota
from backupsvc.objects.backup import Backup, BackupList
from backupsvc.objects.task import Task
from tests.functional.db import records
from tests.functional.db.conftest import OTHER_PROJECT, PROJECT


def _usages(context):
    return quota.usages(context, PROJECT)


def test_limits_come_from_the_configuration(context, any_database):
    any_database.set_override('backups', 3, 'quota')
    limits = quota.limits_for(context, PROJECT)
    assert limits == {'backups': 3, 'backup_gigabytes': 1000, 'volumes': 10, 'gigabytes': 1000,
                      'snapshots': 10, 'per_volume_gigabytes': -1, 'database_instances': 10,
                      'database_gigabytes': 40}


def test_what_is_set_nearer_to_the_project_wins(context):
    quota.set_class_limits(context, 'default', {'backups': 20, 'volumes': 21, 'snapshots': 22})
    quota.set_class_limits(context, 'gold', {'backups': 30, 'volumes': 31})
    quota.set_limits(context, PROJECT, {'backups': 40})
    limits = quota.limits_for(context, PROJECT, 'gold')
    assert (limits['backups'], limits['volumes'], limits['snapshots']) == (40, 31, 22)
    assert quota.limits_for(context, PROJECT)['volumes'] == 21
    assert quota.limits_for(context, OTHER_PROJECT)['backups'] == 20
    assert quota.class_limits(context, 'gold')['backups'] == 30
    assert quota.class_limits(context, 'Gold')['backups'] == 20


def test_limits_are_changed_and_forgotten(context):
    quota.set_limits(context, PROJECT, {'backups': 1, 'volumes': 2})
    quota.set_limits(context, PROJECT, {'backups': -1})
    limits = quota.limits_for(context, PROJECT)
    assert (limits['backups'], limits['volumes']) == (-1, 2)
    quota.delete_limits(context, PROJECT)
    assert quota.limits_for(context, PROJECT) == quota.defaults(context)


@pytest.mark.parametrize('limits', [{'no_such': 1}, {'backups': -2}, {'backups': 2**31}])
def test_what_cannot_be_a_limit_is_refused(context, limits):
    with pytest.raises(exception.InvalidInput):
        quota.set_limits(context, PROJECT, limits)
    with pytest.raises(exception.InvalidInput):
        quota.set_class_limits(context, 'default', limits)


def test_a_project_without_backups_uses_nothing(context):
    assert _usages(context) == {'backups': 0, 'backup_gigabytes': 0}


@pytest.mark.parametrize(('limits', 'refused'), [
    ({'backups': 1}, ('backups', 1, 1, 1)),
    ({'backup_gigabytes': 4}, ('backup_gigabytes', 3, 4, 2)),
    ({'backups': 1, 'backup_gigabytes': 4}, ('backup_gigabytes', 3, 4, 2)),
    ({'backups': 0}, ('backups', 1, 0, 1)),
])
def test_over_the_limit_nothing_is_written(context, limits, refused):
    records.create_backup(context, size_gb=2)
    before = _usages(context)
    backup = records.new_backup(context, size_gb=3, metadata={'a': 'b'})
    with pytest.raises(exception.OverQuota) as raised:
        backup.create(records.new_task(context), limits)
    details = raised.value.details
    assert (details['resource'], details['requested'], details['limit'],
            details['in_use']) == refused
    assert _usages(context) == before
    assert BackupList.count(context) == 1
    assert Task.live_for(context, backup.id) == []


@pytest.mark.parametrize('limits', [
    {'backups': 2, 'backup_gigabytes': 5}, {'backups': -1, 'backup_gigabytes': -1}, {}, None])
def test_up_to_the_limit_it_is_written(context, limits):
    records.create_backup(context, size_gb=2)
    records.new_backup(context, size_gb=3).create(None, limits)
    assert _usages(context) == {'backups': 2, 'backup_gigabytes': 5}


def test_a_project_over_a_limit_that_was_lowered_may_still_delete(context):
    backup = records.create_backup(context, size_gb=2)
    quota.set_limits(context, PROJECT, {'backups': 0, 'backup_gigabytes': 0})
    backup.destroy()
    assert _usages(context) == {'backups': 0, 'backup_gigabytes': 0}


def test_a_backup_that_failed_still_counts_until_it_is_deleted(context, admin):
    backup, task = records.begin(context, admin)
    backup.fail(task, states.ERROR, 'no')
    assert _usages(context)['backups'] == 1
    backup.destroy()
    assert _usages(context)['backups'] == 0


def test_projects_do_not_share_usage(context, stranger):
    records.create_backup(context, size_gb=2)
    records.create_backup(stranger, size_gb=5)
    assert _usages(context)['backup_gigabytes'] == 2
    assert quota.usages(stranger, OTHER_PROJECT)['backup_gigabytes'] == 5


def test_usage_that_fails_takes_the_record_with_it(context, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError('the server died here')

    monkeypatch.setattr(db, 'consume', fail)
    backup = records.new_backup(context)
    with pytest.raises(RuntimeError):
        backup.create(records.new_task(context))
    monkeypatch.undo()
    with pytest.raises(exception.BackupNotFound):
        Backup.get_by_id(context, backup.id)
    assert _usages(context)['backups'] == 0


def test_of_many_that_race_as_many_pass_as_fit(context):
    """The first use of all: the row of the usage does not exist yet either."""
    barrier = threading.Barrier(8)
    outcomes = []

    def create():
        barrier.wait()
        try:
            records.new_backup(context).create(
                records.new_task(context), {'backups': 3, 'backup_gigabytes': 100})
        except Exception as error:
            outcomes.append(type(error))
        else:
            outcomes.append(None)

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, outcomes)) == sorted(map(str, [None] * 3 + [exception.OverQuota] * 5))
    assert _usages(context) == {'backups': 3, 'backup_gigabytes': 3}
    assert BackupList.count(context) == 3


def test_of_many_that_delete_one_backup_one_gives_back(context):
    keep, gone = records.create_backup(context), records.create_backup(context)
    barrier = threading.Barrier(6)
    errors = []

    def destroy():
        barrier.wait()
        try:
            Backup.get_by_id(context, gone.id, read_deleted=True).destroy()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=destroy) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert _usages(context) == {'backups': 1, 'backup_gigabytes': 1}
    assert Backup.get_by_id(context, keep.id)


def test_an_audit_finds_what_was_changed_by_hand_and_a_recount_mends_it(context, admin):
    records.create_backup(context, size_gb=2)
    assert quota.audit(admin) == {}
    with engine.get_engine().begin() as connection:
        connection.execute(models.quota_usages.update().values(in_use=9))
        connection.execute(models.quota_usages.insert().values(
            project_id=OTHER_PROJECT, resource='backups', in_use=4,
            created_at=records.ago(0)))
    wrong = {PROJECT: {'backups': (9, 1), 'backup_gigabytes': (9, 2)},
             OTHER_PROJECT: {'backups': (4, 0)}}
    assert quota.audit(admin) == wrong
    assert quota.recount(admin) == wrong
    assert quota.audit(admin) == {}
    assert _usages(context) == {'backups': 1, 'backup_gigabytes': 2}


def test_an_audit_counts_projects_that_have_no_usage_at_all(context, admin):
    records.create_backup(context)
    with engine.get_engine().begin() as connection:
        connection.execute(models.quota_usages.delete())
    assert quota.recount(admin) == {PROJECT: {'backups': (0, 1), 'backup_gigabytes': (0, 1)}}
    assert _usages(context) == {'backups': 1, 'backup_gigabytes': 1}
