# SPDX-License-Identifier: Apache-2.0
"""Who talks to Cinder: the service's user in its own project, the same user in a tenant's project,
or a caller with the token of the request.
"""

import threading
from typing import Any

from keystoneauth1 import session as keystone_session
from keystoneauth1 import token_endpoint
from oslo_config import cfg

from backupsvc import clients, exception
from backupsvc.context import RequestContext
from backupsvc.drivers.volume.cinder import client, opts
from backupsvc.drivers.volume.cinder.client import CinderClient


class Access:
    """Clients of one configuration, each made when it is first needed."""

    def __init__(self, conf: cfg.ConfigOpts):
        self._conf = conf
        self._options = conf[opts.GROUP]
        self._lock = threading.Lock()
        self._sessions: dict[str | None, keystone_session.Session] = {}
        self._clients: dict[str | None, CinderClient] = {}
        self._service: Any = None
        self._base_url: str | None = None

    def base_url(self) -> str:
        """Return the URL of Cinder's API up to and with ``/v3``.

        :raises DriverFailed: neither the configuration nor the catalog has it
        """
        if self._base_url is None:
            options = self._options
            url = options.endpoint
            if not url:
                with clients.explained('Cinder'):
                    url = self._session(None).get_endpoint(
                        service_type=options.service_type, interface=options.interface,
                        region_name=options.region_name)
            if not url:
                raise exception.DriverFailed(
                    reason=f'The service catalog has no {options.interface} endpoint of type '
                           f'{options.service_type}.')
            self._base_url = client.versioned(url)
        return self._base_url

    def service(self) -> CinderClient:
        """Return the client of the service's own project, whose user sees every project."""
        return self._client(None)

    def project(self, project_id: str) -> CinderClient:
        """Return the client of the service's user in a tenant's project."""
        return self._client(project_id)

    def creator(self, context: RequestContext) -> CinderClient:
        """Return the client that makes what is to be the caller's.

        With the caller's own token, where that is one of Keystone's, so that Cinder's policies
        and quotas decide; else with the service's user in the caller's project.
        """
        if not context.project_id:
            raise exception.InvalidInput(reason='The token is not of a project.')
        if not (context.auth_token and context.service_catalog):
            return self._client(context.project_id)
        session = clients.service_session(self._conf, opts.GROUP)
        service, session.auth = session.auth, token_endpoint.Token(
            self.base_url(), context.auth_token)
        clients.send_service_token(session, service)
        return CinderClient(session, self.base_url, self._options.request_timeout,
                            context.project_id)

    def _client(self, project_id: str | None) -> CinderClient:
        with self._lock:
            found = self._clients.get(project_id)
        if found is None:
            found = CinderClient(self._session(project_id), self.base_url,
                                 self._options.request_timeout, project_id)
            with self._lock:
                found = self._clients.setdefault(project_id, found)
        return found

    def _session(self, project_id: str | None) -> keystone_session.Session:
        with self._lock:
            if None not in self._sessions:
                session = clients.service_session(self._conf, opts.GROUP)
                self._service = session.auth
                clients.send_service_token(session, self._service)
                self._sessions[None] = session
            if project_id not in self._sessions:
                session = clients.service_session(
                    self._conf, opts.GROUP, project_id=project_id)
                clients.send_service_token(session, self._service)
                self._sessions[project_id] = session
            return self._sessions[project_id]
