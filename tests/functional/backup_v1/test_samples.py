# SPDX-License-Identifier: Apache-2.0
"""The samples of the API reference are what the service answers.

``BACKUPSVC_WRITE_SAMPLES=1 tox -- tests/functional/backup_v1/test_samples.py`` writes them anew.
"""

import datetime
import json
import re

from backupsvc.objects.backup_set import BackupSet
from backupsvc.objects.instance_snapshot import InstanceSnapshot
from backupsvc.objects.task import Task
from tests.fixtures import samples

SAMPLES = samples.Samples('backup_v1')

UUID = re.compile(r'[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}')
TIME = re.compile(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z')
#: What depends on how long it took.
RATE = re.compile(r'"(bytes_per_second|seconds_left)": \d+')
RATES = {'bytes_per_second': 268435456, 'seconds_left': 3}


class Walk:
    """One walk through the calls; ``pages`` fills up with name of a file → text."""

    def __init__(self, service, member):
        self.service = service
        self.member = member
        self.pages = {}
        self._ids = {}

    def exchange(self, name, method, path, body=None):
        """Send a request and keep both bodies; return the answer's."""
        answer = self.member.request(method, path, body)
        assert answer.status_int in (200, 201), f'{name}: {answer.text}'
        if body is not None:
            self._add(f'{name}-request', body)
        if not answer.body:
            return None
        self._add(name if body is None else f'{name}-response', answer.json)
        return answer.json

    def _add(self, name, body):
        text = UUID.sub(self._stable_id, json.dumps(body, indent=4))
        text = TIME.sub('2026-11-22T12:00:00.000000Z', text)
        text = RATE.sub(lambda found: f'"{found[1]}": {RATES[found[1]]}', text)
        self.pages[f'{name}.json'] = text + '\n'

    def _stable_id(self, match):
        number = self._ids.setdefault(match[0], len(self._ids) + 1)
        return f'6f519a48-3183-46cf-a32f-{number:012}'

    def volumes(self):
        volume = self.service.volume(name='data')
        backup = self.service.record(
            volume.id, name='monday', description='before the upgrade', object_count=3,
            logical_bytes=1 << 30, stored_bytes=73400320, availability_zone='nova',
            metadata={'purpose': 'release'}, data_timestamp=datetime.datetime.now(datetime.UTC))
        self.exchange('volume-backups-list', 'GET', '/volume/backup?limit=1')
        made = self.exchange('volume-backup-create', 'POST', '/volume/backup', {'backup': {
            'volume_id': volume.id, 'name': 'tuesday', 'incremental': True,
            'metadata': {'purpose': 'daily'}}})
        task = Task.claim_next(self.service.admin_context, 'manager', 'here', 600)
        task.progress(bytes_total=1 << 30, bytes_done=1 << 28)
        path = f'/volume/backup/{made["backup"]["id"]}'
        self.exchange('volume-backup-show', 'GET', path)
        self.exchange('volume-backup-update', 'POST', f'{path}/action', {'update': {
            'name': 'tuesday, noon', 'metadata': {'purpose': 'daily', 'keep': '90d'}}})
        self.exchange('volume-create', 'POST', '/volume', {'volume': {
            'backup_id': backup.id, 'name': 'restored', 'size': 2}})
        other = self.service.record(volume.id)
        self.exchange('volume-backup-delete', 'DELETE', f'/volume/backup/{other.id}')
        rolled = self.service.volume()
        self.exchange('volume-rollback', 'POST', f'/volume/{rolled.id}/action', {
            'rollback': {'snapshot_id': self.service.snapshot(rolled).id}})

    def instances(self):
        arguments = {'name': 'monday', 'metadata': {'purpose': 'release'}}
        made = self.exchange('instance-snapshot-create', 'POST', '/instance/snapshot', {
            'snapshot': {'instance_id': self.service.instance().id, **arguments}})
        snapshot_id = made['snapshot']['id']
        self.service.complete(
            InstanceSnapshot.get_by_id(self.service.admin_context, snapshot_id))
        self.exchange('instance-snapshots-list', 'GET', '/instance/snapshot')
        path = f'/instance/snapshot/{snapshot_id}'
        self.exchange('instance-snapshot-show', 'GET', path)
        self.exchange('instance-snapshot-delete', 'DELETE', path)

        made = self.exchange('instance-backup-create', 'POST', '/instance/backup', {
            'backup': {'instance_id': self.service.instance().id, **arguments}})
        backup_id = made['backup']['id']
        self.service.complete(BackupSet.get_by_id(self.service.admin_context, backup_id))
        self.exchange('instance-backups-list', 'GET', '/instance/backup')
        path = f'/instance/backup/{backup_id}'
        self.exchange('instance-backup-show', 'GET', path)
        self.exchange('instance-backup-update', 'POST', f'{path}/action', {'update': {
            'description': 'before the upgrade'}})
        self.exchange('instance-backup-delete', 'DELETE', path)


def test_every_sample_is_what_the_service_answers(service, member):
    walk = Walk(service, member)
    walk.volumes()
    walk.instances()
    SAMPLES.check(walk.pages)


def test_every_sample_is_shown_in_the_reference():
    SAMPLES.check_shown()
