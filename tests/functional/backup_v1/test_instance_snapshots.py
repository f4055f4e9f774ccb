# SPDX-License-Identifier: Apache-2.0
"""Instance snapshots over HTTP: answers, arguments, errors, and who may do what."""

import uuid

import pytest

from backupsvc.objects.instance_snapshot import InstanceSnapshot
from tests.fixtures.service import OTHER_PROJECT, PROJECT

PATH = '/instance/snapshot'


def create(caller, instance, **arguments):
    answer = caller.post(PATH, {'snapshot': {'instance_id': instance.id, **arguments}})
    assert answer.status_int == 201, answer.text
    assert list(answer.json) == ['snapshot']
    [(name, snapshot_id)] = answer.json['snapshot'].items()
    assert name == 'id'
    return snapshot_id


def show(caller, snapshot_id):
    answer = caller.get(f'{PATH}/{snapshot_id}')
    assert answer.status_int == 200, answer.text
    return answer.json['snapshot']


def listed(caller, query=''):
    answer = caller.get(f'{PATH}?{query}')
    assert answer.status_int == 200, answer.text
    return [snapshot['id'] for snapshot in answer.json['snapshots']]


@pytest.fixture
def ready(service, member):
    """Make an instance snapshot that is available."""
    def make(caller=member, project=PROJECT, **arguments):
        snapshot_id = create(caller, service.instance(project=project), **arguments)
        service.complete(InstanceSnapshot.get_by_id(service.admin_context, snapshot_id))
        return snapshot_id
    return make


def test_a_snapshot_has_what_was_asked_for(service, member):
    instance = service.instance()
    snapshot_id = create(
        member, instance, name=' monday ', description='d', metadata={'purpose': 'release'})
    shown = show(member, snapshot_id)
    for name, value in {
        'id': snapshot_id, 'name': 'monday', 'description': 'd', 'instance_id': instance.id,
        'metadata': {'purpose': 'release'}, 'status': 'creating', 'fail_reason': None, 'size': 2,
        'is_consistent': None, 'data_timestamp': None,
    }.items():
        assert shown[name] == value, name
    assert shown['volume_snapshots'] == [
        {'id': None, 'volume_id': volume.volume_id, 'device': volume.device, 'size': 1}
        for volume in instance.volumes]


def test_one_that_is_taken_names_the_snapshots_of_its_volumes(member, ready):
    shown = show(member, ready())
    assert (shown['status'], shown['is_consistent']) == ('available', True)
    assert shown['data_timestamp'].endswith('Z')
    assert all(uuid.UUID(one['id']) for one in shown['volume_snapshots'])


@pytest.mark.parametrize('body', [
    None, {}, [], {'snapshot': None}, {'snapshot': {}}, {'snapshot': {'instance_id': 'x'}},
    {'backup': {'instance_id': str(uuid.uuid4())}},
    *({'snapshot': {'instance_id': str(uuid.uuid4()), **more}} for more in (
        {'force': True}, {'container': 'c'}, {'name': 'n' * 256}, {'metadata': {'k': 1}},
        {'unknown': 1})),
])
def test_bad_creates_are_400(member, fault, body):
    assert fault(member.post(PATH, body))[0] == 400


def test_what_stands_in_the_way(service, member, fault):
    busy = service.instance()
    service.occupy(service.show_volume(busy.volumes[0].volume_id), 'error')
    for instance_id, status in (
        (busy.id, 409), (service.instance(volumes=0).id, 409), (str(uuid.uuid4()), 404),
        (service.instance(project=OTHER_PROJECT).id, 404),
    ):
        assert fault(member.post(PATH, {'snapshot': {'instance_id': instance_id}}))[0] == status
    service.override('max_metadata_items', 1, 'api')
    body = {'snapshot': {'instance_id': service.instance().id, 'metadata': {'a': '', 'b': ''}}}
    assert fault(member.post(PATH, body))[0] == 413
    service.override('snapshots', 1, 'quota')
    assert fault(member.post(
        PATH, {'snapshot': {'instance_id': service.instance().id}}))[0] == 413
    assert listed(member) == []


def test_delete(service, member, admin, ready, fault):
    snapshot_id = ready()
    answer = member.delete(f'{PATH}/{snapshot_id}')
    assert (answer.status_int, answer.json) == (201, {'snapshot': {'id': snapshot_id}})
    assert show(member, snapshot_id)['status'] == 'deleting'
    assert fault(member.delete(f'{PATH}/{snapshot_id}'))[0] == 409
    making = create(member, service.instance())
    assert fault(member.delete(f'{PATH}/{making}'))[0] == 409
    assert fault(member.delete(f'{PATH}/{making}?force=1'))[0] == 403
    assert admin.delete(f'{PATH}/{making}?force=1').status_int == 201


def test_there_are_no_actions(member, ready, fault):
    snapshot_id = ready()
    assert fault(member.post(f'{PATH}/{snapshot_id}/action', {'update': {}}))[0] == 404


def test_pages_and_filters(service, member, ready):
    one = ready(name='a', metadata={'purpose': 'release'})
    other = create(member, service.instance(), name='b')
    for query, wanted in (
        ('', [other, one]), ('name=a', [one]), ('status=creating', [other]),
        (f'instance_id={show(member, one)["instance_id"]}', [one]),
        ('metadata[purpose]=release', [one]), ('limit=1', [other]), (f'marker={other}', [one]),
    ):
        assert listed(member, query) == wanted, query
    page = member.get(f'{PATH}?limit=1').json
    assert page['snapshots_links'][0]['href'].endswith(
        f'/v1/instance/snapshot?limit=1&marker={other}')


def test_tenants_are_apart(member, stranger, admin, reader, ready, fault):
    snapshot_id, theirs = ready(), ready(stranger, OTHER_PROJECT)
    assert listed(stranger) == [theirs]
    path = f'{PATH}/{snapshot_id}'
    for answer in (stranger.get(path), stranger.delete(path)):
        assert fault(answer) == (404, f'Instance snapshot {snapshot_id} could not be found.')
    assert listed(admin, 'all_projects=true') == [theirs, snapshot_id]
    assert fault(member.get(f'{PATH}?all_projects=true'))[0] == 403
    assert listed(reader) == [snapshot_id]
    assert fault(reader.delete(path))[0] == 403
    assert 'project_id' not in show(member, snapshot_id)
    assert show(admin, snapshot_id)['project_id'] == PROJECT


@pytest.mark.parametrize('text', [
    '..', '%2e%2e', '..%2f..%2fetc', 'a%2fb', '%20', '%00', '%F0%9F%92%BE', 'x' * 10240, '1'])
def test_what_is_no_id_is_404(member, fault, text):
    for method in ('GET', 'DELETE'):
        assert fault(member.request(method, f'{PATH}/{text}'))[0] == 404
