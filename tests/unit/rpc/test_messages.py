# SPDX-License-Identifier: Apache-2.0
"""What crosses the wire: records whole, contexts without secrets, events in Cinder's form."""

import inspect

from oslo_utils import timeutils, uuidutils

from backupsvc import context as request_context
from backupsvc import rpc
from backupsvc.manager import manager
from backupsvc.objects.backup import Backup
from backupsvc.objects.task import Task
from backupsvc.rpc import manager as client
from backupsvc.rpc import notifications
from tests.fixtures.database import database  # noqa: F401


def make_context():
    return request_context.RequestContext(
        user_id='u', project_id='p', roles=['member'], is_admin=False, auth_token='secret',
        service_catalog=[{'type': 'volume'}], overwrite=False)


def test_context_arrives_without_the_token():
    serializer = rpc.serializer()
    sent = serializer.serialize_context(make_context())
    assert 'secret' not in repr(sent)
    received = serializer.deserialize_context(sent)
    assert (received.user_id, received.project_id, received.roles, received.is_admin) == (
        'u', 'p', ['member'], False)
    assert received.request_id == sent['request_id']


def test_record_arrives_as_it_was_sent(database):  # noqa: F811
    context = make_context()
    task = Task(context, id=uuidutils.generate_uuid(), kind='create', resource_id='r',
                arguments={'volume_id': 'v'}, created_at=timeutils.utcnow(with_timezone=True))
    serializer = rpc.serializer()
    received = serializer.deserialize_entity(
        context, serializer.serialize_entity(context, task))
    assert isinstance(received, Task)
    assert (received.id, received.arguments, received.created_at) == (
        task.id, task.arguments, task.created_at)


def test_every_message_has_an_endpoint_with_the_same_arguments():
    def methods(owner):
        return {name: list(inspect.signature(function).parameters)
                for name, function in inspect.getmembers(owner, inspect.isfunction)
                if not name.startswith('_')}

    assert methods(client.ManagerAPI) == methods(manager.ManagerEndpoint)


def test_event_has_cinder_s_fields():
    created_at = timeutils.parse_isotime('2026-01-02T03:04:05Z')
    backup = Backup(
        make_context(), id='b', project_id='p', user_id='u', availability_zone='nova',
        host='node', name='n', created_at=created_at, status='available', source_id='v',
        size_gb=3, fail_reason=None, parent_id='a', snapshot_id=None)
    assert notifications.backup_payload(backup, num_dependent_backups=2, backup_percent=40) == {
        'tenant_id': 'p', 'user_id': 'u', 'availability_zone': 'nova', 'backup_id': 'b',
        'host': 'node', 'display_name': 'n', 'created_at': '2026-01-02T03:04:05',
        'status': 'available', 'volume_id': 'v', 'size': 3, 'service_metadata': None,
        'service': 'backupsvc', 'fail_reason': None, 'parent_id': 'a',
        'num_dependent_backups': 2, 'snapshot_id': None, 'backup_percent': 40}
