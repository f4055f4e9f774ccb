# SPDX-License-Identifier: Apache-2.0
"""Repositories in the Swift of a cloud: in the service's account and in those of tenants, by role,
by trust and by an ACL; and what Swift refuses.
"""

import contextlib

import pytest
from openstack import exceptions as sdk_exceptions

from tests.fixtures import cloud as fixture
from tests.fixtures.service import wait_until

pytestmark = pytest.mark.cloud

CONTAINER = 'volumebackups'


def _sections(cloud, **options):
    return (fixture.authtoken(cloud),
            fixture.section('repository', driver='swift'),
            fixture.section('repository_swift', fixture.service_user(cloud), interface='public',
                            **options))


def _running(cloud, tmp_path_factory, **options):
    return fixture.Service(tmp_path_factory.mktemp('swift'), *_sections(cloud, **options))


@pytest.fixture(scope='module')
def by_role(cloud, tmp_path_factory):
    """A service that writes tenants' accounts by a role of its user."""
    fixture.guide('keystone.rst', 'swift-tenant-role')
    with _running(cloud, tmp_path_factory, account='tenant') as service:
        yield service


@pytest.fixture(scope='module')
def trusted(cloud, tmp_path_factory):
    """A service that writes tenants' accounts by trusts, its user being nobody in Swift."""
    with _plain_user(cloud) as user, fixture.Service(
            tmp_path_factory.mktemp('swift'), fixture.authtoken(cloud),
            fixture.section('repository', driver='swift'),
            fixture.section('repository_swift', user, interface='public', account='tenant',
                            tenant_access='trust')) as service:
        yield service


@contextlib.contextmanager
def _plain_user(cloud):
    """Give the options of a user whose only role is ``service``, which Swift does not know."""
    with fixture.project(cloud, ['service']) as made:
        yield ('auth_type = password\n' + '\n'.join(
            f'{name} = {value}' for name, value in made.auth.items()) + '\n')


@pytest.fixture
def project(cloud):
    with fixture.project(cloud) as made:
        yield made


def _names(user, container=CONTAINER):
    return [each.name for each in user.object_store.objects(container)]


def _failed(user, volume_id, **options):
    backup = user.block_storage.create_backup(volume_id=volume_id, **options)
    return fixture.ended(user, backup.id, 'error').fail_reason


def _trusts(cloud, project):
    answer = cloud.identity.get('/OS-TRUST/trusts', params={'trustor_user_id': project.user_id})
    assert answer.status_code == 200, answer.text
    return [cloud.identity.get(f'/OS-TRUST/trusts/{each["id"]}').json()['trust']
            for each in answer.json()['trusts']]


def _full_circle(service, user):
    """Back up, restore, delete."""
    volume_id = service.new_volume(user, 8)
    backup = user.block_storage.create_backup(volume_id=volume_id)
    fixture.ended(user, backup.id, 'available')
    assert service.restored(user, backup.id) == service.content(volume_id)
    return volume_id, backup.id


def _delete(user, backup_id):
    user.block_storage.delete_backup(backup_id)
    wait_until(lambda: not [each for each in user.block_storage.backups() if each.id == backup_id])


def test_in_the_account_of_the_service(cloud, project, tmp_path_factory):
    fixture.guide('keystone.rst', 'swift-service-role')
    with _running(cloud, tmp_path_factory) as service:
        user = project.connect(service)
        _, backup_id = _full_circle(service, user)
        assert list(user.object_store.containers()) == []  # the tenant has and pays nothing
        own = project.connect(
            auth_url=project.auth['auth_url'], username='backupsvc', password=fixture.PASSWORD,
            user_domain_id='default', project_domain_id='default', project_name='service')
        container = f'backupsvc.{project.id}.{CONTAINER}'
        assert f'manifests/{backup_id}' in _names(own, container)
        _delete(user, backup_id)
        assert f'manifests/{backup_id}' not in _names(own, container)


def test_in_the_account_of_the_tenant_by_role(by_role, project):
    user = project.connect(by_role)
    _, backup_id = _full_circle(by_role, user)
    assert f'backupsvc/manifests/{backup_id}' in _names(user)
    _delete(user, backup_id)


def test_in_the_account_of_the_tenant_by_trust(trusted, cloud, project):
    user = project.connect(trusted)
    volume_id = trusted.new_volume(user, 256)
    backup = user.block_storage.create_backup(volume_id=volume_id)
    [trust] = _trusts(cloud, project)
    assert [role['name'] for role in trust['roles']] == ['member']
    assert trust['project_id'] == project.id and trust['impersonation']
    fixture.ended(user, backup.id, 'available')
    assert f'backupsvc/manifests/{backup.id}' in _names(user)
    wait_until(lambda: not _trusts(cloud, project))
    assert trusted.restored(user, backup.id) == trusted.content(volume_id)
    wait_until(lambda: not _trusts(cloud, project))
    _delete(user, backup.id)
    assert f'backupsvc/manifests/{backup.id}' not in _names(user)


def test_what_a_deletion_leaves_is_pruned_by_the_trust_of_who_deleted(
        cloud, project, tmp_path_factory):
    with _plain_user(cloud) as plain, fixture.Service(
            tmp_path_factory.mktemp('swift'), fixture.authtoken(cloud),
            fixture.section('repository', driver='swift'),
            fixture.section('repository_swift', plain, interface='public', account='tenant',
                            tenant_access='trust'),
            fixture.section('manager', prune_interval=2, prune_grace=1)) as service:
        user = project.connect(service)
        backup = user.block_storage.create_backup(volume_id=service.new_volume(user, 8))
        fixture.ended(user, backup.id, 'available')
        assert [name for name in _names(user) if '/packs/' in name]
        user.block_storage.delete_backup(backup.id)
        wait_until(lambda: not [name for name in _names(user) if '/packs/' in name], 60)
        wait_until(lambda: not _trusts(cloud, project), 60)


def test_a_trust_of_a_request_that_came_to_nothing_is_given_back(trusted, cloud, project):
    project.connect(trusted).block_storage.backups()
    plain = trusted.directory / 'backupsvc.conf'
    service_user = dict(
        line.split(' = ', 1) for line in plain.read_text().splitlines() if ' = ' in line)
    trustee = service_user['user_id']
    made = project.connect().identity.post('/OS-TRUST/trusts', json={'trust': {
        'trustor_user_id': project.user_id, 'trustee_user_id': trustee,
        'project_id': project.id, 'impersonation': True, 'roles': [{'name': 'member'}]}})
    assert made.status_code == 201, made.text
    wait_until(lambda: not _trusts(cloud, project))


def test_an_application_credential_cannot_hand_over_what_it_was_given(trusted, project):
    volume_id = trusted.new_volume(project.connect(trusted), 1)
    made = project.connect().identity.create_application_credential(
        user=project.user_id, name='backups', roles=[{'name': 'member'}])
    user = project.connect(
        trusted, auth_type='v3applicationcredential', auth_url=project.auth['auth_url'],
        application_credential_id=made.id, application_credential_secret=made.secret)
    with pytest.raises(sdk_exceptions.ForbiddenException, match='Keystone does not let'):
        user.block_storage.create_backup(volume_id=volume_id)
    assert user.block_storage.get_volume(volume_id).status == 'available'


def _account(cloud, project, method, **headers):
    """Ask Swift about the account of a project, as who may write every one."""
    admin = fixture.admin_of_accounts(cloud)
    url = f'{admin.object_store.get_endpoint().rpartition("/")[0]}/AUTH_{project.id}'
    answer = admin.session.request(url, method, headers=headers, raise_exc=False)
    assert answer.ok, f'{answer.status_code} {answer.text}'


def test_the_quota_of_the_account_is_exceeded(trusted, cloud, project):
    _account(cloud, project, 'POST', **{'X-Account-Meta-Quota-Bytes': '4000000'})
    user = project.connect(trusted)
    volume_id = trusted.new_volume(user, 32)
    reason = _failed(user, volume_id)
    assert 'Swift: the quota of the account or of the container is exceeded' in reason
    assert user.block_storage.get_volume(volume_id).status == 'available'


def test_the_quota_of_the_container_is_exceeded(by_role, project):
    user = project.connect(by_role)
    user.object_store.create_container(CONTAINER)
    user.object_store.post(f'/{CONTAINER}', headers={
        'X-Container-Meta-Quota-Bytes': '4000000'}).raise_for_status()
    reason = _failed(user, by_role.new_volume(user, 32))
    assert 'Swift: the quota of the account or of the container is exceeded' in reason


def test_the_account_was_deleted(by_role, cloud, project):
    user = project.connect(by_role)
    user.object_store.create_container('other')
    _account(cloud, project, 'DELETE')
    reason = _failed(user, by_role.new_volume(user, 1))
    assert 'Swift: the account was deleted' in reason


def test_a_container_that_an_acl_lets_us_write_until_it_does_not(
        cloud, project, tmp_path_factory):
    with _plain_user(cloud) as plain:
        own = dict(line.split(' = ') for line in plain.splitlines())
        with fixture.Service(
                tmp_path_factory.mktemp('swift'), fixture.authtoken(cloud),
                fixture.section('repository', driver='swift', create_containers=False),
                fixture.section('repository_swift', plain, interface='public',
                                account='tenant')) as service:
            user = project.connect(service)
            volume_id = service.new_volume(user, 8)
            user.object_store.create_container(CONTAINER)
            assert 'Swift: access to the account or the container is denied' in _failed(
                user, volume_id)
            grant = f'{own["project_id"]}:{own["user_id"]}'
            _acl(user, grant)
            backup = user.block_storage.create_backup(volume_id=volume_id)
            fixture.ended(user, backup.id, 'available')
            assert service.restored(user, backup.id) == service.content(volume_id)
            _acl(user, '')
            assert 'Swift: access to the account or the container is denied' in _failed(
                user, volume_id)


def _acl(user, grant):
    user.object_store.post(f'/{CONTAINER}', headers={
        'X-Container-Read': grant, 'X-Container-Write': grant}).raise_for_status()
