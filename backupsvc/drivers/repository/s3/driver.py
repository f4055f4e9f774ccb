# SPDX-License-Identifier: Apache-2.0
"""Repositories in S3 buckets: one bucket for all projects, or one for each."""

import threading
import urllib.parse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from oslo_config import cfg

from backupsvc import exception
from backupsvc.context import RequestContext
from backupsvc.drivers.repository.base import RepositoryDriver, escape_name, refusals
from backupsvc.drivers.repository.s3 import opts
from backupsvc.engine import errors

if TYPE_CHECKING:
    from backupsvc.drivers.repository.s3.store import S3Store

#: A repository exists once this object does.
CONFIG_KEY = 'config'
#: S3 keys have 1024 bytes, ours 200; the rest is shared by project, container and the slashes.
_NAME_MAX = 400


class S3RepositoryDriver(RepositoryDriver):
    """Keeps each container below ``<project>/<container>/`` in a bucket, both escaped.

    An empty object marks a container that was made, so that it can exist without a backup.
    """

    name = 's3'

    def __init__(self, conf: cfg.ConfigOpts):
        super().__init__(conf)
        self._lock = threading.Lock()
        self._made_client: Any = None

    @classmethod
    def list_opts(cls) -> Sequence[tuple[str, Sequence[cfg.Opt]]]:
        return [(opts.GROUP, opts.OPTS)]

    def check_setup(self) -> None:
        try:
            self._client.list_buckets()
        except Exception as error:  # boto3 raises errors of several families
            raise exception.DriverFailed(reason=f'[{opts.GROUP}] {error}') from error

    def open_store(self, context: RequestContext, project_id: str, container: str, *,
                   create: bool = False) -> 'S3Store':
        from backupsvc.drivers.repository.s3 import store as s3_store
        store = self._store(project_id, container)
        with refusals(f'container {container}'):
            if create:
                s3_store.ensure_bucket(self._client, self._bucket(project_id), create=True)
                if not store.is_marked():
                    store.mark_container()
            elif not store.is_marked():
                raise exception.NotFound(f'Container {container} does not exist.')
        return store

    def container_exists(self, context: RequestContext, project_id: str, container: str) -> bool:
        with refusals(f'container {container}'):
            return self._store(project_id, container).is_marked()

    def list_containers(self, context: RequestContext, project_id: str) -> list[str]:
        from backupsvc.drivers.repository.s3 import store as s3_store
        prefix = escape_name(project_id, _NAME_MAX) + '/'
        found = []
        try:
            with s3_store.translated(f'bucket {self._bucket(project_id)}'):
                pages = self._client.get_paginator('list_objects_v2').paginate(
                    Bucket=self._bucket(project_id), Prefix=prefix, Delimiter='/')
                names = [row['Prefix'] for page in pages for row in page.get('CommonPrefixes', ())]
            for name in names:
                container = urllib.parse.unquote(name.removeprefix(prefix).rstrip('/'))
                try:
                    self._store(project_id, container).stat(CONFIG_KEY)
                except errors.ObjectNotFound:
                    continue
                found.append(container)
        except s3_store.BucketNotFound:
            return []
        except errors.StoreError as error:
            raise exception.DriverFailed(reason=str(error)) from error
        return sorted(found)

    def object_url(self, context: RequestContext, project_id: str, container: str,
                   key: str) -> str:
        return self._store(project_id, container).url(key)

    def _store(self, project_id: str, container: str) -> 'S3Store':
        from backupsvc.drivers.repository.s3.store import S3Store
        prefix = f'{escape_name(project_id, _NAME_MAX)}/{escape_name(container, _NAME_MAX)}'
        return S3Store(self._client, self._bucket(project_id), prefix,
                       conditional_writes=self.conf[opts.GROUP].conditional_writes)

    def _bucket(self, project_id: str) -> str:
        return self.conf[opts.GROUP].bucket.replace('{project_id}', project_id.lower())

    @property
    def _client(self) -> Any:
        # Deferred: boto3 is slow to import, and every process registers the options.
        from backupsvc.drivers.repository.s3 import store as s3_store
        with self._lock:
            if self._made_client is None:
                group = self.conf[opts.GROUP]
                self._made_client = s3_store.new_client(
                    endpoint_url=group.endpoint_url, region_name=group.region_name,
                    access_key=group.access_key, secret_key=group.secret_key,
                    addressing_style=group.addressing_style, ca_file=group.ca_file,
                    connect_timeout_s=group.connect_timeout, read_timeout_s=group.read_timeout,
                    connections=group.connections)
            return self._made_client
