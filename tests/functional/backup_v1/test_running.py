# SPDX-License-Identifier: Apache-2.0
"""Every call of the dialect's document against a running service, with the bytes it is about.

Requests are as small as curl sends them. The bodies are those of the document, with the ``<id>``
and ``<arguments>`` of its examples filled in.
"""

import dataclasses
import datetime
import http.client
import json
import os
import pathlib
import resource
import uuid

import pytest

from backupsvc import context
from backupsvc.drivers import loader
from backupsvc.drivers.base import Listing
from backupsvc.drivers.instance.local import processes
from backupsvc.orchestration import instances
from tests.fixtures import service as service_fixture
from tests.fixtures import standalone as standalone_fixture
from tests.fixtures.service import wait_until

pytestmark = pytest.mark.xdist_group('backup_v1')

MIB = 1 << 20


@dataclasses.dataclass
class Running:
    """The service, and short words for what a member of a project does with it."""

    standalone: standalone_fixture.Standalone
    project: str

    @property
    def owner(self):
        """Who runs the instances of the project: there is no API for that."""
        return context.RequestContext(
            project_id=self.project, is_admin=True, overwrite=False)

    def send(self, method, path, body=None):
        """Return (status, parsed body, None where there is none)."""
        connection = http.client.HTTPConnection(
            self.standalone.url.removeprefix('http://'), timeout=60)
        try:
            headers = {'X-Auth-Token': f'alice:{self.project}:member'}
            if body is not None:
                headers['Content-Type'] = 'application/json'
            connection.request(
                method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            raw = answer.read()
            return answer.status, json.loads(raw) if raw else None
        finally:
            connection.close()

    def get(self, path):
        status, body = self.send('GET', path)
        assert status == 200, body
        return body

    def post(self, path, body):
        """Send what must be answered with 201; return the parsed body."""
        status, answer = self.send('POST', path, body)
        assert status == 201, answer
        return answer

    def settled(self, path, *statuses):
        """Return what is at a path once it has one of some statuses."""
        def found():
            [body] = self.get(path).values()
            return body if body['status'] in statuses else None
        return wait_until(found, 120)

    def gone(self, path):
        """Wait until there is nothing at a path."""
        wait_until(lambda: self.send('GET', path)[0] == 404, 120)

    def volume(self, *pieces):
        """Return the id of a new volume of 1 GiB that holds (offset, bytes) pieces."""
        status, body = self.send('POST', '/v1/volume', {'volume': {'size': 1, 'name': 'data'}})
        assert status == 202, body
        volume_id = body['volume']['id']
        self.settled(f'/v3/volumes/{volume_id}', 'available')
        self.write(volume_id, *pieces)
        return volume_id

    def path(self, volume_id):
        """Return the raw file of a volume."""
        return pathlib.Path(self.standalone.directory, 'volumes', f'{volume_id}.raw')

    def write(self, volume_id, *pieces):
        with open(self.path(volume_id), 'r+b') as file:
            for offset, data in pieces:
                file.seek(offset)
                file.write(data)

    def holds(self, volume_id, *pieces):
        """Tell whether a volume holds some pieces and zeros around them."""
        data = 0
        with open(self.path(volume_id), 'rb') as file:
            for offset, piece in pieces:
                file.seek(offset)
                if file.read(len(piece)) != piece:
                    return False
                data += len(piece)
        return os.stat(self.path(volume_id)).st_blocks * 512 <= data + 4 * MIB

    def instance(self, *volume_ids):
        """Return the id of a new instance that is powered off."""
        made = loader.instance_driver().create_instance(self.owner, name='web')
        for volume_id in volume_ids:
            instances.attach(self.owner, made.id, volume_id)
        return made.id

    def bring(self, instance_id, status):
        """Bring an instance that is powered off into a status."""
        driver = loader.instance_driver()
        instances.start(self.owner, instance_id)
        change = {'SHUTOFF': driver.stop_instance, 'PAUSED': driver.pause_instance,
                  'SUSPENDED': driver.suspend_instance}.get(status)
        if change is not None:
            change(self.owner, instance_id)
        assert self.status(instance_id) == status

    def status(self, instance_id):
        return loader.instance_driver().show_instance(self.owner, instance_id).status

    def check(self, volume_ids, not_after=None):
        """Tell whether volumes that an instance wrote to are of one moment."""
        moment = not_after and datetime.datetime.fromisoformat(not_after)
        return instances.check(self.owner, volume_ids, not_after=moment)

    def written_after(self, volume_ids, moment):
        """Wait until an instance has written to its volumes after a moment."""
        moment = datetime.datetime.fromisoformat(moment)
        wait_until(lambda: all(
            volume.last_at and volume.last_at > moment for volume in
            self.check(volume_ids).volumes))


@pytest.fixture(scope='module')
def standalone(tmp_path_factory):
    """The service, and its configuration in this process."""
    directory = tmp_path_factory.mktemp('backup_v1')
    with standalone_fixture.Standalone(directory) as service:
        service_fixture.reset()
        service_fixture.install(directory / 'backupsvc.conf')
        try:
            yield service
        finally:
            service_fixture.reset()


@pytest.fixture
def running(standalone):
    """The service with a project of its own for each test."""
    running = Running(standalone, uuid.uuid4().hex)
    yield running
    driver = loader.instance_driver()
    for instance in driver.list_instances(running.owner, Listing()):
        driver.stop_instance(running.owner, instance.id, force=True)


def test_volume_backups(running):
    pieces = [(5 * MIB, os.urandom(3 * MIB)), (1023 * MIB, b'end')]
    volume_id = running.volume(*pieces)

    created = running.post('/v1/volume/backup', {'backup': {'volume_id': volume_id}})
    backup_id = created['backup']['id']
    assert created == {'backup': {'id': backup_id}}

    backup = running.settled(f'/v1/volume/backup/{backup_id}', 'available', 'error')
    assert (backup['status'], backup['fail_reason']) == ('available', None)
    assert (backup['logical_bytes'], backup['size']) == (1024 * MIB, 1)
    assert 3 * MIB < backup['stored_bytes'] < 5 * MIB
    assert backup['progress'] is None
    assert running.get('/v1/volume/backup')['backups'] == [backup]
    status, body = running.send('GET', f'/v1/volume/backup/{uuid.uuid4()}')
    assert (status, list(body)) == (404, ['itemNotFound'])

    path = f'/v1/volume/backup/{backup_id}/action'
    assert running.post(path, {'update': {'name': 'monday', 'metadata': {'k': 'v'}}}) is None
    assert running.get('/v1/volume/backup?metadata[k]=v&name=monday')['backups'] != []

    made = running.post('/v1/volume', {'volume': {'backup_id': backup_id}})['volume']
    larger = running.post('/v1/volume', {'volume': {'backup_id': backup_id, 'size': 2}})['volume']
    for volume in (made, larger):
        running.settled(f'/v3/volumes/{volume["id"]}', 'available')
        assert running.holds(volume['id'], *pieces)
    assert running.get(f'/v3/volumes/{larger["id"]}')['volume']['size'] == 2

    status, body = running.send('DELETE', f'/v1/volume/backup/{backup_id}')
    assert (status, body) == (201, {'backup': {'id': backup_id}})
    running.gone(f'/v1/volume/backup/{backup_id}')
    assert running.send('DELETE', f'/v1/volume/backup/{backup_id}')[0] == 404


def test_what_is_no_id_on_the_wire_is_404(running):
    for text in ('..', '%2e%2e', '..%2f..%2fhealthcheck', '%2f', 'a%2Fb', '%5c', '%20', '%00',
                 '%0d%0aX:%20y', '%F0%9F%92%BE', '%ff', 'x' * 10240, 'x' * 60_000):
        for kind in ('volume/backup', 'instance/backup', 'instance/snapshot'):
            status, body = running.send('GET', f'/v1/{kind}/{text}')
            assert (status, list(body)) == (404, ['itemNotFound']), (kind, text[:20])
            assert running.send('DELETE', f'/v1/{kind}/{text}')[0] == 404
        status, body = running.send('POST', f'/v1/volume/{text}/action', {'os-extend': {}})
        assert (status, list(body)) == (404, ['itemNotFound']), text[:20]


def test_a_volume_is_rolled_back(running):
    before, after = [(0, os.urandom(MIB)), (900 * MIB, b'old')], (900 * MIB, os.urandom(2 * MIB))
    volume_id = running.volume(*before)
    snapshot_id = take_snapshot(running, volume_id)
    running.write(volume_id, after)
    assert running.post(f'/v1/volume/{volume_id}/action', {
        'rollback': {'snapshot_id': snapshot_id}}) is None
    running.settled(f'/v3/volumes/{volume_id}', 'available', 'error')
    assert running.get(f'/v3/volumes/{volume_id}')['volume']['status'] == 'available'
    assert running.holds(volume_id, *before)
    status, _ = running.send('POST', f'/v1/volume/{volume_id}/action', {
        'os-extend': {'new_size': 2}})
    assert status == 202
    assert running.get(f'/v3/volumes/{volume_id}')['volume']['size'] == 2


def take_snapshot(running, volume_id):
    status, body = running.send('POST', '/v3/snapshots', {'snapshot': {
        'volume_id': volume_id, 'force': True}})
    assert status == 202, body
    snapshot_id = body['snapshot']['id']
    running.settled(f'/v3/snapshots/{snapshot_id}', 'available')
    return snapshot_id


@pytest.mark.parametrize('status', ['SHUTOFF', 'ACTIVE', 'PAUSED', 'SUSPENDED'])
def test_an_instance_is_backed_up_in_each_status(running, status):
    """A backup of an instance that writes meanwhile is of one moment, and each part of it restores
    alone.
    """
    instance_id = running.instance(running.volume(), running.volume())
    running.bring(instance_id, status)

    created = running.post('/v1/instance/backup', {'backup': {
        'instance_id': instance_id, 'name': status, 'metadata': {'status': status}}})
    backup_id = created['backup']['id']
    assert created == {'backup': {'id': backup_id}}
    backup = running.settled(f'/v1/instance/backup/{backup_id}', 'available', 'error')
    assert (backup['status'], backup['is_consistent']) == ('available', True), backup
    assert running.status(instance_id) == status
    assert running.get(f'/v1/instance/backup?name={status}')['backups'] == [backup]
    members = running.get(f'/v1/volume/backup?metadata[status]={status}')['backups']
    assert {member['set_id'] for member in members} == {backup_id}
    assert len(members) == 2

    restored = [
        running.post('/v1/volume', {'volume': {'backup_id': member['id']}})['volume']['id']
        for member in backup['volume_backups']]
    for volume_id in restored:
        running.settled(f'/v3/volumes/{volume_id}', 'available')
    check = running.check(restored, backup['data_timestamp'])
    assert check.is_consistent, check
    assert all(volume.last for volume in check.volumes)

    path = f'/v1/instance/backup/{backup_id}'
    assert running.post(f'{path}/action', {'update': {'name': 'renamed'}}) is None
    assert running.get(path)['backup']['name'] == 'renamed'
    assert running.send('DELETE', path) == (201, {'backup': {'id': backup_id}})
    running.gone(path)
    assert running.get(f'/v1/volume/backup?metadata[status]={status}')['backups'] == []
    loader.instance_driver().stop_instance(running.owner, instance_id)


def test_an_instance_in_another_status_is_409(running):
    instance_id = running.instance(running.volume())
    running.bring(instance_id, 'ACTIVE')
    # It may write no further than this to any file: it fails, and is in error.
    directory = running.standalone.directory / 'instances' / instance_id
    resource.prlimit(processes.pid(directory), resource.RLIMIT_FSIZE, (4096, 4096))
    wait_until(lambda: running.status(instance_id) == 'ERROR')
    for key in ('backup', 'snapshot'):
        status, body = running.send('POST', f'/v1/instance/{key}', {
            key: {'instance_id': instance_id}})
        assert (status, list(body)) == (409, ['conflictingRequest'])
        assert 'ERROR' in body['conflictingRequest']['message']


def test_an_instance_is_rolled_back(running):
    """The story of the document: stop the instance, roll its volumes back, start it again."""
    volume_ids = [running.volume(), running.volume()]
    instance_id = running.instance(*volume_ids)
    running.bring(instance_id, 'ACTIVE')

    created = running.post('/v1/instance/snapshot', {'snapshot': {'instance_id': instance_id}})
    snapshot_id = created['snapshot']['id']
    assert created == {'snapshot': {'id': snapshot_id}}
    path = f'/v1/instance/snapshot/{snapshot_id}'
    snapshot = running.settled(path, 'available', 'error')
    assert (snapshot['status'], snapshot['is_consistent']) == ('available', True)
    assert running.get('/v1/instance/snapshot')['snapshots'] == [snapshot]
    moment = snapshot['data_timestamp']
    running.written_after(volume_ids, moment)

    refused = roll_back(running, snapshot)
    assert {status for status, _ in refused} == {409}
    assert 'SHUTOFF' in refused[0][1]['conflictingRequest']['message']

    loader.instance_driver().stop_instance(running.owner, instance_id)
    assert not running.check(volume_ids, moment).is_consistent, 'it wrote after the snapshot'
    assert roll_back(running, snapshot) == [(201, None)] * 2
    for volume_id in volume_ids:
        found = running.settled(f'/v3/volumes/{volume_id}', 'in-use', 'error')
        assert found['status'] == 'in-use'
    check = running.check(volume_ids, moment)
    assert check.is_consistent, check
    assert all(volume.last for volume in check.volumes)

    instances.start(running.owner, instance_id)
    running.written_after(volume_ids, moment)
    loader.instance_driver().stop_instance(running.owner, instance_id)
    assert running.check(volume_ids).is_consistent
    assert running.send('DELETE', path) == (201, {'snapshot': {'id': snapshot_id}})
    running.gone(path)
    left = {one['id'] for one in running.get('/v3/snapshots')['snapshots']}
    assert not left & {one['id'] for one in snapshot['volume_snapshots']}


def roll_back(running, snapshot):
    """Return the answers to the rollback of each volume."""
    return [
        running.send('POST', f'/v1/volume/{one["volume_id"]}/action', {
            'rollback': {'snapshot_id': one['id']}})
        for one in snapshot['volume_snapshots']]
