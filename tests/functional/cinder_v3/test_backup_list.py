# SPDX-License-Identifier: Apache-2.0
"""GET /backups and /backups/detail: pages, order, filters, and whose backups."""

import datetime
import json
import urllib.parse

import pytest

from backupsvc import states
from tests.fixtures.service import OTHER_PROJECT, PROJECT

BASE = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)


@pytest.fixture
def five(service):
    """Five backups b0 … b4, made a minute apart."""
    return [
        service.record(
            name=f'b{n}', created_at=BASE + datetime.timedelta(minutes=n), size_gb=5 - n,
            status=states.ERROR if n == 3 else states.AVAILABLE,
            metadata={'n': str(n), 'parity': 'odd' if n % 2 else 'even'})
        for n in range(5)]


def _names(answer):
    assert answer.status_int == 200, answer.text
    return [backup['name'] for backup in answer.json['backups']]


def _quoted(text):
    return urllib.parse.quote(text)


def test_empty(member):
    assert member.get('/backups').json == {'backups': []}
    assert member.get('/backups/detail').json == {'backups': []}


def test_summary_has_three_fields_and_newest_is_first(member, five):
    answer = member.get('/backups')
    assert _names(answer) == ['b4', 'b3', 'b2', 'b1', 'b0']
    assert {frozenset(backup) for backup in answer.json['backups']} == {
        frozenset(('id', 'name', 'links'))}


def test_equal_times_are_ordered_by_id(service, member):
    ids = sorted(service.record(created_at=BASE).id for _ in range(5))
    assert [backup['id'] for backup in member.get('/backups').json['backups']] == ids[::-1]


# ---- detail by microversion ----

PLAIN = {
    'id', 'name', 'links', 'status', 'size', 'object_count', 'availability_zone', 'container',
    'created_at', 'updated_at', 'description', 'fail_reason', 'volume_id', 'is_incremental',
    'has_dependent_backups', 'snapshot_id', 'data_timestamp'}


@pytest.mark.parametrize('version,more', [
    (None, set()),
    ('3.17', set()),
    ('3.18', {'os-backup-project-attr:project_id'}),
    ('3.42', {'os-backup-project-attr:project_id'}),
    ('3.43', {'os-backup-project-attr:project_id', 'metadata'}),
    ('3.55', {'os-backup-project-attr:project_id', 'metadata'}),
    ('3.56', {'os-backup-project-attr:project_id', 'metadata', 'user_id'}),
    ('3.63', {'os-backup-project-attr:project_id', 'metadata', 'user_id'}),
    ('3.64', {'os-backup-project-attr:project_id', 'metadata', 'user_id', 'encryption_key_id'}),
])
def test_fields_by_version_for_administrators_and_others(service, member, admin, version, more):
    key = 'a1b0c0de-0000-4000-8000-000000000000'
    backup = service.record(encryption_key_id=key)
    for path in (f'/backups/{backup.id}', '/backups/detail'):
        [shown] = _shown(admin.at(version).get(path))
        assert set(shown) == PLAIN | more
        [shown] = _shown(member.at(version).get(path))
        assert set(shown) == PLAIN | more - {'os-backup-project-attr:project_id', 'user_id'}
    if 'user_id' in more:
        [shown] = _shown(admin.at(version).get('/backups/detail'))
        assert (shown['user_id'], shown['os-backup-project-attr:project_id']) == (
            'alice', PROJECT)
    if 'encryption_key_id' in more:
        assert shown['encryption_key_id'] == key


def _shown(answer):
    assert answer.status_int == 200, answer.text
    return answer.json.get('backups') or [answer.json['backup']]


def test_no_key_field_without_a_key(service, member):
    service.record()
    [shown] = member.get('/backups/detail').json['backups']
    assert 'encryption_key_id' not in shown


def test_dates_have_microseconds_and_no_zone(service, member):
    service.record(created_at=BASE, data_timestamp=BASE + datetime.timedelta(microseconds=7))
    [shown] = member.get('/backups/detail').json['backups']
    assert (shown['created_at'], shown['data_timestamp'], shown['updated_at']) == (
        '2026-01-02T03:04:05.000000', '2026-01-02T03:04:05.000007', None)


# ---- pages ----


def test_walk_by_next_links_ends_on_a_page_that_is_empty(member, five):
    path = '/backups?limit=5'
    answer = member.get(path)
    assert len(answer.json['backups']) == 5
    [link] = answer.json['backups_links']
    assert link['rel'] == 'next'
    query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(link['href']).query))
    assert query == {'limit': '5', 'marker': five[0].id}
    last = member.get('/' + link['href'].removeprefix('http://api.example'))
    assert last.json == {'backups': []}


@pytest.mark.parametrize('path', ['/backups', '/backups/detail'])
def test_walk_sees_every_backup_once_and_keeps_the_query(member, five, path):
    url = f'{path}?limit=2&sort=size:asc&status=available'
    seen = []
    while url:
        answer = member.get(url)
        seen += _names(answer)
        links = answer.json.get('backups_links')
        if links is None:
            break
        assert links[0]['href'].startswith(f'http://api.example/v3/{PROJECT}{path}?')
        url = links[0]['href'].removeprefix(f'http://api.example/v3/{PROJECT}')
    assert seen == ['b4', 'b2', 'b1', 'b0']


def test_short_page_has_no_link(member, five):
    assert 'backups_links' not in member.get('/backups?limit=6').json


def test_limit_zero(member, five):
    assert member.get('/backups?limit=0').json == {'backups': []}


def test_limit_over_the_maximum_is_cut(service, member, five):
    service.override('max_limit', 3, group='api')
    answer = member.get('/backups?limit=1000')
    assert _names(answer) == ['b4', 'b3', 'b2']
    assert 'backups_links' in answer.json
    assert _names(member.get('/backups')) == ['b4', 'b3', 'b2']


@pytest.mark.parametrize('query,text', [
    ('limit=x', 'limit param must be an integer'),
    ('limit=1.5', 'limit param must be an integer'),
    ('limit=', 'limit param must be an integer'),
    ('limit=-1', 'limit param must be positive'),
    ('offset=x', 'offset param must be an integer'),
    ('offset=-1', 'offset param must be positive'),
    ('offset=99999999999999999999', 'offset param must be at most 2147483647'),
])
def test_bad_page(member, fault, query, text):
    assert fault(member.get(f'/backups?{query}')) == (400, 'badRequest', text)


def test_offset(member, five):
    assert _names(member.get('/backups?limit=2&offset=1')) == ['b3', 'b2']


def test_marker_unknown_or_foreign(service, member, five, fault):
    assert fault(member.get('/backups?marker=nothing')) == (
        404, 'itemNotFound', 'Backup nothing could not be found.')
    foreign = service.record(project=OTHER_PROJECT)
    assert fault(member.get(f'/backups/detail?marker={foreign.id}')) == (
        404, 'itemNotFound', f'Backup {foreign.id} could not be found.')


# ---- order ----


@pytest.mark.parametrize('query,names', [
    ('sort=size:asc', ['b4', 'b3', 'b2', 'b1', 'b0']),
    ('sort=size', ['b0', 'b1', 'b2', 'b3', 'b4']),
    ('sort=status:desc,size:desc', ['b3', 'b0', 'b1', 'b2', 'b4']),
    ('sort=created_at:asc', ['b0', 'b1', 'b2', 'b3', 'b4']),
    ('sort_key=display_name&sort_dir=asc', ['b0', 'b1', 'b2', 'b3', 'b4']),
    ('sort_key=size', ['b0', 'b1', 'b2', 'b3', 'b4']),
    ('sort_dir=asc', ['b0', 'b1', 'b2', 'b3', 'b4']),
])
def test_sort(member, five, query, names):
    assert _names(member.get(f'/backups?{query}')) == names


@pytest.mark.parametrize('query,text', [
    ('sort=nothing', 'Invalid input received: Invalid sort key'),
    ('sort=metadata', 'Invalid input received: Invalid sort key'),
    ('sort=source_id', 'Invalid input received: Invalid sort key'),
    ('sort=', 'Invalid input received: Invalid sort key'),
    ('sort_key=nothing', 'Invalid input received: Invalid sort key'),
    ('sort=size:up',
     "Invalid input received: Unknown sort direction, must be 'desc' or 'asc'."),
])
def test_bad_sort(member, fault, query, text):
    assert fault(member.get(f'/backups?{query}')) == (400, 'badRequest', text)


def test_both_forms_of_sort(member, fault):
    assert fault(member.get('/backups?sort=size&sort_key=size'))[0] == 400
    assert fault(member.get('/backups?sort=size&sort_dir=asc'))[0] == 400


def test_sort_by_name_from_3_37(member, five, fault):
    assert fault(member.at('3.36').get('/backups?sort=name:asc'))[0] == 400
    assert _names(member.at('3.37').get('/backups?sort=name:asc')) == [
        'b0', 'b1', 'b2', 'b3', 'b4']


# ---- count ----


def test_count_is_of_all_that_match(member, five):
    answer = member.get('/backups?limit=2&with_count=True&status=available')
    assert (len(answer.json['backups']), answer.json['count']) == (2, 4)
    assert member.get('/backups/detail?with_count=1&limit=0').json == {
        'backups': [], 'count': 5}
    assert 'count' not in member.get('/backups?with_count=false').json


def test_count_before_3_45_is_an_unknown_filter(member, admin, five, fault):
    assert fault(member.at('3.44').get('/backups?with_count=true')) == (
        400, 'badRequest', 'Invalid filters with_count are found in query options.')
    assert len(_names(member.at('3.30').get('/backups?with_count=true'))) == 5
    assert _names(admin.at('3.44').get('/backups?with_count=true')) == []


def test_count_that_is_no_boolean(member, fault):
    assert fault(member.get('/backups?with_count=maybe'))[0] == 400


# ---- filters ----


def test_filters_of_users(service, member, five):
    volume_id = five[1].source_id
    assert _names(member.get(f'/backups?volume_id={volume_id}')) == ['b1']
    assert _names(member.get('/backups?status=error')) == ['b3']
    assert _names(member.get('/backups?name=b2')) == ['b2']
    assert _names(member.get('/backups?name=b2&status=error')) == []
    assert _names(member.get('/backups?name=B2')) == []


def test_status_that_does_not_exist(member, five):
    assert _names(member.get('/backups?status=error_restoring')) == []


@pytest.mark.parametrize('name', ['\N{SNOWMAN}', '\N{PILE OF POO}', "'; DROP TABLE backups", '%'])
def test_strange_names(member, five, name):
    assert _names(member.get(f'/backups?name={_quoted(name)}')) == []


def test_like(service, member, five):
    service.record(name='50% off', created_at=BASE)
    assert _names(member.get('/backups?name~=b')) == ['b4', 'b3', 'b2', 'b1', 'b0']
    assert _names(member.get('/backups?name~=%25')) == ['50% off']
    assert _names(member.get('/backups?name~=zzz')) == []


def test_like_before_3_34(member, five, fault):
    assert fault(member.at('3.33').get('/backups?name~=b')) == (
        400, 'badRequest', 'Invalid filters name~ are found in query options.')
    assert len(_names(member.at('3.30').get('/backups?name~=b2'))) == 5
    assert _names(member.at('3.34').get('/backups?name~=b2')) == ['b2']


def test_filter_that_users_may_not_use(member, five, fault):
    assert len(_names(member.at('3.30').get('/backups?host=h&size=1'))) == 5
    assert fault(member.at('3.31').get('/backups?host=h&size=1')) == (
        400, 'badRequest', 'Invalid filters host,size are found in query options.')
    assert fault(member.get('/backups?project_id=x'))[0] == 400


def test_administrators_filter_by_any_attribute(admin, five):
    assert _names(admin.get('/backups?size=3')) == ['b2']
    assert _names(admin.get(f'/backups?id={five[4].id}')) == ['b4']
    assert _names(admin.get('/backups?display_name=b0')) == ['b0']
    assert _names(admin.get('/backups?created_at=2026-01-02T03:06:05')) == ['b2']
    assert _names(admin.get('/backups?user_id=alice&container=volumebackups&limit=1')) == ['b4']


@pytest.mark.parametrize('query', [
    'nothing=1', 'service_metadata=x', 'size=big', 'size=99999999999999999999',
    'object_count=-5', 'created_at=yesterday', 'source_id=x', 'deleted=1', 'kind=volume',
    'manifest_id=x', '__class__=x'])
def test_attribute_that_no_backup_has(admin, five, query):
    assert _names(admin.get(f'/backups?{query}')) == []


def test_filter_key_that_is_not_ascii(member, admin, five, fault):
    for client in (member, admin):
        assert fault(client.at('3.31').get('/backups?n%C3%A4me=x')) == (
            400, 'badRequest', 'Filter keys can only contain ASCII characters.')
    assert len(_names(member.at('3.30').get('/backups?n%C3%A4me=x'))) == 5


# ---- metadata ----


@pytest.mark.parametrize('version', [None, '3.31', '3.71'])
@pytest.mark.parametrize('query,names', [
    ('metadata={"n": "2"}', ['b2']),
    ("metadata={'n': '2'}", ['b2']),
    ("metadata={u'n': u'2'}", ['b2']),
    ('metadata[n]=2', ['b2']),
    ('metadata={"parity": "odd"}', ['b3', 'b1']),
    ('metadata={"parity": "odd", "n": "3"}', ['b3']),
    ('metadata[parity]=odd&metadata[n]=3', ['b3']),
    ('metadata={"parity": "odd"}&metadata[n]=1', ['b1']),
    ('metadata={"parity": "odd", "n": "2"}', []),
    ('metadata={"parity": "ODD"}', []),
    ('metadata={"Parity": "odd"}', []),
    ('metadata={"parity": "od"}', []),
    ('metadata={}', ['b4', 'b3', 'b2', 'b1', 'b0']),
    ('metadata[nothing]=', []),
    ('metadata={"n": "3"}&status=available', []),
])
def test_metadata(member, five, version, query, names):
    query = '&'.join(
        f'{_quoted(part.partition("=")[0])}={_quoted(part.partition("=")[2])}'
        for part in query.split('&'))
    assert _names(member.at(version).get(f'/backups/detail?{query}')) == names


def test_metadata_of_strange_keys_and_values(service, member):
    service.record(name='x', metadata={'a/b.c:d e': '\N{SNOWMAN} = & ]'})
    pairs = json.dumps({'a/b.c:d e': '\N{SNOWMAN} = & ]'})
    assert _names(member.get(f'/backups?metadata={_quoted(pairs)}')) == ['x']
    assert _names(member.get(
        f'/backups?metadata%5Ba/b.c:d%20e%5D={_quoted(chr(0x2603) + " = & ]")}')) == ['x']


def test_deleted_pairs_do_not_count(service, member):
    backup = service.record(name='x', metadata={'a': 'b'})
    backup.delete_metadata('a')
    assert _names(member.get('/backups?metadata[a]=b')) == []


@pytest.mark.parametrize('value', [
    'x', '[]', '1', '{"a": 1}', '{"a": null}', '{1: "a"}', '{"a": {"b": "c"}}',
    '{"a": __import__("os")}', '{', '[' * 3000, '{"a":' * 3000, '-' * 5000])
def test_metadata_that_is_no_object_of_strings(member, fault, value):
    status, name, message = fault(member.get(f'/backups?metadata={_quoted(value)}'))
    assert (status, name) == (400, 'badRequest')
    assert 'metadata filter must be an object of strings' in message


def test_metadata_with_count_and_marker(service, member):
    made = [service.record(name=str(n), metadata={'k': 'v'},
                           created_at=BASE + datetime.timedelta(minutes=n)) for n in range(3)]
    service.record(metadata={'k': 'w'})
    answer = member.get('/backups?metadata[k]=v&limit=1&with_count=true')
    assert (_names(answer), answer.json['count']) == (['2'], 3)
    url = answer.json['backups_links'][0]['href'].removeprefix(
        f'http://api.example/v3/{PROJECT}')
    answer = member.get(url)
    assert (_names(answer), answer.json['count']) == (['1'], 3)
    assert made[1].id in answer.json['backups_links'][0]['href']


# ---- whose ----


def test_projects_do_not_see_each_other(service, member, stranger, five):
    service.record(name='theirs', project=OTHER_PROJECT)
    assert _names(stranger.get('/backups/detail')) == ['theirs']
    assert len(_names(member.get('/backups/detail'))) == 5


@pytest.mark.parametrize('value', ['1', 'true', 'rubbish'])
@pytest.mark.parametrize('version', [None, '3.31', '3.71'])
def test_all_tenants_of_users_is_not_heard(service, member, five, value, version):
    service.record(name='theirs', project=OTHER_PROJECT)
    assert len(_names(member.at(version).get(f'/backups?all_tenants={value}'))) == 5


def test_all_tenants_of_administrators(service, admin, five, fault):
    service.record(name='theirs', project=OTHER_PROJECT)
    assert len(_names(admin.get('/backups'))) == 5
    assert len(_names(admin.get('/backups?all_tenants=0'))) == 5
    assert len(_names(admin.get('/backups?all_tenants=1'))) == 6
    assert _names(admin.get(f'/backups?all_tenants=True&project_id={OTHER_PROJECT}')) == [
        'theirs']
    assert _names(admin.get(f'/backups?project_id={OTHER_PROJECT}')) == []
    assert fault(admin.get('/backups?all_tenants=rubbish')) == (
        400, 'badRequest', "all_tenants must be a boolean, got 'rubbish'.")


def test_dependents_are_told_among_live_backups(service, member):
    parent = service.record(name='parent', created_at=BASE)
    child = service.record(
        name='child', parent_id=parent.id, created_at=BASE + datetime.timedelta(minutes=1))

    def shown():
        return {backup['name']: (backup['is_incremental'], backup['has_dependent_backups'])
                for backup in member.get('/backups/detail').json['backups']}

    assert shown() == {'parent': (False, True), 'child': (True, False)}
    child.destroy()
    assert shown() == {'parent': (False, False)}


def test_url_without_project_id(service, member, five):
    for version in (None, '3.66', '3.67'):
        answer = member.at(version).get('//v3/backups?limit=1')
        assert _names(answer) == ['b4']
        assert answer.json['backups_links'][0]['href'].startswith(
            'http://api.example/v3/backups?')
        assert answer.json['backups'][0]['links'][0]['href'] == (
            f'http://api.example/v3/{PROJECT}/backups/{five[4].id}')
