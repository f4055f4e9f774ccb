# SPDX-License-Identifier: Apache-2.0
"""Opens the repository of a (project, container) with everything that the configuration says."""

import contextlib
import os
from typing import Any

from backupsvc import conf as configuration
from backupsvc.context import RequestContext
from backupsvc.drivers import loader
from backupsvc.engine import errors
from backupsvc.engine.repository import Parameters, Repository
from backupsvc.engine.store import Store
from backupsvc.engine.stores.retry import RetryStore
from backupsvc.manager import coordination, fencing, keyring


def open_repository(context: RequestContext, project_id: str, container: str, *,
                    driver: str | None = None, create: bool = False) -> Repository:
    """Return the repository of a container; closing it closes its store too.

    :param driver: name of the repository driver; None for the configured one
    :param create: make the container and the repository where they are not there
    :raises NotFound: the container does not exist
    :raises InvalidInput: the container's name cannot be one
    :raises DriverFailed: the object store or the key provider refuses
    :raises RepositoryNotFound: the container holds no repository
    :raises WrongKey: the configured keys do not open it
    """
    conf = configuration.current()
    store = RetryStore(
        fencing.fenced_store(loader.repository_driver(driver).open_store(
            context, project_id, container, create=create)),
        attempts=conf.engine.store_attempts, deadline_s=conf.engine.store_deadline)
    try:
        wrapper = keyring.get_wrapper(context)
        # Directories of different drivers and containers do not meet: the engine puts the id of
        # the repository behind this.
        cache_dir = os.path.join(conf.engine.cache_dir, 'index')
        workers = conf.engine.workers or None
        try:
            return Repository.open(store, wrapper, cache_dir=cache_dir, workers=workers)
        except errors.RepositoryNotFound:
            if not create:
                raise
        parameters = Parameters.of(conf.engine.block_size, conf.engine.compression)
        name = driver or conf.repository.driver
        with _making(store, f'repository-{name}-{project_id}-{container}'):
            try:
                return Repository.create(store, wrapper, parameters, cache_dir=cache_dir,
                                         workers=workers)
            except errors.RepositoryExists:
                return Repository.open(store, wrapper, cache_dir=cache_dir, workers=workers)
    except BaseException:
        store.close()
        raise


def _making(store: Store, name: str) -> contextlib.AbstractContextManager[Any]:
    """Keep others from making the same repository: two first backups at once must not make two
    keys. A store that refuses to replace needs no lock for that, and a mover no locks then.
    """
    return contextlib.nullcontext() if store.atomic_if_absent else coordination.lock(name)
