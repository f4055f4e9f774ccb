# SPDX-License-Identifier: Apache-2.0
"""The management application of ``backupsvc-standalone``, as the README has it used."""

import json
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from prometheus_client import parser

from tests.fixtures import standalone
from tests.fixtures.service import wait_until

pytestmark = pytest.mark.xdist_group('actuator_v1')

MIB = 1 << 20


def _ask(url, method='GET', body=None):
    """Return (status, text)."""
    request = urllib.request.Request(
        url, method=method, data=None if body is None else json.dumps(body).encode(),
        headers={'Content-Type': 'application/json'})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def _volume(service, data):
    """Make a volume that begins with some data."""
    _, text = _ask(f'{service.endpoint}/volumes', 'POST', {'volume': {'size': 1}})
    volume_id = json.loads(text)['volume']['id']
    wait_until(lambda: json.loads(_ask(f'{service.endpoint}/volumes/{volume_id}')[1])[
        'volume']['status'] == 'available')
    with open(service.volume_path(volume_id), 'r+b') as file:
        file.write(data)
    return volume_id


def _metrics(url):
    return {(sample.name, *sorted(sample.labels.items())): sample.value
            for family in parser.text_string_to_metric_families(_ask(f'{url}/prometheus')[1])
            for sample in family.samples}


def test_checkpoints_health_and_metrics(tmp_path):
    with standalone.Standalone(tmp_path / 'state') as service:
        volumes = [_volume(service, bytes([number]) * MIB) for number in (1, 2)]
        status, text = _ask(f'{service.management_url}/backups', 'POST', {'backupId': 1})
        assert (status, list(json.loads(text))) == (400, ['message'])
    with open(tmp_path / 'state' / 'backupsvc.conf', 'a') as file:
        file.write('\n[actuator]\npartitions = 1=volume:{}, 2=volume:{}\n'.format(*volumes)
                   + '\n[manager]\nheartbeat_interval = 0.5\n')
    with standalone.Standalone(tmp_path / 'state') as service:
        url = service.management_url
        wait_until(lambda: _ask(f'{url}/health')[0] == 200)
        assert _ask(f'{url}/backups', 'POST', {'backupId': 1})[0] == 202
        wait_until(lambda: json.loads(_ask(f'{url}/backups/1')[1])['state'] == 'COMPLETED')
        done = ('backupsvc_tasks_ended_total', ('kind', 'create'), ('outcome', 'done'))
        wait_until(lambda: _metrics(url).get(done) == 2)
        found = _metrics(url)
        assert found['backupsvc_read_bytes_total', ('kind', 'create')] >= 2 * MIB
        assert found['backupsvc_stored_bytes_total', ('kind', 'create')] > 0
        assert found['backupsvc_manager_up', ('host', 'standalone')] == 1
        listed = [each['backupId'] for each in json.loads(_ask(f'{url}/backups')[1])]
        assert listed == [1]
        assert _ask(f'{url}/backups/1', 'DELETE')[0] == 204
        # Nothing of it is served where tenants are.
        assert _ask(f'{service.url}/actuator/health')[0] == 404
        assert _ask(f'{service.database_url}/actuator/health')[0] == 404
        # What has been counted outlives the service.
    with standalone.Standalone(tmp_path / 'state') as service:
        assert _metrics(service.management_url)[done] == 2


def test_it_is_not_opened_to_the_network_without_a_token(tmp_path):
    state_dir = tmp_path / 'state'
    with standalone.Standalone(state_dir):
        pass
    with open(state_dir / 'backupsvc.conf', 'a') as file:
        file.write('\n[management]\nbind_host = 0.0.0.0\n')
    ended = subprocess.run(
        [sys.executable, '-m', 'backupsvc.cmd.standalone', '--state-dir', str(state_dir),
         '--port', '0'], capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 1
    assert 'serving it on 0.0.0.0 is refused' in ended.stderr
