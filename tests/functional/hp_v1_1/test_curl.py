# SPDX-License-Identifier: Apache-2.0
"""The examples of the dialect's document, sent as curl sends them to a running service.

They are written here as they stand there: command lines, bodies and answers.
"""

import dataclasses
import http.client
import json
import os
import pathlib
import re
import shlex
import urllib.parse

import pytest

from backupsvc import context
from backupsvc.objects import alias
from tests.fixtures import database
from tests.fixtures import standalone as standalone_fixture
from tests.fixtures.service import wait_until

pytestmark = pytest.mark.xdist_group('hp_v1_1')

PROJECT = standalone_fixture.PROJECT
MIB = 1 << 20

LIST = 'curl -i -H "X-Auth-Token: <Auth_Token>" [BaseUri]'
DETAIL = 'curl -i -H "X-Auth-Token: <Auth_Token>" [BaseUri]/detail'
SHOW = 'curl -i -H "X-Auth-Token: <Auth_Token>" [BaseUri]/[backup_id]'
CREATE = (
    'curl -i -H "X-Auth-Token: <Auth_Token>" -d\'{"backup": {"display_name": "backup-001", '
    '"display_description": "Nightly Backup 03-Sep-2012", "volume_id": "9", '
    '"container": "nightlybackups" }}\' [BaseUri]')
DELETE = 'curl -i -X DELETE -H "X-Auth-Token: <Auth_Token>" [BaseUri]/[backup_id]'
RESTORE = (
    'curl -i -H "X-Auth-Token: <Auth_Token>" -d\'{"restore": { "volume_id": "9" }}\' '
    '[BaseUri]/[backup_id]/restore')

#: The request bodies of the document, which are no JSON: a comma follows the last member.
CREATE_BODY = '''
{
    "backup": {
        "display_name": "backup-001",
        "display_description": "Nightly Backup 03-Sep-2012",
        "volume_id": "9",
        "container": "nightlybackups",
     }
}
'''
RESTORE_BODY = '''
{
    "restore": {
        "volume_id": "9",
     }
}
'''


def mended(text):
    """Return a text of the document as JSON: without commas before a closing bracket."""
    return re.sub(r',(\s*[}\]])', r'\1', text)


@dataclasses.dataclass
class Answer:
    """What curl -i prints."""

    status: int
    media_type: str | None
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


class Shell:
    """Runs the command lines of the document: reads what curl would do of them, and does it."""

    def __init__(self, standalone, token=f'demo:{PROJECT}:member', tenant=PROJECT):
        self._netloc = urllib.parse.urlsplit(standalone.url).netloc
        self._token = token
        self._base = f'{standalone.url}/v1.1/{tenant}/hp-volume-backups'

    def __call__(self, line, backup_id='', data=None):
        """Return the answer to a command line.

        :param data: sent in place of what the line has after -d
        """
        line = line.replace('<Auth_Token>', self._token).replace('[BaseUri]', self._base)
        words = shlex.split(line.replace('[backup_id]', backup_id))
        assert words[:2] == ['curl', '-i']
        method, body, headers, url = None, None, {'User-Agent': 'curl/7.24', 'Accept': '*/*'}, ''
        words = iter(words[2:])
        for word in words:
            if word == '-H':
                name, _, value = next(words).partition(': ')
                headers[name] = value
            elif word == '-X':
                method = next(words)
            elif word.startswith('-d'):
                body = (word[2:] if data is None else data).encode()
                headers['Content-Type'] = 'application/x-www-form-urlencoded'
            else:
                url = word
        return self._send(method or ('GET' if body is None else 'POST'), url, body, headers)

    def _send(self, method, url, body, headers):
        connection = http.client.HTTPConnection(self._netloc, timeout=60)
        try:
            connection.request(method, urllib.parse.urlsplit(url).path, body, headers)
            answer = connection.getresponse()
            return Answer(answer.status, answer.getheader('Content-Type'), answer.read())
        finally:
            connection.close()


class Volumes:
    """Volumes of the service: made through it, read and written as files."""

    def __init__(self, standalone):
        self._standalone = standalone

    def _ask(self, method, path, body=None):
        connection = http.client.HTTPConnection(
            urllib.parse.urlsplit(self._standalone.url).netloc, timeout=60)
        connection.request(
            method, f'/v3/{PROJECT}/volumes{path}', None if body is None else json.dumps(body),
            {'Content-Type': 'application/json', 'X-Auth-Token': f'demo:{PROJECT}:member'})
        answer = connection.getresponse()
        return json.loads(answer.read())['volume']

    def make(self):
        volume_id = self._ask('POST', '', {'volume': {'size': 1}})['id']
        self.settled(volume_id)
        return volume_id

    def settled(self, volume_id):
        """Wait until nothing is done with a volume any more, and return its status."""
        def status():
            found = self._ask('GET', f'/{volume_id}')['status']
            return found not in ('creating', 'backing-up', 'restoring-backup') and found
        return wait_until(status)

    def path(self, volume_id):
        return self._standalone.volume_path(volume_id)


def write(path, data):
    """Put data at the beginning and at the end of a volume's first GiB."""
    with open(path, 'r+b') as file:
        for offset in (0, 1024 * MIB - len(data)):
            file.seek(offset)
            file.write(data)


def read(path, length):
    with open(path, 'rb') as file:
        first = file.read(length)
        file.seek(1024 * MIB - length)
        return first, file.read(length)


@pytest.fixture(scope='module')
def standalone(tmp_path_factory):
    with standalone_fixture.Standalone(tmp_path_factory.mktemp('standalone')) as running:
        yield running


@pytest.fixture(scope='module')
def curl(standalone):
    return Shell(standalone)


@pytest.fixture(scope='module')
def volumes(standalone):
    return Volumes(standalone)


@pytest.fixture(scope='module')
def volume_nine(standalone, volumes):
    """The volume of the document's examples: the ninth that the project sees here."""
    volume_id = volumes.make()
    state = standalone.directory
    with database.installed(
            database.configuration(f'sqlite:///{state}/backupsvc.sqlite', state)):
        earlier = [f'00000000-0000-0000-0000-00000000000{number}' for number in range(1, 9)]
        given = alias.numbers(
            context.get_admin_context(), PROJECT, alias.VOLUME, [*earlier, volume_id])
    assert given[volume_id] == 9
    return volume_id


def until(curl, backup_id, *statuses):
    """Wait for a status of a backup and return the backup."""
    def found():
        backup = curl(SHOW, backup_id).json['backup']
        return backup if backup['status'] in statuses else None
    return wait_until(found)


def files(directory):
    return {path for path in pathlib.Path(directory).rglob('*') if path.is_file()}


def test_the_story_of_the_document(standalone, curl, volumes, volume_nine):
    assert curl(LIST).json == {'backups': []}
    data = os.urandom(3 * MIB)
    write(volumes.path(volume_nine), data)

    created = curl(CREATE)
    assert (created.status, created.media_type) == (200, 'application/json')
    backup = created.json['backup']
    created_at = backup['created_at']
    assert re.match(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z', created_at)
    assert created.json == json.loads(mended('''
{
    "backup": {
        "id": "1",
        "display_name": "backup-001",
        "display_description": "Nightly Backup 03-Sep-2012",
        "volume_id": "9",
        "container": "nightlybackups",
        "status": "creating",
        "created_at": "2012-09-03T22:00:00Z",
     }
}
''').replace('2012-09-03T22:00:00Z', created_at))

    done = until(curl, '1', 'available', 'error')
    assert volumes.settled(volume_nine) == 'available'
    container = standalone.directory / 'repositories' / PROJECT / 'nightlybackups'
    before = files(container)
    assert before
    assert done == {**backup, 'status': 'available', 'fail_reason': None, 'size': 1,
                    'object_count': done['object_count']}

    write(volumes.path(volume_nine), os.urandom(3 * MIB))
    second = curl(CREATE, data=mended(CREATE_BODY).replace('001', '002').replace('03-', '04-'))
    assert second.json['backup']['id'] == '2'
    second = until(curl, '2', 'available', 'error')
    added = files(container) - before
    assert second['object_count'] == len(added) > 0, added

    assert curl(LIST).json == {'backups': [
        {'id': '1', 'status': 'available'}, {'id': '2', 'status': 'available'}]}
    details = curl(DETAIL)
    assert details.status == 200
    assert details.json == {'backups': [done, second]}
    assert second['display_description'] == 'Nightly Backup 04-Sep-2012'

    restored = curl(RESTORE, '1')
    assert restored.status == 200
    assert restored.json == {'restore': {'backup_id': '1', 'volume_id': '9'}}
    until(curl, '1', 'available', 'error')
    assert volumes.settled(volume_nine) == 'available'
    assert read(volumes.path(volume_nine), len(data)) == (data, data)

    made = curl(RESTORE, '1', data='{"restore": {}}')
    assert made.json == {'restore': {'backup_id': '1', 'volume_id': '10'}}
    until(curl, '1', 'available', 'error')
    numbered = _volume_of(standalone, 10)
    assert volumes.settled(numbered) == 'available'
    assert read(volumes.path(numbered), len(data)) == (data, data)

    deleted = curl(DELETE, '1')
    assert (deleted.status, deleted.media_type, deleted.body) == (202, None, b'')
    wait_until(lambda: curl(SHOW, '1').status == 404)
    assert curl(SHOW, '1').json == {
        'itemNotFound': {'message': 'Backup 1 could not be found.', 'code': 404}}
    assert curl(DELETE, '1').json == {
        'itemNotFound': {'message': 'The resource could not be found.', 'code': 404}}

    # The one that was made after it is whole without it.
    assert curl(RESTORE, '2').status == 200
    until(curl, '2', 'available', 'error')
    assert volumes.settled(volume_nine) == 'available'
    assert read(volumes.path(volume_nine), len(data)) != (data, data)
    third = curl(CREATE).json['backup']
    assert third['id'] == '3', 'a number is not given twice'
    until(curl, '3', 'available', 'error')


def _volume_of(standalone, number):
    state = standalone.directory
    with database.installed(
            database.configuration(f'sqlite:///{state}/backupsvc.sqlite', state)):
        return alias.target(context.get_admin_context(), PROJECT, alias.VOLUME, number)


@pytest.mark.parametrize(('line', 'backup_id', 'body'), [
    (CREATE, '', CREATE_BODY), (RESTORE, '1', RESTORE_BODY)])
def test_bodies_as_they_are_printed_are_no_json(curl, line, backup_id, body):
    answer = curl(line, backup_id, body)
    assert answer.status == 400
    assert answer.json == {
        'badRequest': {'message': 'Incorrect request body format.', 'code': 400}}


def test_a_container_that_nobody_names_is_made(standalone, curl, volumes):
    volume_id = volumes.make()
    write(volumes.path(volume_id), os.urandom(MIB))
    backup = curl(CREATE, data=f'{{"backup": {{"volume_id": "{volume_id}"}}}}').json['backup']
    assert backup['container'] == 'volumebackups'
    done = until(curl, backup['id'], 'available', 'error')
    assert done['status'] == 'available'
    assert files(standalone.directory / 'repositories' / PROJECT / 'volumebackups')


def test_tenants_are_apart(standalone, curl):
    other = PROJECT.replace('1', '2')
    stranger = Shell(standalone, f'sam:{other}:member', other)
    assert stranger(LIST).json == {'backups': []}
    assert stranger(SHOW, '1').status == 404
    intruder = Shell(standalone, f'sam:{other}:member', PROJECT)
    assert intruder(LIST).status == 400


@pytest.mark.parametrize('given', [
    '..', '%2e%2e', '%2f', '..%2f..%2fetc', '%20', 'a%20b', '%C3%A9', '%00', '%ff', 'x' * 10240,
], ids=lambda text: text[:16])
def test_what_is_no_id_is_not_found(curl, given):
    for line in (SHOW, DELETE, RESTORE):
        answer = curl(line, given)
        assert answer.status == 404, answer
