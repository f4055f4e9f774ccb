# SPDX-License-Identifier: Apache-2.0
"""The keystone pipeline: tokens, roles, projects, and work that outlives its token."""

import datetime
import pathlib
import shutil
import socket
import subprocess
import uuid

import pytest
import requests
from keystoneauth1 import exceptions as ks_exceptions
from openstack import exceptions as sdk_exceptions

from tests.fixtures import cloud as fixture
from tests.fixtures import processes
from tests.fixtures.service import wait_until

pytestmark = pytest.mark.cloud


class Memcached:
    """A memcached of the tests' own, which they may stop."""

    def __init__(self):
        program = shutil.which('memcached')
        assert program, 'the package memcached is not installed'
        self.port = processes.free_port()
        self._process = subprocess.Popen(
            [program, '-l', '127.0.0.1', '-p', str(self.port), '-U', '0', '-u', 'nobody'])
        wait_until(self._answers, 10)

    def _answers(self) -> bool:
        try:
            return self.count('cmd_set') >= 0
        except OSError:
            return False

    def count(self, name: str) -> int:
        """Return one of its statistics."""
        with socket.create_connection(('127.0.0.1', self.port), 5) as connection:
            connection.sendall(b'stats\r\n')
            with connection.makefile('rb') as lines:
                for line in lines:
                    words = line.decode().split()
                    if words[0] == 'END':
                        break
                    if words[1] == name:
                        return int(words[2])
        raise AssertionError(name)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture(scope='module')
def memcached():
    running = Memcached()
    yield running
    running.stop()


def _sections(cloud, memcached):
    return fixture.authtoken(cloud).replace(fixture.MEMCACHED, f'127.0.0.1:{memcached.port}')


@pytest.fixture(scope='module')
def service(cloud, memcached, tmp_path_factory):
    fixture.guide('keystone.rst', 'service-user')
    directory = tmp_path_factory.mktemp('keystone')
    with fixture.Service(directory, _sections(cloud, memcached)) as running:
        yield running


@pytest.fixture
def project(cloud):
    with fixture.project(cloud) as made:
        yield made


def _status(service, path, token=None, **headers) -> int:
    if token is not None:
        headers['X-Auth-Token'] = token
    return requests.get(f'{service.url}{path}', headers=headers, timeout=60).status_code


def test_only_versions_and_health_need_no_token(service):
    assert _status(service, '/') == 300
    assert _status(service, '/v3/') == 200
    assert _status(service, '/healthcheck') == 200
    for path in ('/v3/backups', '/v1/volume/backup', '/v1.1/p/hp-volume-backups', '/v3/volumes'):
        refused = requests.get(f'{service.url}{path}', timeout=60)
        assert refused.status_code == 401
        assert 'keystone uri=' in refused.headers['WWW-Authenticate'].lower()
    assert _status(service, '/v3/backups', 'no-such-token') == 401


def test_validated_tokens_are_in_memcached(service, project, memcached):
    token = project.connect(service).auth_token
    before = memcached.count('cmd_set')
    assert _status(service, '/v3/backups', token) == 200
    stored, hits = memcached.count('cmd_set'), memcached.count('get_hits')
    assert stored == before + 1
    assert _status(service, '/v3/backups', token) == 200
    assert memcached.count('cmd_set') == stored
    assert memcached.count('get_hits') == hits + 1


def test_a_reader_sees_and_changes_nothing(service, cloud, project):
    member = project.connect(service)
    volume_id = service.new_volume(member, 1)
    backup = member.block_storage.create_backup(volume_id=volume_id)
    fixture.ended(member, backup.id, 'available')
    project.add_role('reader')
    project.remove_role('member')
    reader = project.connect(service)
    assert [each.id for each in reader.block_storage.backups()] == [backup.id]
    for change in (
            lambda: reader.block_storage.create_backup(volume_id=volume_id),
            lambda: reader.block_storage.delete_backup(backup.id),
            lambda: reader.block_storage.restore_backup(backup.id, name='copy'),
            lambda: reader.block_storage.update_backup(backup.id, name='other')):
        with pytest.raises(sdk_exceptions.ForbiddenException, match='allow backup:'):
            change()


def test_projects_are_apart_and_an_administrator_sees_all(service, cloud, project):
    member = project.connect(service)
    backup = member.block_storage.create_backup(volume_id=service.new_volume(member, 1))
    fixture.ended(member, backup.id, 'available')
    with fixture.project(cloud) as other, fixture.project(cloud, ['admin']) as operator:
        stranger = other.connect(service)
        assert list(stranger.block_storage.backups()) == []
        for ask in (
                lambda: stranger.block_storage.get_backup(backup.id),
                lambda: stranger.block_storage.delete_backup(backup.id, ignore_missing=False),
                lambda: stranger.block_storage.restore_backup(backup.id, name='stolen')):
            with pytest.raises(sdk_exceptions.NotFoundException, match='could not be found'):
                ask()
        answer = requests.get(f'{service.url}/v3/{project.id}/backups', timeout=60,
                              headers={'X-Auth-Token': stranger.auth_token})
        assert answer.status_code == 400  # the project of the URL is not that of the token
        admin = operator.connect(service)
        listed = admin.block_storage.backups(all_tenants=True)
        assert backup.id in {each.id for each in listed}
        assert admin.block_storage.get_backup(backup.id).project_id == project.id


def test_a_role_that_implies_another_counts_as_both(service, cloud):
    with fixture.project(cloud, ['manager' if cloud.identity.find_role('manager') else 'member']) \
            as made:
        # Keystone has manager imply member, and member reader.
        assert list(made.connect(service).block_storage.backups()) == []


@pytest.mark.parametrize('scope', [{'system_scope': 'all'}, {'domain_id': 'default'}],
                         ids=['system', 'domain'])
def test_tokens_that_are_of_no_project(service, cloud, scope):
    with fixture.project(cloud) as made:
        user = cloud.identity.get_user(made.user_id)
        admin = cloud.identity.find_role('admin', ignore_missing=False)
        if 'system_scope' in scope:
            cloud.identity.assign_system_role_to_user(user, admin, 'all')
        else:
            cloud.identity.assign_domain_role_to_user('default', user, admin)
        auth = {**made.auth, **scope}
        del auth['project_id']
        token = made.connect(**auth).auth_token
        answer = requests.get(f'{service.url}/v3/backups', timeout=60,
                              headers={'X-Auth-Token': token})
        assert answer.status_code == 403
        assert 'backup:get_all' in answer.json()['forbidden']['message']


def test_application_credentials(service, cloud, project):
    made = project.connect().identity.create_application_credential(
        user=project.user_id, name='backups', roles=[{'name': 'member'}])
    user = project.connect(
        service, auth_type='v3applicationcredential', auth_url=project.auth['auth_url'],
        application_credential_id=made.id, application_credential_secret=made.secret)
    volume_id = service.new_volume(user, 1)
    backup = user.block_storage.create_backup(volume_id=volume_id)
    fixture.ended(user, backup.id, 'available')


def _revoke(token, project) -> None:
    connection = project.connect()
    connection.identity.delete('/auth/tokens', headers={'X-Subject-Token': token})
    with pytest.raises((ks_exceptions.NotFound, sdk_exceptions.NotFoundException,
                        AssertionError)):
        answer = connection.identity.get('/auth/tokens', headers={'X-Subject-Token': token})
        assert answer.status_code == 200


def test_a_token_that_is_revoked_while_its_backup_is_made_changes_nothing(service, project):
    user = project.connect(service)
    volume_id = service.new_volume(user, 512)
    backup = user.block_storage.create_backup(volume_id=volume_id)
    assert user.block_storage.get_backup(backup.id).status == 'creating'
    _revoke(user.auth_token, project)
    later = project.connect(service)
    fixture.ended(later, backup.id, 'available')
    assert service.restored(later, backup.id) == service.content(volume_id)


def test_a_token_with_a_life_of_seconds(service, project):
    seconds = 8
    ends_at = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
    made = project.connect().identity.create_application_credential(
        user=project.user_id, name='short', roles=[{'name': 'member'}],
        expires_at=ends_at.strftime('%Y-%m-%dT%H:%M:%S'))
    user = project.connect(
        service, auth_type='v3applicationcredential', auth_url=project.auth['auth_url'],
        application_credential_id=made.id, application_credential_secret=made.secret)
    token = user.auth_token
    lasting = project.connect(service)
    volume_id = service.new_volume(lasting, 768)
    wait_until(lambda: datetime.datetime.now(datetime.UTC) >
               ends_at - datetime.timedelta(seconds=1))
    answer = requests.post(
        f'{service.url}/v3/{project.id}/backups', timeout=60, headers={'X-Auth-Token': token},
        json={'backup': {'volume_id': volume_id}})
    assert answer.status_code == 202, answer.text
    backup_id = answer.json()['backup']['id']
    wait_until(lambda: _status(service, '/v3/backups', token) == 401, 30)
    assert lasting.block_storage.get_backup(backup_id).status == 'creating', 'it was too quick'
    fixture.ended(lasting, backup_id, 'available')
    assert service.restored(lasting, backup_id) == service.content(volume_id)


def test_a_service_may_go_on_with_an_expired_token_and_nobody_else(service, cloud, project):
    ends_at = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=3)
    made = project.connect().identity.create_application_credential(
        user=project.user_id, name='short', roles=[{'name': 'member'}],
        expires_at=ends_at.strftime('%Y-%m-%dT%H:%M:%S'))
    expired = project.connect(
        auth_type='v3applicationcredential', auth_url=project.auth['auth_url'],
        application_credential_id=made.id, application_credential_secret=made.secret).auth_token
    wait_until(lambda: _status(service, '/v3/backups', expired) == 401, 30)
    nova_like = project.connect(
        auth_url=project.auth['auth_url'], username='backupsvc', password=fixture.PASSWORD,
        user_domain_id='default', project_domain_id='default', project_name='service')
    member = project.connect().auth_token
    assert _status(service, '/v3/backups', expired, **{'X-Service-Token': member}) == 401
    assert _status(service, '/v3/backups', expired,
                   **{'X-Service-Token': nova_like.auth_token}) == 200


def test_without_memcached_requests_go_on(cloud, project, tmp_path: pathlib.Path):
    own = Memcached()
    with fixture.Service(tmp_path / 'service', _sections(cloud, own)) as running:
        token = project.connect(running).auth_token
        assert _status(running, '/v3/backups', token) == 200
        own.stop()
        assert _status(running, '/v3/backups', token) == 200
        assert _status(running, '/v3/backups', project.connect(running).auth_token) == 200
        assert _status(running, '/v3/backups', 'no-such-token') == 401


def test_clients_find_us_by_the_entries_of_the_guide(service, cloud, project):
    name = f'backupsvc-{uuid.uuid4().hex[:8]}'
    region = cloud.identity.create_region(id=name)
    before = {each.id for each in cloud.identity.services()}
    try:
        fixture.guide('keystone.rst', 'endpoints', REGION=name, BACKUPSVC_URL=service.url,
                      BACKUPSVC_DATABASE_URL=service.database_url.partition('/v1.0')[0])
        session = project.connect().session
        for service_type, path, key in (('backup', '/volume/backup', 'backups'),
                                        ('database', '/backups', 'backups')):
            for interface in ('public', 'internal'):
                answer = session.get(path, endpoint_filter={
                    'service_type': service_type, 'interface': interface, 'region_name': name})
                assert answer.json() == {key: []}
    finally:
        for each in list(cloud.identity.services()):
            if each.id not in before:
                cloud.identity.delete_service(each)
        cloud.identity.delete_region(region)
