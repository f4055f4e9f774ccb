# SPDX-License-Identifier: Apache-2.0
"""Port of the database family: one database server per instance, its databases and its users.

Rules of use:

* The caller has decided who may do what: a driver does not know projects. ``instance_id`` is the
  caller's own, a uuid.
* What is listed is read from the server and what is changed is changed there; nothing of databases
  and users is kept beside it. Unless it says otherwise, a verb needs a server that runs and raises
  DriverFailed where it does not.
* What is on offer, ``check_names`` and ``hash_password`` may be asked for anywhere. Where
  ``is_host_local``, every other verb is called on the host that the server was made on, by its
  manager or a mover. Any process of that host may call: what is known of a server is on the disk
  and in the server. Verbs that change a server as a whole wait for each other.
* The *life* of a server: ``provision`` → runs; ``stop``/``start``/``restart``; ``remove``. Each of
  these may be repeated, and repeated after it was killed anywhere. The server outlives the process
  that started it; ``adopt`` finds it again, or starts it again when it died meanwhile.
* A restore: ``provision(…, for_load=True)`` → ``load`` → ``start``.
* Names are any text that the server can hold, of at most 64 characters for a database; they are
  quoted here. Names that the server needs for itself cannot be made, changed or seen: InvalidInput
  for a verb that would change one, and not found for one that shows it.
* Passwords come as hashes (``hash_password``), so that nobody between the request and the server
  has to keep them. None is stored, logged, or put on a command line.
"""

import abc
from collections.abc import Collection, Iterator, Sequence
from types import TracebackType

from backupsvc.context import RequestContext
from backupsvc.drivers.base import (
    Database,
    DatabaseFlavor,
    DatabaseServer,
    DatabaseUser,
    Datastore,
    Driver,
    DumpFacts,
    Hold,
    NewDatabaseServer,
    NewDatabaseUser,
    StoredDump,
)


class Dump(abc.ABC):
    """The bytes of a server's data at one moment, to be read once from begin to end.

    Nothing is held but what is being read: a reader that is slow slows the dump, and one that is
    gone ends it. Not for several threads at once.
    """

    @abc.abstractmethod
    def read(self, size: int) -> bytes:
        """Return the next bytes, at most ``size``; empty only at the end of a dump that is whole.

        :raises DriverFailed: the dump failed, with the reason; what was read so far is of no use
        """

    @abc.abstractmethod
    def facts(self) -> DumpFacts:
        """Return what is known at the end; only after ``read`` returned nothing."""

    @abc.abstractmethod
    def close(self) -> None:
        """End the dump, wherever it is; the server goes on. May be repeated."""

    def __enter__(self) -> 'Dump':
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.close()


class DatabaseDriver(Driver):
    """Database servers to keep, to back up and to restore into."""

    #: Servers run on the host of the manager that made them; tasks get that host's affinity.
    is_host_local: bool = False

    #: What a stored dump is called after its id, e.g. ``xbstream.gz``.
    dump_suffix: str

    # -- what is on offer

    @abc.abstractmethod
    def list_flavors(self) -> list[DatabaseFlavor]:
        """Return the flavors, in the order of the configuration; nothing else is asked."""

    @abc.abstractmethod
    def show_flavor(self, flavor_id: str) -> DatabaseFlavor:
        """Return a flavor.

        :raises DatabaseFlavorNotFound: none has this id
        """

    @abc.abstractmethod
    def list_datastores(self) -> list[Datastore]:
        """Return what can serve databases, the default first; no server need be installed."""

    @abc.abstractmethod
    def check_available(self) -> None:
        """Raise DriverFailed, with the package to install or the setting to mend, when servers
        cannot be made on this host.
        """

    @abc.abstractmethod
    def wants_volume(self) -> bool:
        """Return whether a server's data can be kept on a volume on this host: the caller then
        makes one and hands its raw file in (``NewDatabaseServer.volume_path``).
        """

    @abc.abstractmethod
    def check_names(self, databases: Sequence[Database] = (),
                    users: Sequence[NewDatabaseUser] = ()) -> None:
        """Raise InvalidInput for what no server would take: a name or host that is reserved or
        cannot be one, a word that is no character set. Asks no server: one may refuse more.
        """

    # -- the life of a server

    @abc.abstractmethod
    def provision(self, context: RequestContext, instance_id: str, new: NewDatabaseServer, *,
                  for_load: bool = False) -> DatabaseServer:
        """Make a server and return it once it answers.

        One that is there already stays as it is, with what it holds, and is started; what was
        left unfinished is begun anew, and a volume that holds no server's data is formatted.

        :param for_load: end without data and not running; ``load`` and ``start`` follow
        :raises DriverFailed: it cannot be made: a package is missing, no port is free, it does not
            come up; with the reason
        """

    @abc.abstractmethod
    def start(self, context: RequestContext, instance_id: str) -> DatabaseServer:
        """Start a server that is stopped or died, and return it once it answers.

        :raises DatabaseServerNotFound: it is not on this host
        :raises DriverFailed: it does not come up, with the last it wrote
        """

    @abc.abstractmethod
    def stop(self, context: RequestContext, instance_id: str) -> None:
        """Stop a server in order, by force when it takes too long; one that is stopped stays so,
        and a missing one is no error.
        """

    @abc.abstractmethod
    def restart(self, context: RequestContext, instance_id: str) -> DatabaseServer:
        """Stop and start."""

    @abc.abstractmethod
    def adopt(self, context: RequestContext, instance_id: str) -> DatabaseServer:
        """Make sure that a server which should run does, after its manager or its host was started
        again, or because it died: one that answers is left alone, one that hangs or is not there
        is started, with its volume and its rules.

        :raises DatabaseServerNotFound: it is not on this host, or was never finished
        :raises DriverFailed: it does not come up
        """

    @abc.abstractmethod
    def remove(self, context: RequestContext, instance_id: str) -> None:
        """Remove a server, its data and its rules, whatever state it is in; a missing one is no
        error. Its volume is let go of and left to the caller.
        """

    @abc.abstractmethod
    def list_servers(self) -> list[str]:
        """Return the instance ids of all servers of this host, finished or not, ascending: a sweep
        removes those that no record knows.
        """

    @abc.abstractmethod
    def show(self, context: RequestContext, instance_id: str) -> DatabaseServer:
        """Return a server, running or not.

        :raises DatabaseServerNotFound: it is not on this host
        """

    @abc.abstractmethod
    def resize_memory(self, context: RequestContext, instance_id: str,
                      ram_mb: int) -> DatabaseServer:
        """Give a server another size of memory and restart it; with the size that it has it is
        only made sure that it runs.

        When it does not come up with the new size it is started with the old one.

        :raises DriverFailed: it did not come up with the new size
        """

    @abc.abstractmethod
    def resize_volume(self, context: RequestContext, instance_id: str, volume_gb: int) -> None:
        """Let a server use its volume, which the caller has made larger; it goes on meanwhile, or
        is restarted where this process lacks the privilege for that.

        :raises InvalidInput: smaller than it is
        """

    @abc.abstractmethod
    def set_allowed(self, context: RequestContext, instance_id: str,
                    cidrs: Collection[str]) -> None:
        """Replace the list of networks that clients may connect from; from then on, also for
        connections that there are. Need not run.

        :raises InvalidInput: a network is not one, or this host cannot filter
        """

    # -- standstill

    def quiesce(self, context: RequestContext, instance_id: str, *, holder: str) -> bool:
        """Have everything that was committed on the server's volume, and keep the volume from
        changing until ``unquiesce``, so that a snapshot of it can be taken. Changes wait
        meanwhile; the server is neither started nor stopped. Quiesced by the holder already:
        nothing happens.

        It outlives the process that asked for it; ``list_holds`` tells a sweep what was left.

        :returns: False where that is not possible: the data lie on no volume
        :raises DatabaseServerNotFound: it is not on this host
        :raises DriverFailed: it could not be brought to a standstill; it goes on as before
        """
        return False

    def unquiesce(self, context: RequestContext, instance_id: str, *, holder: str) -> None:
        """End what ``quiesce`` began; changes go on once no holder is left. Not quiesced by this
        holder (any more), or no server: nothing happens.
        """

    def list_holds(self, context: RequestContext) -> Iterator[Hold]:
        """Yield (holder, instance) of every server of this host that is quiesced."""
        return iter(())

    # -- databases

    @abc.abstractmethod
    def list_databases(self, context: RequestContext, instance_id: str, *,
                       limit: int | None = None, marker: str | None = None) -> list[Database]:
        """Return databases by name, ascending by code points, those after ``marker``."""

    @abc.abstractmethod
    def create_databases(self, context: RequestContext, instance_id: str,
                         databases: Sequence[Database], *, exist_ok: bool = False) -> None:
        """Make databases, all or none.

        :param exist_ok: leave alone those that exist
        :raises DatabaseExists: there is one of that name
        :raises InvalidInput: a name cannot be one or is reserved, or the server does not know the
            character set or collation
        """

    @abc.abstractmethod
    def delete_database(self, context: RequestContext, instance_id: str, name: str) -> None:
        """Remove a database with all that it holds, and the grants on it.

        :raises DatabaseNotFound: there is none of that name
        :raises InvalidInput: the name is reserved
        """

    # -- users

    @abc.abstractmethod
    def hash_password(self, password: str) -> str:
        """Return what stands for a password where it has to be kept until the server has it."""

    @abc.abstractmethod
    def list_users(self, context: RequestContext, instance_id: str, *, limit: int | None = None,
                   marker: tuple[str, str] | None = None) -> list[DatabaseUser]:
        """Return users by (name, host), ascending by code points, those after ``marker``.

        ``root`` is not among them, and neither is any of the server's own.
        """

    @abc.abstractmethod
    def show_user(self, context: RequestContext, instance_id: str, name: str,
                  host: str = '%') -> DatabaseUser:
        """Return a user.

        :raises DatabaseUserNotFound: there is none of that name and host
        """

    @abc.abstractmethod
    def create_users(self, context: RequestContext, instance_id: str,
                     users: Sequence[NewDatabaseUser], *, exist_ok: bool = False) -> None:
        """Make users and grant them all of their databases, all users or none.

        :param exist_ok: give those that exist the password and the grants
        :raises DatabaseUserExists: there is one of that name and host
        :raises DatabaseNotFound: a database to grant does not exist
        :raises InvalidInput: a name or host cannot be one or is reserved
        """

    @abc.abstractmethod
    def update_user(self, context: RequestContext, instance_id: str, name: str, host: str = '%', *,
                    new_name: str | None = None, new_host: str | None = None,
                    password_hash: str | None = None) -> None:
        """Change name, host or password of a user; grants stay. None leaves as it is.

        :raises DatabaseUserNotFound: there is none of that name and host
        :raises DatabaseUserExists: there is one of the new name and host
        :raises InvalidInput: a name or host cannot be one or is reserved
        """

    @abc.abstractmethod
    def delete_user(self, context: RequestContext, instance_id: str, name: str,
                    host: str = '%') -> None:
        """Remove a user and end what it is connected to.

        :raises DatabaseUserNotFound: there is none of that name and host
        :raises InvalidInput: the name is reserved
        """

    @abc.abstractmethod
    def grant(self, context: RequestContext, instance_id: str, name: str, host: str,
              databases: Collection[str]) -> None:
        """Grant a user all of these databases; those that it has stay.

        :raises DatabaseUserNotFound: there is none of that name and host
        :raises DatabaseNotFound: one of the databases does not exist; nothing was granted
        """

    @abc.abstractmethod
    def revoke(self, context: RequestContext, instance_id: str, name: str, host: str,
               database: str) -> None:
        """Take a database away from a user.

        :raises DatabaseUserNotFound: there is none of that name and host
        :raises DatabaseNotFound: it has no grant on this database
        """

    @abc.abstractmethod
    def enable_root(self, context: RequestContext, instance_id: str, password_hash: str) -> None:
        """Let ``root`` in from everywhere with a password. Enabled already: it has that one from
        now on.

        :param password_hash: of ``hash_password``
        """

    @abc.abstractmethod
    def disable_root(self, context: RequestContext, instance_id: str) -> None:
        """Let ``root`` in no more; not enabled: nothing happens."""

    @abc.abstractmethod
    def is_root_enabled(self, context: RequestContext, instance_id: str) -> bool:
        """Return whether ``root`` is let in."""

    # -- dumps

    @abc.abstractmethod
    def dump(self, context: RequestContext, instance_id: str, *,
             since: str | None = None) -> Dump:
        """Begin to dump a server that goes on serving; one dump of a server at a time.

        :param since: ``DumpFacts.point`` of an earlier dump of this very server: only what was
            changed since then
        :raises DriverFailed: it cannot begin, or another one runs
        """

    @abc.abstractmethod
    def load(self, context: RequestContext, instance_id: str,
             dumps: Sequence[StoredDump]) -> None:
        """Fill a server made ``for_load``: a whole dump, then increments in their order, each
        since the one before. The server is not started. Loading again begins anew.

        :raises DumpDamaged: a checksum is another, or it is no dump; nothing is left of it
        :raises DriverFailed: it does not fit, or the server has data already
        """
