# SPDX-License-Identifier: Apache-2.0
"""Repositories in directories of a local or shared file system."""

import os
import urllib.parse
from collections.abc import Sequence

from oslo_config import cfg

from backupsvc import exception
from backupsvc.context import RequestContext
from backupsvc.drivers.repository.base import RepositoryDriver, escape_name, refusals
from backupsvc.drivers.repository.posix import opts
from backupsvc.drivers.repository.posix.store import PosixStore
from backupsvc.engine import errors

#: A repository exists once this object does.
CONFIG_KEY = 'config'

_NAME_MAX = 255


class PosixRepositoryDriver(RepositoryDriver):
    """Keeps each container in ``<path>/<project>/<container>``."""

    name = 'posix'

    @classmethod
    def list_opts(cls) -> Sequence[tuple[str, Sequence[cfg.Opt]]]:
        return [(opts.GROUP, opts.OPTS)]

    def check_setup(self) -> None:
        if not os.access(self._base, os.R_OK | os.W_OK | os.X_OK):
            raise exception.DriverFailed(
                reason=f'[{opts.GROUP}] path = {self._base} is not a directory that this process '
                       'may write')

    def open_store(self, context: RequestContext, project_id: str, container: str, *,
                   create: bool = False) -> PosixStore:
        path = self._path(project_id, container)
        with refusals(f'container {container}'):
            try:
                if create:
                    PosixStore.create_root(self._base, os.path.relpath(path, self._base))
                return PosixStore(path)
            except errors.ObjectNotFound as error:
                if not os.path.isdir(self._base):
                    raise exception.DriverFailed(
                        reason=f'the repository directory {self._base} does not exist') from error
                raise exception.NotFound(f'Container {container} does not exist.') from error

    def container_exists(self, context: RequestContext, project_id: str, container: str) -> bool:
        return os.path.isdir(self._path(project_id, container))

    def list_containers(self, context: RequestContext, project_id: str) -> list[str]:
        try:
            directory = os.path.join(self._base, escape_name(project_id, _NAME_MAX))
            with os.scandir(directory) as entries:
                return sorted(urllib.parse.unquote(entry.name) for entry in entries
                              if os.path.exists(os.path.join(entry.path, CONFIG_KEY)))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise exception.DriverFailed(reason=f'{self._base}: {error.strerror}') from error

    def object_url(self, context: RequestContext, project_id: str, container: str,
                   key: str) -> str:
        return 'file://' + urllib.parse.quote(os.path.join(self._path(project_id, container), key))

    @property
    def _base(self) -> str:
        return os.path.abspath(self.conf[opts.GROUP].path)

    def _path(self, project_id: str, container: str) -> str:
        return os.path.join(self._base, escape_name(project_id, _NAME_MAX),
                            escape_name(container, _NAME_MAX))
