# SPDX-License-Identifier: Apache-2.0
"""``openstack volume …`` against the running service: what is not backups."""

import uuid

import pytest

from tests.fixtures.service import wait_until

pytestmark = pytest.mark.xdist_group('clients')


@pytest.fixture
def name():
    return f'v-{uuid.uuid4().hex[:8]}'


@pytest.fixture
def made(osc, name):
    """A volume, removed in the end."""
    yield osc('volume', 'create', '--size', '1', '--property', 'k=v', name, '-f', 'json').json
    osc('volume', 'delete', '--purge', name)


def _show(osc, name):
    return osc('volume', 'show', name, '-f', 'json').json


def test_a_volumes_life(osc, name, made):
    assert (made['size'], made['properties']) == (1, {'k': 'v'})
    osc('volume', 'set', '--size', '2', '--property', 'x=y', '--bootable', '--description', 'd',
        name)
    osc('volume', 'unset', '--property', 'k', name)
    shown = _show(osc, name)
    assert (shown['size'], shown['properties'], shown['description']) == (2, {'x': 'y'}, 'd')
    assert str(shown['bootable']).lower() == 'true'
    assert [row['ID'] for row in osc(
        'volume', 'list', '--name', name, '-f', 'json').json] == [made['id']]
    assert osc('volume', 'list', '--name', name, '--status', 'error', '-f', 'json').json == []
    osc('volume', 'set', '--state', 'error', name)
    assert _show(osc, name)['status'] == 'error'


def test_snapshots(osc, name, made):
    osc('volume', 'snapshot', 'create', '--volume', name, name)
    wait_until(lambda: osc(
        'volume', 'snapshot', 'show', name, '-f', 'json').json['status'] == 'available')
    osc('volume', 'snapshot', 'set', '--property', 'a=b', name)
    [row] = osc('volume', 'snapshot', 'list', '--volume', name, '-f', 'json').json
    assert (row['Name'], row['Status'], row['Size']) == (name, 'available', 1)
    refused = osc('volume', 'delete', name, fails=True)
    assert 'have snapshots' in refused.out + refused.err
    osc('volume', 'snapshot', 'delete', name)
    assert osc('volume', 'snapshot', 'list', '--volume', name, '-f', 'json').json == []


def test_around_volumes(osc):
    assert osc('volume', 'type', 'list', '-f', 'json').json[0]['Name'] == '__DEFAULT__'
    assert osc('volume', 'type', 'show', '__DEFAULT__', '-f', 'json').json['is_public'] is True
    [row] = osc('volume', 'service', 'list', '-f', 'json').json
    assert (row['Binary'], row['Host'], row['State']) == ('cinder-backup', 'standalone', 'up')
    assert osc('volume', 'service', 'list', '--service', 'cinder-volume', '-f',
               'json').json == []
    [zone] = osc('availability', 'zone', 'list', '--volume', '-f', 'json').json
    assert zone['Zone Name'] == 'nova'
    assert osc('volume', 'message', 'list', '-f', 'json').status == 0
    assert osc('volume', 'summary', '-f', 'json').json['Total Count'] >= 0


def test_services_are_disabled_and_enabled(osc):
    osc('volume', 'service', 'set', '--disable', '--disable-reason', 'why', 'standalone',
        'cinder-backup')
    try:
        [row] = osc('volume', 'service', 'list', '--long', '-f', 'json').json
        assert (row['Status'], row['Disabled Reason']) == ('disabled', 'why')
    finally:
        osc('volume', 'service', 'set', '--enable', 'standalone', 'cinder-backup')


def test_errors_are_told(osc):
    gone = str(uuid.uuid4())
    refused = osc('volume', 'show', gone, fails=True)
    assert gone in refused.out + refused.err
    refused = osc('volume', 'create', '--size', '1', '--type', 'gold', 'x', fails=True)
    assert 'gold' in refused.out + refused.err
