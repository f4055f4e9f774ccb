# SPDX-License-Identifier: Apache-2.0
"""Parts of the cloud that do not answer: what users are told, and that work goes on afterwards."""

import os
import subprocess
import time
import urllib.parse

import pytest
import requests

from tests.fixtures import cloud as fixture
from tests.fixtures import processes
from tests.fixtures.servers import Relay
from tests.fixtures.service import wait_until

pytestmark = pytest.mark.cloud

#: A command that stops Swift and starts it again; where there is none, a relay to it is cut.
RESTART = os.environ.get('BACKUPSVC_TEST_SWIFT_RESTART')

PARALLEL = 20


@pytest.fixture
def project(cloud):
    with fixture.project(cloud) as made:
        yield made


def _nowhere() -> str:
    return f'http://127.0.0.1:{processes.free_port()}/v3'


def _swift(cloud, attempts=2, deadline_s=5, **options):
    """Return the sections of a repository in the service's own account."""
    fixture.guide('keystone.rst', 'swift-service-role')
    return (fixture.section('repository', driver='swift'),
            fixture.section('repository_swift', fixture.service_user(cloud), interface='public',
                            **options),
            fixture.section('engine', store_attempts=attempts, store_deadline=deadline_s),
            fixture.section('manager', max_attempts=2, workers=4))


def _failed(running, project):
    user = project.connect(running)
    volume_id = running.new_volume(user, 1)
    backup = user.block_storage.create_backup(volume_id=volume_id)
    reason = fixture.ended(user, backup.id, 'error').fail_reason
    assert user.block_storage.get_volume(volume_id).status == 'available'
    return reason


def test_keystone_does_not_answer_who_checks_tokens(cloud, project, tmp_path):
    sections = fixture.authtoken(cloud).replace(fixture.auth_url(cloud), _nowhere())
    with fixture.Service(tmp_path / 'service', sections) as running:
        for accept in ('application/json', '*/*'):
            answer = requests.get(
                f'{running.url}/v3/backups', timeout=120,
                headers={'X-Auth-Token': project.connect().auth_token, 'Accept': accept})
            assert answer.status_code == 503
            assert 'The Keystone service is temporarily unavailable' in answer.text
        assert requests.get(f'{running.url}/healthcheck', timeout=60).status_code == 200


def test_keystone_does_not_answer_who_writes_to_swift(cloud, project, tmp_path):
    swift = [text.replace(fixture.auth_url(cloud), _nowhere()) for text in _swift(cloud)]
    with fixture.Service(tmp_path / 'service', fixture.authtoken(cloud), *swift) as running:
        assert 'Keystone does not answer' in _failed(running, project)


def test_the_password_of_the_service_was_changed(cloud, project, tmp_path):
    swift = [text.replace(f'password = {fixture.PASSWORD}', 'password = other')
             for text in _swift(cloud)]
    with fixture.Service(tmp_path / 'service', fixture.authtoken(cloud), *swift) as running:
        assert 'Keystone refuses the credentials for Swift' in _failed(running, project)


def test_swift_does_not_answer(cloud, project, tmp_path):
    url = _nowhere().replace('/v3', '/v1/AUTH_service')
    with fixture.Service(tmp_path / 'service', fixture.authtoken(cloud),
                         *_swift(cloud, storage_url=url)) as running:
        assert 'Swift: the connection failed' in _failed(running, project)


def _own_account(cloud):
    """Return the URL of the account of the service's user."""
    return fixture.admin_of_accounts(cloud).object_store.get_endpoint()


@pytest.mark.timeout(900)
def test_swift_is_restarted_while_backups_are_made(cloud, project, tmp_path):
    parts = urllib.parse.urlsplit(_own_account(cloud))
    relay = Relay(parts.port, parts.hostname)
    sections = _swift(cloud, attempts=10, deadline_s=120,
                      storage_url=f'http://127.0.0.1:{relay.port}{parts.path}')
    with fixture.Service(tmp_path / 'service', fixture.authtoken(cloud), *sections,
                         fixture.section('quota', backups=-1, volumes=-1, gigabytes=-1,
                                         backup_gigabytes=-1)) as running:
        user = project.connect(running)
        volumes = [running.new_volume(user, 12) for _ in range(PARALLEL)]
        made = {volume_id: user.block_storage.create_backup(volume_id=volume_id).id
                for volume_id in volumes}

        def finished():
            return sum(each.status == 'available' for each in user.block_storage.backups())

        wait_until(lambda: finished() >= 2, 120)
        assert finished() < PARALLEL, 'nothing was left to be interrupted'
        if RESTART:
            subprocess.run(RESTART, shell=True, check=True, timeout=120)
        else:
            relay.cut()
            time.sleep(8)  # so long is it away
            relay.mend()
        for volume_id, backup_id in made.items():
            fixture.ended(user, backup_id, 'available')
            assert running.restored(user, backup_id) == running.content(volume_id)
        assert 'Swift: the connection failed' in running.log()
    relay.cut()
