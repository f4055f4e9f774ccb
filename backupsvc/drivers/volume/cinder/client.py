# SPDX-License-Identifier: Apache-2.0
"""HTTP to Cinder's API, in the name of one project.

It is keystoneauth alone, without openstacksdk on top: every mover imports this, and the SDK takes
longer to import than a small volume takes to be backed up.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from keystoneauth1 import session as keystone_session

from backupsvc import clients, exception
from backupsvc.clients import Refused

T = TypeVar('T')

#: The highest version whose answers are known here. Attachments need 3.54, encryption keys 3.64.
MICROVERSION = '3.66'

_POLL_S = 0.2
_LONGEST_POLL_S = 2.0


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
            with clients.explained('Cinder'):
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
        return clients.ask(
            self._session, 'Cinder', method, f'{self._base_url()}/{self.project_id}{path}',
            version=f'volume {MICROVERSION}', timeout=self._timeout_s, **kwargs)


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
