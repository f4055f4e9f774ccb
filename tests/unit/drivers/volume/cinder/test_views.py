# SPDX-License-Identifier: Apache-2.0
"""What Cinder's JSON means."""

import datetime

import pytest

from backupsvc import exception
from backupsvc.drivers.volume.cinder import client, views

SHOWN = {
    'id': 'v', 'status': 'available', 'size': 2, 'created_at': '2026-01-02T03:04:05.000000',
    'updated_at': None, 'bootable': 'true', 'os-vol-tenant-attr:tenant_id': 'p',
    'volume_image_metadata': {'image_name': 'cirros'}, 'metadata': {'k': 'v'},
    'encrypted': True, 'encryption_key_id': 'e', 'volume_type': 'rbd'}


def test_a_volume_is_what_cinder_shows():
    found = views.volume(SHOWN, previous_status='in-use')
    assert (found.project_id, found.size_gb, found.bootable, found.volume_type) == (
        'p', 2, True, 'rbd')
    assert found.created_at == datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    assert (found.updated_at, found.previous_status) == (None, 'in-use')
    assert (found.image_metadata, found.metadata) == ({'image_name': 'cirros'}, {'k': 'v'})
    assert (found.encrypted, found.encryption_key_id) == (True, 'e')


def test_marks_of_a_snapshot_are_no_metadata():
    shown = {'id': 's', 'volume_id': 'v', 'status': 'available', 'size': 1,
             'created_at': '2026-01-02T03:04:05', 'metadata': {
                 'k': 'v', views.TASK: 't', views.USE: views.TAKEN,
                 views.DEPLOYMENT: 'd'},
             'os-extended-snapshot-attributes:project_id': 'p'}
    found = views.snapshot(shown)
    assert (found.metadata, found.project_id) == ({'k': 'v'}, 'p')
    assert views.use_of(shown) == (views.TAKEN, 't')
    assert views.use_of({'metadata': {'k': 'v'}}) == (None, None)


@pytest.mark.parametrize(('url', 'expected'), [
    ('http://c:8776/v3/0123', 'http://c:8776/v3'),
    ('http://c:8776/v3/', 'http://c:8776/v3'),
    ('http://c/volume/v3', 'http://c/volume/v3'),
    ('http://c/volume/', 'http://c/volume/v3'),
    ('http://c/v31', 'http://c/v31/v3'),
])
def test_the_url_of_the_service_ends_with_its_version(url, expected):
    assert client.versioned(url) == expected


def test_waiting_ends_with_what_is_there_or_with_an_error():
    looks = iter([None, 'there'])
    assert client.wait_until('It', lambda: next(looks), 10) == 'there'
    with pytest.raises(exception.DriverFailed, match='It is not there after 0 s'):
        client.wait_until('It', lambda: None, 0)
