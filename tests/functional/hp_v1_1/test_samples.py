# SPDX-License-Identifier: Apache-2.0
"""The samples of the API reference are what the service answers.

``BACKUPSVC_WRITE_SAMPLES=1 tox -- tests/functional/hp_v1_1/test_samples.py`` writes them anew.
"""

import json
import re

from backupsvc import states
from backupsvc.objects import alias
from tests.fixtures import samples
from tests.fixtures.service import PROJECT

SAMPLES = samples.Samples('hp_v1_1')

TIME = re.compile(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ')


def _walk(service, member):
    """Return name of a file → text, made by one walk through the calls."""
    made = {}

    def exchange(name, method, path, body=None):
        answer = member.request(method, path, body)
        assert answer.status_int == 200, answer.text
        pairs = ([(name, answer.json)] if body is None else
                 [(f'{name}-request', body), (f'{name}-response', answer.json)])
        for file, content in pairs:
            text = json.dumps(content, indent=4) + '\n'
            made[f'{file}.json'] = TIME.sub('2026-11-22T12:00:00Z', text)

    volume, target = service.volume(size_gb=10), service.volume(size_gb=10)
    alias.numbers(service.admin_context, PROJECT, alias.VOLUME, [
        *(f'an earlier volume {number}' for number in range(8)), volume.id, target.id])
    service.record(volume.id, name='backup-001', description='Nightly Backup 03-Sep-2012',
                   container='nightlybackups', size_gb=10, object_count=2)
    member.get()
    exchange('backup-create', 'POST', '', {'backup': {
        'display_name': 'backup-002', 'display_description': 'Nightly Backup 04-Sep-2012',
        'volume_id': '9', 'container': 'nightlybackups'}})
    exchange('backups-list', 'GET', '')
    exchange('backups-detail', 'GET', '/detail')
    exchange('backup-show', 'GET', '/1')
    exchange('backup-restore', 'POST', '/1/restore', {'restore': {'volume_id': '10'}})
    assert member.get('/1').json['backup']['status'] == states.RESTORING
    return made


def test_every_sample_is_what_the_service_answers(service, member):
    SAMPLES.check(_walk(service, member))


def test_every_sample_is_shown_in_the_reference():
    SAMPLES.check_shown()
