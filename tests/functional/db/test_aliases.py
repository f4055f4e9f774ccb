# SPDX-License-Identifier: Apache-2.0
"""Numbers of a project: from 1 without a gap, one for each thing, never given twice."""

import datetime
import subprocess
import sys
import threading
import uuid

import sqlalchemy

from backupsvc.db import engine, models, purge
from backupsvc.objects import alias
from tests.functional.db import records
from tests.functional.db.conftest import OTHER_PROJECT, PROJECT


def _ids(count):
    return [str(uuid.uuid4()) for _ in range(count)]


def test_numbers_count_from_one_in_the_order_asked_for(context):
    ids = _ids(3)
    assert alias.numbers(context, PROJECT, alias.BACKUP, ids) == dict(
        zip(ids, (1, 2, 3), strict=True))
    more = [ids[2], *_ids(1), ids[0]]
    assert list(alias.numbers(context, PROJECT, alias.BACKUP, more).items()) == [
        (more[0], 3), (more[1], 4), (more[2], 1)]
    assert alias.numbers(context, PROJECT, alias.BACKUP, []) == {}
    twice = _ids(1) * 2
    assert alias.numbers(context, PROJECT, alias.BACKUP, twice) == {twice[0]: 5}


def test_a_number_leads_back(context):
    [one] = _ids(1)
    alias.numbers(context, PROJECT, alias.BACKUP, [one])
    assert alias.target(context, PROJECT, alias.BACKUP, 1) == one
    for number in (0, -1, 2, 2**31 - 1, 2**31, 2**63, 10**100):
        assert alias.target(context, PROJECT, alias.BACKUP, number) is None


def test_projects_and_kinds_count_apart(context):
    [one, two] = _ids(2)
    for project, kind in ((PROJECT, alias.VOLUME), (OTHER_PROJECT, alias.BACKUP),
                          (PROJECT.upper(), alias.BACKUP), (f'{PROJECT} ', alias.BACKUP)):
        assert alias.numbers(context, project, kind, [one]) == {one: 1}
        assert alias.target(context, project, kind, 1) == one
    assert alias.target(context, PROJECT, alias.BACKUP, 1) is None
    assert alias.numbers(context, PROJECT, alias.BACKUP, [two, one]) == {two: 1, one: 2}


def test_more_than_fit_one_statement(context):
    ids = _ids(1200)
    assert list(alias.numbers(context, PROJECT, alias.BACKUP, ids).values()) == list(
        range(1, 1201))
    assert alias.numbers(context, PROJECT, alias.BACKUP, ids)[ids[-1]] == 1200


def test_a_number_outlives_what_it_stands_for_and_is_not_given_again(context, admin):
    backups = [records.create_backup(context) for _ in range(3)]
    ids = [backup.id for backup in backups]
    alias.numbers(context, PROJECT, alias.BACKUP, ids)
    for backup in backups:
        backup.destroy()
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)
    assert purge.purge(admin, later)['backups'] == 3
    assert alias.target(context, PROJECT, alias.BACKUP, 3) == ids[2]
    [new] = _ids(1)
    assert alias.numbers(context, PROJECT, alias.BACKUP, [new]) == {new: 4}


def test_a_row_removed_by_hand_does_not_free_its_number(context):
    ids = _ids(2)
    alias.numbers(context, PROJECT, alias.BACKUP, ids)
    with engine.get_engine().begin() as connection:
        connection.execute(models.id_aliases.delete())
    assert alias.target(context, PROJECT, alias.BACKUP, 2) is None
    assert alias.numbers(context, PROJECT, alias.BACKUP, ids[:1]) == {ids[0]: 3}


def test_threads_that_race_agree(context):
    """On the first number of all, on one thing, and on things of their own."""
    barrier = threading.Barrier(6)
    shared = _ids(8)
    errors, found = [], []

    def run():
        try:
            barrier.wait()
            for one in shared:
                mine = _ids(1)
                given = alias.numbers(context, PROJECT, alias.BACKUP, [*mine, one])
                found.append((one, given[one], given[mine[0]]))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len({(one, number) for one, number, _ in found}) == len(shared)
    given = [number for _, _, number in found] + list({number for _, number, _ in found})
    assert sorted(given) == list(range(1, 6 * 8 + 8 + 1))


def test_projects_that_begin_at_once_do_not_stand_in_each_others_way(context):
    barrier = threading.Barrier(6)
    errors = []

    def run(number):
        try:
            barrier.wait()
            for _ in range(5):
                alias.numbers(context, f'project{number}', alias.VOLUME, _ids(3))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with engine.get_engine().connect() as connection:
        assert list(connection.scalars(
            sqlalchemy.select(models.id_counters.c.last_number))) == [15] * 6


_GIVE = '''
import sys, uuid
from backupsvc import conf, context
from backupsvc.objects import alias
config = conf.new_config()
config([], default_config_files=[], default_config_dirs=[])
config.set_override('connection', sys.argv[1], 'database')
conf.install(config)
me = context.get_admin_context()
alias.target(me, 'p', 'backup', 1)
print('ready', flush=True)
sys.stdin.readline()
for _ in range(20):
    print(*alias.numbers(me, 'p', 'backup', [str(uuid.uuid4())]).values())
'''


def test_processes_that_race_never_give_a_number_twice(any_database, context):
    processes = [subprocess.Popen(
        [sys.executable, '-W', 'ignore', '-c', _GIVE, any_database.database.connection],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)]
    for process in processes:
        assert process.stdout.readline() == 'ready\n', process.stderr.read()
    for process in processes:
        process.stdin.write('go\n')
        process.stdin.flush()
    found = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], found
    given = [int(line) for output, _ in found for line in output.split()]
    assert sorted(given) == list(range(1, 61))
