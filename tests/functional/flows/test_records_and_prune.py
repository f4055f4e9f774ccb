# SPDX-License-Identifier: Apache-2.0
"""Imported records, verify and prune, through the manager."""

import concurrent.futures

import pytest
from oslo_utils import uuidutils

from backupsvc import states
from backupsvc.manager import periodics, repositories
from backupsvc.objects.repository import Repository, RepositoryList
from backupsvc.objects.task import Task, TaskList
from backupsvc.orchestration import backups, records
from tests.fixtures.deployment import eventually
from tests.functional.flows.conftest import MIB, noise, same_bytes


def deleted(rig, backup_id):
    backups.delete(rig.user, backup_id)
    assert rig.settled(backup_id).deleted


def imported(rig, record):
    return rig.settled(records.import_record(rig.admin_of_project, record.service, record.url).id)


@pytest.fixture
def rig(rig):
    """A rig whose records are imported into the user's project by an administrator of it."""
    values = rig.user.to_dict()
    values['is_admin'] = True
    rig.admin_of_project = type(rig.user).from_dict(values)
    return rig


def manifests(rig, backup):
    repository = repositories.open_repository(
        rig.admin, backup.repository_project_id, backup.container, driver=backup.repository)
    try:
        return [info.id for info in repository.list_manifests()]
    finally:
        repository.close()


def run_task(rig, kind, record, **arguments):
    task = Task(rig.admin, kind=kind, resource_id=record.id, arguments=arguments)
    task.create()
    return eventually(lambda: (found := Task.get_by_id(rig.admin, task.id)).state
                      not in states.TASK_LIVE and found, 60)


def test_record_of_a_lost_row_brings_the_backup_back(rig):
    source = rig.volume((0, noise(1, MIB)), name='disk', metadata={'tier': 'gold'})
    backup = rig.backed_up(source.id)
    record = records.export(rig.admin_of_project, backup.id)
    backup.destroy()  # the row alone: as if the database were lost
    again = imported(rig, record)
    assert (again.id, again.status) == (backup.id, states.AVAILABLE)
    restored = rig.restore(again.id)
    assert same_bytes(rig.path(source.id), rig.path(restored.id))
    assert (restored.name, restored.metadata['tier']) == ('disk', 'gold')


def test_record_of_deleted_data_ends_in_error_and_can_be_deleted(rig):
    source = rig.volume((0, noise(2, MIB)))
    backup = rig.backed_up(source.id)
    record = records.export(rig.admin_of_project, backup.id)
    deleted(rig, backup.id)
    again = imported(rig, record)
    assert again.status == states.ERROR
    assert again.fail_reason
    deleted(rig, again.id)


def test_two_records_of_one_manifest_are_deleted_one_by_one(rig):
    source = rig.volume((0, noise(3, MIB)))
    backup = rig.backed_up(source.id)
    record = records.export(rig.admin_of_project, backup.id)
    import base64
    import json
    values = json.loads(base64.b64decode(record.url))
    values['id'] = uuidutils.generate_uuid()
    twin = imported(rig, records.Record(
        record.service, base64.b64encode(json.dumps(values).encode()).decode()))
    assert twin.status == states.AVAILABLE
    deleted(rig, backup.id)
    assert manifests(rig, backup) == [backup.id]
    assert same_bytes(rig.path(source.id), rig.path(rig.restore(twin.id).id))
    deleted(rig, twin.id)
    assert manifests(rig, backup) == []


def test_prune_frees_what_deleted_backups_held(make_rig):
    rig = make_rig(prune_interval=1, prune_grace=0)
    rig.start()
    kept = rig.volume((0, noise(4, MIB)))
    gone = rig.volume((0, noise(5, 24 * MIB)))
    survivor = rig.backed_up(kept.id)
    backup = rig.backed_up(gone.id)
    root = rig.path(kept.id).parents[1] / 'repositories'

    def stored():
        return sum(path.stat().st_size for path in root.rglob('*') if path.is_file())

    assert stored() > 24 * MIB
    deleted(rig, backup.id)
    eventually(lambda: stored() < 8 * MIB, 60)
    assert same_bytes(rig.path(kept.id), rig.path(rig.restore(survivor.id).id))
    record, = RepositoryList.get_all(rig.admin)
    eventually(lambda: not Task.live_for(rig.admin, record.id))
    assert not Repository.due_for_prune(rig.admin, 0)


def test_verify_finds_what_is_damaged(rig):
    source = rig.volume((0, noise(6, MIB)))
    backup = rig.backed_up(source.id)
    record = Repository.get_or_create(
        rig.admin, backup.repository, backup.repository_project_id, backup.container)
    task = run_task(rig, states.TASK_VERIFY, record, full=True)
    assert task.state == states.DONE
    assert task.resume_point['report']['problems'] == []
    for path in (rig.path(source.id).parents[1] / 'repositories').rglob('*'):
        if path.is_file() and '/packs/' in str(path):
            path.unlink()
    task = run_task(rig, states.TASK_VERIFY, record, full=False)
    assert {problem['backup_id'] for problem in task.resume_point['report']['problems']} == {
        backup.id}


def test_a_manager_verifies_what_was_not_for_long(rig):
    rig.conf.set_override('verify_interval', 1, 'manager')
    backup = rig.backed_up(rig.volume((0, noise(7, MIB))).id)
    record, = RepositoryList.get_all(rig.admin)
    looks = [periodics.Periodics(f'host-{number}', rig.manager._runner.wake)
             for number in range(4)]
    eventually(lambda: Repository.due_for_verify(rig.admin, 1))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda each: each.queue_verifies(rig.admin), looks))
    task, = TaskList.get_all(rig.admin, {'resource_id': record.id})
    done = eventually(lambda: (found := Task.get_by_id(rig.admin, task.id)).state
                      == states.DONE and found, 60)
    assert done.resume_point['report']['problems'] == []
    record, = RepositoryList.get_all(rig.admin)
    assert record.last_verified_at is not None
    assert rig.read(backup.id).status == states.AVAILABLE
