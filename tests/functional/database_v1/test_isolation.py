# SPDX-License-Identifier: Apache-2.0
"""Two projects can neither see nor reach what is each other's, whichever route they try: those of
the route tables, in both forms.
"""

import json
import re

import pytest

from backupsvc.api import database_v1
from backupsvc.wsgi import openapi, validation
from tests.fixtures import database_instances
from tests.fixtures import service as fixture
from tests.functional.database_v1.conftest import CLIENTS, SPECIFIED

NOBODY = 'b5c00000-0000-4000-8000-00000000000f'
STRANGER = fixture.OTHER_PROJECT

#: Well-formed bodies by what follows the ids in a path; with what else they refer to in braces.
BODIES = {
    'POST /instances': {'instance': {
        'name': 'n', 'flavorRef': '1', 'volume': {'size': 1},
        'restorePoint': {'backupRef': '{backup_id}'}}},
    'PUT /instances/{instance_id}': {'instance': {'name': 'taken'}},
    'PATCH /instances/{instance_id}': {'instance': {'name': 'taken'}},
    'POST /instances/{instance_id}/action restart': {'restart': {}},
    'POST /instances/{instance_id}/action resize': {'resize': {'volume': {'size': 5}}},
    'POST /instances/{instance_id}/databases': {'databases': [{'name': 'd'}]},
    'POST /instances/{instance_id}/users': {'users': [{'name': 'u', 'password': 'p'}]},
    'PUT /instances/{instance_id}/users': {'users': [{'name': 'u', 'password': 'p'}]},
    'PUT /instances/{instance_id}/users/{user}': {'user': {'password': 'p'}},
    'PUT /instances/{instance_id}/users/{user}/databases': {'databases': [{'name': 'd'}]},
    'POST /instances/{instance_id}/root': {'password': 'p'},
    'POST /backups': {'backup': {'name': 'b', 'instance': '{instance_id}'}},
    'POST /security-group-rules': {'security_group_rule': {
        'group_id': '{group_id}', 'cidr': '10.0.0.0/8'}},
    'POST /security_group_rules': {'security_group_rule': {
        'group_id': '{group_id}', 'cidr': '10.0.0.0/8'}},
}
#: What everybody has alike.
COMMON = {'GET /flavors', 'GET /flavors/{flavor_id}', 'GET /limits'}
#: Names that mean something within an instance only.
WITHIN = {'user': 'u', 'database': 'd', 'flavor_id': '1'}


def _name(row):
    return f'{row.method} {openapi.plain_path(row.path)}' + (
        f' {row.action}' if row.action else '')


def _rows():
    for base, dialect in ((CLIENTS, database_v1.DIALECT), (SPECIFIED, database_v1.SPECIFIED)):
        for row in dialect.routes:
            yield pytest.param(base, row, id=f'{dialect.name} {_name(row)}')


@pytest.fixture
def owned(service):
    """Ids of what a project has: an instance that nothing is done with, and what belongs to it."""
    service.heartbeat()
    record = database_instances.instance(service)
    group = database_instances.group(service, record)
    return {'instance_id': record.id, 'group_id': group.id, 'rule_id': group.rules[0].id,
            'backup_id': database_instances.backup(service, record).id}


def _fill(value, ids):
    if isinstance(value, dict):
        return {key: _fill(item, ids) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill(item, ids) for item in value]
    return value.format(**ids) if isinstance(value, str) else value


def _send(ask, base, row, ids, project):
    name = _name(row)
    path = openapi.plain_path(row.path).format(**ids, **WITHIN)
    has_body = bool(validation.rules_of(row.handler).body)
    body = _fill(BODIES[name], ids) if has_body else None
    return ask(row.method, base.replace(fixture.PROJECT, project) + path, body, project=project)


def _all_of(ask, owned):
    """Return all that its owner sees, as one text."""
    paths = ['/instances/{instance_id}', '/instances/{instance_id}/backups',
             '/backups/{backup_id}', '/security-groups/{group_id}', '/instances', '/backups']
    return json.dumps([ask('GET', CLIENTS + path.format(**owned)).json_body for path in paths])


@pytest.mark.parametrize(('base', 'row'), _rows())
def test_a_stranger_gets_what_is_not_there_and_changes_nothing(ask, owned, base, row):
    before = _all_of(ask, owned)
    answer = _send(ask, base, row, owned, STRANGER)
    assert _all_of(ask, owned) == before
    assert not any(each in answer.text for each in _secrets(before, owned, row))
    if _refers(row):
        assert answer.status_int == 404, answer.text
        # not to be told from what there never was
        nothing = _send(ask, base, row, dict.fromkeys(owned, NOBODY), STRANGER)
        assert nothing.status_int == 404
        assert _same(answer.text, owned.values()) == _same(nothing.text, [NOBODY])
        # the request is good: whose it is, is what it depends on
        assert _send(ask, base, row, owned, fixture.PROJECT).status_int != 404
    else:
        assert answer.status_int == 200
        assert _name(row) in COMMON or row.method == 'GET'


@pytest.mark.parametrize(
    'row', [pytest.param(row, id=_name(row)) for row in database_v1.DIALECT.routes])
def test_the_address_of_another_project_is_closed(ask, owned, row):
    """Under the owner's own URL a stranger's token opens nothing."""
    path = openapi.plain_path(row.path).format(**owned, **WITHIN)
    answer = ask(row.method, CLIENTS + path, _fill(BODIES.get(_name(row)), owned),
                 project=STRANGER)
    assert answer.status_int == 403
    assert not any(each in answer.text for each in owned.values())


def _refers(row):
    """Whether a request of a row names something that belongs to a project."""
    text = row.path + json.dumps(BODIES.get(_name(row), ''))
    return bool(re.search(r'{(instance|group|rule|backup)_id', text))


def _secrets(before, owned, row):
    """Return what an answer must not have: names of the owner's things, and ids not asked for."""
    text = row.path + json.dumps(BODIES.get(_name(row), ''))
    return [f'SecGroup_{owned["instance_id"]}', '127.0.0.1',
            *(value for name, value in owned.items() if name not in text)]


def _same(text, ids):
    for each in ids:
        text = text.replace(each, '<id>')
    return text
