# SPDX-License-Identifier: Apache-2.0
"""Every example of the specification of the Database API v1, asked of the running service under
/v1 as it is written, in JSON and in XML.

``specification/examples.json`` has the calls in the order of the document, the statuses that it
gives with them or, where it gives none, those of its conventions, and requests and answers word
for word; only two commas that JSON does not allow are gone. ``examples.xml`` has the same bodies
in XML.

Of an answer, ids, times, addresses and secrets have to be of the form that the example shows, and
the same where the example has the same; all else is compared literally.
"""

import json
import pathlib
import re
import time
from xml.etree import ElementTree

import pymysql
import pytest

from tests.fixtures import database_service
from tests.fixtures.service import wait_until

pytestmark = [pytest.mark.services, pytest.mark.xdist_group('mariadb_service')]

DIRECTORY = pathlib.Path(__file__).parent / 'specification'
CALLS = json.loads((DIRECTORY / 'examples.json').read_text())
DOCUMENTS = {(element.tag, element.get('name')): element[0]
             for element in ElementTree.parse(DIRECTORY / 'examples.xml').getroot()}
SPACE = '{http://docs.openstack.org/database/api/v1.0}'

#: What the specification's document takes for granted.
LIMITS = """
[database_mariadb]
flavors = 1:m1.tiny:512, 2:m1.small:1024, 3:m1.medium:2048, 4:m1.large:4096

[quota]
database_instances = 10
database_gigabytes = 100
backups = 20
"""

UUID = re.compile(r'[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}')
TIME = re.compile(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ?')

#: What this service tells beside what the examples have: where to connect, the host of a user,
#: whose group it is, and the links that the conventions ask for.
ADDED = {'instance': {'port'}, 'user': {'host'}, 'security_group': {'instance_id'},
         'instances': {'links'}, 'databases': {'links'}, 'users': {'links'},
         'flavors': {'links'}, 'security_groups': {'links'}, 'backups': {'links'}}


class Comparison:
    """An answer beside its example.

    :param name: of the example
    :param known: words of the example, and what stands for them
    """

    def __init__(self, name, known):
        self._name = name
        self._known = dict(known)

    def scalar(self, name, example, found):
        """Compare two values that have no parts."""
        if example in self._known:
            assert found == self._known[example], name
        elif name == 'password':
            # ours are not ids
            assert len(found) > 16
        elif name == 'used':
            assert 0 < float(found) < 2
        elif name == 'hostname':
            assert found == '127.0.0.1'
        elif name == 'locationRef' and example is None:
            # the example's backups are complete; the one that is shown alone has a location then
            assert found is None or found.endswith('.xbstream.gz')
        elif isinstance(example, str) and '//' in example:
            assert '://' in found
            for wanted, part in zip(example.split('/')[-2:], found.split('/')[-2:], strict=True):
                self._text(name, wanted, part)
        else:
            self._text(name, example, found)

    def _text(self, name, example, found):
        if not isinstance(example, str):
            assert (type(found), found) == (type(example), example), name
            return
        assert isinstance(found, str), name
        if TIME.fullmatch(example):
            # that of a restored instance is the only one of an instance that names no zone
            has_zone = example.endswith('Z') or self._name == 'restore'
            assert TIME.fullmatch(found) and found.endswith('Z') == has_zone, name
            return
        wanted = example
        for word, value in self._known.items():
            wanted = re.sub(rf'(?<![\w-]){re.escape(word)}(?![\w-])', value, wanted)
        if wanted == example and UUID.search(example):
            theirs, ours = UUID.search(example)[0], UUID.search(found)
            assert ours, name
            self._known[theirs] = ours[0]
            wanted = example.replace(theirs, ours[0])
        assert found == wanted, name

    def value(self, kind, example, found):
        """Compare JSON; ``kind`` is the key that it stands under."""
        if isinstance(example, dict):
            absent = set(example) - set(found)
            assert absent <= _not_yet(found.get('status')), (kind, absent)
            assert set(found) - set(example) <= ADDED.get(kind, set()), kind
            for name in set(example) - absent:
                self.value(name, example[name], found[name])
        elif isinstance(example, list):
            assert len(found) == len(example), kind
            for one, other in zip(example, _in_order(kind, found), strict=True):
                self.value(kind.removesuffix('s'), one, other)
        else:
            self.scalar(kind, example, found)

    def element(self, example, found):
        """Compare XML."""
        assert found.tag == example.tag
        kind = found.tag.removeprefix(SPACE)
        names, others = _names(example), _names(found)
        absent = names - others
        assert absent <= _not_yet(found.get('status')), (kind, absent)
        added = ADDED.get(kind, set()) | ({'locationRef'} if kind == 'backup' else set())
        assert others - names <= added, (kind, others - names)
        for name in set(example.keys()) - absent:
            self.scalar(name, example.get(name), found.get(name))
        if (example.text or '').strip():
            self.scalar(kind, example.text, found.text)
        for tag in {child.tag for child in example}:
            children = _in_order(kind, found.findall(tag))
            assert len(children) == len(example.findall(tag)), tag
            for one, other in zip(example.findall(tag), children, strict=True):
                self.element(one, other)


def _not_yet(status):
    """An instance has an address once its server is made."""
    return {'hostname'} if status == 'BUILD' else set()


def _in_order(kind, items):
    """Backups come newest first; the document gives no order and shows the other one."""
    return items[::-1] if kind == 'backups' else items


def _names(element):
    return set(element.keys()) | {child.tag.removeprefix(SPACE) for child in element}


class Reader:
    """Somebody who goes through the document with one media type, as a project of its own."""

    def __init__(self, service, media_type):
        self._service = service
        self.is_xml = media_type.endswith('xml')
        self._headers = {'Accept': media_type, 'Content-Type': media_type}
        self.project = '0b5c00000000000000000000000000' + ('a1' if self.is_xml else 'a2')
        self.done = set()

    def ask(self, name, known=None, **places):
        """Make a call of the document; return what its answer says, as attributes by name.

        :param known: words of the request and the answer, and what stands for them here
        :param places: what stands for the names in braces of its path
        """
        known = known or {}
        example = CALLS[name]
        method, path = example['call'].split()
        path = re.sub(r'{(\w+)}', lambda place: places[_plain(place[1])], path.replace('-', '_'))
        mount = '' if name == 'versions' else '/v1'
        answer = self.send(method, mount + path, self._request(name, example, known))
        assert answer.status_code == example['status'], (name, answer.text)
        self.done.add(name)
        if 'answer' not in example:
            return None
        assert answer.headers['Content-Type'].startswith(self._headers['Accept'])
        if self.is_xml:
            root = ElementTree.fromstring(answer.text)
            Comparison(name, known).element(DOCUMENTS['answer', name], root)
            return dict((root if root.get('id') else [*root, root][0]).items())
        body, wanted = answer.json(), example['answer']
        if 'security-group' in name:
            # the document has them bare, its conventions do not
            [(key, _)] = ((key, value) for key, value in body.items() if key != 'links')
            wanted = {key: [wanted] if isinstance(body[key], list) else wanted}
        Comparison(name, known).value(next(iter(body)), wanted, body)
        [found, *_] = body.values()
        return found[0] if isinstance(found, list) else found

    def _request(self, name, example, known):
        if 'request' not in example:
            return None
        text = (ElementTree.tostring(DOCUMENTS['request', name], encoding='unicode')
                if self.is_xml else json.dumps(example['request']))
        for word, value in known.items():
            text = text.replace(f'"{word}"', f'"{value}"')
        return text

    def send(self, method, path, text=None):
        """Send a request of this media type."""
        return self._service.call(method, path, text, project=self.project, **self._headers)

    def arrange(self, method, path, body):
        """Send a request that the document does not have."""
        answer = self._service.call(method, '/v1' + path, body, project=self.project)
        assert answer.status_code < 300, answer.text

    def look(self, path):
        """Return what an address holds, in JSON."""
        return self._service.call('GET', '/v1' + path, project=self.project).json()

    def active(self, instance_id):
        """Return an instance once it is; asked rarely, for requests are counted."""
        instances = self._service.client(self.project).instances
        while (found := instances.get(instance_id)).status in ('BUILD', 'REBOOT', 'RESIZE',
                                                                'BACKUP'):
            time.sleep(0.5)
        assert found.status == 'ACTIVE'
        return found


def _plain(place):
    return {'instanceId': 'instance_id', 'databaseName': 'database', 'database_name': 'database',
            'user_name': 'username', 'security_group_rule_id': 'rule_id',
            'security_group_id': 'group_id'}.get(place, place)


@pytest.fixture(scope='module')
def service():
    with database_service.running(LIMITS) as service:
        yield service


@pytest.mark.parametrize('media_type', ['application/json', 'application/xml'])
def test_every_example(service, media_type):
    reader = Reader(service, media_type)
    # the first request of a project: the example has nothing counted but itself
    reader.ask('limits')
    reader.ask('versions')
    reader.ask('list-flavors')
    reader.ask('show-flavor', flavor_id='1')
    instance_id = reader.ask('create-instance')['id']
    reader.active(instance_id)
    reader.arrange('PATCH', f'/instances/{instance_id}', {
        'instance': {'name': 'xml_rack_instance'}})
    reader.ask('show-instance', instance_id=instance_id)
    _databases(reader, instance_id)
    _users(reader, instance_id)
    _root(reader, service, instance_id)
    _security_groups(reader, instance_id)
    _backups(reader, instance_id)
    _actions(reader, instance_id)
    reader.ask('delete-instance', instance_id=instance_id)
    wait_until(lambda: reader.send('GET', f'/v1/instances/{instance_id}').status_code == 404)
    assert reader.done == set(CALLS)


def _databases(reader, instance_id):
    # there by the first example
    reader.ask('delete-database', instance_id=instance_id, database='sampledb')
    reader.ask('create-databases', instance_id=instance_id)
    reader.arrange('POST', f'/instances/{instance_id}/databases', {
        'databases': [{'name': 'exampledb'}, {'name': 'anotherexampledb'}]})
    reader.ask('list-databases', instance_id=instance_id)


def _users(reader, instance_id):
    path = f'/instances/{instance_id}'
    reader.arrange('POST', path + '/databases', {
        'databases': [{'name': f'database{letter}'} for letter in 'ABC']})
    reader.ask('delete-user', instance_id=instance_id, username='demouser')
    reader.ask('create-users', instance_id=instance_id)
    reader.ask('list-users', instance_id=instance_id)
    reader.arrange('POST', path + '/users', {'users': [{'name': 'username', 'password': 'p'}]})
    place = {'instance_id': instance_id, 'username': 'username'}
    reader.ask('grant', **place)
    reader.ask('show-user', **place)
    reader.ask('list-user-databases', **place)
    reader.ask('revoke', **place, database='databaseC')
    reader.arrange('PUT', path + '/users', {'users': [{'name': 'dbuser3', 'password': 'other'}]})
    instance = reader.active(instance_id)
    connect = database_service.DatabaseService.connect
    with pytest.raises(pymysql.err.OperationalError):
        connect(instance, 'dbuser3', 'password')
    reader.ask('change-passwords', instance_id=instance_id)
    for user, database in (('dbuser3', 'databaseA'), ('dbuser4', 'databaseC')):
        connect(instance, user, 'password', database=database).close()
    connect(instance, 'username', 'p', database='databaseB').close()
    with pytest.raises(pymysql.err.OperationalError):
        connect(instance, 'username', 'p', database='databaseC')


def _root(reader, service, instance_id):
    found = reader.ask('enable-root', instance_id=instance_id)
    service.connect(reader.active(instance_id), 'root', found['password']).close()
    reader.ask('show-root', instance_id=instance_id)


def _actions(reader, instance_id):
    for name in ('restart', 'resize-flavor', 'resize-volume'):
        reader.ask(name, instance_id=instance_id)
        found = reader.active(instance_id)
    assert (found.flavor['id'], found.volume['size']) == ('2', 4)


def _security_groups(reader, instance_id):
    [group] = reader.look('/security_groups')['security_groups']
    group_id = group['id']
    known = {'2': group_id, 'Default Security Group Description':
             f'Security Group for {instance_id}',
             'SecGroup_df65588e-ed08-497b-8803-daa5b83c9c0f': f'SecGroup_{instance_id}'}
    reader.ask('delete-rule', rule_id=group['rules'][0]['id'])
    reader.ask('list-security-groups', known)
    reader.ask('create-rule', known)
    [rule] = reader.look(f'/security_groups/{group_id}')['security_group']['rules']
    reader.ask('show-security-group', {**known, '1': rule['id']}, group_id=group_id)


def _backups(reader, instance_id):
    known = {'d6338c9c-3cc8-4313-b98f-13cc0684cf15': instance_id}
    first = reader.ask('create-backup', known)['id']
    reader.active(instance_id)
    known['aeb6fa4c-932d-4acc-a339-cccfb9f300b2'] = first
    reader.ask('show-backup', known, backup_id=first)
    reader.arrange('POST', '/backups', {
        'backup': {'instance': instance_id, 'name': 'testback-backup2'}})
    reader.active(instance_id)
    second = reader.look('/backups')['backups'][0]['id']
    known['aeb6fa4c-932d-4acc-a339-cccfb9f300b3'] = second
    reader.ask('list-backups', known)
    restored = reader.ask('restore', known)['id']
    reader.active(restored)
    for number, each in enumerate(sorted((instance_id, restored)), 1):
        reader.arrange('PATCH', f'/instances/{each}', {'instance': {'name': f'instance{number}'}})
    reader.ask('list-instances')
    reader.ask('delete-backup', backup_id=first)
