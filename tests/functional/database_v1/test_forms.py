# SPDX-License-Identifier: Apache-2.0
"""What is answered under /v1.0/{tenant_id}, as the clients know it, and under /v1, as the
specification has it, in JSON and XML.
"""

import datetime
from xml.etree import ElementTree

import pytest

from backupsvc import states
from backupsvc.objects.task import TaskList
from tests.fixtures import database_instances
from tests.fixtures import service as fixture
from tests.functional.database_v1.conftest import CLIENTS, NAMESPACE, SPECIFIED

#: The request of the specification, with what this deployment has instead of its endpoint.
JSON_CREATE = {'instance': {
    'databases': [
        {'character_set': 'utf8', 'collate': 'utf8_general_ci', 'name': 'sampledb'},
        {'name': 'nextround'}],
    'flavorRef': 'https://endpoint/v1.0/1234/flavors/1',
    'name': 'json_rack_instance',
    'users': [{'databases': [{'name': 'sampledb'}], 'name': 'demouser',
               'password': 'demopassword'}],
    'volume': {'size': 2}}}
XML_CREATE = f'''<?xml version="1.0" encoding="UTF-8"?>
<instance xmlns="{NAMESPACE}" name="json_rack_instance"
          flavorRef="https://endpoint/v1.0/1234/flavors/1">
  <databases>
    <database name="sampledb" character_set="utf8" collate="utf8_general_ci"/>
    <database name="nextround"/>
  </databases>
  <users><user name="demouser" password="demopassword">
    <databases><database name="sampledb"/></databases></user></users>
  <volume size="2"/>
</instance>'''


def _task(service, instance_id):
    [task] = TaskList.get_all(service.admin_context, {'resource_id': instance_id})
    return task


@pytest.mark.parametrize('base', [CLIENTS, SPECIFIED])
@pytest.mark.parametrize('body', [JSON_CREATE, XML_CREATE], ids=['json', 'xml'])
def test_create(service, ask, base, body):
    service.heartbeat()
    answer = ask('POST', base + '/instances', body)
    assert answer.status_int == 200
    made = answer.json_body['instance']
    assert (made['name'], made['status'], made['volume']) == (
        'json_rack_instance', 'BUILD', {'size': 2})
    assert made['flavor']['id'] == '1'
    assert made['created'].endswith('Z') == (base == SPECIFIED)
    links = {link['rel']: link['href'] for link in made['links']}
    assert links['self'].endswith(f'{base}/instances/{made["id"]}')
    assert links['self'].startswith('http:' if base == SPECIFIED else 'https:')
    assert ('datastore' in made) == (base == CLIENTS)
    task = _task(service, made['id'])
    assert [each['name'] for each in task.arguments['databases']] == ['sampledb', 'nextround']
    [user] = task.arguments['users']
    assert user['databases'] == ['sampledb'] and 'demopassword' not in str(task.arguments)


def test_a_list_as_the_clients_know_it(service, ask):
    ids = sorted(database_instances.instance(service).id for _ in range(3))
    body = ask('GET', CLIENTS + '/instances?limit=2&include_clustered=False').json_body
    assert [each['id'] for each in body['instances']] == ids[:2]
    [link] = body['links']
    assert link['rel'] == 'next' and link['href'].startswith('https://')
    rest = ask('GET', link['href'].removeprefix('https://localhost')).json_body
    assert [each['id'] for each in rest['instances']] == ids[2:]
    assert 'links' not in rest


def test_a_list_as_it_is_specified(service, ask):
    ids = sorted(database_instances.instance(service).id for _ in range(3))
    body = ask('GET', '/v1/instances?limit=2').json_body
    assert body['links']['self'] == 'http://localhost/v1/instances?limit=2'
    assert body['links']['previous'] is None
    rest = ask('GET', body['links']['next'].removeprefix('http://localhost')).json_body
    assert [each['id'] for each in rest['instances']] == ids[2:]
    assert rest['links']['next'] is None
    assert set(rest['instances'][0]) == {'id', 'name', 'status', 'links', 'flavor', 'volume'}


@pytest.mark.parametrize(
    ('status', 'shown'),
    [(states.BUILDING, 'BUILD'), (states.ERROR, 'ERROR'), (states.FAILED_TO_BUILD, 'FAILED'),
     (states.RESTARTING, 'REBOOT'), (states.RESIZING, 'RESIZE'), (states.SHUTDOWN, 'SHUTDOWN'),
     (states.DELETING, 'SHUTDOWN')])
def test_statuses(service, ask, status, shown):
    record = database_instances.instance(service, status=status)
    for base in (CLIENTS, SPECIFIED):
        body = ask('GET', f'{base}/instances/{record.id}').json_body['instance']
        assert (body['status'], body['hostname'], body['port']) == (shown, '127.0.0.1', 13306)


def test_an_instance_in_xml(ask, instance):
    answer = ask('GET', f'/v1/instances/{instance.id}', Accept='application/xml')
    assert answer.content_type == 'application/xml'
    root = ElementTree.fromstring(answer.body)
    space = '{' + NAMESPACE + '}'
    assert root.tag == space + 'instance'
    assert (root.get('id'), root.get('status')) == (instance.id, 'ERROR')
    assert root.find(f'{space}volume').get('size') == '1'
    assert [link.get('rel') for link in root.findall(f'{space}links/{space}link')] == [
        'self', 'bookmark']


@pytest.mark.parametrize(
    ('method', 'path', 'body', 'clients', 'specified'),
    [
        ('DELETE', '/instances/{instance}', None, 202, 202),
        ('PATCH', '/instances/{instance}', {'instance': {'name': 'n'}}, 202, 200),
        ('PUT', '/instances/{instance}', {'instance': {'name': 'n'}}, 202, 405),
        ('POST', '/instances/{instance}/action', {'restart': {}}, 202, 202),
        ('POST', '/backups', {'backup': {'instance': '{active}', 'name': 'b',
                                         'description': None}}, 202, 201),
        ('DELETE', '/backups/{backup}', None, 202, 202),
        ('POST', '/security-group-rules', {'security_group_rule': {
            'group_id': '{group}', 'cidr': '10.0.0.0/8'}}, 201, 202),
        ('POST', '/security_group_rules', {'security_group_rule': {
            'group_id': '{group}', 'cidr': '10.0.0.1/8'}}, 201, 202),
        ('DELETE', '/security-group-rules/{rule}', None, 204, 204),
        ('GET', '/security-groups/{group}', None, 200, 200),
        ('GET', '/security_groups', None, 200, 200),
        ('GET', '/flavors', None, 200, 200),
        ('GET', '/limits', None, 200, 200),
        ('GET', '/instances/{instance}/backups', None, 200, 200),
    ])
def test_statuses_of_answers(service, ask, instance, active, method, path, body, clients,
                             specified):
    group = database_instances.group(service, instance)
    names = {'instance': instance.id, 'active': active.id, 'group': group.id,
             'rule': group.rules[0].id,
             'backup': database_instances.backup(service, instance).id}

    def fill(value):
        if isinstance(value, dict):
            return {key: fill(item) for key, item in value.items()}
        return value.format(**names) if isinstance(value, str) else value

    for base, status in ((CLIENTS, clients), (SPECIFIED, specified)):
        answer = ask(method, base + fill(path), fill(body))
        if base == SPECIFIED and answer.status_int in (400, 404, 422):
            continue  # done by the first; the next test has it alone
        assert answer.status_int == status, answer.text


@pytest.mark.parametrize(
    ('method', 'path', 'body', 'status'),
    [('POST', '/backups', True, 201), ('DELETE', '/security-group-rules/{rule}', None, 204),
     ('POST', '/security-group-rules', None, 202), ('DELETE', '/backups/{backup}', None, 202)])
def test_statuses_of_the_specification_alone(service, ask, active, method, path, body, status):
    group = database_instances.group(service, active)
    backup = database_instances.backup(service, active)
    if path == '/backups':
        body = {'backup': {'description': None, 'instance': active.id, 'name': 'testback-backup'}}
    elif method == 'POST':
        body = {'security_group_rule': {'cidr': '10.0.0.0/8', 'group_id': group.id}}
    answer = ask(method, '/v1' + path.format(rule=group.rules[0].id, backup=backup.id), body)
    assert answer.status_int == status, answer.text
    if status == 201:
        made = answer.json_body['backup']
        assert set(made) == {'created', 'description', 'id', 'instance_id', 'locationRef', 'name',
                             'status', 'updated'}
        assert (made['status'], made['locationRef'], made['description']) == ('NEW', None, None)
    if status == 202 and method == 'POST':
        assert answer.json_body['security_group_rule']['cidr'] == '10.0.0.0/8'


def test_backups_page_by_number_and_show_how_far_they_are(service, ask, instance):
    now = datetime.datetime.now(datetime.UTC)
    made = [database_instances.backup(
        service, instance, status, updated_at=now - datetime.timedelta(seconds=number))
        for number, status in enumerate(
            (states.AVAILABLE, states.ERROR, states.ERROR_DELETING, states.CREATING))]
    body = ask('GET', CLIENTS + '/backups?limit=3').json_body
    assert [each['id'] for each in body['backups']] == [each.id for each in made[:3]]
    assert [each['status'] for each in body['backups']] == ['COMPLETED', 'FAILED',
                                                            'DELETE_FAILED']
    [link] = body['links']
    assert link['href'].endswith('marker=3')
    rest = ask('GET', link['href'].removeprefix('https://localhost')).json_body
    assert [(each['id'], each['status']) for each in rest['backups']] == [(made[3].id, 'NEW')]
    specified = ask('GET', '/v1/backups?limit=2&marker=2').json_body
    assert specified['links']['previous'].endswith('limit=2&marker=0')
    assert 'size' not in specified['backups'][0]


def test_other_dialects_do_not_show_them(service, ask, instance):
    backup = database_instances.backup(service, instance)
    member = service.client()
    assert member.get('/backups').json_body['backups'] == []
    assert member.get(f'/backups/{backup.id}').status_int == 404
    assert member.delete(f'/backups/{backup.id}').status_int == 404
    volumes = service.record()
    assert ask('GET', f'{CLIENTS}/backups/{volumes.id}').status_int == 404
    assert ask('DELETE', f'{CLIENTS}/backups/{volumes.id}').status_int == 404


def test_versions(ask):
    assert ask('GET', '/').status_int == 300
    document = ask('GET', '/v1.0/').json_body['version']
    assert (document['id'], document['links'][0]['href']) == ('v1.0', 'http://localhost/v1.0/')


def test_both_dialects_live_under_v1(ask):
    assert ask('GET', '/v1/instances').json_body['instances'] == []
    assert ask('GET', '/v1/volume').headers['Allow'] == 'POST'


def test_administrators_see_the_backups_of_others(service, ask):
    other = database_instances.instance(service, fixture.OTHER_PROJECT)
    backup = database_instances.backup(service, other)
    path = CLIENTS + '/backups?all_projects=True'
    assert ask('GET', path).status_int == 403
    found = ask('GET', path, roles='admin').json_body['backups']
    assert [each['id'] for each in found] == [backup.id]
    assert ask('GET', CLIENTS + '/backups', roles='admin').json_body['backups'] == []
