# SPDX-License-Identifier: Apache-2.0
"""Many threads and processes on one database: nobody is turned away, nothing is lost."""

import os
import subprocess
import sys
import threading

import pytest
from oslo_db import exception as db_exception

from backupsvc import states
from backupsvc.db import engine, models, quotas
from backupsvc.objects import quota
from backupsvc.objects.backup import Backup, BackupList
from backupsvc.objects.task import Task, TaskList
from tests.functional.db import records
from tests.functional.db.conftest import PROJECT


def _live(context, rounds):
    """Take backups through their whole life, beside others that do the same."""
    for number in range(rounds):
        backup = records.new_backup(context, metadata={'round': str(number)})
        backup.create(records.new_task(context), {'backups': -1})
        task = Task.claim(context, Task.live_for(context, backup.id)[0].id, 'me', 'testhost', 60)
        task.progress(bytes_done=1)
        assert backup.finish(task, states.AVAILABLE)
        backup.set_metadata({'done': 'yes'})
        assert len(BackupList.get_all(context, {'metadata': {'done': 'yes'}}, limit=5)) >= 1
        if number % 2:
            backup.begin(records.new_task(context, states.TASK_DELETE), [states.AVAILABLE],
                         states.DELETING)
            [task] = Task.live_for(context, backup.id)
            backup.destroy(Task.claim(context, task.id, 'me', 'testhost', 60))


def test_threads_live_side_by_side(context, admin):
    errors = []

    def run():
        try:
            _live(context, 4)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert BackupList.count(context) == 12
    assert quota.audit(admin) == {}
    assert {task.state for task in TaskList.get_all(admin)} == {states.DONE}


_LIFE = '''
import sys
from backupsvc import conf, context
from tests.functional.db import test_concurrency
config = conf.new_config()
config([], default_config_files=[], default_config_dirs=[])
config.set_override('connection', sys.argv[1], 'database')
conf.install(config)
test_concurrency._live(context.RequestContext(
    user_id='u', project_id=sys.argv[2], is_admin=False, overwrite=False), 6)
'''


def test_processes_live_side_by_side(context, admin, any_database):
    lives = [subprocess.Popen(
        [sys.executable, '-W', 'ignore', '-c', _LIFE, any_database.database.connection, PROJECT],
        stderr=subprocess.PIPE, text=True) for _ in range(3)]
    _live(context, 6)
    errors = [life.communicate(timeout=120)[1] for life in lives]
    assert [life.returncode for life in lives] == [0, 0, 0], errors
    assert BackupList.count(context) == 12
    assert quota.audit(admin) == {}


def test_a_process_that_dies_within_a_transaction_leaves_nothing(context, admin, any_database):
    """What it had written in it is not seen, and others need not wait for it."""
    script = _LIFE.split('test_concurrency._live')[0] + '''
import os
from backupsvc.db import quotas
from tests.functional.db import records
quotas.consume = lambda *args: os._exit(9)
me = context.RequestContext(user_id='u', project_id=sys.argv[2], overwrite=False, is_admin=False)
records.new_backup(me).create(records.new_task(me))
'''
    died = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', script, any_database.database.connection, PROJECT],
        timeout=120, env=os.environ)
    assert died.returncode == 9
    assert BackupList.count(context) == 0
    assert len(TaskList.get_all(admin)) == 0
    records.create_backup(context)
    assert quota.audit(admin) == {}


def test_a_deadlock_is_run_again(context, admin, monkeypatch):
    """The whole transaction is, once the database has chosen it as the victim."""
    real, calls = quotas.consume, []

    def consume(*args):
        calls.append(args)
        if len(calls) < 3:
            raise db_exception.DBDeadlock()
        real(*args)

    monkeypatch.setattr(quotas, 'consume', consume)
    backup = records.new_backup(context)
    backup.create(records.new_task(context))
    assert len(calls) == 3
    assert Backup.get_by_id(context, backup.id)
    assert len(Task.live_for(context, backup.id)) == 1
    assert quota.audit(admin) == {}


def test_crossed_transactions_both_end(context):
    """Two that lock the same two rows in opposite order: one is the victim, and is run again."""
    one, two = records.create_backup(context), records.create_backup(context)
    barrier = threading.Barrier(2, timeout=30)
    runs = []

    @engine.writer
    def change(context, session, first, second):
        runs.append(first)
        for number, backup_id in enumerate((first, second)):
            session.execute(models.backups.update().where(models.backups.c.id == backup_id)
                            .values(object_count=models.backups.c.object_count + 1))
            if number == 0 and len(runs) <= 2:
                meet()

    def meet():
        try:
            barrier.wait(timeout=0.5)
        except threading.BrokenBarrierError:
            # On SQLite the other one waits at its BEGIN, and never comes here meanwhile.
            pass

    errors = []

    def run(*ids):
        try:
            change(context, *ids)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=ids)
               for ids in ((one.id, two.id), (two.id, one.id))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert [Backup.get_by_id(context, backup.id).object_count for backup in (one, two)] == [2, 2]
    if engine.get_engine().dialect.name != 'sqlite':
        assert len(runs) == 3


def test_a_writer_within_a_reader_is_refused(context):
    """It could not be run again alone; on SQLite it could not wait for its turn either."""
    @engine.reader
    def read(context, session):
        return records.create_backup(context)

    with pytest.raises(TypeError, match='upgrade'):
        read(context)
