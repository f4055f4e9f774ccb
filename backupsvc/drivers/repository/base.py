# SPDX-License-Identifier: Apache-2.0
"""Port of the repository family: where the repositories of the projects lie."""

import abc
import contextlib
import string
from collections.abc import Iterator

from backupsvc import exception
from backupsvc.context import RequestContext
from backupsvc.drivers.base import Driver
from backupsvc.engine import errors
from backupsvc.engine.store import Store


class RepositoryDriver(Driver):
    """Hands out the store of one (project, container).

    Containers of different projects never share a key or an object, whatever the names are.
    ``project_id`` and ``container`` come from users: a driver escapes or refuses what its
    namespace cannot hold.

    A driver whose containers can be named by a URL also gives ``open_url(url, *, create=False) ->
    Store`` as an entry point of ``backupsvc.stores`` under the URL's scheme, in a module that
    imports no oslo: ``backupsvc-manage repository`` starts with it. It raises InvalidInput, with
    the form, for a URL that is not of its form, and NotFound.
    """

    @abc.abstractmethod
    def open_store(self, context: RequestContext, project_id: str, container: str, *,
                   create: bool = False) -> Store:
        """Return the store of a container.

        :param create: make the container when it is not there
        :raises NotFound: the container does not exist
        :raises InvalidInput: the name cannot be a container, with the rule
        :raises DriverFailed: the object store refuses, with the reason
        """

    @abc.abstractmethod
    def container_exists(self, context: RequestContext, project_id: str, container: str) -> bool:
        """Return whether the container is there."""

    @abc.abstractmethod
    def list_containers(self, context: RequestContext, project_id: str) -> list[str]:
        """Return the project's containers that hold a repository of ours, ascending."""

    @abc.abstractmethod
    def object_url(self, context: RequestContext, project_id: str, container: str,
                   key: str) -> str:
        """Return the URL of an object, for an operator (``file://``, ``https://``, ``s3://``)."""

    def create_trust(self, context: RequestContext) -> str | None:
        """Have the caller hand over what later work on the caller's containers needs.

        :returns: what to put into the ``trust_id`` of the contexts of that work; None where the
            service needs nobody's leave
        :raises Forbidden: the caller may not hand it over
        :raises Unavailable: who keeps trusts does not answer
        """
        return None

    def list_trusts(self) -> Iterator[str]:
        """Yield all that ``create_trust`` has returned and that was not given back, whatever
        became of the work.

        :raises Unavailable: who keeps trusts does not answer
        """
        return iter(())

    def delete_trust(self, trust_id: str) -> None:
        """Give back what ``create_trust`` returned; a missing one is no error.

        :raises Unavailable: who keeps trusts does not answer
        """

    def object_size(self, context: RequestContext, project_id: str, container: str,
                    key: str) -> int:
        """Return the bytes of an object.

        :raises NotFound: there is no such object, or no such container
        :raises DriverFailed: the object store refuses, with the reason
        """
        store = self.open_store(context, project_id, container)
        with contextlib.closing(store), refusals(f'object {key}'):
            try:
                return store.stat(key).size_bytes
            except errors.ObjectNotFound as error:
                raise exception.NotFound(f'There is no object {key}.') from error


@contextlib.contextmanager
def refusals(what: str) -> Iterator[None]:
    """Turn errors of a store into the family's.

    :param what: what was asked for, for the error's text
    :raises DriverFailed: the store raised one
    """
    try:
        yield
    except errors.StoreError as error:
        raise exception.DriverFailed(reason=f'{what}: {error}') from error


_PLAIN = frozenset(string.ascii_letters + string.digits + '_-')


def escape_name(name: str, max_length: int) -> str:
    """Return a name of letters, digits, ``_``, ``-`` and ``%`` for any name, one to one.

    :param max_length: characters that the name space of the driver can hold
    :raises InvalidInput: the name is empty, no Unicode text, or too long when escaped
    """
    try:
        encoded = name.encode()
    except UnicodeEncodeError as error:
        raise exception.InvalidInput(reason='a container name must be Unicode text') from error
    escaped = ''.join(chr(byte) if chr(byte) in _PLAIN else f'%{byte:02X}' for byte in encoded)
    if not 0 < len(escaped) <= max_length:
        raise exception.InvalidInput(
            reason=f'a container name must have 1 to {max_length} characters, of which each other '
                   'than letters, digits, "_" and "-" counts three per byte')
    return escaped
