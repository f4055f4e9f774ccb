# SPDX-License-Identifier: Apache-2.0
"""Keys of repositories in the Barbican of a cloud, by castellan."""

import pytest

from tests.fixtures import cloud as fixture

pytestmark = pytest.mark.cloud


@pytest.fixture
def sections(cloud):
    """The sections that say which Barbican, once its user may make keys there."""
    if not [each for each in cloud.identity.services() if each.type == 'key-manager']:
        pytest.skip('the cloud has no key manager')
    fixture.guide('keys.rst', 'barbican-role')
    user = (fixture.service_user(cloud).replace('auth_type = password', '')
            .replace('_domain_id = default', '_domain_name = Default'))
    return (fixture.authtoken(cloud),
            fixture.section('key_manager', user, backend='barbican',
                            auth_type='keystone_password'),
            fixture.section('barbican', auth_endpoint=fixture.auth_url(cloud)))


def _rotated(service) -> str:
    """Have a new key made and return its id."""
    printed = service.manage('keys', 'rotate')
    return next(line for line in printed.splitlines() if 'is the new key' in line).split()[
        0].removeprefix('castellan:')


def test_backups_under_keys_of_barbican(cloud, sections, tmp_path):
    with fixture.project(cloud) as project:
        service = fixture.Service(
            tmp_path / 'service', *sections, fixture.section('keys', provider='castellan'))
        service.manage('db', 'sync')
        old = _rotated(service)
        config = service.directory / 'backupsvc.conf'
        config.write_text(config.read_text().replace(
            'provider = castellan', f'provider = castellan\nkey_id = {old}'))
        with service:
            user = project.connect(service)
            volume_id = service.new_volume(user, 4)
            backup = user.block_storage.create_backup(volume_id=volume_id)
            fixture.ended(user, backup.id, 'available')
            assert f'castellan:{old}' in service.manage('keys', 'list')
        new = _rotated(service)
        config.write_text(config.read_text().replace(old, new))
        service.manage('keys', 'remove', f'castellan:{old}')
        with service:
            user = project.connect(service)
            assert service.restored(user, backup.id) == service.content(volume_id)
