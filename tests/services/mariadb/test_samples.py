# SPDX-License-Identifier: Apache-2.0
"""The samples of the API reference of databases are what the service answers, with a real server
behind.

``BACKUPSVC_WRITE_SAMPLES=1 tox -e services -- tests/services/mariadb/test_samples.py`` writes them
anew.
"""

import json
import os
import pathlib
import re

import pytest

from tests.fixtures import database_service
from tests.fixtures.standalone import PROJECT

pytestmark = [pytest.mark.services, pytest.mark.xdist_group('mariadb_service')]

SOURCE = pathlib.Path(__file__).parents[3] / 'api-ref' / 'source'
FORMS = {'database_v1': f'/v1.0/{PROJECT}', 'database_v1_specified': '/v1'}

LIMITS = """
[quota]
database_instances = 10
database_gigabytes = 40
backups = 20

[rates]
get = 100000
post = 200
put = 200
delete = 200
"""

UUID = re.compile(r'[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}')
#: What differs from run to run, and what stands for it.
REPLACED = (
    (re.compile(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d'), '2026-11-22T12:00:00'),
    (re.compile(r'127\.0\.0\.1:\d+'), 'controller:8110'),
    (re.compile(r'file://\S+?/repositories/'), 'file:///var/lib/backupsvc/repositories/'),
    (re.compile(r'"port": \d+'), '"port": 13306'),
    (re.compile(r'"used": [\d.e-]+'), '"used": 0.030517578125'),
    (re.compile(r'"size": 0\.\d+'), '"size": 0.03'),
    (re.compile(r'"remaining": \d+'), '"remaining": 199'),
    (re.compile(r'"value": 100000'), '"value": 200'),
    (re.compile(r'("name": "root",\s+"password": )"[^"]+"'), r'\1"0Tj1tYw3S9KUnyFjWr6dGJlq8vQ2"'),
)


class Walk:
    """One walk through the calls of a form; ``pages`` fills up with name of a file → text."""

    def __init__(self, service, base):
        self._service = service
        self._base = base
        self._ids = {}
        self.pages = {}

    def exchange(self, name, method, path, body=None):
        """Send a request and keep both bodies; return the answer's."""
        answer = self._service.call(method, self._base + path, body)
        assert answer.ok, f'{name}: {answer.text}'
        if body is not None:
            self._add(f'{name}-request', body)
        if not answer.content:
            return None
        found = answer.json()
        self._add(name if method == 'GET' else f'{name}-response', found)
        return found

    def _add(self, name, body):
        text = json.dumps(body, indent=4)
        for pattern, stable in REPLACED:
            text = pattern.sub(stable, text)
        self.pages[f'{name}.json'] = UUID.sub(self._stable_id, text) + '\n'

    def _stable_id(self, match):
        number = self._ids.setdefault(match[0], len(self._ids) + 1)
        return f'6f519a48-3183-46cf-a32f-{number:012}'

    def instances(self):
        """Make an instance and return its id."""
        self.exchange('flavors-list', 'GET', '/flavors')
        self.exchange('flavor-show', 'GET', '/flavors/1')
        self.exchange('limits-show', 'GET', '/limits')
        made = self.exchange('instance-create', 'POST', '/instances', {'instance': {
            'name': 'shop', 'flavorRef': '1', 'volume': {'size': 2},
            'databases': [{'name': 'sales', 'character_set': 'utf8mb4',
                           'collate': 'utf8mb4_general_ci'}],
            'users': [{'name': 'bob', 'password': 'secret', 'host': '10.0.0.%',
                       'databases': [{'name': 'sales'}]}]}})
        instance_id = made['instance']['id']
        self._service.settled(instance_id)
        path = f'/instances/{instance_id}'
        self.exchange('instances-list', 'GET', '/instances')
        self.exchange('instance-show', 'GET', path)
        self.exchange('instance-update', 'PATCH', path, {'instance': {'name': 'shop-1'}})
        for name, wanted in (
            ('restart', {'restart': {}}), ('resize', {'resize': {'volume': {'size': 4}}}),
        ):
            self.exchange(f'instance-{name}', 'POST', f'{path}/action', wanted)
            self._service.settled(instance_id)
        return instance_id

    def accounts(self, instance_id):
        """What is in an instance, and who may connect to it."""
        path = f'/instances/{instance_id}'
        self.exchange('databases-create', 'POST', f'{path}/databases', {
            'databases': [{'name': 'stock'}]})
        self.exchange('databases-list', 'GET', f'{path}/databases')
        self.exchange('users-create', 'POST', f'{path}/users', {'users': [
            {'name': 'ann', 'password': 'secret', 'databases': [{'name': 'stock'}]}]})
        self.exchange('users-list', 'GET', f'{path}/users')
        self.exchange('user-show', 'GET', f'{path}/users/ann')
        self.exchange('user-databases-grant', 'PUT', f'{path}/users/ann/databases', {
            'databases': [{'name': 'sales'}]})
        self.exchange('user-databases-list', 'GET', f'{path}/users/ann/databases')
        self.exchange('user-update', 'PUT', f'{path}/users/ann', {
            'user': {'name': 'anna', 'password': 'another'}})
        self.exchange('users-change-passwords', 'PUT', f'{path}/users', {'users': [
            {'name': 'anna', 'password': 'a third one'}]})
        self.exchange('root-show', 'GET', f'{path}/root')
        self.exchange('root-enable', 'POST', f'{path}/root')
        listed = self.exchange('security-groups-list', 'GET', '/security-groups')
        [group] = [each for each in listed['security_groups']
                   if each['instance_id'] == instance_id]
        self.exchange('security-group-rule-create', 'POST', '/security-group-rules', {
            'security_group_rule': {'group_id': group['id'], 'cidr': '10.0.0.0/8'}})
        self.exchange('security-group-show', 'GET', f'/security-groups/{group["id"]}')

    def backups(self, instance_id):
        """Back an instance up, and begin to make another one of it."""
        made = self.exchange('backup-create', 'POST', '/backups', {'backup': {
            'instance': instance_id, 'name': 'monday', 'description': 'before the upgrade'}})
        backup_id = made['backup']['id']
        self._service.settled(instance_id)
        self.exchange('backup-show', 'GET', f'/backups/{backup_id}')
        self.exchange('backups-list', 'GET', '/backups')
        self.exchange('instance-backups-list', 'GET', f'/instances/{instance_id}/backups')
        made = self.exchange('instance-restore', 'POST', '/instances', {'instance': {
            'name': 'shop-2', 'flavorRef': '1', 'volume': {'size': 2},
            'restorePoint': {'backupRef': backup_id}}})
        # like that of any other instance
        del self.pages['instance-restore-response.json']
        self._service.settled(made['instance']['id'])


@pytest.mark.parametrize('form', FORMS)
def test_every_sample_is_what_the_service_answers(form):
    with database_service.running(LIMITS) as service:
        walk = Walk(service, FORMS[form])
        instance_id = walk.instances()
        walk.accounts(instance_id)
        walk.backups(instance_id)
    samples = SOURCE / form / 'samples'
    if os.environ.get('BACKUPSVC_WRITE_SAMPLES'):
        samples.mkdir(exist_ok=True)
        for name, text in walk.pages.items():
            (samples / name).write_text(text)
    assert {path.name: path.read_text() for path in samples.glob('*.json')} == walk.pages
    pages = ' '.join(path.read_text() for path in samples.parent.glob('*.rst'))
    shown = re.findall(r'(?::request:|:response:|literalinclude:: samples/) ?(\S+)', pages)
    assert set(shown) == walk.pages.keys()
