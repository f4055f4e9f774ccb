# SPDX-License-Identifier: Apache-2.0
"""Mounts, version documents and which dialects are served."""

import dataclasses

import pytest
import webob

from backupsvc.wsgi import paste, root
from backupsvc.wsgi.dialect import Faults, Route
from tests.fixtures import dialect
from tests.unit.wsgi.conftest import Application


def test_the_root_lists_all_versions_the_volume_service_first(ask):
    answer = ask('GET', '/')
    assert answer.status_int == 300
    entries = answer.json_body['versions']
    assert [entry['id'] for entry in entries] == ['v3.0', 'v1']
    assert [(entry['version'], entry['min_version']) for entry in entries] == [
        ('3.9', '3.0'),
        ('', ''),
    ]


def test_a_version_document_has_the_same_entry(ask):
    listed = ask('GET', '/').json_body['versions'][0]
    answer = ask('GET', '/v3/')
    assert answer.status_int == 200
    assert answer.json_body == {'versions': [listed]}


def test_a_mount_without_its_slash_redirects(ask):
    answer = ask('GET', '/v3')
    assert (answer.status_int, answer.headers['Location']) == (302, 'http://localhost/v3/')


@pytest.mark.parametrize('path', ['/', '/v3', '/v3/'])
def test_version_documents_are_only_read(ask, path):
    answer = ask('POST', path)
    assert (answer.status_int, answer.headers['Allow']) == (405, 'GET, HEAD')


def test_head_of_a_version_document_has_no_body(ask):
    answer = ask('HEAD', '/')
    assert (answer.status_int, answer.body) == (300, b'')


def test_a_project_alone_is_no_version_document(ask):
    assert ask('GET', '/v3/abc').status_int == 404
    assert ask('GET', '/v3/abc/').status_int == 404


def test_the_path_below_a_mount_has_its_slash(dialects):
    found = []

    def fallback(req):
        found.append(req.dialect_path)

    served = root.Root(
        dialect.configuration(), [dataclasses.replace(dialect.DIALECT, fallback=fallback)]
    )
    ask = Application(served)
    for path in ('/v3/abc', '/v3/abc/', '/v3/abc/x', '/v3/x/'):
        assert ask('GET', path).status_int == 404
    assert found == ['/', '/', '/x', '/x/']


def test_links_follow_a_proxy_when_configured(dialects):
    headers = {
        'X-Forwarded-Proto': 'https',
        'X-Forwarded-Host': 'cloud.example',
        'X-Forwarded-Prefix': '/backup',
    }
    conf = dialect.configuration()
    ask = Application(paste.loadapp(conf))
    assert ask('GET', '/v3/', headers=headers).json_body['versions'][0]['links'][0]['href'] == (
        'http://localhost/v3/'
    )
    conf.set_override('enable_proxy_headers_parsing', True, group='oslo_middleware')
    ask = Application(paste.loadapp(conf))
    for path in ('/', '/v3/'):
        link = ask('GET', path, headers=headers).json_body['versions'][0]['links'][0]['href']
        assert link == 'https://cloud.example/backup/v3/'
    assert ask('GET', '/v3', headers=headers).headers['Location'] == (
        'https://cloud.example/backup/v3/'
    )


def test_the_public_endpoint_is_the_base_of_all_links(build):
    ask = build(public_endpoint='https://cloud.example/volume/')
    assert ask('GET', '/v3').headers['Location'] == 'https://cloud.example/volume/v3/'
    assert ask('POST', '/v3/things/ping').json_body['url'] == 'https://cloud.example/volume'


def test_a_disabled_dialect_is_neither_served_nor_listed(build):
    ask = build(enabled_dialects=['plain'])
    assert [entry['id'] for entry in ask('GET', '/').json_body['versions']] == ['v1']
    assert ask('GET', '/v3/things').status_int == 404
    assert ask('GET', '/v1/things/x').status_int == 200


def test_an_unknown_dialect_stops_the_start(build):
    with pytest.raises(
        root.DialectNotInstalled, match="'cinder_v9'; installed are: plain, things"
    ):
        build(enabled_dialects=['cinder_v9'])


def test_a_dialect_is_served_in_its_zone_only(dialects):
    dialects['management'] = type(dialects['plain'])(
        dataclasses.replace(dialect.PLAIN_DIALECT, name='management', zone='management')
    )
    conf = dialect.configuration()
    assert [each.name for each in root.load_dialects(conf, 'management')] == ['management']
    assert [each.name for each in root.load_dialects(conf, 'public')] == ['plain', 'things']


def test_the_longest_mount_wins():
    def app(name, *mounts):
        return dataclasses.replace(
            dialect.PLAIN_DIALECT, name=name, mounts=mounts, version_entry=None
        )

    served = root.Root(
        dialect.configuration(),
        [
            app('short', '/v1'),
            app('long', '/v1/things'),
            app('template', '/v1/{tenant_id}/things'),
            app('literal', '/v1/hp/things'),
            app('dotted', r'/v1.1'),
        ],
    )

    def found(path):
        dialect = served.dialect_of({'PATH_INFO': path})
        return dialect and dialect.name

    assert found('/v1/x') == 'short'
    assert found('/v1/things/x') == 'long'
    assert found('/v1/abc/things') == 'template'
    assert found('/v1/hp/things') == 'literal'
    assert found('/v1.1/x') == 'dotted'
    assert found('/v1x1') is None
    assert found('/v11') is None


def test_dialects_that_share_a_prefix_are_told_apart_by_their_tables():
    other = dataclasses.replace(
        dialect.PLAIN_DIALECT,
        name='rain',
        routes=(Route('GET', '/drops/{thing_id}', dialect.show_key),),
        faults=Faults(render=lambda status, message, error: ({'rain': message}, {})),
    )
    served = root.Root(dialect.configuration(), [dialect.PLAIN_DIALECT, other])

    def ask(path, method='GET'):
        return webob.Request.blank(path, method=method).get_response(served)

    assert ask('/v1/things/gone').json_body['plain']
    assert ask('/v1/drops/a', 'POST').json_body['rain']
    assert ask('/v1/drops/a', 'POST').headers['Allow'] == 'GET'
    assert 'plain' in ask('/v1/nothing').json_body
    assert ask('/v1/').json_body['versions'][0]['id'] == 'v1'
