# SPDX-License-Identifier: Apache-2.0
"""The samples of the API reference are what the service answers.

``BACKUPSVC_WRITE_SAMPLES=1 tox -- tests/functional/cinder_v3/test_samples.py`` writes them anew.
"""

import base64
import datetime
import json
import re

import pytest

from tests.fixtures import samples
from tests.fixtures import service as fixture

SAMPLES = samples.Samples('cinder_v3')

UUID = re.compile(r'[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}')
RECORD = re.compile(r'(?<="backup_url": ")[\w+/=]+')
TIME = re.compile(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?')


class Book:
    """Collects samples, with everything that differs from run to run replaced."""

    def __init__(self):
        self.pages = {}
        self.ids = {}

    def add(self, name, body):
        """Keep a body under the name of its file."""
        text = RECORD.sub(self._stable_record, json.dumps(body, indent=4, sort_keys=True))
        self.pages[f'{name}.json'] = self._stable(text) + '\n'

    def _stable(self, text):
        return TIME.sub('2026-11-22T12:00:00.000000', UUID.sub(self._stable_id, text))

    def _stable_record(self, match):
        record = base64.b64decode(match[0]).decode()
        return base64.b64encode(self._stable(record).encode()).decode()

    def _stable_id(self, match):
        number = self.ids.setdefault(match[0], len(self.ids) + 1)
        return f'6f519a48-3183-46cf-a32f-{number:012}'


@pytest.fixture(scope='module')
def book(tmp_path_factory):
    """Every sample, made by one walk through the API."""
    made = Book()
    with fixture.running(tmp_path_factory.mktemp('samples')) as service:
        service.heartbeat()
        _backups(service, made)
        _metadata(service, made)
        _administrator(service, made)
    return made.pages


def _exchange(made, client, name, method, path, body=None):
    """Send a request, note both bodies, and return the answer's."""
    answer = client.request(method, path, body)
    assert answer.status_int < 300, f'{name}: {answer.text}'
    if body is not None:
        made.add(f'{name}-request', body)
    if answer.body:
        made.add(name if body is None else f'{name}-response', answer.json)
    return answer.json if answer.body else None


def _backups(service, made):
    client = service.client()
    volume = service.volume(name='data')
    backup = service.record(
        volume.id, name='monday', description='before the upgrade', object_count=3,
        availability_zone='nova', data_timestamp=datetime.datetime.now(datetime.UTC))
    client.post(f'/backups/{backup.id}/metadata', {'metadata': {'purpose': 'release'}})
    _exchange(made, client, 'backups-list', 'GET', '/backups?with_count=true')
    _exchange(made, client, 'backups-detail', 'GET', '/backups/detail?with_count=true')
    _exchange(made, client, 'backup-show', 'GET', f'/backups/{backup.id}')
    _exchange(made, client, 'backup-create', 'POST', '/backups', {'backup': {
        'volume_id': volume.id, 'name': 'tuesday', 'incremental': True,
        'metadata': {'purpose': 'daily'}}})
    _exchange(made, client, 'backup-update', 'PUT', f'/backups/{backup.id}', {'backup': {
        'name': 'monday', 'description': 'before the second upgrade',
        'metadata': {'purpose': 'release', 'keep': '90d'}}})
    _exchange(made, client, 'backup-restore', 'POST', f'/backups/{backup.id}/restore', {
        'restore': {'name': 'restored'}})


def _metadata(service, made):
    client = service.client()
    path = f'/backups/{service.record().id}/metadata'
    _exchange(made, client, 'backup-metadata-merge', 'POST', path, {
        'metadata': {'purpose': 'release', 'keep': '90d'}})
    _exchange(made, client, 'backup-metadata-show', 'GET', path)
    _exchange(made, client, 'backup-metadata-item-show', 'GET', f'{path}/keep')
    _exchange(made, client, 'backup-metadata-item-set', 'PUT', f'{path}/keep', {
        'meta': {'keep': '1y'}})
    _exchange(made, client, 'backup-metadata-replace', 'PUT', path, {
        'metadata': {'purpose': 'archive'}})


def _administrator(service, made):
    client = service.client(roles='admin')
    backup = service.record(name='monday')
    exported = _exchange(
        made, client, 'backup-record-export', 'GET', f'/backups/{backup.id}/export_record')
    _exchange(made, client, 'backup-reset-status', 'POST', f'/backups/{backup.id}/action', {
        'os-reset_status': {'status': 'error'}})
    _exchange(made, client, 'backup-force-delete', 'POST', f'/backups/{backup.id}/action', {
        'os-force_delete': {}})
    service.backup(backup.id).destroy()
    _exchange(made, client, 'backup-record-import', 'POST', '/backups/import_record', exported)
    _exchange(made, client, 'resource-filters', 'GET', '/resource_filters')


def test_every_sample_is_what_the_service_answers(book):
    SAMPLES.check(book)


def test_every_sample_is_shown_in_the_reference():
    SAMPLES.check_shown()
