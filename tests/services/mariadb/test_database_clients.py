# SPDX-License-Identifier: Apache-2.0
"""python-troveclient and ``openstack database`` against the running service: every verb that they
have for what is served, on a real server.
"""

import contextlib
import io
import json

import pymysql
import pytest
from openstackclient import shell
from troveclient.apiclient import exceptions

from tests.fixtures.database_service import OTHER_PROJECT
from tests.fixtures.service import wait_until

pytestmark = [pytest.mark.services, pytest.mark.xdist_group('mariadb_service')]


@pytest.fixture
def client(databases):
    return databases.client()


@pytest.fixture
def osc(databases, monkeypatch):
    """Run ``openstack database …`` in this process and return what it prints."""
    monkeypatch.setenv('OS_CLIENT_CONFIG_FILE', str(databases.clouds))
    monkeypatch.setenv('OS_CLOUD', 'backupsvc-database')

    def run(*arguments):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status = shell.main(['database', *arguments])
            except SystemExit as stop:
                status = stop.code
        assert not status, f'{arguments}: {out.getvalue()}{err.getvalue()}'
        return out.getvalue()

    return run


def test_flavors_and_limits(client):
    assert [(flavor.id, flavor.name, flavor.ram) for flavor in client.flavors.list()] == [
        (1, 'm1.tiny', 256), (2, 'm1.small', 320)]
    assert client.flavors.get(2).str_id == '2'
    absolute = next(limit for limit in client.limits.list() if limit.verb == 'ABSOLUTE')
    assert absolute.max_instances == -1


def test_instances(client, instance_id):
    found = client.instances.get(instance_id)
    assert (found.name, found.status, found.flavor['id']) == ('one', 'ACTIVE', '1')
    assert 0 < found.volume['used'] < 1
    assert instance_id in [each.id for each in client.instances.list(limit=100)]
    client.instances.update(instance_id, name='renamed')
    assert client.instances.get(instance_id).name == 'renamed'
    client.instances.update(instance_id, name='one')


def test_databases(client, instance_id):
    names = ['a.json', 'a/b', '%', 'quote\'s"`;-- x', 'ключ']
    client.databases.create(instance_id, [{'name': name} for name in names])
    listed = [each.name for each in client.databases.list(instance_id)]
    assert set(names) <= set(listed) and listed == sorted(listed)
    page = client.databases.list(instance_id, limit=3)
    assert [each.name for each in page] == listed[:3]
    rest = client.databases.list(instance_id, marker=page.next)
    assert [each.name for each in page] + [each.name for each in rest] == listed
    for name in names:
        client.databases.delete(instance_id, name.replace('%', '%25').replace('/', '%2F'))
    assert [each.name for each in client.databases.list(instance_id)] == ['nextround', 'sampledb']
    with pytest.raises(exceptions.NotFound):
        client.databases.delete(instance_id, 'nope')
    with pytest.raises(exceptions.BadRequest):
        client.databases.delete(instance_id, 'mysql')
    with pytest.raises(exceptions.BadRequest):
        client.databases.create(instance_id, [{'name': 'sampledb'}])


def test_users(databases, client, instance_id):
    users = client.users
    users.create(instance_id, [
        {'name': 'bob', 'password': 'one', 'host': '127.0.0.1',
         'databases': [{'name': 'sampledb'}]},
        {'name': 'a/b.json', 'password': 'two'}])
    assert [each.name for each in users.list(instance_id)] == ['a/b.json', 'bob', 'demouser']
    found = users.get(instance_id, 'bob', hostname='127.0.0.1')
    assert (found.name, found.host) == ('bob', '127.0.0.1')
    users.grant(instance_id, 'bob', ['nextround'], hostname='127.0.0.1')
    access = users.list_access(instance_id, 'bob', hostname='127.0.0.1')
    assert [each.name for each in access] == ['nextround', 'sampledb']
    users.revoke(instance_id, 'bob', 'sampledb', hostname='127.0.0.1')
    instance = client.instances.get(instance_id)
    databases.connect(instance, 'bob', 'one', database='nextround').close()
    with pytest.raises(pymysql.err.OperationalError):
        databases.connect(instance, 'bob', 'one', database='sampledb')
    users.change_passwords(
        instance_id, [{'name': 'bob', 'host': '127.0.0.1', 'password': 'three'}])
    databases.connect(instance, 'bob', 'three').close()
    users.update_attributes(
        instance_id, 'bob', newuserattr={'name': 'rob', 'password': 'four'},
        hostname='127.0.0.1')
    databases.connect(instance, 'rob', 'four', database='nextround').close()
    users.delete(instance_id, 'rob', hostname='127.0.0.1')
    users.delete(instance_id, 'a/b.json')
    assert [each.name for each in users.list(instance_id)] == ['demouser']
    with pytest.raises(exceptions.NotFound):
        users.get(instance_id, 'rob', hostname='127.0.0.1')


def test_root(databases, client, instance_id):
    assert client.root.is_root_enabled(instance_id).rootEnabled is False
    name, password = client.root.create(instance_id)
    instance = client.instances.get(instance_id)
    with databases.connect(instance, name, password) as connection:
        connection.ping()
    assert client.root.is_root_enabled(instance_id).rootEnabled is True
    client.root.disable_instance_root(instance_id)
    with pytest.raises(pymysql.err.OperationalError):
        databases.connect(instance, name, password)


def test_security_groups(databases, client, instance_id):
    """Rules filter by the address that a client comes from."""
    instance = client.instances.get(instance_id)
    [group] = [each for each in client.security_groups.list()
               if each.instance_id == instance_id]
    assert client.security_groups.get(group.id).name == f'SecGroup_{instance_id}'
    [everybody] = group.rules
    databases.connect(instance, source='127.0.0.2').close()
    [rule] = client.security_group_rules.create(group.id, '127.0.0.1/32')
    client.security_group_rules.delete(everybody['id'])

    def is_refused():
        try:
            databases.connect(instance, source='127.0.0.2').close()
        except pymysql.err.OperationalError:
            return True

    wait_until(is_refused)
    databases.connect(instance, source='127.0.0.1').close()
    client.security_group_rules.create(group.id, '0.0.0.0/0')
    client.security_group_rules.delete(rule['id'])
    wait_until(lambda: not is_refused())


def test_actions(databases, client, instance_id):
    client.instances.restart(instance_id)
    with pytest.raises(exceptions.UnprocessableEntity):
        client.instances.restart(instance_id)
    assert databases.settled(instance_id).status == 'ACTIVE'
    client.instances.resize_instance(instance_id, 2)
    assert databases.settled(instance_id).flavor['id'] == '2'
    client.instances.resize_instance(instance_id, 1)
    databases.settled(instance_id)
    client.instances.resize_volume(instance_id, 2)
    grown = databases.settled(instance_id)
    assert (grown.status, grown.volume['size']) == ('ACTIVE', 2)
    databases.connect(grown).close()
    with pytest.raises(exceptions.BadRequest):
        client.instances.resize_volume(instance_id, 1)


def test_projects_are_apart(databases, client, instance_id):
    stranger = databases.client(OTHER_PROJECT)
    assert list(stranger.instances.list()) == []
    for call in (lambda: stranger.instances.get(instance_id),
                 lambda: stranger.instances.delete(instance_id),
                 lambda: stranger.instances.restart(instance_id),
                 lambda: stranger.databases.list(instance_id),
                 lambda: stranger.users.list(instance_id),
                 lambda: stranger.root.create(instance_id),
                 lambda: stranger.backups.create('b', instance_id)):
        with pytest.raises(exceptions.NotFound):
            call()
    stranger.client.management_url = client.client.management_url
    with pytest.raises(exceptions.Forbidden):
        stranger.instances.list()


def test_openstack_commands(osc, databases, instance_id):
    def rows(*arguments):
        text = osc(*arguments, '-f', 'json')
        assert text.strip(), arguments
        return json.loads(text)

    assert [row['Name'] for row in rows('flavor', 'list')] == ['m1.tiny', 'm1.small']
    assert instance_id in [row['ID'] for row in rows('instance', 'list')]
    assert rows('instance', 'show', 'one')['status'] == 'ACTIVE'
    osc('db', 'create', instance_id, 'made')
    assert 'made' in [row['Name'] for row in rows('db', 'list', instance_id)]
    osc('db', 'delete', instance_id, 'made')
    osc('user', 'create', instance_id, 'ann', 'pw', '--databases', 'sampledb')
    assert 'ann' in [row['Name'] for row in rows('user', 'list', instance_id)]
    osc('user', 'grant', 'access', instance_id, 'ann', 'nextround')
    osc('user', 'delete', instance_id, 'ann')
    assert rows('root', 'enable', instance_id)['name'] == 'root'
    osc('root', 'disable', instance_id)
    osc('instance', 'restart', instance_id)
    databases.settled(instance_id)
    osc('backup', 'create', 'by command', '--instance', instance_id)
    databases.settled(instance_id)
    [backup] = [row for row in rows('backup', 'list') if row['Name'] == 'by command']
    assert rows('backup', 'show', backup['ID'])['status'] == 'COMPLETED'
    osc('backup', 'delete', backup['ID'])
    wait_until(lambda: backup['ID'] not in [row['ID'] for row in rows('backup', 'list')])
    assert 'max_instances' in osc('limit', 'list')
