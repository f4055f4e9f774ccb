# SPDX-License-Identifier: Apache-2.0
"""What bad requests get, rates, and limits."""

import time

import pytest

from backupsvc import states
from tests.fixtures import database_instances
from tests.fixtures import service as fixture
from tests.functional.database_v1.conftest import CLIENTS

GIB = 1 << 30


def _fault(answer):
    [(key, fault)] = answer.json_body.items()
    assert fault['code'] == answer.status_int
    return key, fault['message']


def _create(ask, **values):
    return ask('POST', CLIENTS + '/instances', {'instance': {
        'name': 'n', 'flavorRef': '1', 'volume': {'size': 1}, **values}})


@pytest.mark.parametrize(
    ('values', 'status', 'key'),
    [
        ({'flavorRef': '99'}, 404, 'itemNotFound'),
        ({'volume': {'size': 0}}, 400, 'badRequest'),
        ({'volume': {}}, 400, 'badRequest'),
        ({'name': ''}, 400, 'badRequest'),
        ({'name': 'x' * 256}, 400, 'badRequest'),
        ({'volume': {'size': 41}}, 413, 'overLimit'),
        ({'databases': [{'name': 'a'}, {'name': 'a'}]}, 400, 'badRequest'),
        ({'databases': [{'name': 'mysql'}]}, 400, 'badRequest'),
        ({'users': [{'name': 'u', 'password': 'p', 'databases': [{'name': 'b'}]}]}, 400,
         'badRequest'),
        ({'users': [{'name': 'root', 'password': 'p'}]}, 400, 'badRequest'),
        ({'users': [{'name': 'u'}]}, 400, 'badRequest'),
        ({'restorePoint': {'backupRef': 'b5c00000-0000-4000-8000-000000000001'}}, 404,
         'itemNotFound'),
        ({'datastore': {'type': 'oracle'}}, 400, 'badRequest'),
    ])
def test_instances_that_cannot_be(service, ask, values, status, key):
    service.heartbeat()
    answer = _create(ask, **values)
    assert (answer.status_int, _fault(answer)[0]) == (status, key)
    assert ask('GET', CLIENTS + '/instances').json_body['instances'] == []


def test_without_a_manager(ask):
    answer = _create(ask)
    assert (answer.status_int, _fault(answer)[0]) == (503, 'serviceUnavailable')


def test_over_the_number_of_instances(service, ask):
    service.heartbeat()
    service.override('database_instances', 1, 'quota')
    assert _create(ask).status_int == 200
    answer = _create(ask)
    assert answer.status_int == 413
    assert _fault(answer) == ('overLimit', "Quota exceeded for resources: ['instances'].")


def test_a_secret_is_not_repeated(ask):
    answer = _create(ask, users=[{'name': 'u', 'password': ['hunter2']}])
    assert answer.status_int == 400 and 'hunter2' not in answer.text
    answer = _create(ask, users={'name': 'u', 'password': 'hunter2'})
    assert answer.status_int == 400 and 'hunter2' not in answer.text


@pytest.mark.parametrize(
    'status', [states.BUILDING, states.RESIZING, states.RESTARTING, states.BACKING_UP,
               states.DELETING])
def test_nothing_is_begun_in_these_statuses(service, ask, status):
    record = database_instances.instance(service, status=status)
    path = f'{CLIENTS}/instances/{record.id}'
    calls = [('DELETE', path, None), ('POST', path + '/action', {'restart': {}}),
             ('POST', path + '/action', {'resize': {'volume': {'size': 5}}}),
             ('POST', path + '/action', {'resize': {'flavorRef': '2'}}),
             ('POST', path + '/databases', {'databases': [{'name': 'a'}]}),
             ('POST', path + '/root', None),
             ('POST', CLIENTS + '/backups', {'backup': {'instance': record.id, 'name': 'b'}})]
    for method, url, body in calls:
        answer = ask(method, url, body)
        assert answer.status_int == 422, (url, answer.text)
        key, message = _fault(answer)
        assert key == 'unprocessableEntity' and record.id in message


@pytest.mark.parametrize(
    ('body', 'status'),
    [({'dance': {}}, 400), ({}, 400), ({'resize': {}}, 400), ([], 400),
     ({'resize': {'volume': {'size': 1}}}, 400), ({'resize': {'volume': {'size': -1}}}, 400),
     ({'resize': {'flavorRef': '1'}}, 400), ({'resize': {'flavorRef': 'x/99'}}, 404),
     ({'resize': {'flavorRef': '2', 'volume': {'size': 4}}}, 400)])
def test_actions_that_cannot_be(ask, active, body, status):
    answer = ask('POST', f'{CLIENTS}/instances/{active.id}/action', body)
    assert answer.status_int == status, answer.text


def test_ids_of_another_project(service, ask):
    other = database_instances.instance(service, fixture.OTHER_PROJECT)
    group = database_instances.group(service, other)
    backup = database_instances.backup(service, other)
    service.heartbeat()
    for method, path, body in (
        ('GET', f'/instances/{other.id}', None), ('DELETE', f'/instances/{other.id}', None),
        ('GET', f'/instances/{other.id}/databases', None),
        ('POST', f'/instances/{other.id}/root', None),
        ('GET', f'/backups/{backup.id}', None), ('DELETE', f'/backups/{backup.id}', None),
        ('GET', f'/security-groups/{group.id}', None),
        ('DELETE', f'/security-group-rules/{group.rules[0].id}', None),
        ('POST', '/security-group-rules',
         {'security_group_rule': {'group_id': group.id, 'cidr': '0.0.0.0/0'}}),
        ('POST', '/backups', {'backup': {'instance': other.id, 'name': 'b'}}),
        ('POST', '/instances', {'instance': {
            'name': 'n', 'flavorRef': 1, 'volume': {'size': 1},
            'restorePoint': {'backupRef': backup.id}}}),
    ):
        assert ask(method, CLIENTS + path, body).status_int == 404, path
    answer = ask('GET', f'/v1.0/{fixture.OTHER_PROJECT}/instances')
    assert (answer.status_int, _fault(answer)[0]) == (403, 'forbidden')


def _restore(ask, backup, size=1):
    return _create(ask, volume={'size': size}, restorePoint={
        'backupRef': f'https://endpoint/backups/{backup.id}'})


def test_backups_that_cannot_be_restored(service, ask, instance):
    service.heartbeat()
    facts = {'key': 'nothing.xbstream.gz', 'checksum': 'sha256:0'}
    running = database_instances.backup(service, instance, states.CREATING)
    assert _restore(ask, running).status_int == 409
    large = database_instances.backup(
        service, instance, logical_bytes=2 * GIB, source_facts=facts)
    answer = _restore(ask, large)
    assert (answer.status_int, _fault(answer)[0]) == (403, 'forbidden')
    assert _restore(ask, large, size=3).status_int == 409
    orphan = database_instances.backup(
        service, instance, parent_id='b5c00000-0000-4000-8000-000000000001', source_facts=facts)
    assert _restore(ask, orphan).status_int == 409


@pytest.mark.parametrize(
    ('values', 'status'),
    [({}, 400), ({'instance': ''}, 400), ({'name': None}, 400), ({'incremental': 2}, 400),
     ({'instance': 'b5c00000-0000-4000-8000-000000000001'}, 404),
     ({'instance': '{active}', 'parent_id': 'b5c00000-0000-4000-8000-000000000001'}, 404),
     ({'instance': '{active}', 'parent_id': '{foreign}'}, 400),
     ({'instance': '{active}', 'parent_id': '{running}'}, 409),
     ({'restore_from': {'remote_location': 'x'}}, 501),
     ({'instance': '{active}', 'incremental': 1}, 202),
     ({'instance': 'https://endpoint/instances/{active}', 'incremental': True}, 202)])
def test_backups_that_cannot_be_made(service, ask, active, instance, values, status):
    names = {'active': active.id,
             'foreign': database_instances.backup(service, instance).id,
             'running': database_instances.backup(service, active, states.CREATING).id}
    wanted = {key: value.format(**names) if isinstance(value, str) else value
              for key, value in values.items()}
    answer = ask('POST', CLIENTS + '/backups', {'backup': {'name': 'b', **wanted}})
    assert answer.status_int == status, answer.text


def test_what_was_made_from_a_backup_that_runs_stays(service, ask, instance):
    full = database_instances.backup(service, instance)
    database_instances.backup(service, instance, states.CREATING, parent_id=full.id)
    assert ask('DELETE', f'{CLIENTS}/backups/{full.id}').status_int == 422


def test_a_running_backup_is_deleted_only_when_it_has_run_for_too_long(service, ask, active):
    made = ask('POST', CLIENTS + '/backups', {'backup': {'instance': active.id, 'name': 'b'}})
    path = f'{CLIENTS}/backups/{made.json_body["backup"]["id"]}'
    answer = ask('DELETE', path)
    assert (answer.status_int, _fault(answer)[0]) == (422, 'unprocessableEntity')
    service.override('running_backup_expiry', 0, 'database_instances')
    assert ask('DELETE', path).status_int == 202
    tasks = {task.kind: task for task in service.tasks(made.json_body['backup']['id'])}
    assert tasks[states.TASK_BACK_UP_DATABASE].cancel_requested
    assert not tasks[states.TASK_DELETE_DATABASE_BACKUP].cancel_requested
    # it is on its way: once more is too often
    assert ask('DELETE', path).status_int == 422


@pytest.mark.parametrize(
    'values', [{'replica_of': 'x'}, {'configuration': 'x'}, {'nics': [{'net-id': 'x'}]},
               {'modules': [{'id': 'x'}]}, {'locality': 'affinity'}])
def test_what_would_be_something_else_is_not_made(service, ask, values):
    service.heartbeat()
    answer = _create(ask, **values)
    assert (answer.status_int, _fault(answer)[0]) == (501, 'notImplemented')
    assert ask('GET', CLIENTS + '/instances').json_body['instances'] == []


@pytest.mark.parametrize(
    'path', ['/datastores', '/datastores/mariadb/versions', '/configurations', '/clusters',
             '/modules', '/backup_strategies', '/mgmt/instances', '/instances/x/log',
             '/instances/x/configuration', '/instances/x/metadata', '/extensions'])
def test_what_is_not_served(ask, path):
    for method in ('GET', 'POST'):
        answer = ask(method, CLIENTS + path)
        assert answer.status_int in (404, 405), (method, answer.text)
        assert _fault(answer)[0] in ('itemNotFound', 'badMethod')
    answer = ask('GET', CLIENTS + path, Accept='application/xml')
    assert answer.content_type == 'application/xml' and '<itemNotFound code="404"' in answer.text


@pytest.mark.parametrize('query', ['limit=x', 'limit=-1', 'limit=1e3'])
def test_pages_that_cannot_be(ask, query):
    for path in ('/instances', '/backups', '/security-groups'):
        assert ask('GET', f'{CLIENTS}{path}?{query}').status_int == 400
    assert ask('GET', CLIENTS + '/backups?marker=abc').status_int == 400
    assert ask('GET', CLIENTS + '/instances?marker=%F0%9F%98%80').status_int == 200


BOMB = ('<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + ''.join(
    f'<!ENTITY a{n} "{"&a;" if not n else f"&a{n - 1};" * 10}">' for n in range(9))
    + ']><instance name="&a8;"/>')


@pytest.mark.parametrize(
    'document',
    [BOMB, '<instance', '<instance xmlns="http://elsewhere/"/>',
     '<!DOCTYPE x SYSTEM "file:///etc/passwd"><instance/>',
     b'<instance name="' + b'x' * (10 << 20) + b'"/>'],
    ids=['bomb', 'broken', 'namespace', 'external', '10 MB'])
def test_documents_that_are_none(ask, document):
    begin = time.monotonic()
    answer = ask('POST', '/v1/instances', document, Accept='application/xml')
    assert answer.status_int == 400 and answer.content_type == 'application/xml'
    assert '<badRequest code="400"' in answer.text
    assert time.monotonic() - begin < 10


def test_networks_that_are_none(service, ask, instance):
    group = database_instances.group(service, instance)
    for cidr in ('everywhere', '10.0.0.0/33', '', '0.0.0.0/0'):
        answer = ask('POST', CLIENTS + '/security-group-rules', {
            'security_group_rule': {'group_id': group.id, 'cidr': cidr}})
        assert answer.status_int == 400, cidr


def test_rates(service, ask):
    service.override('get', 3, 'rates')
    project = f'rates-{time.monotonic_ns()}'
    url = f'/v1.0/{project}/limits'
    body = ask('GET', url, project=project).json_body
    assert body['limits'][0] == {
        'verb': 'ABSOLUTE', 'max_instances': 10, 'max_volumes': 40, 'max_backups': 10}
    [rate] = [each for each in body['limits'] if each['verb'] == 'GET']
    assert (rate['value'], rate['remaining'], rate['unit']) == (3, 2, 'MINUTE')
    for _ in range(2):
        assert ask('GET', url, project=project).status_int == 200
    answer = ask('GET', url, project=project)
    assert answer.status_int == 413
    assert 0 < int(answer.headers['Retry-After']) <= 61
    assert answer.json_body['overLimit']['retryAfter'] == int(answer.headers['Retry-After'])
    assert ask('GET', f'/v1.0/other{project}/limits', project=f'other{project}').status_int == 200
