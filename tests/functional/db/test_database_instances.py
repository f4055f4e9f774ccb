# SPDX-License-Identifier: Apache-2.0
"""Database instances: what is written together, who may see it, and what changes a status."""

import datetime
import uuid

import pytest

from backupsvc import exception, states
from backupsvc.objects import quota
from backupsvc.objects.backup import Backup
from backupsvc.objects.database_instance import (
    DatabaseInstance,
    DatabaseInstanceList,
    begin_delete_backups,
)
from backupsvc.objects.security_group import SecurityGroup, SecurityGroupList, SecurityGroupRule
from backupsvc.objects.task import Task

LONG_AGO = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
LIMITS = {'database_instances': 3, 'database_gigabytes': 10, 'backups': 5}


def _id():
    return str(uuid.uuid4())


def _task(context, kind, resource_id, **arguments):
    return Task(context, id=_id(), kind=kind, resource_id=resource_id, request_id='req-x',
                project_id=context.project_id, arguments=arguments)


def _create(context, limits=LIMITS, volume_gb=2, **values):
    instance = DatabaseInstance(
        context, id=_id(), project_id=context.project_id, user_id='u', name='i',
        status=states.BUILDING, driver='mariadb', datastore='mariadb', datastore_version='1',
        flavor_id='1', volume_gb=volume_gb, host='here', **values)
    group_id = _id()
    instance.create(
        {'id': group_id, 'project_id': context.project_id, 'user_id': 'u', 'name': 'g',
         'description': None, 'instance_id': instance.id},
        [{'id': _id(), 'group_id': group_id, 'protocol': 'tcp', 'from_port': 3306,
          'to_port': 3306, 'cidr': '0.0.0.0/0'}],
        _task(context, states.TASK_PROVISION_DATABASE, instance.id, users=['*secret hash']),
        limits)
    return instance


def _claimed(context, resource_id):
    (task,) = Task.live_for(context, resource_id)
    claimed = Task.claim(context, task.id, 'here:1', 'here', 60)
    assert claimed is not None
    return claimed


def _active(context, **values):
    instance = _create(context, **values)
    instance.finish(_claimed(context, instance.id), address='127.0.0.1', port=1)
    return instance


def _back_up(context, instance, parent_id=None, limits=LIMITS):
    backup = Backup(
        context, id=_id(), project_id=context.project_id, kind='database',
        source_id=instance.id, parent_id=parent_id, name='b', status=states.CREATING,
        size_gb=instance.volume_gb, metadata={})
    task = _task(context, states.TASK_BACK_UP_DATABASE, backup.id)
    instance.begin_backup(backup, task, limits)
    return backup


def _backed_up(context, instance, parent_id=None):
    backup = _back_up(context, instance, parent_id)
    task = _claimed(context, backup.id)
    instance.release(task.id)
    assert backup.finish(task, states.AVAILABLE)
    return backup


def test_what_is_created_together_is_counted(context):
    instance = _create(context)
    assert quota.usages(context, context.project_id)['database_gigabytes'] == 2
    assert SecurityGroup.get_by_instance(context, instance.id).cidrs == ['0.0.0.0/0']
    with pytest.raises(exception.OverQuota) as refused:
        _create(context, volume_gb=9)
    assert refused.value.details['resource'] == 'database_gigabytes'
    assert len(DatabaseInstanceList.get_all(context)) == 1
    assert len(SecurityGroupList.get_all(context)) == 1


def test_the_end_of_a_task_forgets_its_arguments(context):
    instance = _create(context)
    task = _claimed(context, instance.id)
    assert task.arguments == {'users': ['*secret hash']}
    instance.finish(task, address='127.0.0.1', port=3307)
    ended = Task.get_by_id(context, task.id)
    assert (ended.state, ended.arguments) == (states.DONE, None)
    found = DatabaseInstance.get_by_id(context, instance.id)
    assert (found.status, found.address, found.port) == (states.ACTIVE, '127.0.0.1', 3307)


def test_a_lost_lease_changes_nothing(context):
    instance = _create(context)
    task = _claimed(context, instance.id)
    task.release()
    with pytest.raises(exception.LeaseLost):
        instance.fail(task, states.FAILED_TO_BUILD, 'no')
    assert DatabaseInstance.get_by_id(context, instance.id).status == states.BUILDING


def test_one_thing_at_a_time(context):
    instance = _create(context)
    task = _task(context, states.TASK_RESTART_DATABASE, instance.id)
    with pytest.raises(exception.DatabaseInstanceBusy):
        instance.begin(task, states.RESTARTING)
    instance.finish(_claimed(context, instance.id))
    other = DatabaseInstance.get_by_id(context, instance.id)
    instance.begin(task, states.RESTARTING)
    with pytest.raises(exception.DatabaseInstanceBusy) as refused:
        other.begin(_task(context, states.TASK_DELETE_DATABASE, other.id), states.DELETING)
    assert refused.value.details['status'] == states.RESTARTING
    assert len(Task.live_for(context, instance.id)) == 1


def test_a_larger_volume_counts_when_it_is_asked_for(context):
    instance = _active(context)
    task = _task(context, states.TASK_RESIZE_DATABASE, instance.id)
    with pytest.raises(exception.OverQuota):
        instance.begin(task, states.RESIZING, gigabytes=9, quota=LIMITS)
    assert DatabaseInstance.get_by_id(context, instance.id).status == states.ACTIVE
    instance.begin(task, states.RESIZING, gigabytes=3, quota=LIMITS)
    assert quota.usages(context, context.project_id)['database_gigabytes'] == 5
    instance.fail(_claimed(context, instance.id), states.ERROR, 'no', gigabytes=-3)
    assert quota.usages(context, context.project_id)['database_gigabytes'] == 2


def test_what_is_destroyed_is_given_back(context):
    instance = _active(context)
    instance.begin(_task(context, states.TASK_DELETE_DATABASE, instance.id), states.DELETING)
    instance.destroy(_claimed(context, instance.id))
    used = quota.usages(context, context.project_id)
    assert (used['database_instances'], used['database_gigabytes']) == (0, 0)
    assert list(SecurityGroupList.get_all(context)) == []
    with pytest.raises(exception.DatabaseInstanceNotFound):
        DatabaseInstance.get_by_id(context, instance.id)


def test_projects_do_not_see_each_other(context, stranger):
    instance = _active(context)
    (group,) = SecurityGroupList.get_all(context)
    assert list(DatabaseInstanceList.get_all(stranger)) == []
    assert list(SecurityGroupList.get_all(stranger)) == []
    for lookup in (lambda: DatabaseInstance.get_by_id(stranger, instance.id),
                   lambda: SecurityGroup.get_by_id(stranger, group.id),
                   lambda: SecurityGroupRule.get_by_id(stranger, group.rules[0].id)):
        with pytest.raises(exception.NotFound):
            lookup()


def test_pages(context):
    ids = sorted(_create(context).id for _ in range(3))
    first = DatabaseInstanceList.get_all(context, limit=2)
    assert [each.id for each in first] == ids[:2]
    assert [each.id for each in DatabaseInstanceList.get_all(context, marker=ids[1])] == ids[2:]
    assert list(DatabaseInstanceList.get_all(context, marker='\x00')) == []


def test_a_backup_holds_its_instance(context):
    instance = _active(context)
    backup = _back_up(context, instance)
    assert DatabaseInstance.get_by_id(context, instance.id).status == states.BACKING_UP
    with pytest.raises(exception.DatabaseInstanceBusy):
        _back_up(context, instance)
    assert quota.usages(context, context.project_id)['backups'] == 1
    instance.release('another task')
    assert DatabaseInstance.get_by_id(context, instance.id).status == states.BACKING_UP
    task = _claimed(context, backup.id)
    instance.release(task.id)
    assert DatabaseInstance.get_by_id(context, instance.id).status == states.ACTIVE


def test_a_chain_goes_together(context):
    instance = _active(context)
    full = _backed_up(context, instance)
    first = _backed_up(context, instance, full.id)
    second = _backed_up(context, instance, first.id)
    other = _backed_up(context, instance)
    task = Task(context, kind=states.TASK_DELETE_DATABASE_BACKUP, arguments={})
    tasks = begin_delete_backups(context, full, task, LONG_AGO)
    assert [each.resource_id for each in tasks] == [second.id, first.id, full.id]
    assert Backup.get_by_id(context, other.id).status == states.AVAILABLE
    for each in tasks:
        Backup.get_by_id(context, each.resource_id).destroy(_claimed(context, each.resource_id))
    assert quota.usages(context, context.project_id)['backups'] == 1


def test_a_chain_that_is_being_added_to_stays(context):
    instance = _active(context)
    full = _backed_up(context, instance)
    running = _back_up(context, instance, full.id)
    task = Task(context, kind=states.TASK_DELETE_DATABASE_BACKUP, arguments={})
    with pytest.raises(exception.DatabaseBackupBusy) as refused:
        begin_delete_backups(context, full, task, LONG_AGO)
    assert refused.value.details['backup_id'] == running.id
    assert Backup.get_by_id(context, full.id).status == states.AVAILABLE


def test_what_has_been_in_the_making_for_too_long_may_go(context):
    instance = _active(context)
    full = _backed_up(context, instance)
    stuck = _back_up(context, instance, full.id)
    work = _claimed(context, stuck.id)
    task = Task(context, kind=states.TASK_DELETE_DATABASE_BACKUP, arguments={})
    tasks = begin_delete_backups(context, full, task,
                                 stuck.created_at + datetime.timedelta(seconds=1))
    assert [each.resource_id for each in tasks] == [stuck.id, full.id]
    # what works on it changes nothing any more, and the deletion comes after it
    assert Task.claim(context, tasks[0].id, 'here:2', 'here', 60) is None
    instance.release(work.id)
    assert not stuck.cancel(work, states.ERROR, 'Cancelled.')
    _, deletion = Task.live_for(context, full.id), _claimed(context, stuck.id)
    Backup.get_by_id(context, stuck.id).destroy(deletion)
    assert DatabaseInstance.get_by_id(context, instance.id).status == states.ACTIVE


def test_nothing_is_added_to_a_chain_that_goes(context):
    instance = _active(context)
    full = _backed_up(context, instance)
    begin_delete_backups(
        context, full, Task(context, kind=states.TASK_DELETE_DATABASE_BACKUP, arguments={}),
        LONG_AGO)
    with pytest.raises(exception.DatabaseBackupBusy):
        _back_up(context, instance, full.id)
    assert DatabaseInstance.get_by_id(context, instance.id).status == states.ACTIVE


def test_rules(context):
    _active(context)
    (group,) = SecurityGroupList.get_all(context)
    rule = SecurityGroupRule(context, id=_id(), group_id=group.id, protocol='tcp',
                             from_port=3306, to_port=3306, cidr='10.0.0.0/8')
    task = _task(context, states.TASK_APPLY_RULES, group.instance_id)
    rule.create(task)
    assert SecurityGroup.get_by_id(context, group.id).cidrs == ['0.0.0.0/0', '10.0.0.0/8']
    again = SecurityGroupRule(context, id=_id(), group_id=group.id, protocol='tcp',
                              from_port=3306, to_port=3306, cidr='10.0.0.0/8')
    with pytest.raises(exception.SecurityGroupRuleExists):
        again.create(_task(context, states.TASK_APPLY_RULES, group.instance_id))
    SecurityGroupRule.get_by_id(context, group.rules[0].id).destroy(
        _task(context, states.TASK_APPLY_RULES, group.instance_id))
    assert SecurityGroup.get_by_id(context, group.id).cidrs == ['10.0.0.0/8']
    assert len(Task.live_for(context, group.instance_id)) == 2
