# SPDX-License-Identifier: Apache-2.0
"""HTTP to one Swift account: authentication and its renewal, and errors as a store raises them."""

import dataclasses
import email.utils
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import requests
import requests.adapters
import urllib3.exceptions
from keystoneauth1 import exceptions as ks_exceptions

from backupsvc.engine import errors
from backupsvc.engine.store import Buffer

_TRANSIENT = frozenset({408, 425, 429, 498, 499, 500, 502, 503, 504})
#: What Swift answers where the account was deleted and is not removed yet.
_GONE = frozenset({403, 404, 410})
_REFUSALS = {
    401: (errors.StoreDenied, 'the credentials are refused'),
    403: (errors.StoreDenied, 'access to the account or the container is denied'),
    413: (errors.StoreFull, 'the quota of the account or of the container is exceeded'),
    507: (errors.StoreFull, 'its disks are full'),
}


class Account:
    """One account, through a keystoneauth session of any plugin (``v1password`` is tempauth's).

    :param session: a keystoneauth1 session with an auth plugin
    :param interface: which endpoint of the catalog: public, internal or admin
    :param region_name: region of the endpoint; None takes the first
    :param storage_url: the storage URL of the session's own account, in place of the catalog's
    :param account_name: replaces the last part of the storage URL: another project's account,
        which the session's user must be allowed to write
    """

    def __init__(self, session: Any, *, interface: str = 'public', region_name: str | None = None,
                 storage_url: str | None = None, account_name: str | None = None):
        self._session = session
        self._endpoint = {'service_type': 'object-store', 'interface': interface,
                          'region_name': region_name}
        self._storage_url = storage_url
        self._account_name = account_name

    def locate(self) -> tuple[str, str]:
        """Return (storage URL, token).

        :raises StoreDenied: the credentials are refused
        :raises StoreTransient: the identity service does not answer
        """
        try:
            token = self._session.get_token()
            url = self._storage_url or self._session.get_endpoint(**self._endpoint)
        except (ks_exceptions.Unauthorized, ks_exceptions.Forbidden) as error:
            raise errors.StoreDenied(
                f'Keystone refuses the credentials for Swift: {error.message}') from error
        except (ks_exceptions.ConnectFailure, ks_exceptions.RetriableConnectionFailure,
                ks_exceptions.HttpServerError) as error:
            raise errors.StoreTransient(f'Keystone does not answer: {error}') from error
        except ks_exceptions.ClientException as error:
            raise errors.StoreError(f'Keystone: {error}') from error
        if not url:
            raise errors.StoreError('the catalog of Keystone has no object store')
        url = url.rstrip('/')
        if self._account_name is not None:
            url = f'{url.rpartition("/")[0]}/{urllib.parse.quote(self._account_name, safe="")}'
        return url, token

    def renew(self, token: str) -> None:
        """Forget ``token``, which was refused, unless another thread has brought a newer one."""
        if self._session.get_token() == token:
            self._session.invalidate()


class Parts:
    """The body of a put: buffers sent one after the other, without a copy, as often as needed."""

    def __init__(self, parts: Sequence[Buffer]):
        self._parts = [memoryview(part).cast('B') for part in parts if len(part)]
        self._size = sum(len(part) for part in self._parts)

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[memoryview]:
        return iter(self._parts)

    def slice(self, offset: int, size: int) -> 'Parts':
        """Return ``size`` bytes from ``offset`` as a body of their own, without a copy."""
        found = []
        for part in self._parts:
            if offset < len(part) and size > 0:
                piece = part[offset:offset + size]
                found.append(piece)
                size -= len(piece)
            offset = max(0, offset - len(part))
        return Parts(found)


@dataclasses.dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to wait for a connection, and for the next bytes of an answer."""

    connect_s: float = 10.0
    read_s: float = 60.0


def new_session(connections: int, verify: bool | str | None = True) -> requests.Session:
    """Return a session that keeps up to ``connections`` open; ``verify`` as requests takes it."""
    session = requests.Session()
    adapter = requests.adapters.HTTPAdapter(pool_connections=4, pool_maxsize=connections)
    session.mount('http://', adapter)
    session.mount('https://', adapter)
    session.verify = True if verify is None else verify
    # Bodies are read as they come: no encoding that would have to be undone.
    session.headers['Accept-Encoding'] = 'identity'
    return session


class SwiftClient:
    """Requests to one account.

    :param session: from ``new_session``; shared by the threads that put and get
    :param account: where to, and with which token
    """

    def __init__(self, session: requests.Session, account: Account,
                 timeouts: Timeouts = Timeouts()):
        self._session = session
        self._account = account
        self._timeout = (timeouts.connect_s, timeouts.read_s)

    def url(self, path: str) -> str:
        """Return the URL of ``path``, container and object names not quoted yet."""
        return f'{self._account.locate()[0]}/{urllib.parse.quote(path)}'.rstrip('/')

    def request(self, what: str, method: str, path: str, *,
                headers: Mapping[str, str] | None = None,
                params: Mapping[str, str] | None = None, body: Parts | bytes | None = None,
                read: Callable[[requests.Response], Any] | None = None,
                accept: Sequence[int] = ()) -> Any:
        """Make a request, a second time with a new token when the first is refused.

        :param what: what it is about, for the text of an error
        :param path: container and object, not quoted
        :param read: is given the answer while its body is still to come, and its result returned;
            None returns the answer with its body read
        :param accept: statuses besides 2xx that are no error
        :raises StoreError: one of the family, by status
        """
        for is_last in (False, True):
            storage_url, token = self._account.locate()
            sent = {**(headers or {}), 'X-Auth-Token': token}
            try:
                with self._session.request(
                        method, f'{storage_url}/{urllib.parse.quote(path)}'.rstrip('/'),
                        headers=sent, params=params, data=cast(Any, body), stream=True,
                        timeout=self._timeout) as answer:
                    if answer.status_code == 401 and not is_last:
                        self._account.renew(token)
                        continue
                    if not answer.ok and answer.status_code not in accept:
                        raise error_of(what, answer)
                    if read is not None and answer.ok:
                        return read(answer)
                    answer.content  # noqa: B018 - reads the body, so that the connection is kept
                    return answer
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                raise translate_failure(what, error) from error
        raise AssertionError('not reached')

    def close(self) -> None:
        """Close the idle connections."""
        self._session.close()


def error_of(what: str, answer: requests.Response) -> errors.StoreError:
    """Return the error for an answer's status."""
    status = answer.status_code
    text = f'({what}: {status} {answer.reason})'
    if status in _GONE and answer.headers.get('X-Account-Status', '').lower() == 'deleted':
        return errors.StoreError(f'Swift: the account was deleted {text}')
    if status == 404:
        return errors.ObjectNotFound(what)
    if status in _REFUSALS:
        error, reason = _REFUSALS[status]
        return error(f'Swift: {reason} {text}')
    # 422 is a body that is not what its ETag says: bytes were damaged on the way.
    if status in _TRANSIENT or status == 422:
        return errors.StoreTransient(f'Swift does not answer as it should {text}',
                                     retry_after(answer.headers))
    return errors.StoreError(f'Swift refuses {text}')


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of a Retry-After header, or None."""
    value = headers.get('Retry-After', '').strip()
    if value.isdigit():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def translate_failure(what: str, error: Exception) -> errors.StoreError:
    """Return the error for a request that got no answer."""
    if isinstance(error, requests.exceptions.SSLError):
        return errors.StoreError(f'Swift: the certificate of the server is refused ({what})')
    if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.MissingSchema):
        return errors.StoreError(f'Swift: {error} ({what})')
    reasons = ((requests.exceptions.Timeout, 'no answer in time'),
               (requests.exceptions.ConnectionError, 'the connection failed'))
    reason = next((text for kind, text in reasons if isinstance(error, kind)),
                  'the answer broke off')
    return errors.StoreTransient(f'Swift: {reason} ({what}: {_root_cause(error)})')


def _root_cause(error: BaseException) -> str:
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return getattr(error, 'strerror', None) or type(error).__name__
