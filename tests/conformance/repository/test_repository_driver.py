# SPDX-License-Identifier: Apache-2.0
"""What every repository driver promises, tried on each that is installed."""

import itertools
import uuid

import pytest

from backupsvc import context as request_context
from backupsvc import exception
from backupsvc.drivers import loader
from tests.conformance.repository.conftest import CASES

#: Names that a careless driver confuses with each other, or with the way to somewhere else.
NAMES = ['backups', 'Backups', 'a.b', 'a%2Eb', 'a+b', 'a b', 'a', 'a_segments', '..', '.', 'é',
         'e\u0301', 'config', 'TMP', '-', "quote'\"", 'x' * 40]
SLASHED = ['../escape', 'a/b', '/etc']


@pytest.fixture
def context():
    return request_context.get_admin_context()


@pytest.fixture
def project_id():
    return uuid.uuid4().hex


def test_the_suite_runs_on_every_installed_driver():
    assert {name for name, _ in CASES.values()} == set(loader.list_drivers('repository'))


def test_setup_of_a_working_configuration(driver):
    driver.check_setup()


def test_a_container_is_made_only_when_asked(driver, context, project_id):
    assert not driver.container_exists(context, project_id, 'backups')
    with pytest.raises(exception.NotFound):
        driver.open_store(context, project_id, 'backups')
    assert not driver.container_exists(context, project_id, 'backups')
    driver.open_store(context, project_id, 'backups', create=True).put('a', [b'1'])
    assert driver.container_exists(context, project_id, 'backups')
    driver.open_store(context, project_id, 'backups', create=True)
    assert driver.open_store(context, project_id, 'backups').get('a') == b'1'


def test_containers_without_a_repository_are_not_listed(driver, context, project_id):
    assert driver.list_containers(context, project_id) == []
    driver.open_store(context, project_id, 'empty', create=True)
    for name in ('two', 'one'):
        driver.open_store(context, project_id, name, create=True).put('config', [b'{}'])
    assert driver.list_containers(context, project_id) == ['one', 'two']
    assert driver.list_containers(context, uuid.uuid4().hex) == []


def test_containers_never_share_an_object(driver, context):
    projects = [uuid.uuid4().hex, uuid.uuid4().hex]
    opened = {}
    for project_id, name in itertools.product(projects, NAMES):
        try:
            opened[project_id, name] = driver.open_store(context, project_id, name, create=True)
        except exception.InvalidInput:
            assert name in ('.', '..'), name
    for (project_id, name), store in opened.items():
        assert [info.key for info in store.list('')] == [], (project_id, name)
        store.put('config', [f'{project_id} {name}'.encode()])
    for (project_id, name), store in opened.items():
        assert store.get('config') == f'{project_id} {name}'.encode()
    for project_id in projects:
        names = sorted(name for owner, name in opened if owner == project_id)
        assert driver.list_containers(context, project_id) == names


@pytest.mark.parametrize('name', SLASHED)
def test_a_name_with_a_slash_stays_in_its_project(driver, context, project_id, name):
    try:
        store = driver.open_store(context, project_id, name, create=True)
    except exception.InvalidInput:
        return
    store.put('config', [b'{}'])
    assert driver.list_containers(context, project_id) == [name]


@pytest.mark.parametrize('name', ['', 'x' * 1000, '\ud800'], ids=['empty', 'long', 'no text'])
def test_impossible_names_are_refused(driver, context, project_id, name):
    for call in (lambda: driver.open_store(context, project_id, name, create=True),
                 lambda: driver.container_exists(context, project_id, name)):
        with pytest.raises(exception.InvalidInput, match='a container name must'):
            call()


def test_object_url_names_the_object(driver, context, project_id):
    driver.open_store(context, project_id, 'my backups', create=True)
    url = driver.object_url(context, project_id, 'my backups', 'packs/ab/abcd')
    assert url.startswith(('file:///', 'http://127.0.0.1:', 's3://'))
    assert url.endswith('/packs/ab/abcd')
    assert ' ' not in url
