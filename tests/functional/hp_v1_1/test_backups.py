# SPDX-License-Identifier: Apache-2.0
"""The six calls without a manager: what is recorded, shown and refused, and in which words."""

import re
import uuid

import pytest

from backupsvc import exception, states
from backupsvc.objects import alias, quota
from backupsvc.orchestration import aliases, backups
from tests.fixtures.service import OTHER_PROJECT, PROJECT
from tests.functional.hp_v1_1.conftest import Client

FORMAT = (400, 'badRequest', 'Incorrect request body format.')
NO_RESOURCE = (404, 'itemNotFound', 'The resource could not be found.')


def not_found(what, given):
    return 404, 'itemNotFound', f'{what} {given} could not be found.'


# ---- create ----


def test_a_backup_is_created_in_creating_with_its_first_fields(service, member):
    volume = service.volume()
    answer = member.post('', {'backup': {
        'volume_id': volume.id, 'display_name': 'backup-001',
        'display_description': 'Nightly Backup 03-Sep-2012', 'container': 'nightlybackups'}})
    assert answer.status_int == 200
    body = answer.json['backup']
    created_at = body.pop('created_at')
    assert re.match(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z', created_at)
    assert body == {
        'id': '1', 'display_name': 'backup-001',
        'display_description': 'Nightly Backup 03-Sep-2012', 'volume_id': '1',
        'container': 'nightlybackups', 'status': 'creating'}
    assert service.show_volume(volume.id).status == 'backing-up'
    [recorded] = backups.list_(service.context(), backups.BackupQuery(limit=9)).backups
    assert (recorded.origin, recorded.container) == ('hp_v1_1', 'nightlybackups')
    assert recorded.created_at.strftime('%Y-%m-%dT%H:%M:%SZ') == created_at


def test_without_a_container_it_is_the_default_one(service, member):
    assert member.create(service.volume().id)['container'] == 'volumebackups'
    assert member.create(service.volume().id, container=None)['container'] == 'volumebackups'
    assert member.create(service.volume().id, container='')['container'] == 'volumebackups'


def test_a_volume_is_named_by_number_text_or_uuid(service, member):
    volumes = [service.volume() for _ in range(3)]
    numbers = alias.numbers(
        service.admin_context, PROJECT, alias.VOLUME, [volume.id for volume in volumes])
    for volume, given in zip(volumes, (1, '2', volumes[2].id), strict=True):
        assert member.create(given)['volume_id'] == str(numbers[volume.id])
        assert service.show_volume(volume.id).status == 'backing-up'


@pytest.mark.parametrize('status', ['in-use', 'error', 'reserved', 'backing-up', 'deleting'])
def test_a_volume_that_is_not_available_is_refused(service, member, fault, status):
    volume = service.volume()
    service.occupy(volume, status)
    answer = member.post('', {'backup': {'volume_id': volume.id}})
    assert fault(answer) == (
        400, 'badRequest', 'Invalid volume: Volume to be backed up must be available')
    assert member.get().json == {'backups': []}


def test_without_a_manager_the_backup_is_an_error_that_says_so(idle):
    member = Client(idle)
    backup = member.create(idle.volume().id)
    assert backup['status'] == 'error'
    assert 'Service not found' in member.get('/1').json['backup']['fail_reason']


@pytest.mark.parametrize(('limits', 'text'), [
    ({'backups': 1}, 'Backup quota exceeded. You cannot create more than 1 backups'),
    ({'backup_gigabytes': 2}, 'Backup quota exceeded. You cannot create a backup of size 2G'),
])
def test_over_quota_is_a_bad_request(service, member, fault, limits, text):
    member.create(service.volume().id)
    quota.set_limits(service.admin_context, PROJECT, limits)
    answer = member.post('', {'backup': {'volume_id': service.volume(size_gb=2).id}})
    assert fault(answer) == (400, 'badRequest', text)


CREATES = [
    b'', b'{', b'null', b'[]', b'"x"', b'{}', b'{"backup": null}', b'{"backup": []}',
    b'{"backup": {}}', b'{"backup": {"volume_id": null}}', b'{"backup": {"volume_id": true}}',
    b'{"backup": {"volume_id": 1.5}}', b'{"backup": {"volume_id": ["1"]}}',
    b'{"backup": {"volume_id": "1",}}', b'{"backup": {"volume_id": "1"}, "more": 1}',
    b'{"backup": {"volume_id": "1", "force": true}}',
    b'{"backup": {"volume_id": "1", "name": "x"}}',
    b'{"backup": {"volume_id": "1"}, "backup": {"volume_id": "2"}}',
    b'{"backup": {"volume_id": "1", "display_name": 1}}',
    b'{"backup": {"volume_id": "1", "display_name": "' + b'x' * 256 + b'"}}',
    b'{"backup": {"volume_id": "1", "display_description": "\\u0000"}}',
    b'{"backup": {"volume_id": "1", "container": ["x"]}}',
    b'{"backup": {"volume_id": "1", "display_name": "\xff"}}',
    b'{"backup": {"volume_id": 1e400}}', b'<backup/>',
]


@pytest.mark.parametrize('body', CREATES)
def test_a_body_that_is_none_is_refused(member, fault, body):
    assert fault(member.post('', raw=body)) == FORMAT


# ---- lists ----


def test_lists_have_the_oldest_first_as_they_were_numbered(service, member):
    volume = service.volume()
    one = member.create(volume.id, display_name='backup-001')
    two = member.create(service.volume().id, display_name='backup-002')
    assert member.get().json == {'backups': [
        {'id': '1', 'status': 'creating'}, {'id': '2', 'status': 'creating'}]}
    details = member.get('/detail').json
    assert details == {'backups': [
        {**backup, 'fail_reason': None, 'size': 1, 'object_count': 0} for backup in (one, two)]}
    for backup in details['backups']:
        assert member.get(f'/{backup["id"]}').json == {'backup': backup}


def test_what_other_dialects_made_has_numbers_too(service, member):
    records = [service.record(name=f'b{number}', object_count=number, size_gb=number + 1)
               for number in range(3)]
    details = member.get('/detail').json['backups']
    assert [(item['id'], item['display_name'], item['object_count'], item['size'])
            for item in details] == [(str(n + 1), f'b{n}', n, n + 1) for n in range(3)]
    records[1].destroy()
    service.record(name='b3')
    assert [item['id'] for item in member.get().json['backups']] == ['1', '3', '4']
    assert member.get('/2').status_int == 404


def test_long_lists_come_in_pages(service, member):
    for number in range(5):
        service.record(name=str(number))
    service.override('max_limit', 2, 'api')
    found, path = [], '/detail'
    while path:
        page = member.get(path).json
        assert len(page['backups']) <= 2
        found += [item['display_name'] for item in page['backups']]
        links = page.get('backups_links', [])
        assert all(link['rel'] == 'next' for link in links)
        path = links[0]['href'].partition('hp-volume-backups')[2] if links else None
    assert found == ['0', '1', '2', '3', '4']
    assert [item['id'] for item in member.get('?limit=9&marker=3').json['backups']] == ['4', '5']
    assert member.get('?limit=0').json == {'backups': []}
    service.clear_overrides()
    assert 'backups_links' not in member.get('?limit=9').json


def test_a_page_that_cannot_be_is_refused(service, member, stranger, fault):
    foreign = service.record(project=OTHER_PROJECT)
    assert fault(member.get('?limit=x'))[:2] == (400, 'badRequest')
    assert fault(member.get('?limit=-1'))[:2] == (400, 'badRequest')
    for marker in ('9', 'x', '..', foreign.id):
        assert fault(member.get(f'?marker={marker}')) == not_found('Backup', marker)


@pytest.mark.parametrize(('status', 'shown'), [
    (states.CREATING, 'creating'), (states.AVAILABLE, 'available'),
    (states.RESTORING, 'restoring'), (states.DELETING, 'deleting'), (states.ERROR, 'error'),
    (states.ERROR_DELETING, 'error')])
def test_statuses_are_the_dialects_own(service, member, status, shown):
    service.record(status=status)
    assert member.get().json['backups'] == [{'id': '1', 'status': shown}]


def test_a_failure_is_shown_with_its_reason(service, member):
    service.record(status=states.ERROR, fail_reason='no room')
    assert member.get('/detail').json['backups'][0]['fail_reason'] == 'no room'


# ---- delete ----


def test_a_backup_is_deleted_by_number_or_uuid(service, member):
    first, second = service.record(), service.record()
    member.get()
    for path, record in (('/1', first), (f'/{second.id}', second)):
        answer = member.delete(path)
        assert (answer.status_int, answer.body) == (202, b'')
        assert 'Content-Type' not in answer.headers
        assert service.backup(record.id).status == states.DELETING


@pytest.mark.parametrize('status', [states.CREATING, states.RESTORING, states.DELETING])
def test_a_busy_backup_is_not_deleted(service, member, fault, status):
    backup = service.record(status=status)
    assert fault(member.delete(f'/{backup.id}')) == (
        400, 'badRequest', 'Invalid backup: Backup status must be available or error')


def test_a_backup_that_is_gone_is_gone_under_its_number(service, member, fault):
    backup = service.record()
    assert member.get().json['backups'][0]['id'] == '1'
    backup.destroy()
    assert fault(member.get('/1')) == not_found('Backup', '1')
    assert fault(member.get(f'/{backup.id}')) == not_found('Backup', backup.id)
    assert fault(member.delete('/1')) == NO_RESOURCE
    assert fault(member.post('/1/restore', {'restore': {}})) == not_found('Backup', '1')
    service.record()
    assert member.get().json['backups'][0]['id'] == '2'


# ---- restore ----


def test_a_restore_goes_to_the_volume_that_is_named(service, member):
    backup, volume = service.record(), service.volume()
    service.record()
    member.get()
    answer = member.post('/1/restore', {'restore': {'volume_id': volume.id}})
    assert answer.status_int == 200
    assert answer.json == {'restore': {
        'backup_id': '1',
        'volume_id': str(alias.numbers(
            service.admin_context, PROJECT, alias.VOLUME, [volume.id])[volume.id])}}
    assert service.show_volume(volume.id).status == 'restoring-backup'
    assert member.get('/1').json['backup']['status'] == 'restoring'
    assert service.tasks(backup.id)[0].arguments == {'volume_id': volume.id, 'new_volume': False}


@pytest.mark.parametrize('body', [{'restore': {}}, {'restore': {'volume_id': None}}])
def test_a_restore_without_a_volume_makes_one(service, member, body):
    backup = service.record(size_gb=2)
    answer = member.post(f'/{backup.id}/restore', body)
    assert answer.status_int == 200, answer.text
    number = answer.json['restore']['volume_id']
    made = alias.target(service.admin_context, PROJECT, alias.VOLUME, int(number))
    assert service.show_volume(made).size_gb == 2
    assert service.show_volume(made).status == 'restoring-backup'


def test_a_volume_that_is_not_available_takes_no_restore(service, member, fault):
    backup, volume = service.record(), service.volume()
    service.occupy(volume, 'in-use')
    answer = member.post(f'/{backup.id}/restore', {'restore': {'volume_id': volume.id}})
    assert fault(answer) == (
        400, 'badRequest', 'Invalid volume: Volume to be restored to must be available')


def test_a_volume_that_is_too_small_takes_no_restore(service, member, fault):
    backup, volume = service.record(size_gb=2), service.volume(size_gb=1)
    answer = member.post(f'/{backup.id}/restore', {'restore': {'volume_id': volume.id}})
    assert fault(answer) == (
        400, 'badRequest',
        'Invalid volume: Volume to be restored to is smaller than the backup to be restored')


@pytest.mark.parametrize('status', [states.CREATING, states.RESTORING, states.ERROR])
def test_a_backup_that_is_not_available_is_not_restored(service, member, fault, status):
    backup = service.record(status=status)
    answer = member.post(f'/{backup.id}/restore', {'restore': {}})
    assert fault(answer) == (400, 'badRequest', 'Invalid backup: Backup status must be available')


@pytest.mark.parametrize('limits', [
    {'volumes': 0}, {'gigabytes': 2}, {'per_volume_gigabytes': 2}])
def test_a_restore_over_the_volume_quota_is_a_bad_request(service, member, fault, limits):
    backup = service.record(size_gb=3)
    quota.set_limits(service.admin_context, PROJECT, limits)
    assert fault(member.post(f'/{backup.id}/restore', {'restore': {}})) == (
        400, 'badRequest', 'Volume quota exceeded. You cannot create a volume of size 3G')
    assert service.backup(backup.id).status == states.AVAILABLE


@pytest.mark.parametrize('body', [
    b'', b'{', b'{}', b'null', b'{"restore": null}', b'{"restore": []}',
    b'{"restore": {"volume_id": "9",}}', b'{"restore": {"volume_id": {}}}',
    b'{"restore": {"name": "x"}}', b'{"restore": {}, "more": 1}'])
def test_a_restore_whose_body_is_none_is_refused(service, member, fault, body):
    backup = service.record()
    assert fault(member.post(f'/{backup.id}/restore', raw=body)) == FORMAT
    assert service.backup(backup.id).status == states.AVAILABLE


def test_a_restore_to_a_volume_that_is_not_there(service, member, fault):
    backup = service.record()
    for given in ('9', 9, str(uuid.uuid4()), 'x'):
        answer = member.post(f'/{backup.id}/restore', {'restore': {'volume_id': given}})
        assert fault(answer) == not_found('Volume', given)
    assert service.backup(backup.id).status == states.AVAILABLE


# ---- ids ----

#: As they stand in a URL → as they are named in the answer.
NO_IDS = {
    '0': '0', '-1': '-1', '01': '01', '1.0': '1.0', '+1': '+1', '2147483648': '2147483648',
    '9999999999': '9999999999', '9' * 400: '9' * 400, '%201': ' 1', '1%20': '1 ', '..': '..',
    '%2e%2e': '..', '.': '.', 'x': 'x', 'a%20b': 'a b', '%C3%A9': 'é', '%F0%9F%92%BE': '💾',
    '%D9%A1': '١', "1'--": "1'--", '1;x': '1;x', 'null': 'null', 'x' * 10240: 'x' * 10240,
    '1.json': '1.json',
}


@pytest.mark.parametrize(('sent', 'named'), NO_IDS.items(), ids=lambda text: text[:16])
def test_what_is_no_id_is_not_found(service, member, fault, sent, named):
    service.record()
    member.get()
    assert fault(member.get(f'/{sent}')) == not_found('Backup', named)
    assert fault(member.delete(f'/{sent}')) == NO_RESOURCE
    answer = member.post(f'/{sent}/restore', {'restore': {}})
    assert fault(answer) == not_found('Backup', named)
    answer = member.post('', {'backup': {'volume_id': named}})
    assert fault(answer) == not_found('Volume', named)


@pytest.mark.parametrize('given', NO_IDS.values(), ids=lambda text: text[:16])
def test_what_is_no_id_is_looked_up_nowhere(service, given):
    for kind in alias.KINDS:
        with pytest.raises(exception.NotFound):
            with aliases.meant(service.context(), kind, given):
                pytest.fail('it went on to a record or a driver')


@pytest.mark.parametrize(
    'path', ['/1/', '/1%2f', '/..%2f1', '/%2f', '/%2e%2e%2f%2e%2e/etc', '//1'])
def test_a_slash_is_never_part_of_an_id(service, member, fault, path):
    service.record()
    member.get()
    for method in ('GET', 'DELETE'):
        assert fault(member.request(method, path)) == NO_RESOURCE


def test_a_number_of_volumes_is_none_of_backups(service, member):
    volume = service.volume()
    member.create(volume.id)
    member.create(service.volume().id)
    assert member.get('/2').json['backup']['volume_id'] == '2'
    assert member.post('/3/restore', {'restore': {}}).status_int == 404


# ---- callers ----


def test_projects_are_apart(service, member, stranger, fault):
    ours, theirs = service.record(), service.record(project=OTHER_PROJECT)
    volume = service.volume()
    assert member.get('/detail').json['backups'][0]['id'] == '1'
    assert stranger.get('/detail').json['backups'][0]['id'] == '1'
    assert service.backup(ours.id).status == service.backup(theirs.id).status == 'available'
    assert stranger.delete('/1').status_int == 202
    assert service.backup(ours.id).status == states.AVAILABLE
    assert service.backup(theirs.id).status == states.DELETING
    for answer in (stranger.get(f'/{ours.id}'),
                   stranger.post(f'/{ours.id}/restore', {'restore': {}})):
        assert fault(answer) == not_found('Backup', ours.id)
    assert fault(stranger.delete(f'/{ours.id}')) == NO_RESOURCE
    member.create(volume.id)
    for given in ('1', '2', volume.id):
        answer = stranger.post('', {'backup': {'volume_id': given}})
        assert fault(answer)[0] == 404
    assert service.backup(ours.id).status == states.AVAILABLE


def test_another_projects_url_is_refused(service, stranger, fault):
    stranger.project = PROJECT
    assert fault(stranger.get()) == (400, 'badRequest', 'Malformed request url')


def test_an_administrator_sees_a_foreign_backup_under_a_number_of_its_own(service, admin, member):
    service.record()
    foreign = service.record(project=OTHER_PROJECT)
    assert [item['id'] for item in admin.get().json['backups']] == ['1']
    assert admin.get(f'/{foreign.id}').json['backup']['id'] == '2'
    assert admin.get('/2').json['backup']['id'] == '2'
    assert member.get('/2').status_int == 404


def test_rights_are_those_of_the_other_dialects(service, fault):
    backup = service.record()
    reader = Client(service, user='rita', roles='reader')
    assert reader.get().status_int == 200
    assert fault(reader.delete(f'/{backup.id}'))[:2] == (403, 'forbidden')
    nobody = Client(service, user='ned', roles='')
    assert fault(nobody.get())[:2] == (403, 'forbidden')


# ---- the wire ----


@pytest.mark.parametrize('kind', ['application/x-www-form-urlencoded', 'application/json',
                                  'application/json; charset=utf-8'])
def test_json_comes_as_curl_names_it(service, member, kind):
    volume = service.volume()
    answer = member.post('', raw=f'{{"backup": {{"volume_id": "{volume.id}"}}}}'.encode(),
                         headers={'Content-Type': kind})
    assert answer.status_int == 200, answer.text


@pytest.mark.parametrize('kind', ['text/plain', 'application/xml', 'multipart/form-data'])
def test_other_media_types_are_refused(service, member, fault, kind):
    volume = service.volume()
    answer = member.post('', raw=f'{{"backup": {{"volume_id": "{volume.id}"}}}}'.encode(),
                         headers={'Content-Type': kind})
    assert fault(answer)[:2] == (415, 'badMediaType')


def test_a_form_without_a_token_is_what_a_web_page_sends_and_is_refused(service, member, fault):
    volume = service.volume()
    answer = member.post('', raw=f'{{"backup": {{"volume_id": "{volume.id}"}}}}'.encode(),
                         headers={'Content-Type': 'application/x-www-form-urlencoded',
                                  'X-Auth-Token': ''})
    assert fault(answer)[:2] == (415, 'badMediaType')
    assert service.show_volume(volume.id).status == 'available'


def test_unknown_methods_and_paths(member, fault):
    answer = member.request('PUT', '/1', {})
    assert fault(answer)[:2] == (405, 'badMethod')
    assert answer.headers['Allow'] == 'DELETE, GET'
    assert fault(member.get('/1/restore'))[0] == 405
    assert fault(member.get('/1/2/3')) == NO_RESOURCE


def test_what_breaks_is_a_500_of_the_document(service, member, fault, monkeypatch):
    def broken(*args):
        raise RuntimeError('the password is hunter2')

    monkeypatch.setattr(backups, 'list_', broken)
    assert fault(member.get()) == (
        500, 'cloudServersFault', 'Server Error, please try again later.')


def test_the_dialect_is_among_the_versions(service, member):
    client = service.client(version=None)
    listed = client.get('//').json['versions']
    assert 'v1.1' in [entry['id'] for entry in listed]
    [entry] = client.get('//v1.1/').json['versions']
    assert entry['links'][0]['href'] == 'http://api.example/v1.1/'
