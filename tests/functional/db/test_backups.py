# SPDX-License-Identifier: Apache-2.0
"""The life of a backup's record."""

import datetime
import uuid

import pytest

from backupsvc import exception, states
from backupsvc.objects import quota
from backupsvc.objects.backup import Backup, BackupList
from backupsvc.objects.task import Task
from tests.functional.db import records


def test_create_writes_record_metadata_task_and_usage(context):
    backup = records.new_backup(context, size_gb=3, metadata={'a': '1', 'b': ''},
                                source_facts={'bootable': True, 'tags': ['x', None]})
    task = records.new_task(context, arguments={'volume_id': 'v'})
    backup.create(task, quota.limits_for(context, context.project_id))

    found = Backup.get_by_id(context, backup.id)
    assert found.metadata == {'a': '1', 'b': ''}
    assert found.source_facts == {'bootable': True, 'tags': ['x', None]}
    assert found.created_at == backup.created_at and found.created_at.tzinfo is not None
    assert not found.deleted and found.volume_id == backup.source_id
    [queued] = Task.live_for(context, backup.id)
    assert (queued.id, queued.state, queued.arguments) == (
        task.id, states.QUEUED, {'volume_id': 'v'})
    assert quota.usages(context, context.project_id) == {'backups': 1, 'backup_gigabytes': 3}


def test_times_keep_their_microseconds(context):
    time = datetime.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=datetime.UTC)
    backup = records.create_backup(context, data_timestamp=time, created_at=time)
    found = Backup.get_by_id(context, backup.id)
    assert found.data_timestamp == time and found.created_at == time


def test_times_of_another_zone_come_back_as_the_same_moment(context):
    zone = datetime.timezone(datetime.timedelta(hours=5))
    time = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=zone)
    backup = records.create_backup(context, data_timestamp=time)
    assert Backup.get_by_id(context, backup.id).data_timestamp == time


def test_texts_of_any_character_come_back_as_they_were(context):
    name = 'Größe 数据 \U0001f4be \' " \\ % _ '
    backup = records.create_backup(context, name=name, metadata={name: name})
    found = Backup.get_by_id(context, backup.id)
    assert found.name == name and found.metadata == {name: name}


def test_facts_may_be_large(context):
    facts = {'text': 'x' * 300_000}
    backup = records.create_backup(context, source_facts=facts)
    assert Backup.get_by_id(context, backup.id).source_facts == facts


def test_of_another_project_is_not_found(context, stranger, admin):
    backup = records.create_backup(context)
    with pytest.raises(exception.BackupNotFound):
        Backup.get_by_id(stranger, backup.id)
    assert Backup.get_by_id(admin, backup.id).id == backup.id


@pytest.mark.parametrize(
    'backup_id', ['', 'x', pytest.param(str(uuid.uuid4()), id='unknown'), 'a\x00b', '\ud800',
                  '\U0001f4be'])
def test_missing_is_not_found(context, backup_id):
    with pytest.raises(exception.BackupNotFound):
        Backup.get_by_id(context, backup_id)


def test_an_id_in_capitals_is_another_id(context):
    backup = records.create_backup(context, id='abcdefab-0000-4000-8000-00000000000a')
    with pytest.raises(exception.BackupNotFound):
        Backup.get_by_id(context, backup.id.upper())


def test_create_with_a_taken_id_changes_nothing(context):
    backup = records.create_backup(context, size_gb=2)
    twin = records.new_backup(context, id=backup.id, size_gb=5)
    task = records.new_task(context)
    with pytest.raises(exception.BackupExists):
        twin.create(task)
    assert Backup.get_by_id(context, backup.id).size_gb == 2
    assert Task.live_for(context, backup.id) == []
    assert quota.usages(context, context.project_id)['backup_gigabytes'] == 2


# Status ------------------------------------------------------------------------------------------


def test_begin_changes_the_status_and_queues_the_task(context):
    backup = records.create_backup(context, fail_reason='earlier')
    delete = records.new_task(context, states.TASK_DELETE)
    backup.begin(delete, [states.AVAILABLE], states.DELETING)
    found = Backup.get_by_id(context, backup.id)
    assert (found.status, found.fail_reason) == (states.DELETING, None)
    assert [task.kind for task in Task.live_for(context, backup.id)] == [states.TASK_DELETE]


def test_begin_with_another_status_queues_nothing(context):
    backup = records.create_backup(context)
    stale = Backup.get_by_id(context, backup.id)
    delete = records.new_task(context, states.TASK_DELETE)
    backup.begin(delete, [states.AVAILABLE], states.DELETING)
    with pytest.raises(exception.BackupChanged) as raised:
        stale.begin(records.new_task(context, states.TASK_RESTORE), [states.AVAILABLE],
                    states.RESTORING)
    assert raised.value.details['status'] == states.DELETING
    assert [task.kind for task in Task.live_for(context, backup.id)] == [states.TASK_DELETE]


def test_begin_may_keep_a_status_that_it_names(context):
    backup = records.create_backup(context, status=states.RESTORING)
    both = [states.AVAILABLE, states.RESTORING]
    backup.begin(records.new_task(context, states.TASK_RESTORE), both, states.RESTORING)
    assert len(Task.live_for(context, backup.id)) == 1
    with pytest.raises(exception.BackupChanged):
        backup.begin(records.new_task(context, states.TASK_RESTORE), [states.AVAILABLE],
                     states.RESTORING)


@pytest.mark.parametrize('source', states.BACKUP)
@pytest.mark.parametrize('target', states.BACKUP)
def test_transition_follows_the_table(context, source, target):
    backup = records.create_backup(context, status=source)
    allowed = target in states.BACKUP_TRANSITIONS[source]
    if allowed:
        backup.transition_to(target, fail_reason='why')
        assert backup.fail_reason == 'why'
    else:
        with pytest.raises(exception.BackupChanged):
            backup.transition_to(target)
    assert Backup.get_by_id(context, backup.id).status == (target if allowed else source)


def test_transition_of_a_deleted_backup_finds_none(context):
    backup = records.create_backup(context)
    backup.destroy()
    with pytest.raises(exception.BackupNotFound):
        backup.transition_to(states.ERROR)


def test_finish_ends_both(context, admin):
    backup, task = records.begin(context, admin)
    assert backup.finish(task, states.AVAILABLE, stored_bytes=7, object_count=2)
    found = Backup.get_by_id(context, backup.id)
    assert (found.status, found.stored_bytes, found.object_count) == (states.AVAILABLE, 7, 2)
    ended = Task.get_by_id(admin, task.id)
    assert ended.state == states.DONE and ended.finished_at is not None
    assert ended.lease_expires_at is None


def test_fail_cuts_the_reason_for_the_user_only(context, admin):
    backup, task = records.begin(context, admin)
    assert backup.fail(task, states.ERROR, 'x' * 1000)
    found = Backup.get_by_id(context, backup.id)
    assert (found.status, found.fail_reason) == (states.ERROR, 'x' * 255)
    ended = Task.get_by_id(admin, task.id)
    assert (ended.state, ended.error) == (states.FAILED, 'x' * 1000)


def test_cancel_ends_both(context, admin):
    backup, task = records.begin(context, admin)
    assert backup.cancel(task, states.ERROR, 'cancelled')
    assert Backup.get_by_id(context, backup.id).fail_reason == 'cancelled'
    assert Task.get_by_id(admin, task.id).state == states.CANCELLED


@pytest.mark.parametrize('end', ['finish', 'fail', 'cancel', 'destroy'])
def test_who_lost_the_lease_ends_nothing(context, admin, end):
    backup, task = records.begin(context, admin)
    task.renew(-1)
    thief = Task.claim_next(admin, 'two', 'testhost', records.LEASE_S)
    assert thief.id == task.id
    with pytest.raises(exception.LeaseLost):
        {'finish': lambda: backup.finish(task, states.AVAILABLE),
         'fail': lambda: backup.fail(task, states.ERROR, 'no'),
         'cancel': lambda: backup.cancel(task, states.ERROR),
         'destroy': lambda: backup.destroy(task)}[end]()
    found = Backup.get_by_id(context, backup.id)
    assert (found.status, found.fail_reason) == (states.CREATING, None)
    assert Task.get_by_id(admin, task.id).state == states.RUNNING
    assert backup.finish(thief, states.AVAILABLE)


def test_who_holds_an_earlier_attempt_ends_nothing(context, admin):
    """The same process took its own task again: what its first thread still does is refused."""
    backup, task = records.begin(context, admin)
    task.renew(-1)
    again = Task.claim_next(admin, 'one', 'testhost', records.LEASE_S)
    assert (again.owner, again.attempt) == (task.owner, 2)
    with pytest.raises(exception.LeaseLost):
        backup.finish(task, states.AVAILABLE)
    assert backup.finish(again, states.AVAILABLE)


@pytest.mark.parametrize('end', ['finish', 'fail', 'cancel'])
def test_a_status_that_was_changed_meanwhile_is_left_alone(context, admin, end):
    backup, task = records.begin(context, admin)
    Backup.get_by_id(context, backup.id).transition_to(states.ERROR, fail_reason='reset')
    changed = {'finish': lambda: backup.finish(task, states.AVAILABLE, stored_bytes=9),
               'fail': lambda: backup.fail(task, states.ERROR, 'no'),
               'cancel': lambda: backup.cancel(task, states.ERROR, 'cancelled')}[end]()
    assert changed is False
    found = Backup.get_by_id(context, backup.id)
    assert (found.status, found.fail_reason, found.stored_bytes) == (states.ERROR, 'reset', 0)
    assert not Task.get_by_id(admin, task.id).is_live


def test_save_writes_columns_and_nothing_else(context):
    backup = records.create_backup(context, name='old')
    other = Backup.get_by_id(context, backup.id)
    other.transition_to(states.RESTORING)
    backup.name, backup.description = 'new', None
    backup.save()
    found = Backup.get_by_id(context, backup.id)
    assert (found.name, found.status) == ('new', states.RESTORING)
    assert found.updated_at is not None and backup.status == states.RESTORING


@pytest.mark.parametrize(('field', 'value'), [
    ('status', states.ERROR), ('size_gb', 9), ('metadata', {'a': 'b'}), ('deleted', True)])
def test_save_refuses_what_has_its_own_method(context, field, value):
    backup = records.create_backup(context)
    setattr(backup, field, value)
    with pytest.raises(ValueError, match=field):
        backup.save()


def test_save_of_a_deleted_backup_finds_none(context):
    backup = records.create_backup(context)
    Backup.get_by_id(context, backup.id).destroy()
    backup.name = 'late'
    with pytest.raises(exception.BackupNotFound):
        backup.save()


# The end -----------------------------------------------------------------------------------------


def test_destroy_hides_the_record_and_gives_the_quota_back_once(context, admin):
    backup, task = records.begin(context, admin, states.TASK_DELETE)
    backup.set_metadata({'a': 'b'})
    backup.destroy(task)
    backup.destroy()
    Backup.get_by_id(admin, backup.id, read_deleted=True).destroy()
    with pytest.raises(exception.BackupNotFound):
        Backup.get_by_id(context, backup.id)
    gone = Backup.get_by_id(context, backup.id, read_deleted=True)
    assert (gone.status, gone.deleted, gone.metadata) == (states.DELETED, True, {})
    assert gone.deleted_at is not None
    assert quota.usages(context, context.project_id) == {'backups': 0, 'backup_gigabytes': 0}
    assert Task.get_by_id(admin, task.id).state == states.DONE
    assert list(BackupList.get_all(context)) == []


def test_revive_leaves_nothing_of_what_was(context):
    backup = records.create_backup(context, name='old', size_gb=7, object_count=3,
                                   metadata={'old': '1', 'kept': 'x'})
    backup.destroy()
    again = records.new_backup(context, id=backup.id, metadata={'kept': 'y'}, size_gb=2)
    again.revive(records.new_task(context, states.TASK_IMPORT))
    found = Backup.get_by_id(context, backup.id)
    assert (found.name, found.object_count, found.deleted_at) == (None, 0, None)
    assert found.metadata == {'kept': 'y'}
    assert quota.usages(context, context.project_id) == {'backups': 1, 'backup_gigabytes': 2}
    assert len(Task.live_for(context, backup.id)) == 1


def test_revive_of_a_live_or_unknown_backup_is_refused(context):
    backup = records.create_backup(context)
    with pytest.raises(exception.BackupExists):
        records.new_backup(context, id=backup.id).revive(None)
    with pytest.raises(exception.BackupNotFound):
        records.new_backup(context).revive(None)
    assert quota.usages(context, context.project_id)['backups'] == 1


# Relations ---------------------------------------------------------------------------------------


def _at(minute: int) -> datetime.datetime:
    return datetime.datetime(2026, 1, 1, 0, minute, tzinfo=datetime.UTC)


def test_latest_parent_is_the_newest_available_data_of_the_project(context, stranger):
    source = str(uuid.uuid4())
    old = records.create_backup(context, source_id=source, data_timestamp=_at(1))
    new = records.create_backup(context, source_id=source, data_timestamp=_at(2))
    records.create_backup(context, source_id=source, data_timestamp=_at(3), status=states.ERROR)
    records.create_backup(context, source_id=source, data_timestamp=None)
    records.create_backup(context, data_timestamp=_at(4))
    records.create_backup(stranger, source_id=source, data_timestamp=_at(5))
    assert Backup.latest_parent(context, source).id == new.id
    assert Backup.latest_parent(context, source, before=_at(1)).id == old.id
    new.destroy()
    assert Backup.latest_parent(context, source).id == old.id
    assert Backup.latest_parent(context, str(uuid.uuid4())) is None


def test_dependents_are_the_live_ones(context):
    parent = records.create_backup(context)
    lonely = records.create_backup(context)
    child = records.create_backup(context, parent_id=parent.id)
    records.create_backup(context, parent_id=parent.id)
    counts = BackupList.dependent_counts(context, [parent.id, lonely.id])
    assert counts == {parent.id: 2, lonely.id: 0}
    child.destroy()
    assert BackupList.dependent_counts(context, [parent.id]) == {parent.id: 1}
    assert BackupList.dependent_counts(context, []) == {}


def test_manifest_sharers_are_live_and_of_the_same_repository(context, stranger):
    place = {'manifest_id': str(uuid.uuid4()), 'repository': 'posix', 'container': 'c',
             'repository_project_id': context.project_id}
    backup = records.create_backup(context, **place)
    records.create_backup(context, **{**place, 'container': 'C'})
    assert not backup.has_manifest_sharers()
    twin = records.create_backup(stranger, **place)
    assert backup.has_manifest_sharers()
    twin.destroy()
    assert not backup.has_manifest_sharers()
    assert not records.create_backup(context).has_manifest_sharers()
