# SPDX-License-Identifier: Apache-2.0
"""Sets and their members are written together, change together, and are counted once."""

import uuid

import pytest
import sqlalchemy

from backupsvc import exception, states
from backupsvc.db import engine, models, purge
from backupsvc.objects import quota
from backupsvc.objects.backup import Backup, BackupList
from backupsvc.objects.backup_set import BackupSet
from backupsvc.objects.instance_snapshot import InstanceSnapshot, SnapshotMember
from backupsvc.objects.task import Task
from tests.functional.db import records

SOURCE = str(uuid.uuid4())


def create_set(context, members=2, limits=None, **values):
    """Write a backup set whose create is queued."""
    record = BackupSet(context, **{
        'id': str(uuid.uuid4()), 'project_id': context.project_id, 'kind': 'instance',
        'source_id': SOURCE, 'status': states.CREATING, 'size_gb': members,
        'is_incremental': False, 'metadata': {}, **values})
    record.create(
        [records.new_backup(context, id=str(uuid.uuid4()), metadata={'k': 'v'})
         for _ in range(members)],
        records.new_task(context, states.TASK_CREATE_SET), limits)
    return record


def create_snapshot(context, **values):
    record = InstanceSnapshot(context, **{
        'id': str(uuid.uuid4()), 'project_id': context.project_id, 'kind': 'instance',
        'source_id': SOURCE, 'status': states.CREATING, 'size_gb': 2, 'metadata': {}, **values})
    record.create(
        [SnapshotMember(volume_id=str(number) * 36, position=number, device=f'/dev/vd{number}',
                        size_gb=1) for number in (1, 0)],
        records.new_task(context, states.TASK_SNAPSHOT))
    return record


def claimed(admin, resource_id, owner='one'):
    first = Task.live_for(admin, resource_id)[0]
    task = Task.claim(admin, first.id, owner, 'testhost', records.LEASE_S)
    assert task is not None
    return task


def taken(admin, record):
    """Claim the create of a set and queue its members' tasks."""
    task = claimed(admin, record.id)
    tasks = {member.id: records.new_task(admin) for member in record.members()}
    record.begin_members(task, tasks, {'taken': True}, is_consistent=True)
    return task


def _count(table):
    with engine.get_engine().connect() as connection:
        return connection.scalar(sqlalchemy.select(sqlalchemy.func.count()).select_from(table))


# Writing -----------------------------------------------------------------------------------------


def test_a_set_is_written_with_members_task_and_quota(context):
    record = create_set(context, members=3, metadata={'tier': 'gold'})
    shown = BackupSet.get_by_id(context, record.id)
    assert (shown.status, shown.instance_id, shown.metadata) == (
        states.CREATING, SOURCE, {'tier': 'gold'})
    members = shown.members()
    assert [(member.set_id, member.status, member.metadata) for member in members] == [
        (record.id, states.CREATING, {'k': 'v'})] * 3
    assert [task.kind for task in Task.live_for(context, record.id)] == ['create_set']
    assert not any(Task.live_for(context, member.id) for member in members)
    assert quota.usages(context, context.project_id) == {'backups': 3, 'backup_gigabytes': 3}
    assert quota.audit(context) == {}


def test_a_set_over_quota_leaves_nothing(context):
    with pytest.raises(exception.OverQuota):
        create_set(context, members=3, limits={'backups': 2, 'backup_gigabytes': -1})
    assert [_count(table) for table in (
        models.backup_sets, models.backups, models.tasks, models.backup_metadata)] == [0, 0, 0, 0]
    assert not any(quota.usages(context, context.project_id).values())


def test_sets_of_other_projects_do_not_exist(context, stranger, admin):
    record = create_set(context)
    with pytest.raises(exception.InstanceBackupNotFound):
        BackupSet.get_by_id(stranger, record.id)
    assert BackupSet.get_all(stranger) == []
    assert BackupSet.get_by_id(admin, record.id).id == record.id
    with pytest.raises(exception.InstanceSnapshotNotFound):
        InstanceSnapshot.get_by_id(context, record.id)


@pytest.mark.parametrize('set_id', ['', '..', 'x' * 300, '\0', '\ud800', 'ü'])
def test_what_is_no_id_is_not_found(context, set_id):
    with pytest.raises(exception.InstanceBackupNotFound):
        BackupSet.get_by_id(context, set_id)
    with pytest.raises(exception.InstanceSnapshotNotFound):
        InstanceSnapshot.get_by_id(context, set_id)


def test_members_of_snapshots_come_in_their_order(context, admin):
    record = create_snapshot(context, metadata={'a': 'b'})
    assert [member.device for member in record.members] == ['/dev/vd0', '/dev/vd1']
    task = claimed(admin, record.id)
    record.note_taken(task, {'1' * 36: 's1', '0' * 36: 's0'}, {'taken': 1}, is_consistent=False)
    shown = InstanceSnapshot.get_by_id(context, record.id)
    assert [member.snapshot_id for member in shown.members] == ['s0', 's1']
    assert (shown.is_consistent, shown.metadata) == (False, {'a': 'b'})
    assert Task.get_by_id(admin, task.id).resume_point == {'taken': 1}


# The life of a set -------------------------------------------------------------------------------


def test_members_tasks_are_queued_once_and_by_the_holder_only(context, admin):
    record = create_set(context)
    task = taken(admin, record)
    members = record.members()
    assert [len(Task.live_for(admin, member.id)) for member in members] == [1, 1]
    Task.release_owned(admin, 'one')
    again = claimed(admin, record.id, 'two')
    assert again.resume_point == {'taken': True}
    with pytest.raises(exception.LeaseLost):
        record.begin_members(task, {members[0].id: records.new_task(admin)}, {})
    assert [len(Task.live_for(admin, member.id)) for member in members] == [1, 1]


def test_a_finished_set_is_available_with_its_moment(context, admin):
    record = create_set(context)
    task = taken(admin, record)
    moment = records.ago(5)
    assert record.finish(task, states.AVAILABLE, data_timestamp=moment)
    shown = BackupSet.get_by_id(context, record.id)
    assert (shown.status, shown.data_timestamp, shown.is_consistent) == (
        states.AVAILABLE, moment, True)
    assert Task.get_by_id(admin, task.id).state == states.DONE


def test_a_set_that_is_being_deleted_is_left_alone_by_its_create(context, admin):
    record = create_set(context)
    task = claimed(admin, record.id)
    record.transition_to(states.DELETING, [states.CREATING])
    assert not record.finish(task, states.AVAILABLE)
    assert BackupSet.get_by_id(context, record.id).status == states.DELETING
    assert Task.get_by_id(admin, task.id).state == states.DONE


def available(context, admin):
    record = create_set(context)
    task = taken(admin, record)
    for member in record.members():
        member.finish(claimed(admin, member.id), states.AVAILABLE)
    record.finish(task, states.AVAILABLE)
    return record


def begin_delete(context, record):
    tasks = {member.id: (records.new_task(context, states.TASK_DELETE),
                         (states.AVAILABLE, states.ERROR), states.DELETING)
             for member in record.members()}
    task = records.new_task(context, states.TASK_DELETE_SET)
    record.begin(task, (states.AVAILABLE, states.ERROR), states.DELETING, tasks)
    return task


def test_a_set_and_its_members_begin_to_be_deleted_together(context, admin):
    record = available(context, admin)
    begin_delete(context, record)
    assert {member.status for member in record.members()} == {states.DELETING}
    assert BackupSet.get_by_id(context, record.id).status == states.DELETING
    assert [len(Task.live_for(admin, each.id)) for each in (record, *record.members())] == [
        1, 1, 1]


def test_a_member_in_use_keeps_the_whole_set(context, admin):
    record = available(context, admin)
    second = record.members()[1]
    second.begin(records.new_task(context, states.TASK_RESTORE), [states.AVAILABLE],
                 states.RESTORING)
    with pytest.raises(exception.BackupChanged) as refused:
        begin_delete(context, record)
    assert refused.value.details['backup_id'] == second.id
    assert BackupSet.get_by_id(context, record.id).status == states.AVAILABLE
    assert [member.status for member in record.members()] == [
        states.AVAILABLE, states.RESTORING]
    assert Task.live_for(admin, record.id) == []


def test_a_destroyed_set_is_gone_and_gives_nothing_back_twice(context, admin):
    record = available(context, admin)
    begin_delete(context, record)
    task = claimed(admin, record.id)
    for member in record.members():
        member.destroy(claimed(admin, member.id))
    assert quota.usages(context, context.project_id) == {'backups': 0, 'backup_gigabytes': 0}
    record.destroy(task)
    with pytest.raises(exception.InstanceBackupNotFound):
        BackupSet.get_by_id(context, record.id)
    assert BackupSet.get_by_id(context, record.id, read_deleted=True).status == states.DELETED
    assert quota.usages(context, context.project_id) == {'backups': 0, 'backup_gigabytes': 0}


def test_a_status_that_another_changed_is_not_changed(context, admin):
    record = available(context, admin)
    other = BackupSet.get_by_id(context, record.id)
    begin_delete(context, other)
    with pytest.raises(exception.SetChanged) as refused:
        begin_delete(context, record)
    assert refused.value.details['status'] == states.DELETING


def test_names_and_metadata_change(context):
    record = create_set(context, name='a', description='b', metadata={'x': '1', 'y': '2'})
    record.change({'name': 'c'}, {'y': '3'})
    shown = BackupSet.get_by_id(context, record.id)
    assert (shown.name, shown.description, shown.metadata) == ('c', 'b', {'y': '3'})
    record.change({'description': None}, None)
    assert BackupSet.get_by_id(context, record.id).metadata == {'y': '3'}


def test_waiting_tasks_are_hastened(context, admin):
    record = create_set(context)
    task = claimed(admin, record.id)
    task.release(delay_s=1000, keep_attempt=True)
    assert Task.claim_next(admin, 'one', 'testhost', 60) is None
    assert Task.hasten(admin, record.id)
    assert claimed(admin, record.id).id == task.id
    assert not Task.hasten(admin, record.id)  # it runs


# Lists -------------------------------------------------------------------------------------------


def test_pages_hold_every_set_once(context):
    ids = [create_set(context, members=1, created_at=records.ago(number // 2)).id
           for number in range(7)]
    found, marker = [], None
    while True:
        page = BackupSet.get_all(context, limit=2, marker_id=marker)
        if not page:
            break
        found += [record.id for record in page]
        marker = page[-1].id
    assert len(found) == 7 and set(found) == set(ids)
    assert BackupSet.count(context) == 7


@pytest.mark.parametrize(('filters', 'names'), [
    ({'name': 'a'}, {'a'}),
    ({'name~': 'b'}, {'ab', 'b'}),
    ({'status': 'creating', 'metadata': {'k': '1'}}, {'a', 'ab'}),
    ({'metadata': {'k': '1', 'l': '2'}}, {'ab'}),
    ({'metadata': {'k': '\0'}}, set()),
    ({'source_id': 'another'}, set()),
    ({'nonsense': 'x'}, set()),
])
def test_filters(context, filters, names):
    create_set(context, members=1, name='a', metadata={'k': '1'})
    create_set(context, members=1, name='ab', metadata={'k': '1', 'l': '2'})
    create_set(context, members=1, name='b', metadata={'k': '2'})
    assert {record.name for record in BackupSet.get_all(context, filters)} == names
    assert BackupSet.count(context, filters) == len(names)


def test_unknown_sort_keys_are_refused(context):
    with pytest.raises(exception.InvalidInput):
        BackupSet.get_all(context, sort=[('nonsense', 'asc')])


def test_members_are_found_for_a_whole_page_and_listed_once(context):
    records_ = [create_set(context) for _ in range(3)]
    found = BackupList.of_sets(context, [record.id for record in records_])
    assert {set_id: len(members) for set_id, members in found.items()} == {
        record.id: 2 for record in records_}
    assert BackupList.count(context) == 6
    assert BackupList.of_sets(context, []) == {}


# Purge -------------------------------------------------------------------------------------------


def test_deleted_sets_are_purged_with_all_that_belongs_to_them(context, admin):
    backup_set = create_set(context, metadata={'a': 'b'})
    task = claimed(admin, backup_set.id)
    for member in backup_set.members():
        member.destroy()
    backup_set.destroy(task)
    snapshot = create_snapshot(context, metadata={'a': 'b'})
    snapshot.destroy(claimed(admin, snapshot.id))
    live = create_set(context, metadata={'c': 'd'})
    removed = purge.purge(admin, records.ago(-10))
    assert (removed['backup_sets'], removed['snapshots'], removed['backups']) == (1, 1, 2)
    assert _count(models.snapshot_members) == 0
    assert _count(models.snapshot_metadata) == 0
    assert _count(models.backup_set_metadata) == 1
    assert BackupSet.get_by_id(context, live.id).metadata == {'c': 'd'}


def test_a_member_keeps_the_id_of_its_set_on_record(context):
    record = create_set(context)
    member = record.members()[0]
    assert Backup.get_by_id(context, member.id).set_id == record.id
