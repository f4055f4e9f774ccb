# SPDX-License-Identifier: Apache-2.0
"""The six metadata routes: bodies, keys, versions of the metadata, notifications."""

import urllib.parse

import pytest

#: Every character that a key may have, and places where a URL is easily misread.
KEYS = [
    'k', 'a/b', '/a', 'a/', 'a//b', 'a.json', '.hidden', 'a.b', '..', '.', 'a:b', ':', ' a b ',
    ' ', '-', '_', 'metadata', 'metadata/k', 'A' * 255, 'a/../b', '0', 'a%20b'.replace('%20', ' ')]


@pytest.fixture
def backup(service):
    return service.record(metadata={'a': '1', 'b': '2'})


def _path(backup, key=None):
    path = f'/backups/{backup.id}/metadata'
    return path if key is None else f'{path}/{urllib.parse.quote(key, safe="")}'


@pytest.mark.parametrize('version', [None, '3.0', '3.71'])
def test_show(member, backup, version):
    answer = member.at(version).get(_path(backup))
    assert (answer.status_int, answer.json) == (200, {'metadata': {'a': '1', 'b': '2'}})


def test_show_of_none(service, member):
    assert member.get(_path(service.record())).json == {'metadata': {}}


@pytest.mark.parametrize('version', [None, '3.71'])
def test_post_merges_and_answers_with_all(member, backup, version):
    answer = member.at(version).post(_path(backup), {'metadata': {'b': '3', 'c': '4'}})
    assert (answer.status_int, answer.json) == (
        200, {'metadata': {'a': '1', 'b': '3', 'c': '4'}})
    assert member.get(_path(backup)).json == answer.json


def test_put_replaces(member, backup):
    answer = member.put(_path(backup), {'metadata': {'c': '4'}})
    assert (answer.status_int, answer.json) == (200, {'metadata': {'c': '4'}})
    assert member.get(f'/backups/{backup.id}').json['backup']['metadata'] == {'c': '4'}


def test_put_of_nothing_removes_all(member, backup):
    assert member.put(_path(backup), {'metadata': {}}).json == {'metadata': {}}


def test_values(member, backup):
    pairs = {'empty': '', 'long': 'v' * 255, 'text': 'ä\N{SNOWMAN}\U0001f4a9 "\\\n'}
    assert member.put(_path(backup), {'metadata': pairs}).json == {'metadata': pairs}
    assert member.get(_path(backup)).json == {'metadata': pairs}


LIMIT = 128


def _many(number):
    return {f'k{index}': 'v' for index in range(number)}


def test_as_many_pairs_as_the_limit_says(service, member):
    backup = service.record(metadata=_many(LIMIT - 1))
    assert member.post(_path(backup), {'metadata': {'last': '1', 'k1': '2'}}).status_int == 200
    # Those that are there may be set, and one may take another's place.
    assert member.put(_path(backup, 'k2'), {'meta': {'k2': '3'}}).status_int == 200
    assert member.put(_path(backup), {'metadata': _many(LIMIT)}).status_int == 200


@pytest.mark.parametrize(('verb', 'key', 'body'), [
    ('post', None, {'metadata': {'one': '1', 'k1': '2'}}),
    ('put', None, {'metadata': _many(LIMIT + 1)}),
    ('put', 'one', {'meta': {'one': '1'}})])
def test_more_pairs_than_the_limit_says_change_nothing(
        service, member, fault, verb, key, body):
    backup = service.record(metadata=_many(LIMIT))
    answer = getattr(member, verb)(_path(backup, key), body)
    assert fault(answer) == (
        413, 'overLimit', f'Maximum number of metadata items exceeds {LIMIT}')
    assert member.get(_path(backup)).json == {'metadata': _many(LIMIT)}


def test_backup_with_more_pairs_than_the_limit_says(service, member, fault):
    volume = service.volume()
    body = {'backup': {'volume_id': volume.id, 'metadata': _many(LIMIT + 1)}}
    assert fault(member.at('3.43').post('/backups', body))[:2] == (413, 'overLimit')
    assert member.get('/backups').json == {'backups': []}
    backup = service.record(name='before')
    body = {'backup': {'name': 'after', 'metadata': _many(LIMIT + 1)}}
    assert fault(member.at('3.43').put(f'/backups/{backup.id}', body))[:2] == (413, 'overLimit')
    assert member.get(f'/backups/{backup.id}').json['backup']['name'] == 'before'


@pytest.mark.parametrize('key', KEYS)
def test_every_key_in_a_url(member, backup, key):
    answer = member.put(_path(backup, key), {'meta': {key: 'v'}})
    assert (answer.status_int, answer.json) == (200, {'meta': {key: 'v'}})
    assert member.get(_path(backup, key)).json == {'meta': {key: 'v'}}
    assert member.get(_path(backup)).json['metadata'] == {'a': '1', 'b': '2', key: 'v'}
    answer = member.delete(_path(backup, key))
    assert (answer.status_int, answer.body) == (200, b'')
    assert member.get(_path(backup)).json['metadata'] == {'a': '1', 'b': '2'}


@pytest.mark.parametrize('path,key', [
    ('a/b', 'a/b'), ('a:b', 'a:b'), ('a%2Fb', 'a/b'), ('a%2fb', 'a/b'), ('a+b', None),
    ('a%20b', 'a b'), ('a//b', 'a//b')])
def test_keys_as_clients_write_them(service, member, fault, path, key):
    backup = service.record(metadata={key or 'x': 'v'})
    answer = member.get(f'/backups/{backup.id}/metadata/{path}')
    if key is None:
        assert fault(answer)[0] == 404
    else:
        assert answer.json == {'meta': {key: 'v'}}


@pytest.mark.parametrize('method', ['GET', 'DELETE'])
@pytest.mark.parametrize('key', ['x', 'A', 'a/', '', 'ä', 'a?', 'x' * 300])
def test_missing_key(member, backup, fault, method, key):
    assert fault(member.request(method, _path(backup, key))) == (
        404, 'itemNotFound', 'Metadata item was not found')


def test_put_of_an_item_sets_or_adds(member, backup):
    assert member.put(_path(backup, 'a'), {'meta': {'a': '9'}}).json == {'meta': {'a': '9'}}
    assert member.put(_path(backup, 'z'), {'meta': {'z': '8'}}).json == {'meta': {'z': '8'}}
    assert member.get(_path(backup)).json['metadata'] == {'a': '9', 'b': '2', 'z': '8'}


@pytest.mark.parametrize('meta,text', [
    ({'b': 'x'}, 'Request body and URI mismatch'),
    ({'a': 'x', 'b': 'y'}, 'Request body contains too many items'),
    ({'b': 'x', 'c': 'y'}, 'Request body and URI mismatch')])
def test_item_that_does_not_fit_its_url(member, backup, fault, meta, text):
    assert fault(member.put(_path(backup, 'a'), {'meta': meta})) == (400, 'badRequest', text)
    assert member.get(_path(backup)).json['metadata'] == {'a': '1', 'b': '2'}


BAD = [
    b'{"metadata": null}', b'{"metadata": []}', b'{"metadata": {"a": null}}',
    b'{"metadata": {"a": 1}}', b'{"metadata": {"a": {}}}', b'{"metadata": {"": "x"}}',
    b'{"metadata": {"a+b": "x"}}', b'{"metadata": {"\xc3\xa4": "x"}}',
    b'{"metadata": {"a\\n": "x"}}', b'{"metadata": {"a": "\\u0000"}}',
    b'{"metadata": {"' + b'k' * 256 + b'": "x"}}', b'{"metadata": {"a": "' + b'v' * 256 + b'"}}',
    b'{"metadata": {}, "x": 1}', b'{"meta": {}}', b'{}', b'[]', b'null', b'"x"', b'',
    b'{"metadata": {"a": "1", "a": "2"}}']


@pytest.mark.parametrize('raw', BAD)
@pytest.mark.parametrize('method', ['POST', 'PUT'])
def test_bad_metadata(member, backup, fault, method, raw):
    assert fault(member.request(method, _path(backup), raw=raw))[:2] == (400, 'badRequest')
    assert member.get(_path(backup)).json['metadata'] == {'a': '1', 'b': '2'}


@pytest.mark.parametrize('raw', [
    b'{"meta": null}', b'{"meta": {}}', b'{"meta": {"a": null}}', b'{"meta": {"a": 1}}',
    b'{"metadata": {"a": "x"}}', b'{}', b'[]', b'null', b'', b'{"meta": {"a": "x"}, "y": 1}'])
def test_bad_item(member, backup, fault, raw):
    assert fault(member.put(_path(backup, 'a'), raw=raw))[:2] == (400, 'badRequest')
    assert member.get(_path(backup)).json['metadata'] == {'a': '1', 'b': '2'}


# ---- versions of the metadata ----


def test_tags_name_the_whole_metadata(member, backup):
    tag = member.get(_path(backup)).headers['ETag']
    assert tag.startswith('"') and tag.endswith('"')
    assert member.get(_path(backup, 'a')).headers['ETag'] == tag
    changed = member.post(_path(backup), {'metadata': {'c': '1'}}).headers['ETag']
    assert changed != tag
    assert member.get(_path(backup)).headers['ETag'] == changed
    member.delete(_path(backup, 'c'))
    assert member.get(_path(backup)).headers['ETag'] == tag


CHANGES = [
    ('POST', None, {'metadata': {'c': '3'}}),
    ('PUT', None, {'metadata': {'c': '3'}}),
    ('PUT', 'a', {'meta': {'a': '9'}}),
    ('DELETE', 'a', None),
]


@pytest.mark.parametrize('method,key,body', CHANGES)
def test_change_of_a_known_version(member, backup, method, key, body):
    tag = member.get(_path(backup)).headers['ETag']
    answer = member.request(method, _path(backup, key), body, headers={'If-Match': tag})
    assert answer.status_int == 200


@pytest.mark.parametrize('method,key,body', CHANGES)
def test_change_of_another_version(member, backup, fault, method, key, body):
    tag = member.get(_path(backup)).headers['ETag']
    member.post(_path(backup), {'metadata': {'meanwhile': 'x'}})
    answer = member.request(method, _path(backup, key), body, headers={'If-Match': tag})
    assert fault(answer) == (
        412, 'computeFault',
        f'The metadata of backup {backup.id} has changed in the meantime.')
    assert member.get(_path(backup)).json['metadata'] == {
        'a': '1', 'b': '2', 'meanwhile': 'x'}


@pytest.mark.parametrize('form', ['*', '"nothing", {tag}', '{tag}, "nothing"'])
def test_forms_of_if_match_that_hold(member, backup, form):
    tag = member.get(_path(backup)).headers['ETag']
    answer = member.put(
        _path(backup), {'metadata': {}}, headers={'If-Match': form.format(tag=tag)})
    assert answer.status_int == 200


@pytest.mark.parametrize('value', ['"x"', 'x', '""', 'W/"x"'])
def test_forms_of_if_match_that_do_not_hold(member, backup, fault, value):
    answer = member.put(_path(backup), {'metadata': {}}, headers={'If-Match': value})
    assert fault(answer)[0] == 412


# ---- notifications ----


@pytest.mark.parametrize('method,key,body,verb,keys', [
    ('POST', None, {'metadata': {'c': '3', 'a': '9'}}, 'create', ['a', 'c']),
    ('PUT', None, {'metadata': {'c': '3'}}, 'update', ['c']),
    ('PUT', 'a', {'meta': {'a': '9'}}, 'update', ['a']),
    ('DELETE', 'a', None, 'delete', ['a']),
])
def test_notifications(service, member, backup, method, key, body, verb, keys):
    assert member.request(method, _path(backup, key), body).status_int == 200
    events = service.notifications()
    assert [event for event, _ in events] == [
        f'backup.metadata.{verb}.start', f'backup.metadata.{verb}.end']
    for _, payload in events:
        assert (payload['backup_id'], payload['tenant_id'], payload['keys']) == (
            backup.id, backup.project_id, keys)


def test_reads_and_refusals_notify_nothing(service, member, backup):
    member.get(_path(backup))
    member.get(_path(backup, 'a'))
    member.delete(_path(backup, 'nothing'))
    member.put(_path(backup), {'metadata': {}}, headers={'If-Match': '"x"'})
    member.put(_path(backup), {'metadata': None})
    assert service.notifications() == []


def test_deletion_of_a_key_warns_of_the_client_that_names_the_wrong_ones(member, backup):
    answer = member.delete(_path(backup, 'a'))
    assert answer.headers['Warning'].startswith('299 - "')
    assert 'python-openstackclient' in answer.headers['Warning']
    assert 'Warning' not in member.get(_path(backup)).headers
