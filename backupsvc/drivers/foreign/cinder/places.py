# SPDX-License-Identifier: Apache-2.0
"""Where the objects of a backup lie: directories, or containers of a Swift account. Read only."""

import abc
import contextlib
import os
import threading
import urllib.parse
from collections.abc import Iterator
from typing import Any, Protocol

from backupsvc.drivers.foreign.cinder import layout
from backupsvc.engine import errors

_CONNECT_ATTEMPTS = 5


class OpenObject(layout.Reader, Protocol):
    """An object that is read from its beginning, and closed."""

    def close(self) -> None: ...


class Place(abc.ABC):
    """Objects by container and name; used by several threads at once."""

    @abc.abstractmethod
    def open(self, container: str, name: str) -> OpenObject:
        """Open an object.

        :raises ObjectNotFound: there is none
        :raises StoreError: another of the family; ``read`` raises it too
        """

    @abc.abstractmethod
    def list(self, container: str, prefix: str) -> set[str]:
        """Return the names of the objects whose names begin so; none in a container that is not
        there.

        :raises StoreError: as ``open``
        """

    @abc.abstractmethod
    def find(self, backup_id: str, near: layout.Layer) -> layout.Layer | None:
        """Return where a backup lies of which nothing is known but the id and one made from it;
        None where it is not found.

        :raises StoreError: as ``open``
        """


def match(backup_id: str, container: str, names: set[str]) -> layout.Layer | None:
    """Return the layer of a backup whose metadata is one of ``names``, or None."""
    ending = f'_backup_{backup_id}_metadata'
    found = sorted(name for name in names if name.endswith(ending))
    if not found:
        return None
    return layout.Layer(backup_id, container, found[-1].removesuffix('_metadata'))


class Directories(Place):
    """Containers are directories below one, objects are files."""

    def __init__(self, path: str):
        self._path = os.path.realpath(path)

    def open(self, container: str, name: str) -> OpenObject:
        path = self._inside(container, name)
        try:
            return _File(path, name)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise errors.ObjectNotFound(name) from error
        except OSError as error:
            raise _failed(name, error) from error

    def list(self, container: str, prefix: str) -> set[str]:
        try:
            names = os.listdir(self._inside(container))
        except (FileNotFoundError, NotADirectoryError):
            return set()
        except OSError as error:
            raise _failed(container, error) from error
        return {name for name in names if name.startswith(prefix)}

    def find(self, backup_id: str, near: layout.Layer) -> layout.Layer | None:
        own = os.path.join(backup_id[0:2], backup_id[2:4], backup_id)  # unless one is asked for
        for container in (near.container, own):
            found = match(backup_id, container, self.list(container, 'volume_'))
            if found:
                return found
        return None

    def _inside(self, container: str, name: str | None = None) -> str:
        """Return a path, once it is sure that it does not lead out of the directory.

        :raises ObjectNotFound: it does
        """
        inner = container if name is None else os.path.join(container, name)
        is_plain = '\0' not in inner and not (name and '/' in name)
        path = os.path.realpath(os.path.join(self._path, inner)) if is_plain else ''
        if os.path.isabs(container) or not path.startswith(self._path + os.sep):
            raise errors.ObjectNotFound(inner)
        return path


class _File:
    def __init__(self, path: str, name: str):
        self._name = name
        self._file = open(path, 'rb', buffering=0)  # noqa: SIM115 - the caller closes it

    def read(self, size: int, /) -> bytes:
        try:
            return self._file.read(size) or b''
        except OSError as error:
            raise _failed(self._name, error) from error

    def close(self) -> None:
        self._file.close()


def _failed(name: str, error: OSError) -> errors.StoreError:
    text = f'object {name}: {error.strerror}'
    return errors.StoreDenied(text) if isinstance(error, PermissionError) \
        else errors.StoreTransient(text)


class SwiftAccount(Place):
    """Containers of a Swift account.

    :param session: a keystoneauth session
    :param account_name: replaces the last part of the session's own storage URL
    """

    def __init__(self, session: Any, *, interface: str, region_name: str | None,
                 account_name: str | None):
        self._session = session
        self._endpoint = {'service_type': 'object-store', 'interface': interface,
                          'region_name': region_name}
        self._account_name = account_name
        self._of_thread = threading.local()  # a connection serves one thread

    def open(self, container: str, name: str) -> OpenObject:
        _check_path(container, name)
        with _translated(name):
            _, body = self._connection().get_object(container, name,
                                                    resp_chunk_size=layout.PIECE)
            return _Body(body, name)

    def list(self, container: str, prefix: str) -> set[str]:
        _check_path(container, prefix)
        try:
            with _translated(f'container {container}'):
                _, rows = self._connection().get_container(container, prefix=prefix,
                                                           full_listing=True)
        except errors.ObjectNotFound:
            return set()
        return {row['name'] for row in rows}

    def find(self, backup_id: str, near: layout.Layer) -> layout.Layer | None:
        volume = near.prefix.partition('/')[0]
        return match(backup_id, near.container, self.list(near.container, f'{volume}/'))

    def _connection(self) -> Any:
        found = getattr(self._of_thread, 'connection', None)
        if found is None:
            from swiftclient import client  # slow to import, and few processes come here
            options = {}
            if self._account_name is not None:
                own = self._session.get_endpoint(**self._endpoint)
                if not own:
                    raise errors.StoreError('the catalog has no object store')
                account = urllib.parse.quote(self._account_name, safe='')
                options['object_storage_url'] = f'{own.rstrip("/").rpartition("/")[0]}/{account}'
            verify = self._session.verify
            found = self._of_thread.connection = client.Connection(
                session=self._session, retries=_CONNECT_ATTEMPTS, insecure=verify is False,
                cacert=verify if isinstance(verify, str) else None,
                os_options={'region_name': self._endpoint['region_name'],
                            'endpoint_type': self._endpoint['interface'], **options})
        return found


def _check_path(container: str, name: str) -> None:
    """Make sure that an object is in the container, and that in the account.

    :raises ObjectNotFound: the URL would lead elsewhere
    """
    if '/' in container or not {'', '.', '..'}.isdisjoint([container, *name.split('/')[:-1]]) \
            or name in ('.', '..'):
        raise errors.ObjectNotFound(name)


class _Body:
    """The body of an answer; what breaks off is fetched again by the client, from there."""

    def __init__(self, body: Any, name: str):
        self._body = body
        self._name = name

    def read(self, size: int, /) -> bytes:
        parts, left = [], size
        with _translated(self._name):
            while left > 0 and (piece := self._body.read(min(left, layout.PIECE))):
                parts.append(piece)
                left -= len(piece)
        return b''.join(parts)

    def close(self) -> None:
        self._body.close()


@contextlib.contextmanager
def _translated(name: str) -> Iterator[None]:
    """Turn errors of the Swift client into a store's."""
    try:
        yield
    except errors.EngineError:
        raise
    except Exception as error:
        from keystoneauth1 import exceptions as ks_exceptions
        status = getattr(error, 'http_status', None)
        if status == 404:
            raise errors.ObjectNotFound(name) from error
        if status is not None and 400 <= status < 500 and status not in (401, 403, 408, 429):
            raise errors.StoreError(f'{name}: Swift answers {status}') from error
        if status in (401, 403) or isinstance(error, ks_exceptions.Unauthorized):
            raise errors.StoreDenied(f'{name}: Swift refuses ({status or 401})') from error
        raise errors.StoreTransient(f'{name}: Swift: {error}') from error
