# SPDX-License-Identifier: Apache-2.0
"""A campaign of SIGKILLs against the service and the database servers that it runs.

One scene after the other: something is begun that brings an instance into a state, and at a random
moment of it the service, the server or a program that works for it is killed; now and then
another one right after. Clients write to every server all the time. What they were told was
written must be there in the end, statuses must be true, and nothing may run or lie about that
belongs to no instance.
"""

import collections
import contextlib
import json
import os
import random
import subprocess
import threading
import time

import pymysql

from backupsvc import context as request_context
from backupsvc import states
from backupsvc.drivers import loader
from backupsvc.manager import databases
from backupsvc.objects import quota
from backupsvc.objects.task import TaskList
from tests.fixtures import mariadb_servers, processes
from tests.fixtures.database_service import DatabaseService
from tests.fixtures.deployment import PROJECT, eventually

#: What a scene is about, as the API calls the status; a restore is BUILD too.
SCENES = ('BUILD', 'RESTORE', 'ACTIVE', 'BACKUP', 'RESIZE', 'REBOOT', 'SHUTDOWN')
ROLES = ('service', 'server')

_PATIENCE_S = 180
_MOST = 4

USERS = [{'name': 'clerk', 'password': 'a clerk', 'databases': [{'name': 'shop'}]}]


class Ledger:
    """The rows of one instance: number ``acked`` and all before were committed for certain, those
    up to ``tried`` may have been.
    """

    def __init__(self, address):
        self.address = address
        self._connection = connect(address)
        with self._connection.cursor() as cursor:
            cursor.execute('CREATE TABLE IF NOT EXISTS ledger (id INT PRIMARY KEY, sum CHAR(40))')
        self.acked = self.tried = read(self._connection)

    def write(self):
        """Write the next row, if the server can be reached."""
        try:
            if self._connection is None:
                self._connection = connect(self.address)
                self._catch_up()
            self.tried = self.acked + 1
            with self._connection.cursor() as cursor:
                cursor.execute('INSERT INTO ledger VALUES (%s, SHA1(%s))', [self.tried] * 2)
            self.acked = self.tried
        except pymysql.MySQLError:
            self.close()

    def _catch_up(self):
        """See what has become of the row whose outcome is unknown."""
        last = read(self._connection)
        assert self.acked <= last <= self.tried, (self.acked, last, self.tried)
        self.acked = last

    def close(self):
        if self._connection is not None:
            with contextlib.suppress(pymysql.MySQLError):
                self._connection.close()
            self._connection = None


def connect(address):
    """Connect to an instance's server as the clerk."""
    return DatabaseService.connect(address, 'clerk', 'a clerk', database='shop')


def read(connection):
    """Return the number of rows, which are all of those before it and right."""
    with connection.cursor() as cursor:
        cursor.execute('SELECT COUNT(*), COALESCE(MAX(id), 0), '
                       'COALESCE(SUM(sum <> SHA1(id)), 0) FROM ledger')
        [(count, last, wrong)] = cursor.fetchall()
    assert (count, wrong) == (last, 0)
    return last


class Address:
    """An address as clients of MariaDB take it."""

    def __init__(self, shown):
        self.hostname, self.port = shown['hostname'], shown['port']


class Campaign:
    """One campaign.

    :param directory: below which all of the service's state is
    :param seed: of the choices; the moments depend on the machine as well
    """

    def __init__(self, client, service, directory, seed):
        self.random = random.Random(seed)
        self.client = client
        self.service = service
        self.directory = directory
        self.admin = request_context.get_admin_context()
        self.kills = collections.Counter()
        self._number = 0
        self._ledgers = {}  # instance → Ledger
        self._least = {}  # backup → rows that it has at least
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self._trouble = None
        self._clients = threading.Thread(target=self._write)

    # Asking --------------------------------------------------------------------------------------

    def ask(self, method, path, body=None):
        """Send a request that must be answered; return the body.

        A request is sent while the service is up: what is in flight when it dies is another
        campaign's.
        """
        def send():
            status, content = self.client(method, f'/v1{path}', body)
            # after a start it takes a moment until the manager has said that it is there
            assert status < 300 or status == 503, (method, path, status, content)
            return status < 300 and (content,)
        return eventually(send, _PATIENCE_S)[0]

    def show(self, instance_id):
        """Return an instance, None where there is none."""
        status, content = self.client('GET', f'/v1/instances/{instance_id}')
        assert status in (200, 404), (status, content)
        return content['instance'] if status == 200 else None

    def _create(self, **values):
        self._number += 1
        body = {'name': f'i{self._number}', 'flavorRef': 1, 'volume': {'size': 1}, **values}
        return self.ask('POST', '/instances', {'instance': body})['instance']['id']

    def _new(self):
        return self._create(databases=[{'name': 'shop'}], users=USERS)

    def _active(self):
        """Return an instance that is active, made where there is none."""
        if not self._ledgers:
            instance_id = self._new()
            self.settle()
            self.open(instance_id)
        return self.random.choice(sorted(self._ledgers))

    def open(self, instance_id):
        """Let clients write to an instance that is active."""
        if instance_id not in self._ledgers:
            ledger = Ledger(Address(self.show(instance_id)))
            with self._lock:
                self._ledgers[instance_id] = ledger

    def _write(self):
        try:
            while not self._is_over.wait(0.01):
                with self._lock:
                    for ledger in self._ledgers.values():
                        ledger.write()
        except BaseException as trouble:
            self._trouble = trouble

    # Scenes --------------------------------------------------------------------------------------

    def begin(self, scene):
        """Begin what a scene is about; return its instance."""
        return getattr(self, f'_begin_{scene.lower()}')()

    def _begin_build(self):
        return self._new()

    def _begin_restore(self):
        if not self._least:
            self._begin_backup()
            self.settle()
        return self._create(restorePoint={'backupRef': self.random.choice(sorted(self._least))})

    def _begin_active(self):
        return self._active()

    def _begin_backup(self):
        instance_id = self._active()
        self._number += 1
        least = self._ledgers[instance_id].acked
        made = self.ask('POST', '/backups', {'backup': {
            'instance': instance_id, 'name': f'b{self._number}',
            'incremental': self.random.choice([True, False])}})
        self._least[made['backup']['id']] = least
        return instance_id

    def _begin_resize(self):
        instance_id = self._active()
        shown = self.show(instance_id)
        if self.random.choice([True, False]):
            wanted = {'flavorRef': 3 - int(shown['flavor']['id'])}
        else:
            wanted = {'volume': {'size': shown['volume']['size'] + 1}}
        self.ask('POST', f'/instances/{instance_id}/action', {'resize': wanted})
        return instance_id

    def _begin_reboot(self):
        instance_id = self._active()
        self.ask('POST', f'/instances/{instance_id}/action', {'restart': {}})
        return instance_id

    def _begin_shutdown(self):
        instance_id = self._active()
        self._forget(instance_id)
        return instance_id

    def _forget(self, instance_id):
        with self._lock:
            self._ledgers.pop(instance_id).close()
        self.ask('DELETE', f'/instances/{instance_id}')

    # Killing -------------------------------------------------------------------------------------

    def run(self, kills):
        """Play scenes until so many processes were killed, and one of each role in each scene."""
        self._clients.start()
        try:
            cast = []
            while sum(self.kills.values()) < kills or self._missing():
                if not cast:
                    cast = self._missing() or [(scene, role) for scene in SCENES for role in ROLES]
                    self.random.shuffle(cast)
                self._play(*cast.pop())
                if self._trouble is not None:
                    raise self._trouble
        finally:
            self._is_over.set()
            self._clients.join()
        return self.kills

    def _missing(self):
        return [(scene, role) for scene in SCENES for role in ROLES
                if not self.kills[f'{scene} {role}']]

    def _play(self, scene, role):
        instance_id = self.begin(scene)
        # many of them are short
        time.sleep(1.5 * self.random.random() ** 3)
        self._kill(scene, role, instance_id)
        if self.random.random() < 0.3:
            time.sleep(self.random.uniform(0, 1))
            self._kill(scene, self.random.choice(ROLES), instance_id)
        self.settle()
        shown = self.show(instance_id)
        assert (shown is None) == (scene == 'SHUTDOWN'), (scene, role, shown)
        if shown is not None:
            assert shown['status'] == 'ACTIVE', (scene, role, shown)
            self.open(instance_id)
        while len(self._ledgers) >= _MOST:
            self._forget(self.random.choice(sorted(self._ledgers)))
            self.settle()

    def _kill(self, scene, role, instance_id):
        if role == 'service':
            self.service.kill()
            self.service.start()
            eventually(self.client.is_up, _PATIENCE_S)
        else:
            # one is there soon, if it is not yet or not any more: the scene is over then
            give_up_at = time.monotonic() + 2
            while not (pids := self.programs(instance_id)):
                if time.monotonic() > give_up_at:
                    return
                time.sleep(0.005)
            processes.kill(self.random.choice(pids))
        self.kills[f'{scene} {role}'] += 1

    def programs(self, instance_id=''):
        """Return what runs for an instance, or for all of them."""
        return [pid for pid, words in mariadb_servers.commands()
                if os.path.basename(words[0]) in (
                    'mariadbd', 'mariadb-backup', 'mbstream', 'mariadb-install-db', 'haproxy')
                and any(str(self.directory) in word and instance_id in word for word in words)]

    # Judging -------------------------------------------------------------------------------------

    def settle(self):
        """Wait until every task has ended and every server that should run does."""
        eventually(lambda: not list(TaskList.get_all(
            self.admin, {'state': list(states.TASK_LIVE)})), _PATIENCE_S)
        give_up_at = time.monotonic() + _PATIENCE_S
        while trouble := self._down():
            assert time.monotonic() < give_up_at, trouble
            time.sleep(0.1)

    def _down(self):
        """Return what is wrong with the instances that are not active, or do not let clients in: a
        server that was killed is found dead a moment later.
        """
        found = []
        for shown in self.instances():
            shown = self.show(shown['id'])
            try:
                assert shown['status'] == 'ACTIVE'
                connect(Address(shown)).close()
            except (AssertionError, pymysql.MySQLError) as trouble:
                found.append((shown, trouble))
        return found

    def instances(self):
        return self.ask('GET', '/instances?limit=100')['instances']

    def judge(self):
        """Check everything that must hold once nothing is in flight."""
        ids = {shown['id'] for shown in self.instances()}
        assert ids == set(self._ledgers)
        for instance_id in ids:
            self._judge_rows(instance_id, self._ledgers[instance_id])
        self._judge_backups()
        self._judge_leftovers(ids)
        for task in TaskList.get_all(self.admin):
            assert task.state == states.DONE, (task.kind, task.state, task.error)
            assert 'password' not in json.dumps(task.arguments)
        assert quota.audit(self.admin) == {}

    def _judge_rows(self, instance_id, ledger):
        with contextlib.closing(connect(Address(self.show(instance_id)))) as connection:
            assert ledger.acked <= read(connection) <= ledger.tried

    def _judge_backups(self):
        shown = {each['id']: each for each in self.ask('GET', '/backups?limit=100')['backups']}
        assert {each['status'] for each in shown.values()} <= {'COMPLETED'}
        assert shown.keys() == self._least.keys()
        for backup_id in self.random.sample(sorted(shown), min(3, len(shown))):
            made = self._create(restorePoint={'backupRef': backup_id})
            self.settle()
            with contextlib.closing(connect(Address(self.show(made)))) as connection:
                assert read(connection) >= self._least[backup_id]
            self.ask('DELETE', f'/instances/{made}')
            self.settle()
        store = loader.repository_driver('posix').open_store(
            self.admin, PROJECT, 'z_CLOUDDB_BACKUPS')
        with contextlib.closing(store):
            assert {item.key for item in store.list('')} == {
                f'{backup_id}.xbstream.gz' for backup_id in shown}

    def _judge_leftovers(self, ids):
        driver = loader.database_driver()
        assert set(driver.list_servers()) == ids
        servers = [pid for pid in self.programs() if 'mariadbd' in _name(pid)]
        assert len(servers) == len(ids)
        others = set(self.programs()) - set(servers)
        assert {_name(pid) for pid in others} <= {'haproxy'} and len(others) <= len(ids)
        volumes = loader.volume_driver().list_volumes(
            databases.volumes_context(), databases.Listing(
                filters={'project_id': databases.VOLUMES_PROJECT}))
        assert {volume.name for volume in volumes} <= ids
        points = mariadb_servers.mounts_below(self.directory)
        assert len(points) == len(volumes)
        assert _tables() & {name.replace('-', '_') for name in self._deleted(ids)} == set()
        assert {path.name for path in (self.directory / 'run').iterdir()} == ids

    def _deleted(self, ids):
        made = {task.resource_id for task in TaskList.get_all(
            self.admin, {'kind': states.TASK_PROVISION_DATABASE})}
        return made - ids


def _name(pid):
    try:
        with open(f'/proc/{pid}/comm', encoding='ascii') as stream:
            return stream.read().strip()
    except OSError:
        return ''


def _tables():
    """Return the instances that the kernel has rules of, with underscores."""
    try:
        shown = subprocess.run(['nft', 'list', 'tables'], capture_output=True, text=True)
    except FileNotFoundError:
        return set()
    return {line.rpartition('backupsvc_')[2] for line in shown.stdout.splitlines()}
