# SPDX-License-Identifier: Apache-2.0
"""Repositories are known once, and are due for a prune when there is something to win."""

import threading

from backupsvc import states
from backupsvc.db import engine, models
from backupsvc.objects.repository import Repository, RepositoryList
from tests.functional.db import records


def _due(admin, interval_s=0.0):
    return [repository.id for repository in Repository.due_for_prune(admin, interval_s)]


def test_the_same_place_is_the_same_repository(admin):
    one = Repository.get_or_create(admin, 'posix', 'p', 'c')
    assert Repository.get_or_create(admin, 'posix', 'p', 'c').id == one.id
    others = {Repository.get_or_create(admin, *place).id for place in (
        ('swift', 'p', 'c'), ('posix', 'P', 'c'), ('posix', 'p', 'C'), ('posix', 'p', 'c '))}
    assert len(others | {one.id}) == 5
    assert len(RepositoryList.get_all(admin)) == 5
    assert len(RepositoryList.get_all(admin, {'driver': 'swift'})) == 1


def test_first_mentions_that_race_make_one_row(admin):
    barrier = threading.Barrier(6)
    found = []

    def mention():
        barrier.wait()
        try:
            found.append(Repository.get_or_create(admin, 'posix', 'p', 'c').id)
        except Exception as error:
            found.append(error)

    threads = [threading.Thread(target=mention) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6 and len(set(found)) == 1, found


def test_deletions_make_a_prune_due_until_it_was(admin):
    repository = Repository.get_or_create(admin, 'posix', 'p', 'c')
    assert _due(admin) == []
    marked = Repository.mark_deleted_backup(admin, 'posix', 'p', 'c')
    assert (marked.id, marked.deleted_backups) == (repository.id, 1)
    assert _due(admin) == [repository.id]
    marked.mark_pruned()
    assert marked.deleted_backups == 0 and marked.last_pruned_at is not None
    assert _due(admin) == []


def test_what_was_deleted_while_a_prune_ran_stays_due(admin):
    Repository.mark_deleted_backup(admin, 'posix', 'p', 'c')
    pruned = Repository.mark_deleted_backup(admin, 'posix', 'p', 'c')
    Repository.mark_deleted_backup(admin, 'posix', 'p', 'c')
    pruned.mark_pruned()
    assert pruned.deleted_backups == 1
    pruned.mark_pruned()
    assert pruned.deleted_backups == 0


def test_a_prune_is_not_due_again_before_its_time(admin):
    repository = Repository.mark_deleted_backup(admin, 'posix', 'p', 'c')
    repository.mark_pruned()
    Repository.mark_deleted_backup(admin, 'posix', 'p', 'c')
    assert _due(admin, 3600) == []
    with engine.get_engine().begin() as connection:
        connection.execute(models.repositories.update().values(last_pruned_at=records.ago(3601)))
    assert _due(admin, 3600) == [repository.id]


def test_a_verify_is_noted(admin):
    repository = Repository.get_or_create(admin, 'posix', 'p', 'c')
    repository.mark_verified()
    [found] = RepositoryList.get_all(admin)
    assert found.last_verified_at == repository.last_verified_at is not None


def test_a_verify_is_due_when_the_last_one_is_long_ago(admin):
    repository = Repository.get_or_create(admin, 'posix', 'p', 'c')

    def due():
        return [found.id for found in Repository.due_for_verify(admin, 3600)]

    def long_ago(**columns):
        with engine.get_engine().begin() as connection:
            connection.execute(models.repositories.update().values(
                {name: records.ago(3601) for name in columns}))

    long_ago(created_at=True)
    assert due() == []  # holds nothing
    records.create_backup(admin, project_id='p', repository='posix', container='c',
                   status=states.AVAILABLE)
    for other in ({'project_id': 'q'}, {'container': 'd'}, {'status': states.ERROR}):
        place = {'project_id': 'p', 'container': 'c', 'status': states.AVAILABLE, **other}
        records.create_backup(admin, repository='posix', **place)
    Repository.get_or_create(admin, 'posix', 'q', 'c')  # new
    assert due() == [repository.id]
    repository.mark_verified()
    assert due() == []
    long_ago(last_verified_at=True)
    assert due() == [repository.id]
