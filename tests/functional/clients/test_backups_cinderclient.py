# SPDX-License-Identifier: Apache-2.0
"""python-cinderclient against the running service: library and shell, every verb."""

import base64
import json
import re
import uuid

import pytest
from cinderclient import exceptions

from tests.fixtures import standalone as fixture
from tests.fixtures.service import wait_until

pytestmark = pytest.mark.xdist_group('clients')

OTHER = '0b5c0000000000000000000000000002'


def _available(client, backup_id):
    def look():
        backup = client.backups.get(backup_id)
        assert backup.status != 'error', backup.fail_reason
        return backup if backup.status == 'available' else None
    return wait_until(look)


def _gone(client, backup_id):
    def look():
        try:
            client.backups.get(backup_id)
        except exceptions.NotFound:
            return True
        return False
    return wait_until(look)


@pytest.fixture
def client(library):
    return library()


@pytest.fixture
def backup(client, volume):
    made = client.backups.create(
        volume.id, name=f'b-{volume.name}', description='d', metadata={'team': volume.name})
    return _available(client, made.id)


# ---- library ----


def test_find_list_and_count(client, volume, backup):
    assert client.backups.find(name=backup.name).id == backup.id
    assert [one.id for one in client.backups.list(
        search_opts={'volume_id': volume.id, 'status': 'available'})] == [backup.id]
    assert [one.id for one in client.backups.list(
        detailed=False, search_opts={'name~': backup.name[3:]})] == [backup.id]
    assert [one.id for one in client.backups.list(
        search_opts={'metadata': {'team': volume.name}})] == [backup.id]
    assert client.backups.list(
        search_opts={'volume_id': volume.id}, sort='name:asc', limit=1)[0].id == backup.id
    assert client.backups.list(search_opts={'volume_id': volume.id}, marker=backup.id) == []


def test_chain_restore_and_independent_deletion(
        client, standalone, volume, backup, same_bytes):
    with standalone.volume_path(volume.id).open('r+b') as file:
        file.seek(700_000_000)
        file.write(b'x' * 100_000)
    child = client.backups.create(volume.id, incremental=True, force=True)
    child = _available(client, child.id)
    assert child.is_incremental
    client.backups.delete(backup.id)
    _gone(client, backup.id)
    restored = client.restores.restore(child.id, name='again')
    assert restored.backup_id == child.id
    wait_until(lambda: client.volumes.get(restored.volume_id).status == 'available')
    assert same_bytes(volume.id, restored.volume_id)
    onto = client.restores.restore(child.id, volume_id=restored.volume_id)
    assert onto.volume_id == restored.volume_id
    wait_until(lambda: client.volumes.get(restored.volume_id).status == 'available')


def test_volume_from_backup(client, volume, backup, same_bytes):
    """``backup-restore`` with a volume type goes this way."""
    made = client.volumes.create(None, name='typed', backup_id=backup.id)
    wait_until(lambda: client.volumes.get(made.id).status == 'available')
    assert client.volumes.get(made.id).size == 1
    assert same_bytes(volume.id, made.id)


def test_record_under_another_id_shares_the_data(client, volume, backup, same_bytes):
    record = client.backups.export_record(backup.id)
    decoded = json.loads(base64.b64decode(record['backup_url']))
    decoded['id'] = str(uuid.uuid4())
    url = base64.b64encode(json.dumps(decoded).encode()).decode()
    client.backups.import_record(record['backup_service'], url)
    twin = _available(client, decoded['id'])
    assert twin.volume_id == volume.id
    assert twin.id in [one.id for one in client.backups.list()]
    client.backups.delete(backup.id)
    _gone(client, backup.id)
    restored = client.restores.restore(twin.id)
    wait_until(lambda: client.volumes.get(restored.volume_id).status == 'available')
    assert same_bytes(volume.id, restored.volume_id)
    client.backups.delete(twin.id)
    _gone(client, twin.id)
    # The data went with the last row that stood for it.
    client.backups.import_record(record['backup_service'], url)
    wait_until(lambda: client.backups.get(twin.id).status == 'error')
    assert client.backups.get(twin.id).fail_reason
    with pytest.raises(exceptions.BadRequest, match='Backup status must be available'):
        client.restores.restore(twin.id)


@pytest.mark.parametrize('change', [
    {'driver_info': None},
    {'driver_info': {'repository': 'nothing', 'repository_project_id': 'p', 'container': 'c',
                     'manifest_id': str(uuid.UUID(int=1))}},
    {'driver_info': {'repository': 'posix', 'repository_project_id': '../..',
                     'container': '../../etc', 'manifest_id': '../../../etc/passwd'}},
    {'size': 1, 'driver_info': {'repository': 'posix', 'repository_project_id': fixture.PROJECT,
                                'container': 'volumebackups',
                                'manifest_id': str(uuid.UUID(int=2))}},
])
def test_hostile_record_ends_in_error_with_the_reason(client, backup, change):
    decoded = json.loads(base64.b64decode(client.backups.export_record(backup.id)['backup_url']))
    decoded.update(change, id=str(uuid.uuid4()))
    url = base64.b64encode(json.dumps(decoded).encode()).decode()
    client.backups.import_record('cinder.backup.drivers.backupsvc', url)
    wait_until(lambda: client.backups.get(decoded['id']).status == 'error')
    assert client.backups.get(decoded['id']).fail_reason
    client.backups.delete(decoded['id'])
    _gone(client, decoded['id'])
    assert client.backups.get(backup.id).status == 'available'


def test_record_of_cinders_own_driver_ends_in_error(client, backup):
    decoded = json.loads(base64.b64decode(client.backups.export_record(backup.id)['backup_url']))
    decoded['id'] = str(uuid.uuid4())
    url = base64.b64encode(json.dumps(decoded).encode()).decode()
    client.backups.import_record('cinder.backup.drivers.swift.SwiftBackupDriver', url)
    wait_until(lambda: client.backups.get(decoded['id']).status == 'error')
    assert 'swift' in client.backups.get(decoded['id']).fail_reason
    client.backups.delete(decoded['id'])
    _gone(client, decoded['id'])
    assert client.backups.get(backup.id).status == 'available'


def test_update_reset_and_force_delete(client, backup):
    client.backups.update(backup.id, name='new', metadata={'x': 'y'})
    shown = client.backups.get(backup.id)
    assert (shown.name, shown.metadata) == ('new', {'x': 'y'})
    client.backups.reset_state(backup.id, 'error')
    assert client.backups.get(backup.id).status == 'error'
    client.backups.delete(backup.id, force=True)
    _gone(client, backup.id)


def test_errors_are_the_clients_own(client, library, volume, backup):
    missing = str(uuid.uuid4())
    with pytest.raises(exceptions.NotFound, match=f'Backup {missing} could not be found.'):
        client.backups.get(missing)
    with pytest.raises(exceptions.NotFound, match=f'Volume {missing} could not be found.'):
        client.backups.create(missing)
    stranger = library(project=OTHER, roles='member')
    with pytest.raises(exceptions.NotFound):
        stranger.backups.get(backup.id)
    with pytest.raises(exceptions.BadRequest, match='Invalid input for field/attribute'):
        client.backups.create(volume.id, metadata={'a+b': 'c'})
    client.quotas.update(OTHER, backups=0)
    own = stranger.volumes.create(1)
    wait_until(lambda: stranger.volumes.get(own.id).status == 'available')
    with pytest.raises(exceptions.OverLimit, match='BackupLimitExceeded') as refused:
        stranger.backups.create(own.id)
    assert refused.value.retry_after == 0
    own_project = library(roles='member')
    with pytest.raises(exceptions.Forbidden, match='backup:export-import'):
        own_project.backups.export_record(backup.id)


# ---- shell ----


def _table(text):
    """Return the fields of a two-column table."""
    return dict(re.findall(r'(?m)^\| (\S+) +\| (.*?) +\|$', text))


@pytest.fixture
def shell_backup(cinder, client, volume):
    made = _table(cinder(
        'backup-create', '--name', f's-{volume.name}', '--description', 'd', '--metadata',
        'k=v', f'team={volume.name}', '--', volume.id).out)
    return _available(client, made['id'])


def test_shell_shows_lists_and_filters(cinder, volume, shell_backup):
    shown = _table(cinder('backup-show', shell_backup.name).out)
    assert (shown['id'], shown['status'], shown['volume_id']) == (
        shell_backup.id, 'available', volume.id)
    for filters in (f'name~={volume.name[2:]}', f'volume_id={volume.id}',
                    f'name={shell_backup.name}'):
        assert shell_backup.id in cinder('backup-list', '--filters', filters).out
    counted = cinder('backup-list', '--with-count', '--volume-id', volume.id).out
    assert 'Backup in total: 1' in counted
    assert shell_backup.id in cinder(
        'backup-list', '--all-tenants', '1', '--sort', 'created_at:desc').out
    assert 'backup' in cinder('list-filters').out


def test_shell_changes_restores_and_deletes(cinder, client, volume, shell_backup):
    cinder('backup-update', '--name', 'new', '--metadata', 'a=b', '--', shell_backup.id)
    assert client.backups.get(shell_backup.id).metadata == {'a': 'b'}
    out = cinder('backup-restore', '--name', f'r-{volume.name}', shell_backup.id).out
    wait_until(lambda: client.volumes.get(_table(out)['volume_id']).status == 'available')
    typed = cinder('backup-restore', '--volume-type', '__DEFAULT__', '--name',
                   f't-{volume.name}', shell_backup.id).out
    wait_until(lambda: client.volumes.get(_table(typed)['volume_id']).status == 'available')
    cinder('backup-reset-state', '--state', 'error', shell_backup.id)
    assert client.backups.get(shell_backup.id).status == 'error'
    refused = cinder('backup-restore', shell_backup.id, fails=True)
    assert 'Backup status must be available' in refused.err
    cinder('backup-delete', '--force', shell_backup.id)
    _gone(client, shell_backup.id)


def test_shell_records(cinder, client, shell_backup):
    record = _record(cinder('backup-export', shell_backup.id).out)
    refused = cinder('backup-import', record['backup_service'], record['backup_url'], fails=True)
    assert 'Backup already exists in database.' in refused.err
    cinder('backup-delete', shell_backup.id)
    _gone(client, shell_backup.id)
    made = _table(
        cinder('backup-import', record['backup_service'], record['backup_url']).out)
    assert made['id'] == shell_backup.id
    # The data went with the last row that stood for it.
    wait_until(lambda: client.backups.get(made['id']).status == 'error')


def _record(text):
    fields = {}
    name = None
    for first, second in re.findall(r'(?m)^\| (\S*) *\| (.*?) *\|$', text):
        name = first or name
        fields[name] = fields.get(name, '') + second
    return fields


def test_shell_errors(cinder, volume, shell_backup):
    refused = cinder('backup-show', 'no-such-backup', fails=True)
    assert "with a name or ID of 'no-such-backup' exists." in refused.err
    refused = cinder('backup-delete', 'no-such-backup', fails=True)
    assert 'Unable to delete any of the specified backups' in refused.err
    refused = cinder('backup-reset-state', '--state', 'x', shell_backup.id, fails=True)
    assert 'invalid' in refused.err
    refused = cinder('backup-create', '--snapshot-id', str(uuid.uuid4()), volume.id, fails=True)
    assert 'could not be found' in refused.err
