# SPDX-License-Identifier: Apache-2.0
"""HTTP to Nova's API in the name of the service user."""

from collections.abc import Iterator
from typing import Any

from keystoneauth1 import session as keystone_session

from backupsvc import clients

#: Reasons of locks need 2.73, and so does the filter for them.
MICROVERSION = '2.79'


class NovaClient:
    """Requests as an administrator of Nova.

    :param endpoint: URL up to ``/v2.1``; None takes the one that ``catalog`` finds
    :param catalog: what keystoneauth takes as an endpoint filter
    """

    def __init__(self, session: keystone_session.Session, endpoint: str | None,
                 catalog: dict[str, Any], timeout_s: float):
        self._session = session
        self._options: dict[str, Any] = {'timeout': timeout_s}
        if endpoint:
            self._options['endpoint_override'] = endpoint.rstrip('/')
        else:
            self._options['endpoint_filter'] = {'service_type': 'compute', **catalog}

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        """Return what is there."""
        return self.request('GET', path, params=params)

    def servers(self, **params: Any) -> Iterator[dict[str, Any]]:
        """Yield servers of all projects, page after page."""
        marker = None
        while True:
            page = self.get('/servers/detail', all_tenants=1, **params,
                            **({'marker': marker} if marker else {}))['servers']
            if not page:
                return
            yield from page
            marker = page[-1]['id']

    def act(self, server_id: str, action: str, values: dict[str, Any] | None = None) -> None:
        """Do something with a server."""
        self.request('POST', f'/servers/{server_id}/action', json={action: values})

    def request(self, method: str, path: str, **kwargs: Any) -> dict[str, Any]:
        """Return the body of an answer, empty where it has none.

        :raises Refused: Nova says no
        :raises DriverFailed: Nova or Keystone does not answer, or refuses the service user
        """
        return clients.ask(self._session, 'Nova', method, path,
                           version=f'compute {MICROVERSION}', **self._options, **kwargs)
