# SPDX-License-Identifier: Apache-2.0
"""What operators' tools are told, in the form of Cinder's backup service."""

import pytest
from oslo_messaging.notify import _impl_test as bus

from backupsvc import rpc
from backupsvc.orchestration import backups, instance_backups, instance_snapshots
from tests.fixtures.deployment import eventually
from tests.functional.flows.conftest import MIB, Frozen, noise

TEST_DRIVER = '\n[oslo_messaging_notifications]\ndriver = test\n'

CINDER_FIELDS = {
    'tenant_id', 'user_id', 'availability_zone', 'backup_id', 'host', 'display_name',
    'created_at', 'status', 'volume_id', 'size', 'service_metadata', 'service', 'fail_reason',
    'parent_id', 'num_dependent_backups', 'snapshot_id'}


@pytest.fixture
def sent():
    """What was sent: (priority, message) pairs, from the library's own test driver."""
    bus.reset()
    yield lambda: [(priority, message) for _, message, priority, _ in bus.NOTIFICATIONS]
    bus.reset()


@pytest.fixture
def rig(make_rig, sent):
    rig = make_rig(extra=TEST_DRIVER, max_attempts=1)
    rig.start()
    return rig


def types(sent):
    return [message['event_type'] for _, message in sent()]


def wait_for(sent, event_type):
    return eventually(lambda: [(priority, message) for priority, message in sent()
                               if message['event_type'] == event_type])


def test_create_tells_start_true_progress_and_end(rig, sent):
    source = rig.volume((0, noise(1, 64 * MIB)))
    backup = rig.backed_up(source.id, name='nightly')
    (priority, end), = wait_for(sent, 'backup.create.end')
    assert types(sent)[0] == 'backup.create.start'
    assert priority == 'INFO'
    assert end['publisher_id'] == 'backup.node-1'
    payload = end['payload']
    assert set(payload) >= CINDER_FIELDS
    assert (payload['tenant_id'], payload['backup_id'], payload['volume_id'],
            payload['display_name'], payload['status'], payload['size']) == (
        rig.user.project_id, backup.id, source.id, 'nightly', 'available', 1)
    percents = [message['payload']['backup_percent'] for _, message in sent()
                if message['event_type'] == 'backup.createprogress']
    assert percents == sorted(set(percents))
    assert percents[-1] == 100


def test_restore_and_delete_tell_start_and_end(rig, sent):
    source = rig.volume((0, b'x'))
    backup = rig.backed_up(source.id)
    rig.restore(backup.id)
    backups.delete(rig.user, backup.id)
    wait_for(sent, 'backup.delete.end')
    told = [each for each in types(sent) if each != 'backup.createprogress']
    assert told == [f'backup.{verb}.{point}' for verb in ('create', 'restore', 'delete')
                    for point in ('start', 'end')]


def test_failure_is_told_as_an_error_with_its_reason(rig, sent):
    source = rig.volume((0, b'x'))
    backup = rig.create(source.id)
    Frozen().kill()
    (priority, end), = wait_for(sent, 'backup.create.end')
    assert priority == 'ERROR'
    assert end['payload']['status'] == 'error'
    assert end['payload']['fail_reason'] == rig.settled(backup.id).fail_reason


def test_sets_and_rollbacks_tell_start_and_end(make_machines, sent):
    machines = make_machines(extra=TEST_DRIVER, max_attempts=1)
    instance = machines.make(volumes=1, is_started=False)
    volume_id, = machines.volume_ids(instance)
    record = machines.backed_up(instance, name='nightly')
    snapshot = machines.taken(instance)
    machines.roll_back(volume_id, snapshot.members[0].snapshot_id)
    instance_backups.delete(machines.rig.user, record.id)
    instance_snapshots.delete(machines.rig.user, snapshot.id)
    ends = [wait_for(sent, f'{what}.end') for what in (
        'instance_backup.create', 'instance_snapshot.create', 'volume.rollback',
        'instance_backup.delete', 'instance_snapshot.delete')]
    told = types(sent)
    for (priority, message), in ends:
        start = message['event_type'].removesuffix('end') + 'start'
        assert (priority, told.count(start)) == ('INFO', 1)
        assert told.index(start) < told.index(message['event_type'])
    payload = ends[0][0][1]['payload']
    assert (payload['id'], payload['instance_id'], payload['display_name'],
            payload['status']) == (record.id, instance.id, 'nightly', 'available')
    assert ends[2][0][1]['payload']['volume_id'] == volume_id
    assert told.count('backup.create.end') == 1  # of its member


def test_no_secret_is_sent(rig, sent):
    rig.user.auth_token = 'the-token-of-the-caller'
    source = rig.volume((0, b'x'))
    backup = rig.backed_up(source.id)
    backups.delete(rig.user, backup.id)
    wait_for(sent, 'backup.delete.end')
    assert rpc.flush()
    assert 'the-token-of-the-caller' not in repr(bus.NOTIFICATIONS)
