# SPDX-License-Identifier: Apache-2.0
"""``openstack volume backup …`` against the running service: every verb, and what users see."""

import os

import pytest

from tests.fixtures import standalone as fixture
from tests.fixtures.service import wait_until

pytestmark = pytest.mark.xdist_group('clients')


@pytest.fixture
def backup(osc, sdk, volume):
    """A backup, by the command; its row as ``show`` prints it."""
    made = osc('volume', 'backup', 'create', '--name', f'b-{volume.name}', '--description', 'd',
               '--property', f'team={volume.name}', '-f', 'json', volume.name).json
    assert set(made) == {'id', 'name', 'volume_id'}
    wait_until(lambda: _status(sdk, made['id']) == 'available')
    return osc('volume', 'backup', 'show', '-f', 'json', made['name']).json


def _status(sdk, backup_id):
    backup = sdk.get_backup(backup_id)
    assert backup.status != 'error', backup.fail_reason
    return backup.status


def _list(osc, *args):
    return osc('volume', 'backup', 'list', '-f', 'json', *args).json


def test_show_and_list(osc, volume, backup):
    assert (backup['status'], backup['volume_id'], backup['size']) == ('available', volume.id, 1)
    assert [row['ID'] for row in _list(osc, '--name', backup['name'])] == [backup['id']]
    assert [row['ID'] for row in _list(osc, '--volume', volume.name)] == [backup['id']]
    [row] = _list(osc, '--long', '--volume', volume.id, '--status', 'available')
    assert row['Incremental'] is False
    assert _list(osc, '--status', 'error_restoring') == []
    ids = [row['ID'] for row in _list(osc, '--limit', '1')]
    assert backup['id'] in ids and len(ids) == len(set(ids))
    assert _list(osc, '--marker', backup['id'], '--volume', volume.id) == []
    assert _list(osc, '--all-projects', '--volume', volume.id) != []


def test_incremental_and_force(osc, sdk, volume, backup):
    made = osc('volume', 'backup', 'create', '--incremental', '--force', '-f', 'json',
               volume.id).json
    wait_until(lambda: _status(sdk, made['id']) == 'available')
    assert osc('volume', 'backup', 'show', made['id'], '-f', 'value', '-c',
               'is_incremental').out.strip() == 'True'
    osc('volume', 'backup', 'delete', backup['id'], made['id'])
    wait_until(lambda: _list(osc, '--volume', volume.id) == [])


def test_snapshot(osc, sdk, volume):
    osc('volume', 'snapshot', 'create', '--volume', volume.id, f's-{volume.name}')
    wait_until(lambda: sdk.find_snapshot(f's-{volume.name}').status == 'available')
    made = osc('volume', 'backup', 'create', '--snapshot', f's-{volume.name}', '-f', 'json',
               volume.id).json
    wait_until(lambda: _status(sdk, made['id']) == 'available')
    assert sdk.get_backup(made['id']).snapshot_id == sdk.find_snapshot(f's-{volume.name}').id


def test_restore(osc, sdk, volume, backup, same_bytes):
    name = f'r-{volume.name}'
    restored = osc('volume', 'backup', 'restore', '-f', 'json', backup['id'], name).json
    wait_until(lambda: sdk.get_volume(restored['volume_id']).status == 'available')
    assert sdk.get_volume(restored['volume_id']).name == name
    assert same_bytes(volume.id, restored['volume_id'])

    refused = osc('volume', 'backup', 'restore', backup['id'], name, fails=True)
    assert '--force' in refused.err
    osc('volume', 'backup', 'restore', '--force', backup['id'], name)
    wait_until(lambda: sdk.get_volume(restored['volume_id']).status == 'available')
    assert same_bytes(volume.id, restored['volume_id'])


def test_set(osc, backup):
    osc('volume', 'backup', 'set', '--name', 'renamed', '--description', 'new',
        '--property', 'tier=gold', backup['id'])
    shown = osc('volume', 'backup', 'show', '-f', 'json', backup['id']).json
    assert (shown['name'], shown['description']) == ('renamed', 'new')
    assert shown['metadata'] == {**backup['metadata'], 'tier': 'gold'}
    osc('volume', 'backup', 'set', '--no-property', '--property', 'only=this', backup['id'])
    shown = osc('volume', 'backup', 'show', '-f', 'json', backup['id']).json
    assert shown['metadata'] == {'only': 'this'}
    osc('volume', 'backup', 'set', '--state', 'error', backup['id'])
    shown = osc('volume', 'backup', 'show', '-f', 'json', backup['id']).json
    assert shown['status'] == 'error'


def test_unset_deletes_what_should_stay(osc, backup):
    """The client passes the keys that are to stay to DELETE; nothing a server can see is wrong.

    When this fails, the client is mended: the warning of the metadata routes may go.
    """
    osc('volume', 'backup', 'set', '--property', 'a=1', '--property', 'b=2', backup['id'])
    osc('volume', 'backup', 'unset', '--property', 'a', backup['id'])
    shown = osc('volume', 'backup', 'show', '-f', 'json', backup['id']).json
    assert shown['metadata'] == {'a': '1'}


def test_force_delete(osc, sdk, volume, backup):
    sdk.reset_backup_status(backup['id'], 'error')
    osc('volume', 'backup', 'delete', '--force', backup['id'])
    wait_until(lambda: _list(osc, '--volume', volume.id) == [])


def test_records(osc, backup):
    record = osc('volume', 'backup', 'record', 'export', '-f', 'json', backup['id']).json
    text = ' '.join(str(value) for value in record.values())
    assert 'cinder.backup.drivers' in text
    refused = osc('volume', 'backup', 'record', 'import', 'cinder.backup.drivers.backupsvc',
                  'eHg=', fails=True)
    assert '/backups/import_record' in refused.err


def test_what_users_see_of_errors(osc, volume, backup):
    refused = osc('volume', 'backup', 'show', 'no-such-backup', fails=True)
    assert 'no-such-backup' in refused.err
    refused = osc('volume', 'backup', 'delete', 'no-such-backup', backup['id'], fails=True)
    assert '1 of 2 backups failed to delete' in refused.err
    refused = osc('volume', 'backup', 'create', 'no-such-volume', fails=True)
    assert 'no-such-volume' in refused.err
    refused = osc('volume', 'backup', 'create', '--property', 'bad+key=x', volume.id, fails=True)
    assert 'bad+key' in refused.err


def test_the_installed_command(standalone, backup):
    """Once as users start it, in a process of its own."""
    done = fixture.run(
        ['openstack', 'volume', 'backup', 'list', '-f', 'value', '-c', 'ID'],
        OS_CLIENT_CONFIG_FILE=str(standalone.clouds), OS_CLOUD='backupsvc',
        PATH=os.pathsep.join([os.path.dirname(fixture.sys.executable), os.environ['PATH']]))
    assert backup['id'] in done.stdout.split()
