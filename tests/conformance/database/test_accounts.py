# SPDX-License-Identifier: Apache-2.0
"""Databases, users and root are what the server says, and clients meet them."""

import pymysql
import pytest

from backupsvc import exception
from backupsvc.drivers.base import Database
from tests.fixtures.mariadb_servers import ADMIN, PASSWORD

HOSTILE = [
    '`; DROP DATABASE victim; -- ',
    "o'br\"ien",
    'back\\slash\\%',
    'user@10.0.0.1',
    'a.json',
    '%',
    '_',
    '/',
    '../../etc',
    '#mysql',
    'größe',
    '名前',
    'n' * 64,
    '$(id)',
    '%s %(x)s {0}',
]


def denied(servers, server, statement, **fields):
    """Return whether a statement fails for lack of rights."""
    with pytest.raises(pymysql.MySQLError) as caught:
        servers.query(server, statement, **fields)
    return caught.value.args[0] in (1044, 1045, 1130, 1142, 1698)


def names(databases):
    return [database.name for database in databases]


@pytest.mark.parametrize('hostile', [text.strip() for text in HOSTILE])
def test_any_name_is_a_name_and_nothing_else(servers, driver, server, hostile):
    driver.create_databases(ADMIN, server, [Database('victim')], exist_ok=True)
    driver.create_databases(ADMIN, server, [Database(hostile)])
    driver.create_users(ADMIN, server, [servers.user(hostile, hostile)])
    assert {hostile, 'victim'} <= set(names(driver.list_databases(ADMIN, server)))
    assert driver.show_user(ADMIN, server, hostile).databases == (hostile,)
    assert hostile in [user.name for user in driver.list_users(ADMIN, server)]

    servers.query(server, 'CREATE TABLE t (i INT)', user=hostile, database=hostile)
    assert denied(servers, server, 'CREATE TABLE victim.t (i INT)', user=hostile)

    driver.revoke(ADMIN, server, hostile, '%', hostile)
    assert denied(servers, server, 'SELECT 1', user=hostile, database=hostile)
    driver.grant(ADMIN, server, hostile, '%', [hostile])
    servers.query(server, 'SELECT * FROM t', user=hostile, database=hostile)

    driver.delete_user(ADMIN, server, hostile)
    driver.delete_database(ADMIN, server, hostile)
    assert hostile not in names(driver.list_databases(ADMIN, server))
    with pytest.raises(exception.DatabaseUserNotFound):
        driver.show_user(ADMIN, server, hostile)
    with pytest.raises(exception.DatabaseNotFound):
        driver.delete_database(ADMIN, server, hostile)


def test_a_grant_has_no_wildcards(servers, driver, server, name):
    driver.create_databases(ADMIN, server, [Database(f'{name}_b'), Database(f'{name}xb')])
    driver.create_users(ADMIN, server, [servers.user(name, f'{name}_b')])
    servers.query(server, f'CREATE TABLE {name}_b.t (i INT)', user=name)
    assert denied(servers, server, f'CREATE TABLE {name}xb.t (i INT)', user=name)


@pytest.mark.parametrize('bad', [
    'mysql', 'MySQL', 'information_schema', 'performance_schema', 'sys', 'lost+found', '',
    '#mysql50#x', 'n' * 65, ' x', 'x ', 'x\n', 'nul\0', '\N{GRINNING FACE}', '\ud800'])
def test_databases_that_cannot_be(driver, server, bad):
    with pytest.raises(exception.InvalidInput):
        driver.check_names([Database(bad)])
    with pytest.raises(exception.InvalidInput):
        driver.create_databases(ADMIN, server, [Database(bad)])
    with pytest.raises((exception.InvalidInput, exception.DatabaseNotFound)):
        driver.delete_database(ADMIN, server, bad)
    assert 'mysql' not in names(driver.list_databases(ADMIN, server))


@pytest.mark.parametrize(('bad', 'host'), [
    ('root', '%'), ('Root', '%'), ('os_admin', '%'), ('os_backup', 'localhost'), ('mysql', '%'),
    ('mariadb.sys', '%'), ('', '%'), ('PUBLIC', '%'), ('n' * 81, '%'), ('x ', '%'),
    ('\N{GRINNING FACE}', '%'), ('joe', 'localhost'), ('joe', ''), ('joe', "%' OR '1"),
    ('joe', '%' * 300)])
def test_users_that_cannot_be(servers, driver, server, bad, host):
    with pytest.raises(exception.InvalidInput):
        driver.create_users(ADMIN, server, [servers.user(bad, host=host)])
    with pytest.raises(exception.DatabaseUserNotFound):
        driver.show_user(ADMIN, server, bad, host)
    with pytest.raises((exception.InvalidInput, exception.DatabaseUserNotFound)):
        driver.delete_user(ADMIN, server, bad, host)


def test_what_cannot_be_is_refused_without_a_server(servers, driver):
    driver.check_names([Database('a', 'utf8', 'utf8_general_ci')], [servers.user('joe')])
    for databases, users in (
            ([Database('a', "utf8'; --")], []), ([], [servers.user('root')]),
            ([], [servers.user('joe', host='localhost')])):
        with pytest.raises(exception.InvalidInput):
            driver.check_names(databases, users)


def test_character_sets_and_collations(driver, server, name):
    driver.create_databases(ADMIN, server, [
        Database(f'{name}a', 'latin1', 'latin1_german1_ci'), Database(f'{name}b', 'utf8mb4'),
        Database(f'{name}c', 'utf8', 'utf8_general_ci')])
    found = {database.name: database for database in driver.list_databases(ADMIN, server)}
    assert found[f'{name}a'].collation == 'latin1_german1_ci'
    assert found[f'{name}b'].character_set == 'utf8mb4'
    assert found[f'{name}c'].character_set in ('utf8', 'utf8mb3')
    for character_set, collation in (('klingon', None), ('utf8', 'latin1_german1_ci'),
                                     (None, 'nothing_ci'), ("utf8'; --", None)):
        with pytest.raises(exception.InvalidInput):
            driver.create_databases(ADMIN, server, [
                Database(f'{name}d'), Database(f'{name}e', character_set, collation)])
    # all or none
    assert not {f'{name}d', f'{name}e'} & set(names(driver.list_databases(ADMIN, server)))


def test_what_exists_is_not_made_again(servers, driver, server, name):
    driver.create_databases(ADMIN, server, [Database(name)])
    driver.create_users(ADMIN, server, [servers.user(name, name)])
    with pytest.raises(exception.DatabaseExists):
        driver.create_databases(ADMIN, server, [Database(f'{name}new'), Database(name)])
    with pytest.raises(exception.DatabaseUserExists):
        driver.create_users(ADMIN, server, [servers.user(f'{name}new'), servers.user(name)])
    with pytest.raises(exception.DatabaseNotFound):
        driver.create_users(ADMIN, server, [servers.user(f'{name}new', f'{name}nowhere')])
    assert f'{name}new' not in names(driver.list_databases(ADMIN, server))
    with pytest.raises(exception.DatabaseUserNotFound):
        driver.show_user(ADMIN, server, f'{name}new')

    driver.create_databases(ADMIN, server, [Database(name), Database(f'{name}new')], exist_ok=True)
    driver.create_users(ADMIN, server, [servers.user(name, f'{name}new', password='other')],
                        exist_ok=True)
    assert driver.show_user(ADMIN, server, name).databases == (name, f'{name}new')
    servers.query(server, 'SELECT 1', user=name, password='other')


def test_lists_come_in_pages(servers, driver, server, name):
    wanted = [f'{name}{end}' for end in ('A', 'B', 'a', 'é', '名')]
    driver.create_databases(ADMIN, server, [Database(one) for one in reversed(wanted)])
    found, marker = [], name
    while page := driver.list_databases(ADMIN, server, limit=2, marker=marker):
        assert len(page) <= 2
        found += [one for one in names(page) if one.startswith(name)]
        marker = page[-1].name
    assert found == wanted

    keys = [(f'{name}a', '%'), (f'{name}a', '10.0.0.1'), (f'{name}b', '%')]
    driver.create_users(ADMIN, server, [
        servers.user(user, *wanted[:2], host=host) for user, host in reversed(keys)])
    found, marker = [], (name, '')
    while page := driver.list_users(ADMIN, server, limit=1, marker=marker):
        found += [(one.name, one.host) for one in page if one.name.startswith(name)]
        assert len(page) == 1
        marker = (page[-1].name, page[-1].host)
    assert found == keys


def test_a_user_comes_from_its_host_only(servers, driver, server, name):
    driver.create_users(ADMIN, server, [servers.user(name, host='127.0.0.2')])
    assert denied(servers, server, 'SELECT 1', user=name, source='127.0.0.1')
    assert servers.query(server, 'SELECT USER()', user=name, source='127.0.0.2') == [
        (f'{name}@127.0.0.2',)]
    with pytest.raises(exception.DatabaseUserNotFound):
        driver.show_user(ADMIN, server, name)
    driver.update_user(ADMIN, server, name, '127.0.0.2', new_host='127.0.0.1')
    assert denied(servers, server, 'SELECT 1', user=name, source='127.0.0.2')
    servers.query(server, 'SELECT 1', user=name, source='127.0.0.1')


def test_a_user_is_changed_and_keeps_its_grants(servers, driver, server, name):
    driver.create_databases(ADMIN, server, [Database(name)])
    driver.create_users(ADMIN, server, [servers.user(name, name), servers.user(f'{name}2')])
    with pytest.raises(exception.DatabaseUserExists):
        driver.update_user(ADMIN, server, name, new_name=f'{name}2')
    for changes in ({'new_name': 'root'}, {'new_host': 'localhost'}, {'new_name': 'x' * 99}):
        with pytest.raises(exception.InvalidInput):
            driver.update_user(ADMIN, server, name, **changes)
    driver.update_user(ADMIN, server, name, new_name=f'{name}3',
                       password_hash=driver.hash_password('new'))
    assert driver.show_user(ADMIN, server, f'{name}3').databases == (name,)
    servers.query(server, 'CREATE TABLE t (i INT)', user=f'{name}3', password='new', database=name)
    assert denied(servers, server, 'SELECT 1', user=f'{name}3')
    assert denied(servers, server, 'SELECT 1', user=name)
    with pytest.raises(exception.DatabaseUserNotFound):
        driver.update_user(ADMIN, server, name, new_name='x')


def test_grants_come_and_go_one_by_one(servers, driver, server, name):
    driver.create_databases(ADMIN, server, [Database(f'{name}a'), Database(f'{name}b')])
    driver.create_users(ADMIN, server, [servers.user(name)])
    with pytest.raises(exception.DatabaseNotFound):
        driver.grant(ADMIN, server, name, '%', [f'{name}a', f'{name}none'])
    assert driver.show_user(ADMIN, server, name).databases == ()
    driver.grant(ADMIN, server, name, '%', [f'{name}a'])
    driver.grant(ADMIN, server, name, '%', [f'{name}b'])
    assert driver.show_user(ADMIN, server, name).databases == (f'{name}a', f'{name}b')
    with pytest.raises(exception.InvalidInput):
        driver.grant(ADMIN, server, name, '%', ['mysql'])
    with servers.connect(server, name, database=f'{name}a') as connection:
        connection.query('CREATE TABLE t (i INT)')
        driver.revoke(ADMIN, server, name, '%', f'{name}a')
        # not even a session that was there before
        with pytest.raises(pymysql.MySQLError):
            connection.query('SELECT * FROM t')
    with pytest.raises(exception.DatabaseNotFound):
        driver.revoke(ADMIN, server, name, '%', f'{name}a')
    with pytest.raises(exception.DatabaseUserNotFound):
        driver.grant(ADMIN, server, f'{name}none', '%', [f'{name}b'])


def test_a_deleted_user_is_out_at_once(servers, driver, server, name):
    driver.create_users(ADMIN, server, [servers.user(name)])
    with servers.connect(server, name) as connection:
        driver.delete_user(ADMIN, server, name)
        with pytest.raises(pymysql.MySQLError):
            connection.query('SELECT 1')
    assert denied(servers, server, 'SELECT 1', user=name)


def test_a_deleted_database_takes_its_grants_along(servers, driver, server, name):
    driver.create_databases(ADMIN, server, [Database(name)])
    driver.create_users(ADMIN, server, [servers.user(name, name)])
    driver.delete_database(ADMIN, server, name)
    assert driver.show_user(ADMIN, server, name).databases == ()
    driver.create_databases(ADMIN, server, [Database(name)])
    assert denied(servers, server, 'SELECT 1', user=name, database=name)


def test_root_is_let_in_when_enabled(servers, driver, server):
    assert not driver.is_root_enabled(ADMIN, server)
    assert denied(servers, server, 'SELECT 1', user='root', password='')
    for password in ('first', PASSWORD):
        driver.enable_root(ADMIN, server, driver.hash_password(password))
    assert driver.is_root_enabled(ADMIN, server)
    assert denied(servers, server, 'SELECT 1', password='first')
    servers.query(server, 'SELECT * FROM mysql.user')
    with pytest.raises(exception.InvalidInput):
        driver.enable_root(ADMIN, server, PASSWORD)
    assert 'root' not in [user.name for user in driver.list_users(ADMIN, server)]
    with servers.connect(server, 'root') as connection:
        driver.disable_root(ADMIN, server)
        with pytest.raises(pymysql.MySQLError):
            connection.query('SELECT 1')
    assert not driver.is_root_enabled(ADMIN, server)
    assert denied(servers, server, 'SELECT 1')
    driver.disable_root(ADMIN, server)


def test_nobody_gets_in_without_a_password(servers, server):
    for user in ('', 'root', 'os_admin', 'os_backup', 'mysql', 'mariadb.sys'):
        assert denied(servers, server, 'SELECT 1', user=user, password='')
