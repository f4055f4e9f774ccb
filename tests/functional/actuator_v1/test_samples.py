# SPDX-License-Identifier: Apache-2.0
"""The samples of the API reference are what the service answers.

``BACKUPSVC_WRITE_SAMPLES=1 tox -- tests/functional/actuator_v1/test_samples.py`` writes them anew.
"""

import json
import re

from tests.fixtures import samples
from tests.functional.actuator_v1.conftest import BACKUPS

SAMPLES = samples.Samples('actuator_v1')

#: What is another one each time.
VARIES = [
    (re.compile(r'2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z'), '2026-11-22T12:00:00.000000Z'),
    (re.compile(r'("brokerVersion": )"[^"]*"'), r'\1"0.1.0"'),
    (re.compile(r'("secondsSinceSeen": )[0-9.]+'), r'\g<1>0.4'),
]
_UUID = re.compile(r'[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}')


def _stable(text):
    """Return a text with what varies replaced; uuids by others, in the order of their coming."""
    for pattern, replacement in VARIES:
        text = pattern.sub(replacement, text)
    known = list(dict.fromkeys(_UUID.findall(text)))
    return _UUID.sub(
        lambda found: f'5b2f3d0a-1a51-4b59-8f67-{known.index(found[0]) + 1:012x}', text)


def _walk(cluster):
    """Return name of a file → text, made by one walk through the calls."""
    made = {}

    def exchange(name, method, path, body=None, status=200):
        answer = cluster.operator.request(method, path, body)
        assert answer.status_int == status, answer.text
        pairs = [(name, answer.json)] if body is None else [
            (f'{name}-request', body), (f'{name}-response', answer.json)]
        for file, content in pairs:
            made[f'{file}.json'] = _stable(json.dumps(content, indent=4) + '\n')

    cluster.taken(9)
    exchange('backup-create', 'POST', BACKUPS, {'backupId': 10}, status=202)
    cluster.ended(10)
    exchange('backup-show', 'GET', f'{BACKUPS}/10')
    exchange('backups-list', 'GET', BACKUPS)
    exchange('backups-state', 'GET', f'{BACKUPS}/state')
    exchange('health', 'GET', '/actuator/health')
    return made


def test_every_sample_is_what_the_service_answers(cluster):
    SAMPLES.check(_walk(cluster))


def test_every_sample_is_shown_in_the_reference():
    SAMPLES.check_shown()
