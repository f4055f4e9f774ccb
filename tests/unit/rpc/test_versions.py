# SPDX-License-Identifier: Apache-2.0
"""What is sent to managers of an older release."""

import pytest
from oslo_versionedobjects import base as ovo_base
from oslo_versionedobjects import fields

from backupsvc import conf as service_conf
from backupsvc import context as request_context
from backupsvc import exception, objects, rpc
from backupsvc.objects import base
from backupsvc.objects.database_instance import DatabaseInstance
from backupsvc.objects.service import Service
from backupsvc.objects.task import Task
from backupsvc.rpc import manager, versions
from tests.fixtures.database import database  # noqa: F401

pytestmark = pytest.mark.usefixtures('database')

#: What an API of the release before messages 1.2 sent.
RECORDED = {
    'backupsvc_object.name': 'Task', 'backupsvc_object.namespace': 'backupsvc',
    'backupsvc_object.version': '1.0',
    'backupsvc_object.data': {
        'id': 'c6d0a3a9-0c27-4d0a-9bdb-0e2a0c0e7f01', 'kind': 'create', 'state': 'queued',
        'resource_id': '6a1d0a56-31a1-4a2f-8f6b-4a2b4d3f9e02', 'attempt': 0,
        'host_affinity': None, 'created_at': '2026-11-20T10:00:00Z'}}


@pytest.fixture(autouse=True)
def forgotten():
    versions.reset()
    yield
    versions.reset()


def lives(host, version):
    Service.heartbeat(request_context.get_admin_context(), host=host, binary=versions.BINARY,
                      rpc_version=version)
    versions.reset()


def pinned(version):
    service_conf.current().set_override('manager', version, group='upgrade_levels')


def test_the_table_tells_what_this_release_sends():
    objects.register_all()
    assert versions.newest() == rpc.VERSION
    assert versions.RECORDS[rpc.VERSION] == {
        each.obj_name(): each.VERSION for each in (Task, DatabaseInstance)}


def test_the_oldest_live_manager_decides():
    assert versions.pin() == versions.newest()
    lives('new', versions.newest())
    assert versions.pin() == versions.newest()
    lives('old', '1.1')
    lives('other', '1.10')
    assert versions.pin() == '1.1'
    assert (versions.can_send('1.1'), versions.can_send('1.2')) == (True, False)
    assert versions.records() == versions.RECORDS['1.1']


def test_the_pin_of_an_operator_counts():
    lives('new', versions.newest())
    pinned('1.0')
    assert versions.pin() == '1.0'
    pinned('9.9')
    assert versions.pin() == versions.newest()


def test_what_an_old_manager_does_not_know_is_not_sent():
    lives('old', '1.1')
    with pytest.raises(exception.Unavailable, match='1.2'):
        manager.ManagerAPI().describe(request_context.get_admin_context(), 'old', 1.0)
    pinned('1.0')
    with pytest.raises(exception.Unavailable, match='1.1'):
        manager.ManagerAPI().call_database(
            request_context.get_admin_context(), DatabaseInstance(host='old', id='x'), 'show', {})


@ovo_base.VersionedObjectRegistry.register_if(False)
class Grown(base.BackupsvcObject):
    """A record that has got a field."""

    # Version 1.0: initial
    # Version 1.1: note
    VERSION = '1.1'
    ADDED = {'1.1': ('note',)}
    fields = {'id': fields.StringField(), 'note': fields.StringField()}


def test_a_record_is_sent_as_its_receiver_knows_it(monkeypatch):
    monkeypatch.setitem(versions.RECORDS, '1.1', {'Grown': '1.0'})
    serializer = rpc.ObjectSerializer()
    record = Grown(id='1', note='new')
    sent = serializer.serialize_entity(None, record)
    assert sent['backupsvc_object.version'] == '1.1'
    assert sent['backupsvc_object.data'] == {'id': '1', 'note': 'new'}
    lives('old', '1.1')
    sent = serializer.serialize_entity(None, record)
    assert sent['backupsvc_object.version'] == '1.0'
    assert sent['backupsvc_object.data'] == {'id': '1'}


def test_what_an_older_release_sent_is_read():
    task = rpc.serializer().deserialize_entity({}, RECORDED)
    assert (task.kind, task.attempt, task.created_at.isoformat()) == (
        'create', 0, '2026-11-20T10:00:00+00:00')
