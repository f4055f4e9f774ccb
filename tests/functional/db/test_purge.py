# SPDX-License-Identifier: Apache-2.0
"""A purge removes what is old and over, and nothing else."""

import pytest
import sqlalchemy

from backupsvc import exception
from backupsvc.db import engine, models, purge
from backupsvc.objects.backup import Backup
from backupsvc.objects.message import Message
from backupsvc.objects.task import Task
from tests.functional.db import records


def _count(table):
    with engine.get_engine().connect() as connection:
        return connection.scalar(sqlalchemy.select(sqlalchemy.func.count()).select_from(table))


def _age(table, **times):
    with engine.get_engine().begin() as connection:
        connection.execute(table.update().values(**times))


@pytest.mark.parametrize('batch', [1, 2, 1000])
def test_what_is_old_and_over_goes(context, admin, batch):
    for number in range(3):
        backup = records.create_backup(context, metadata={'a': str(number), 'b': 'x'})
        backup.destroy()
        task = records.new_task(context, resource_id=backup.id)
        task.create()
        Task.cancel_idle(admin, task.id)
    _age(models.backups, deleted_at=records.ago(1000))
    _age(models.backup_metadata, deleted_at=records.ago(1000))
    _age(models.tasks, finished_at=records.ago(1000))
    Message(context, project_id='p', event_id='e', message_level='ERROR',
            expires_at=records.ago(1000)).create()
    removed = purge.purge(admin, records.ago(500), batch)
    assert removed == {'backup_metadata': 6, 'backups': 3, 'tasks': 3, 'messages': 1,
                       'backup_sets': 0, 'snapshots': 0, 'db_instances': 0, 'checkpoints': 0}
    assert [_count(table) for table in (
        models.backups, models.backup_metadata, models.tasks, models.messages)] == [0, 0, 0, 0]


def test_what_is_live_or_young_stays(context, admin):
    live = records.create_backup(context, metadata={'a': 'b', 'gone': 'x'})
    live.delete_metadata('gone')
    young = records.create_backup(context)
    young.destroy()
    running = records.new_task(context, resource_id=live.id)
    running.create()
    Message(context, project_id='p', event_id='e', message_level='ERROR').create()
    _age(models.backups, created_at=records.ago(10**6))
    removed = purge.purge(admin, records.ago(500))
    assert set(removed.values()) == {0}
    assert Backup.get_by_id(context, live.id).metadata == {'a': 'b'}
    assert Backup.get_by_id(context, young.id, read_deleted=True).deleted
    assert Task.get_by_id(admin, running.id).is_live
    assert _count(models.messages) == 1


def test_pairs_that_were_deleted_go_before_their_backup(context, admin):
    backup = records.create_backup(context, metadata={'a': '1', 'b': '2'})
    backup.delete_metadata('a')
    purge.purge(admin, records.ago(-10))
    assert _count(models.backup_metadata) == 1
    assert Backup.get_by_id(context, backup.id).metadata == {'b': '2'}


def test_a_child_outlives_its_parent(context, admin):
    parent = records.create_backup(context)
    child = records.create_backup(context, parent_id=parent.id)
    parent.destroy()
    purge.purge(admin, records.ago(-10))
    with pytest.raises(exception.BackupNotFound):
        Backup.get_by_id(context, parent.id, read_deleted=True)
    assert Backup.get_by_id(context, child.id).parent_id == parent.id
