# SPDX-License-Identifier: Apache-2.0
"""HTTP to Cinder's API: authentication, the URL of a project, and errors.

It is keystoneauth alone, without openstacksdk on top: every mover imports this, and the SDK takes
longer to import than a small volume takes to be backed up.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from keystoneauth1 import exceptions as ks_exceptions
from keystoneauth1 import session as keystone_session
from oslo_log import log as logging

from backupsvc import exception

LOG = logging.getLogger(__name__)

T = TypeVar('T')

#: The highest version whose answers are known here. Attachments need 3.54, encryption keys 3.64.
MICROVERSION = '3.66'

_POLL_S = 0.2
_LONGEST_POLL_S = 2.0


class Refused(Exception):
    """Cinder answered with an error that is about the request: 4xx."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status
        self.message = message


class CinderClient:
    """Requests in the name of one project.

    :param session: a keystoneauth1 session with an auth plugin
    :param base_url: called for the URL of the service up to ``/v3``
    :param project_id: whose volumes; None takes the project of the session
    """

    def __init__(self, session: keystone_session.Session, base_url: Callable[[], str],
                 timeout_s: float, project_id: str | None = None):
        self._session = session
        self._base_url = base_url
        self._timeout_s = timeout_s
        self._project_id = project_id

    @property
    def project_id(self) -> str:
        """The project that the requests are made in.

        :raises DriverFailed: Keystone refuses or does not answer
        """
        if self._project_id is None:
            with explained('Keystone'):
                self._project_id = self._session.get_project_id()
        if self._project_id is None:
            raise exception.DriverFailed(reason='The service user of Cinder has no project.')
        return self._project_id

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        """Return what is there.

        :raises Refused, DriverFailed: see ``request``
        """
        return self.request('GET', path, params=params)

    def find(self, path: str) -> dict[str, Any] | None:
        """Return what is there, None where there is nothing."""
        try:
            return self.request('GET', path)
        except Refused as refused:
            if refused.status == 404:
                return None
            raise

    def items(self, collection: str, path: str, **params: Any) -> Iterator[dict[str, Any]]:
        """Yield all of a list, page after page."""
        marker = None
        while True:
            page = self.get(path, **params, **({'marker': marker} if marker else {}))
            yield from page[collection]
            if not page.get(f'{collection}_links'):
                return
            marker = page[collection][-1]['id']

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Make something, or do something with it."""
        return self.request('POST', path, json=body)

    def put(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Replace something."""
        return self.request('PUT', path, json=body)

    def delete(self, path: str) -> None:
        """Remove something; what is not there is no error."""
        try:
            self.request('DELETE', path)
        except Refused as refused:
            if refused.status != 404:
                raise

    def request(self, method: str, path: str, **kwargs: Any) -> dict[str, Any]:
        """Return the body of an answer, empty where it has none.

        :raises Refused: Cinder says no
        :raises DriverFailed: Cinder or Keystone does not answer, or refuses the service user
        """
        with explained('Cinder'):
            url = f'{self._base_url()}/{self.project_id}{path}'
            answer = self._session.request(
                url, method, raise_exc=False, timeout=self._timeout_s, connect_retries=2,
                headers={'OpenStack-API-Version': f'volume {MICROVERSION}',
                         'Accept': 'application/json'}, **kwargs)
        if answer.status_code >= 500 or answer.status_code == 401:
            raise exception.DriverFailed(
                reason=f'Cinder answered {answer.status_code} to {method} {path}: '
                       f'{_message(answer)}')
        if answer.status_code >= 400:
            raise Refused(answer.status_code, _message(answer))
        return answer.json() if answer.content else {}


class explained:
    """Turn what keystoneauth raises into DriverFailed that names the part which failed."""

    def __init__(self, part: str):
        self._part = part

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, (ks_exceptions.Unauthorized, ks_exceptions.Forbidden)):
            raise exception.DriverFailed(
                reason=f'Keystone refuses the service user of Cinder: {error}') from error
        if isinstance(error, ks_exceptions.EndpointNotFound):
            raise exception.DriverFailed(
                reason=f'The service catalog has no endpoint of Cinder: {error}') from error
        if isinstance(error, ks_exceptions.ClientException):
            raise exception.DriverFailed(
                reason=f'{self._part} does not answer: {error}') from error


def _message(answer: Any) -> str:
    try:
        body = answer.json()
        return str(next(iter(body.values()))['message'])
    except (ValueError, LookupError, TypeError, AttributeError, StopIteration):
        return answer.reason or str(answer.status_code)


def versioned(url: str) -> str:
    """Return a catalog's or an operator's URL cut or completed to end with ``/v3``."""
    found = re.match(r'(.*?/v3)(?:/|\Z)', url)
    return found.group(1) if found else f'{url.rstrip("/")}/v3'


def wait_until(what: str, look: Callable[[], T | None], deadline_s: float) -> T:
    """Return what ``look`` returns once that is not None.

    :raises DriverFailed: it is None still after ``deadline_s`` seconds
    """
    give_up_at = time.monotonic() + deadline_s
    pause = _POLL_S
    while True:
        found = look()
        if found is not None:
            return found
        if time.monotonic() >= give_up_at:
            raise exception.DriverFailed(
                reason=f'{what} is not there after {deadline_s:.0f} s.')
        time.sleep(min(pause, max(0.0, give_up_at - time.monotonic())))
        pause = min(pause * 1.2, _LONGEST_POLL_S)
