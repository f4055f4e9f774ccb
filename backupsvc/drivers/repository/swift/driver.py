# SPDX-License-Identifier: Apache-2.0
"""Repositories in Swift containers, in the account of the service or of each project."""

import threading
import urllib.parse
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from oslo_config import cfg

from backupsvc import clients, exception
from backupsvc.context import RequestContext
from backupsvc.drivers.repository.base import RepositoryDriver, escape_name, refusals
from backupsvc.drivers.repository.swift import opts
from backupsvc.engine import errors

if TYPE_CHECKING:
    from backupsvc.drivers.repository.swift.client import SwiftClient
    from backupsvc.drivers.repository.swift.store import SwiftStore

#: A repository exists once this object does.
CONFIG_KEY = 'config'
#: Swift's own default limit, less the suffix of the segments' container.
_NAME_MAX = 256 - len('_segments')
#: Keeps our objects together in a container that is the project's own.
_TENANT_PREFIX = 'backupsvc'


class SwiftRepositoryDriver(RepositoryDriver):
    """Keeps each container in a Swift container.

    In the service's account it is called ``<container_prefix>.<project>.<container>``, each part
    escaped, so that no two can meet. In a project's account it has the name the project chose.
    """

    name = 'swift'

    def __init__(self, conf: cfg.ConfigOpts):
        super().__init__(conf)
        self._lock = threading.Lock()
        self._clients: dict[str | None, SwiftClient] = {}  # by account, of our own user

    @classmethod
    def list_opts(cls) -> Sequence[tuple[str, Sequence[cfg.Opt]]]:
        return [(opts.GROUP, [*opts.OPTS, *clients.session_options()])]

    def check_setup(self) -> None:
        try:
            self._client(None, None).request('the account', 'HEAD', '')
        except errors.StoreError as error:
            raise exception.DriverFailed(reason=f'[{opts.GROUP}] {error}') from error

    def open_store(self, context: RequestContext, project_id: str, container: str, *,
                   create: bool = False) -> 'SwiftStore':
        store = self._store(context, project_id, container)
        with refusals(f'container {container}'):
            # Who may write a container need not be allowed to make one.
            if not store.container_exists():
                if not create:
                    raise exception.NotFound(f'Container {container} does not exist.')
                store.create_container()
        return store

    def container_exists(self, context: RequestContext, project_id: str, container: str) -> bool:
        with refusals(f'container {container}'):
            return self._store(context, project_id, container).container_exists()

    def list_containers(self, context: RequestContext, project_id: str) -> list[str]:
        prefix = '' if self._in_tenant_account else self._base_name(project_id)
        found = []
        try:
            for name in self._list_names(context, project_id, prefix):
                container = urllib.parse.unquote(name.removeprefix(prefix)) if prefix else name
                try:
                    self._store(context, project_id, container).stat(CONFIG_KEY)
                except errors.ObjectNotFound:
                    continue
                found.append(container)
        except errors.StoreError as error:
            raise exception.DriverFailed(reason=str(error)) from error
        return sorted(found)

    def object_url(self, context: RequestContext, project_id: str, container: str,
                   key: str) -> str:
        return self._store(context, project_id, container).url(key)

    def create_trust(self, context: RequestContext) -> str | None:
        if not self._uses_trusts:
            return None
        return clients.create_trust(
            self.conf, opts.GROUP, context, self.conf[opts.GROUP].trust_roles)

    def list_trusts(self) -> Iterator[str]:
        return clients.list_trusts(self.conf, opts.GROUP) if self._uses_trusts else iter(())

    def delete_trust(self, trust_id: str) -> None:
        clients.delete_trust(self.conf, opts.GROUP, trust_id)

    @property
    def _uses_trusts(self) -> bool:
        return self._in_tenant_account and self.conf[opts.GROUP].tenant_access == 'trust'

    @property
    def _in_tenant_account(self) -> bool:
        return self.conf[opts.GROUP].account == 'tenant'

    def _store(self, context: RequestContext, project_id: str, container: str) -> 'SwiftStore':
        # Deferred, as in _client: every process registers the options, few use the driver.
        from backupsvc.drivers.repository.swift.store import SwiftStore
        if self._in_tenant_account:
            name, prefix = _check_own_name(container), _TENANT_PREFIX
        else:
            base = self._base_name(project_id)
            name, prefix = base + escape_name(container, _NAME_MAX - len(base)), ''
        return SwiftStore(self._client_for(context, project_id), name, prefix,
                          segment_size=self.conf[opts.GROUP].segment_size)

    def _base_name(self, project_id: str) -> str:
        return '.'.join((escape_name(self.conf[opts.GROUP].container_prefix, _NAME_MAX),
                         escape_name(project_id, _NAME_MAX), ''))

    def _list_names(
        self, context: RequestContext, project_id: str, prefix: str
    ) -> Iterator[str]:
        marker = ''
        client = self._client_for(context, project_id)
        while True:
            params = {'format': 'json', 'prefix': prefix, 'marker': marker}
            page = client.request(
                'the account', 'GET', '', params=params, read=lambda answer: answer.json())
            if not page:
                return
            yield from (row['name'] for row in page)
            marker = page[-1]['name']

    def _account_name(self, project_id: str) -> str | None:
        if not self._in_tenant_account:
            return None
        return self.conf[opts.GROUP].reseller_prefix + project_id

    def _client_for(self, context: RequestContext, project_id: str) -> 'SwiftClient':
        # A trust is of the project that it was made in.
        trust_id = context.trust_id if context.project_id == project_id else None
        return self._client(self._account_name(project_id), trust_id)

    def _client(self, account_name: str | None, trust_id: str | None) -> 'SwiftClient':
        if trust_id is not None and self._uses_trusts:
            return self._new_client(account_name, trust_id)
        with self._lock:
            if account_name not in self._clients:
                self._clients[account_name] = self._new_client(account_name, None)
            return self._clients[account_name]

    def _new_client(self, account_name: str | None, trust_id: str | None) -> 'SwiftClient':
        from backupsvc.drivers.repository.swift import client
        group = self.conf[opts.GROUP]
        session = clients.service_session(self.conf, opts.GROUP, trust_id)
        account = client.Account(
            session, interface=group.interface, region_name=group.region_name,
            storage_url=group.storage_url, account_name=account_name)
        return client.SwiftClient(
            client.new_session(group.connections, session.verify), account,
            client.Timeouts(group.connect_timeout, group.read_timeout))


def _check_own_name(container: str) -> str:
    """Return ``container`` if Swift can hold a container of just this name.

    :raises InvalidInput: it cannot, or a proxy on the way would take it for another path
    """
    size = len(container.encode(errors='surrogatepass'))
    is_text = container.isprintable()
    if not 0 < size <= _NAME_MAX or not is_text or '/' in container or container in ('.', '..'):
        raise exception.InvalidInput(
            reason=f'a container name must have 1 to {_NAME_MAX} bytes of printable text, no "/", '
                   'and not be "." or ".."')
    return container
