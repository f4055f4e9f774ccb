# SPDX-License-Identifier: Apache-2.0
"""What holds for every call: versions, faults, hostile bodies, unknown routes."""

import json

import pytest

from tests.fixtures.service import PROJECT


def test_versions_without_a_token_and_behind_a_proxy(service):
    anonymous = service.client()
    for path, status, prefix in (('///'[:2], 300, ''), ('//v3/', 200, '')):
        answer = anonymous.request('GET', path)
        assert answer.status_int == status
        [entry] = [one for one in answer.json['versions'] if one['id'] == 'v3.0']
        assert entry == {
            'id': 'v3.0', 'status': 'CURRENT', 'version': '3.71', 'min_version': '3.0',
            'updated': '2023-08-31T00:00:00Z',
            'links': [
                {'rel': 'describedby', 'type': 'text/html',
                 'href': 'https://docs.openstack.org/'},
                {'rel': 'self', 'href': f'http://api.example{prefix}/v3/'}],
            'media-types': [{
                'base': 'application/json',
                'type': 'application/vnd.openstack.volume+json;version=3'}]}
        assert all({'version', 'min_version'} <= set(one) for one in answer.json['versions'])
    assert anonymous.get('//v3').status_int in (301, 302, 308)


@pytest.mark.parametrize('header,used', [
    (None, '3.0'), ('volume 3.43', '3.43'), ('volume latest', '3.71'),
    ('compute 2.90', '3.0'), ('compute 2.90, volume 3.9', '3.9'), ('volume 3.0', '3.0'),
    ('volume 3.71', '3.71')])
def test_version_in_use_is_told(member, header, used):
    answer = member.at(None).get(
        '/backups', headers={'OpenStack-API-Version': header} if header else None)
    assert answer.status_int == 200
    assert answer.headers['OpenStack-API-Version'] == f'volume {used}'
    assert 'OpenStack-API-Version' in answer.headers['Vary']
    assert answer.headers['x-compute-request-id'].startswith('req-')
    assert answer.headers['x-openstack-request-id'] == answer.headers['x-compute-request-id']


@pytest.mark.parametrize('version', ['3.72', '2.0', '4.0'])
def test_version_out_of_bounds(member, fault, version):
    answer = member.at(version).get('/backups')
    assert fault(answer) == (
        406, 'computeFault',
        f'Version {version} is not supported by the API. Minimum is 3.0 and maximum is 3.71.')


@pytest.mark.parametrize('version', ['3', 'x', '3.x', '3.0 3.1', '', '3.0.1', '-3.1'])
def test_malformed_version(member, fault, version):
    answer = member.at(None).get(
        '/backups', headers={'OpenStack-API-Version': f'volume {version}'})
    assert fault(answer) == (
        400, 'badRequest',
        f'API Version String {version} is of invalid format. Must be of format '
        'MajorNum.MinorNum.')


@pytest.mark.parametrize('method,path,status,allowed', [
    ('GET', '/nothing', 404, None),
    ('GET', '/backups/x/nothing', 404, None),
    ('GET', '/backups/x/metadata', 404, None),
    ('PATCH', '/backups', 405, {'GET', 'POST'}),
    ('DELETE', '/backups', 405, {'GET', 'POST'}),
    ('PATCH', '/backups/x', 405, {'GET', 'PUT', 'DELETE'}),
    ('GET', '/backups/x/restore', 405, {'POST'}),
    ('PATCH', '/backups/x/metadata', 405, {'GET', 'POST', 'PUT'}),
    ('POST', '/backups/x/metadata/k', 405, {'GET', 'PUT', 'DELETE'}),
])
def test_unknown_routes_and_methods(member, fault, method, path, status, allowed):
    answer = member.request(method, path)
    assert fault(answer)[:2] == (status, {404: 'itemNotFound', 405: 'badMethod'}[status])
    if allowed:
        assert set(answer.headers['Allow'].replace(' ', '').split(',')) == allowed


BODIES = {
    'no json': b'{', 'text': b'hello', 'latin1': b'{"backup": "\xe4"}', 'array': b'[]',
    'string': b'"x"', 'number': b'1', 'null': b'null', 'none': b'',
    'nothing': b'{}', 'null inside': b'{"backup": null}', 'array inside': b'{"backup": []}',
    'huge number': b'{"backup": {"volume_id": 1e400}}',
    'infinity': b'{"backup": {"volume_id": Infinity}}', 'nan': b'{"backup": NaN}',
    'long integer': b'{"backup": ' + b'9' * 5000 + b'}',
    'duplicate keys': b'{"backup": {"name": "a", "name": "b"}}',
    'deep arrays': b'[' * 20000 + b']' * 20000,
    'deep objects': b'{"backup":' * 9000 + b'1' + b'}' * 9000,
    'moderately deep': b'{"backup":' * 200 + b'{}' + b'}' * 200,
    'nul': b'{"backup": {"volume_id": "\\u0000"}}',
    'surrogate': b'{"backup": {"volume_id": "\\ud800"}}',
    'wrong id': b'{"backup": {"volume_id": "x"}}',
    'wrong name': json.dumps({'backup': {'volume_id': PROJECT, 'name': 1}}).encode(),
    'long name': json.dumps({'backup': {'volume_id': PROJECT, 'name': 'x' * 256}}).encode(),
    'nul in name': json.dumps({'backup': {'volume_id': PROJECT, 'name': 'a\0b'}}).encode(),
    'long container': json.dumps(
        {'backup': {'volume_id': PROJECT, 'container': 'x' * 256}}).encode(),
    'unprintable': json.dumps(
        {'backup': {'volume_id': PROJECT, 'description': 'a\x07'}}).encode(),
    'unknown key': json.dumps({'backup': {'volume_id': PROJECT, 'x': 1}}).encode(),
    'unknown top': json.dumps({'backup': {'volume_id': PROJECT}, 'x': 1}).encode(),
    'null flag': json.dumps({'backup': {'volume_id': PROJECT, 'incremental': None}}).encode(),
    'null value': json.dumps(
        {'backup': {'volume_id': PROJECT, 'metadata': {'a': None}}}).encode(),
    'bad key': json.dumps({'backup': {'volume_id': PROJECT, 'metadata': {'a%': 'b'}}}).encode(),
}


@pytest.mark.parametrize('name', BODIES)
@pytest.mark.parametrize('path', [
    '/backups', '/backups/import_record', '/backups/{id}/restore', '/backups/{id}/metadata',
    '/backups/{id}/action'])
def test_hostile_bodies(service, admin, fault, path, name):
    backup = service.record()
    assert fault(admin.post(path.format(id=backup.id), raw=BODIES[name]))[:2] == (
        400, 'badRequest')
    assert service.backup(backup.id).status == 'available'


def test_texts_of_bad_bodies(member, fault):
    assert fault(member.post('/backups', raw=b'{'))[2] == 'Malformed request body'
    assert fault(member.post('/backups', raw=b'null'))[2] == "None is not of type 'object'"
    assert fault(member.post('/backups', raw=b''))[2] == 'A request body is required'
    message = fault(member.post('/backups', {'backup': {'volume_id': 'x'}}))[2]
    assert message.startswith("Invalid input for field/attribute volume_id. Value: x. 'x' is not")


def test_content_types(service, member, fault):
    body = {'backup': {'volume_id': service.volume().id}}
    for content_type in ('text/xml', 'text/plain', 'application/x-www-form-urlencoded'):
        answer = member.post('/backups', body, headers={'Content-Type': content_type})
        assert fault(answer) == (415, 'badMediaType', 'Unsupported Content-Type')
    answer = member.post('/backups', body, headers={
        'Content-Type': 'application/vnd.openstack.volume+json; charset=utf-8'})
    assert answer.status_int == 202


def test_body_over_the_size_limit(member, fault):
    answer = member.post('/backups', raw=b'{"backup": "' + b'x' * 10_000_000 + b'"}')
    assert fault(answer)[:2] == (413, 'overLimit')


@pytest.mark.parametrize('query', [
    'name=%00', 'name=%ff', '%00=x', 'metadata[%00]=x', 'limit=%00', '&'.join(['a=b'] * 5000)])
def test_hostile_queries(member, fault, query):
    assert fault(member.at('3.0').get(f'/backups?{query}'))[0] == 400


@pytest.mark.parametrize('path', ['/backups/%00', '/backups/%ff', '/backups/a%00b/metadata'])
def test_hostile_paths(member, path):
    assert member.get(path).status_int == 404


@pytest.mark.parametrize('version,status', [('3.32', 404), ('3.33', 200), ('3.71', 200)])
def test_resource_filters(member, version, status):
    for path in ('/resource_filters', '/resource_filters?resource=backup'):
        answer = member.at(version).get(path)
        assert answer.status_int == status
    if status == 200:
        [entry] = answer.json['resource_filters']
        assert entry['resource'] == 'backup'
        assert {'status', 'volume_id'} < set(entry['filters'])
        assert {'name', 'name~'} & set(entry['filters'])
        assert member.at(version).get('/resource_filters?resource=nothing').json == {
            'resource_filters': []}
