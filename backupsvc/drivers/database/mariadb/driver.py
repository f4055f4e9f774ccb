# SPDX-License-Identifier: Apache-2.0
"""Database driver ``mariadb``: one server process of MariaDB per instance, on the manager's host.

A process belongs to no manager: it goes on when the manager ends, and is known by the argument
that names its configuration and by its user.
"""

import contextlib
import datetime
import ipaddress
import os
import pathlib
import secrets
import socket
from collections.abc import Collection, Iterator, Sequence

import pymysql
from oslo_config import cfg
from oslo_log import log as logging

from backupsvc import exception
from backupsvc.context import RequestContext
from backupsvc.drivers.base import (
    Database,
    DatabaseFlavor,
    DatabaseServer,
    DatabaseUser,
    Datastore,
    Hold,
    NewDatabaseServer,
    NewDatabaseUser,
    StoredDump,
)
from backupsvc.drivers.database.base import DatabaseDriver, Dump
from backupsvc.drivers.database.mariadb import (
    accounts,
    dumps,
    filters,
    memory,
    opts,
    places,
    processes,
    records,
    server,
)

LOG = logging.getLogger(__name__)

#: How often another port is tried when somebody was faster.
_PORT_TRIES = 5
_UIDS = 10000


class MariadbDatabaseDriver(DatabaseDriver):
    """Servers of this host."""

    name = 'mariadb'
    is_host_local = True
    dump_suffix = 'xbstream.gz'

    def __init__(self, conf: cfg.ConfigOpts):
        super().__init__(conf)
        self._options = conf[opts.GROUP]
        self._records = records.Records(os.path.abspath(self._options.directory))
        self._runtime = pathlib.Path(self._options.runtime_directory or _default_runtime())

    @classmethod
    def list_opts(cls) -> Sequence[tuple[str, Sequence[cfg.Opt]]]:
        return [(opts.GROUP, opts.OPTS)]

    def check_setup(self) -> None:
        """Only what no package can mend: a service without databases needs none."""
        self.list_flavors()
        _port_range(self._options.port_range)
        try:
            ipaddress.ip_address(self._options.bind_address)
        except ValueError as error:
            raise exception.DriverFailed(
                reason=f'[{opts.GROUP}] bind_address: {error}') from error

    # -- what is on offer

    def list_flavors(self) -> list[DatabaseFlavor]:
        return [_flavor(text) for text in self._options.flavors]

    def show_flavor(self, flavor_id: str) -> DatabaseFlavor:
        for flavor in self.list_flavors():
            if flavor.id == flavor_id:
                return flavor
        raise exception.DatabaseFlavorNotFound(flavor_id=flavor_id)

    def list_datastores(self) -> list[Datastore]:
        return [Datastore('mariadb', self._options.version)]

    def check_available(self) -> None:
        for program in ('mariadbd', 'mariadb-install-db', 'mariadb-backup', 'mbstream', 'prlimit'):
            processes.find(program)
        if processes.is_root():
            processes.find('setpriv')
        if self._options.volumes == 'always' and not places.can_mount():
            raise exception.DriverFailed(
                reason='[database_mariadb] volumes = always, and this process may not mount '
                       'volumes.')
        if self.wants_volume():
            for program in ('mkfs.ext4', 'e2fsck', 'resize2fs', 'mount', 'umount', 'losetup'):
                processes.find(program)
        filters.choose(self._options.connection_filter)

    def wants_volume(self) -> bool:
        return self._options.volumes == 'always' or (
            self._options.volumes == 'auto' and places.can_mount())

    def check_names(self, databases: Sequence[Database] = (),
                    users: Sequence[NewDatabaseUser] = ()) -> None:
        for database in databases:
            accounts.check_database(database)
        for user in users:
            accounts.check_user(user.name, user.host)

    # -- the life of a server

    def provision(self, context: RequestContext, instance_id: str, new: NewDatabaseServer, *,
                  for_load: bool = False) -> DatabaseServer:
        self.check_available()
        allowed = filters.normal(new.allowed_cidrs)
        with self._records.locked(instance_id):
            try:
                record = self._records.load(instance_id)
            except exception.DatabaseServerNotFound:
                record = self._allocate(instance_id, new, allowed)
            found = self._server(record)
            if record.stage == records.LOADED and for_load:
                return self._show(found)
            # also what was loaded and has never answered yet: it holds somebody's databases
            if record.stage in (records.LOADED, records.READY):
                return self._run(found)
            found.filter.check(allowed)
            # what an earlier attempt has left
            self._end_all(found)
            found.place.close()
            record.stage = records.NEW
            record.allowed[:] = allowed
            record.ram_mb, record.volume_gb = new.ram_mb, new.volume_gb
            record.volume_path = new.volume_path
            self._records.save(record)
            found = self._server(record)
            found.make_runtime()
            found.place.make()
            if for_load:
                record.stage = records.EMPTY
                self._records.save(record)
                return self._show(found)
            found.install()
            self._start_on_free_port(found)
            return self._show(found)

    def start(self, context: RequestContext, instance_id: str) -> DatabaseServer:
        with self._locked(instance_id) as found:
            return self._run(found)

    def stop(self, context: RequestContext, instance_id: str) -> None:
        with contextlib.suppress(exception.DatabaseServerNotFound):
            with self._locked(instance_id) as found:
                found.stop()

    def restart(self, context: RequestContext, instance_id: str) -> DatabaseServer:
        with self._locked(instance_id) as found:
            found.stop()
            return self._run(found)

    def adopt(self, context: RequestContext, instance_id: str) -> DatabaseServer:
        return self.start(context, instance_id)

    def remove(self, context: RequestContext, instance_id: str) -> None:
        try:
            with self._records.locked(instance_id):
                found = self._server(self._records.load(instance_id))
                self._end_all(found)
                found.filter.remove()
                found.place.close()
                found.remove_runtime()
                self._records.remove(instance_id)
        except exception.DatabaseServerNotFound:
            pass

    def list_servers(self) -> list[str]:
        return self._records.ids()

    def show(self, context: RequestContext, instance_id: str) -> DatabaseServer:
        return self._show(self._server(self._records.load(instance_id)))

    def resize_memory(self, context: RequestContext, instance_id: str,
                      ram_mb: int) -> DatabaseServer:
        with self._locked(instance_id) as found:
            record = found.record
            before = record.ram_mb
            if ram_mb == before:
                return self._run(found)
            found.stop()
            record.ram_mb = ram_mb
            try:
                # a manager that is killed here leaves a server that starts with the new size
                self._records.save(record)
                return self._run(found)
            except exception.DriverFailed as error:
                LOG.error('Instance %s does not start with %s MiB (%s); back to %s MiB',
                          instance_id, ram_mb, error, before)
                record.ram_mb = before
                self._records.save(record)
                self._run(found)
                raise

    def resize_volume(self, context: RequestContext, instance_id: str, volume_gb: int) -> None:
        with self._locked(instance_id) as found:
            if volume_gb < found.record.volume_gb:
                raise exception.InvalidInput(
                    reason=f'the volume cannot be made smaller than {found.record.volume_gb} GB')
            found.place.open()
            if not found.place.grow():
                was_running = found.is_running()
                found.stop()
                try:
                    found.place.grow_unused()
                finally:
                    if was_running:
                        self._run(found)
            found.record.volume_gb = volume_gb
            self._records.save(found.record)

    def set_allowed(self, context: RequestContext, instance_id: str,
                    cidrs: Collection[str]) -> None:
        allowed = filters.normal(cidrs)
        with self._records.locked(instance_id):
            found = self._server(self._records.load(instance_id))
            found.filter.check(allowed)
            # in place: the filter looks at the same list
            found.record.allowed[:] = allowed
            self._records.save(found.record)
            if found.record.stage == records.READY and found.is_running():
                found.filter.change()

    # -- standstill

    def quiesce(self, context: RequestContext, instance_id: str, *, holder: str) -> bool:
        with self._locked(instance_id) as found:
            if found.place.volume_path is None:
                return False
            # The holder first: a standstill that belongs to nobody would last for ever.
            found.record.holders.setdefault(
                holder, datetime.datetime.now(datetime.UTC).isoformat())
            self._records.save(found.record)
            try:
                found.place.freeze()
            except exception.DriverFailed:
                del found.record.holders[holder]
                self._records.save(found.record)
                raise
        return True

    def unquiesce(self, context: RequestContext, instance_id: str, *, holder: str) -> None:
        with contextlib.suppress(exception.DatabaseServerNotFound):
            with self._locked(instance_id) as found:
                if holder not in found.record.holders:
                    return
                if list(found.record.holders) == [holder]:
                    found.place.thaw()
                del found.record.holders[holder]
                self._records.save(found.record)

    def list_holds(self, context: RequestContext) -> Iterator[Hold]:
        for instance_id in self._records.ids():
            with contextlib.suppress(exception.DatabaseServerNotFound):
                for holder, since in self._records.load(instance_id).holders.items():
                    yield Hold(holder=holder, resource_id=instance_id, is_snapshot=False,
                               status='quiesced', since=datetime.datetime.fromisoformat(since))

    # -- databases

    def list_databases(self, context: RequestContext, instance_id: str, *,
                       limit: int | None = None, marker: str | None = None) -> list[Database]:
        with self._accounts(instance_id) as found:
            return found.list_databases(limit, marker)

    def create_databases(self, context: RequestContext, instance_id: str,
                         databases: Sequence[Database], *, exist_ok: bool = False) -> None:
        with self._accounts(instance_id) as found:
            found.create_databases(databases, exist_ok)

    def delete_database(self, context: RequestContext, instance_id: str, name: str) -> None:
        with self._accounts(instance_id) as found:
            found.delete_database(name)

    # -- users

    def hash_password(self, password: str) -> str:
        return server.hash_password(password)

    def list_users(self, context: RequestContext, instance_id: str, *, limit: int | None = None,
                   marker: tuple[str, str] | None = None) -> list[DatabaseUser]:
        with self._accounts(instance_id) as found:
            return found.list_users(limit, marker)

    def show_user(self, context: RequestContext, instance_id: str, name: str,
                  host: str = '%') -> DatabaseUser:
        with self._accounts(instance_id) as found:
            return found.show_user(name, host)

    def create_users(self, context: RequestContext, instance_id: str,
                     users: Sequence[NewDatabaseUser], *, exist_ok: bool = False) -> None:
        with self._accounts(instance_id) as found:
            found.create_users(users, exist_ok)

    def update_user(self, context: RequestContext, instance_id: str, name: str, host: str = '%', *,
                    new_name: str | None = None, new_host: str | None = None,
                    password_hash: str | None = None) -> None:
        with self._accounts(instance_id) as found:
            found.update_user(name, host, new_name, new_host, password_hash)

    def delete_user(self, context: RequestContext, instance_id: str, name: str,
                    host: str = '%') -> None:
        with self._accounts(instance_id) as found:
            found.delete_user(name, host)

    def grant(self, context: RequestContext, instance_id: str, name: str, host: str,
              databases: Collection[str]) -> None:
        with self._accounts(instance_id) as found:
            found.grant(name, host, databases)

    def revoke(self, context: RequestContext, instance_id: str, name: str, host: str,
               database: str) -> None:
        with self._accounts(instance_id) as found:
            found.revoke(name, host, database)

    def enable_root(self, context: RequestContext, instance_id: str, password_hash: str) -> None:
        with self._accounts(instance_id) as found:
            found.enable_root(password_hash)

    def disable_root(self, context: RequestContext, instance_id: str) -> None:
        with self._accounts(instance_id) as found:
            found.disable_root()

    def is_root_enabled(self, context: RequestContext, instance_id: str) -> bool:
        with self._accounts(instance_id) as found:
            return found.is_root_enabled()

    # -- dumps

    def dump(self, context: RequestContext, instance_id: str, *,
             since: str | None = None) -> Dump:
        found = self._server(self._records.load(instance_id))
        resources = contextlib.ExitStack()
        try:
            resources.enter_context(self._records.dumping(instance_id))
            return dumps.MariabackupDump(
                found, since, self._options.compression_level, self._options.compression_threads,
                resources)
        except BaseException:
            resources.close()
            raise

    def load(self, context: RequestContext, instance_id: str,
             stored: Sequence[StoredDump]) -> None:
        with self._records.locked(instance_id):
            record = self._records.load(instance_id)
            if record.stage == records.READY:
                raise exception.DriverFailed(
                    reason=f'Instance {instance_id} has databases already.')
            found = self._server(record)
            self._end_all(found)
            found.make_runtime()
            found.place.open()
            record.stage = records.EMPTY
            self._records.save(record)
            try:
                dumps.load(found, stored)
            except BaseException:
                found.place.clear()
                raise
            record.stage = records.LOADED
            self._records.save(record)

    # -- under all of them

    def _server(self, record: records.Record) -> server.Server:
        return server.Server(record, self.conf, self._records.path(record.id),
                             self._runtime / record.id)

    @contextlib.contextmanager
    def _locked(self, instance_id: str) -> Iterator[server.Server]:
        """Yield a server that has data."""
        with self._records.locked(instance_id):
            record = self._records.load(instance_id)
            if record.stage not in (records.LOADED, records.READY):
                raise exception.DatabaseServerNotFound(instance_id=instance_id)
            yield self._server(record)

    @contextlib.contextmanager
    def _accounts(self, instance_id: str) -> Iterator[accounts.Accounts]:
        found = self._server(self._records.load(instance_id))
        try:
            with found.admin() as cursor:
                yield accounts.Accounts(cursor)
        except pymysql.MySQLError as error:
            LOG.exception('The database server of instance %s', instance_id)
            raise exception.DriverFailed(
                reason=f'The database server of instance {instance_id} refused:'
                       f' {error.args[-1]}') from error

    def _run(self, found: server.Server) -> DatabaseServer:
        """Have a server run that answers, whatever it does now; one that is quiesced is left to
        who had it stand still.
        """
        if found.record.holders:
            return self._show(found)
        if found.is_running() and found.answers():
            found.filter.after_start()
            self._note_ready(found)
            return self._show(found)
        found.stop()
        found.make_runtime()
        found.place.open()
        self._start(found)
        return self._show(found)

    def _start(self, found: server.Server) -> None:
        found.record.secret = secrets.token_hex(32)
        self._records.save(found.record)
        found.start()
        self._note_ready(found)

    def _note_ready(self, found: server.Server) -> None:
        if found.record.stage != records.READY:
            found.record.stage = records.READY
            self._records.save(found.record)

    def _show(self, found: server.Server) -> DatabaseServer:
        used, size = found.place.usage()
        return DatabaseServer(
            id=found.record.id, host=self._options.hostname or self._options.bind_address,
            port=found.record.port, is_running=found.is_running(), used_bytes=used,
            size_bytes=size)

    def _end_all(self, found: server.Server) -> None:
        """End the server and what was at work on its data for a load that is gone."""
        found.stop()
        for marker in (str(found.place.data), f'--target-dir={found.place.data}',
                       f'--datadir={found.place.data}', str(found.place.path / 'increment'),
                       f'--target-dir={found.runtime / "dump"}'):
            processes.end(marker, found.record.uid, timeout_s=0)

    def _allocate(self, instance_id: str, new: NewDatabaseServer,
                  allowed: list[str]) -> records.Record:
        with self._records.allocating() as others:
            uid = None
            if processes.is_root():
                taken = {other.uid for other in others}
                uid = next(uid for uid in range(self._options.first_uid,
                                                self._options.first_uid + _UIDS)
                           if uid not in taken)
            record = records.Record(
                id=instance_id, stage=records.NEW, ram_mb=new.ram_mb, volume_gb=new.volume_gb,
                volume_path=new.volume_path, allowed=allowed,
                filter=filters.choose(self._options.connection_filter),
                port=self._free_port({other.port for other in others}), uid=uid)
            self._records.save(record)
            return record

    def _free_port(self, taken: Collection[int]) -> int:
        first, last = _port_range(self._options.port_range)
        for port in range(first, last + 1):
            if port not in taken and self._is_free(port):
                return port
        raise exception.DriverFailed(
            reason='No port is free for another database server on this host.')

    def _is_free(self, port: int) -> bool:
        family = (socket.AF_INET6 if ':' in self._options.bind_address else socket.AF_INET)
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self._options.bind_address, port))
            except OSError:
                return False
        return True

    def _start_on_free_port(self, found: server.Server) -> None:
        """Start for the first time; a port that was free may not be any more."""
        for _ in range(_PORT_TRIES):
            try:
                self._start(found)
                return
            except exception.DriverFailed:
                if self._is_free(found.record.port):
                    raise
            with self._records.allocating() as others:
                taken = {other.port for other in others}
                found.filter.remove()
                found.record.port = self._free_port(taken)
                self._records.save(found.record)
        raise exception.DriverFailed(
            reason='Other programs take every port that was free for a database server.')


def _default_runtime() -> str:
    if processes.is_root():
        return '/run/backupsvc/databases'
    directory = os.environ.get('XDG_RUNTIME_DIR')
    if directory and os.path.isdir(directory):
        return f'{directory}/backupsvc-databases'
    return f'/var/tmp/backupsvc-databases-{os.geteuid()}'


def _flavor(text: str) -> DatabaseFlavor:
    words = text.split(':')
    try:
        if not 3 <= len(words) <= 4 or not words[0] or not words[1]:
            raise ValueError('it is not id:name:MiB[:CPUs]')
        flavor = DatabaseFlavor(words[0], words[1], *(int(word) for word in words[2:]))
        if flavor.ram_mb < memory.MIN_RAM_MB:
            raise ValueError(f'{memory.MIN_RAM_MB} MiB is the least')
    except ValueError as error:
        raise exception.DriverFailed(
            reason=f'[{opts.GROUP}] flavors: "{text}": {error}') from error
    return flavor


def _port_range(text: str) -> tuple[int, int]:
    first, _, last = text.partition('-')
    if not 0 < int(first) <= int(last) < 65536:
        raise exception.DriverFailed(reason=f'[{opts.GROUP}] port_range: {text} is none')
    return int(first), int(last)
