# SPDX-License-Identifier: Apache-2.0
"""The gateway of a service whose volumes are another one's: nothing configured for it."""

import json

import pytest

from tests.fixtures import elsewhere_driver, upstream
from tests.fixtures import service as service_fixture

ID = 'c99b1a4e-5d6c-4e0f-9d8a-3a1c2b4d5e6f'


@pytest.fixture(scope='module')
def behind():
    running = upstream.Upstream(upstream.plain('200 OK'))
    yield running
    running.stop()


@pytest.fixture(scope='module')
def front(tmp_path_factory, behind):
    extra = f'[volume]\ndriver = elsewhere\n[volume_elsewhere]\nurl = {behind.url}/v3\n'
    with (elsewhere_driver.installed(tmp_path_factory.mktemp('installed')),
          service_fixture.running(tmp_path_factory.mktemp('front'), extra) as running):
        running.heartbeat()
        yield running


def test_volumes_are_asked_of_the_service_behind_the_volume_driver(front, behind):
    client = front.client()
    links = [{'rel': 'self', 'href': f'{behind.url}/v3/{client.project}/volumes/{ID}'},
             {'rel': 'bookmark', 'href': f'{behind.url}/{client.project}/volumes/{ID}'}]
    body = json.dumps({'volume': {'id': ID, 'links': links}}).encode()
    behind.behaviour = upstream.plain('200 OK', body, Content_Type='application/json')
    answer = client.get(f'//gateway/v1/block/volume/{ID}?a=b')
    assert {link['href'] for link in answer.json['volume']['links']} == {
        f'http://api.example/gateway/v1/block/volume/{ID}'}
    [request] = behind.received
    assert request.target == f'/v3/volumes/{ID}?a=b'
    assert request.header('X-Auth-Token') == client.token


def test_backups_are_asked_of_this_service(front, behind):
    behind.received.clear()
    backup = front.record()
    listed = front.client().get('//gateway/v1/block/backup').json['backups']
    assert [item['id'] for item in listed] == [backup.id]
    assert behind.received == []
