# SPDX-License-Identifier: Apache-2.0
"""The only reader of driver entry points: finds drivers by family and name, registers their
options, keeps one instance each.

A driver is one entry point under ``backupsvc.drivers.<family>``; a URL scheme of
``open_repository_url`` is one under ``backupsvc.stores`` whose object is called as ``open_url(url,
create=bool) -> Store``. Nothing here imports oslo or a driver before it is asked for: the
repository commands count their start-up time.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from backupsvc import exception

if TYPE_CHECKING:
    import importlib.metadata

    from oslo_config import cfg

    from backupsvc.drivers.base import Driver, HoldBook
    from backupsvc.drivers.database.base import DatabaseDriver
    from backupsvc.drivers.foreign.base import ForeignBackupDriver
    from backupsvc.drivers.instance.base import InstanceDriver
    from backupsvc.drivers.repository.base import RepositoryDriver
    from backupsvc.drivers.volume.base import VolumeDriver
    from backupsvc.engine.store import Store

LOG = logging.getLogger(__name__)

DISTRIBUTION = 'backupsvc'
FAMILIES = ('volume', 'instance', 'repository', 'database', 'foreign')
#: Option groups of families that are not called as the family is.
_GROUPS = {'database': 'database_instances'}
STORES_GROUP = 'backupsvc.stores'

_lock = threading.Lock()
_drivers: dict[tuple[str, str], Driver] = {}
_hold_book: Callable[[], HoldBook] | None = None


def volume_driver() -> VolumeDriver:
    """Return the driver of ``[volume] driver``, the same instance every time.

    :raises DriverNotFound: no such driver is installed
    """
    return _driver('volume', None)


def instance_driver() -> InstanceDriver:
    """Return the driver of ``[instance] driver``, the same instance every time.

    :raises DriverNotFound: no such driver is installed
    """
    return _driver('instance', None)


def repository_driver(name: str | None = None) -> RepositoryDriver:
    """Return the repository driver ``name``, or the one of ``[repository] driver``, the same
    instance every time.

    :raises DriverNotFound: no such driver is installed
    """
    return _driver('repository', name)


def database_driver() -> DatabaseDriver:
    """Return the driver of ``[database_instances] driver``, the same instance every time.

    :raises DriverNotFound: no such driver is installed
    """
    return _driver('database', None)


def foreign_driver(name: str) -> ForeignBackupDriver:
    """Return a driver that reads backups of another service, the same instance every time.

    :raises DriverNotFound: no such driver is installed
    """
    return _driver('foreign', name)


def find_foreign_driver(service: str) -> str | None:
    """Return the name of the driver that reads the records of a service, None where none does."""
    for name in list_drivers('foreign'):
        if service in load_class('foreign', name).services:  # type: ignore[attr-defined]
            return name
    return None


def list_drivers(family: str) -> list[str]:
    """Return the names of the installed drivers of a family, ascending."""
    return sorted({point.name for point in _entry_points(_group(family))})


def load_class(family: str, name: str) -> type[Driver]:
    """Return the class of a driver.

    :raises DriverNotFound: no such driver is installed
    """
    point = _find(_group(family), name)
    if point is None:
        raise exception.DriverNotFound(
            family=family, name=name, installed=', '.join(list_drivers(family)) or 'none')
    return point.load()


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """Return (group name, options) of every installed driver, for the sample file and the
    registration.

    A driver that cannot be imported is logged and left out: it must not stop a service that is
    configured to use another.
    """
    found: list[tuple[str, list[cfg.Opt]]] = []
    for family in FAMILIES:
        for name in list_drivers(family):
            try:
                driver_class = load_class(family, name)
            except ImportError as error:
                LOG.warning('The %s driver %s cannot be imported: %s', family, name, error)
                continue
            found.extend((group, list(opts)) for group, opts in driver_class.list_opts())
    return found


def register_options(conf: cfg.ConfigOpts) -> None:
    """Register the families' own groups and the options of every installed driver.

    Options that a driver cannot do without wait until the driver is used: they must not stop a
    service that uses another.
    """
    # oslo.config costs more than the whole start of a repository command, which never comes here.
    from backupsvc.conf import database_instances, instance, repository, volume
    for module in (volume, instance, repository, database_instances):
        conf.register_group(module.GROUP)
        conf.register_opts(module.OPTS, group=module.GROUP)
    for group, opts in list_opts():
        conf.register_opts([opt for opt in opts if not opt.required], group=group)


def open_repository_url(url: str, create: bool = False) -> Store:
    """Open a store by its URL alone, with no service and no configuration around it.

    A plain path is taken as ``file://``.

    :param create: make the container (directory, bucket) when it is not there
    :raises InvalidInput: no driver handles the scheme, or the URL is not of its form
    :raises NotFound: the container does not exist
    """
    scheme, separator, _ = url.partition('://')
    if not separator:
        scheme = 'file'
    point = _find(STORES_GROUP, scheme)
    if point is None:
        known = ', '.join(sorted({f'{point.name}://' for point in _entry_points(STORES_GROUP)}))
        raise exception.InvalidInput(
            reason=f'no repository driver handles {scheme}://; known are {known}')
    return point.load()(url, create=create)


def keep_holds(make_book: Callable[[], HoldBook]) -> None:
    """Say where volume drivers keep their holds that have no place of their own for them.

    :param make_book: called when the first such driver is used
    """
    global _hold_book
    _hold_book = make_book


def reset() -> None:
    """Forget the instances, so that the next call builds new ones. For tests."""
    with _lock:
        _drivers.clear()


def _driver(family: str, name: str | None) -> Any:
    from backupsvc import conf as configuration  # deferred: imports oslo.config
    conf = configuration.current()
    name = name or conf[_GROUPS.get(family, family)].driver
    with _lock:
        driver = _drivers.get((family, name))
        if driver is None:
            driver_class = load_class(family, name)
            for group, opts in driver_class.list_opts():
                conf.register_opts(opts, group=group)
            driver = driver_class(conf)
            if family == 'volume' and _hold_book is not None:
                driver.hold_book = _hold_book()  # type: ignore[attr-defined]
            _drivers[family, name] = driver
    return driver


def _group(family: str) -> str:
    return f'backupsvc.drivers.{family}'


class _OwnPoint(NamedTuple):
    """An entry point of our own distribution."""

    value: str

    def load(self) -> Any:
        module, _, attribute = self.value.partition(':')
        return getattr(importlib.import_module(module), attribute)


def _find(group: str, name: str) -> importlib.metadata.EntryPoint | _OwnPoint | None:
    # Our own distribution first: reading one file instead of one of every installed distribution
    # saves some 50 ms, and doing it without importlib.metadata another 20.
    own = _find_own(group, name)
    if own is not None:
        return own
    for point in _entry_points(group):
        if point.name == name:
            return point
    return None


def _find_own(group: str, name: str) -> _OwnPoint | None:
    for directory in filter(os.path.isdir, sys.path):
        for found in os.listdir(directory):
            if found.startswith(f'{DISTRIBUTION}-') and found.endswith('.dist-info'):
                path = os.path.join(directory, found, 'entry_points.txt')
                if os.path.exists(path):
                    return _parse_entry_points(path).get((group, name))
    return None


def _parse_entry_points(path: str) -> dict[tuple[str, str], _OwnPoint]:
    points = {}
    group = ''
    with open(path, encoding='utf-8') as stream:
        for line in stream:
            name, separator, value = line.partition('=')
            if separator:
                points[group, name.strip()] = _OwnPoint(value.strip())
            elif line.startswith('['):
                group = line.strip()[1:-1]
    return points


def _entry_points(group: str) -> importlib.metadata.EntryPoints:
    import importlib.metadata  # see _find
    return importlib.metadata.entry_points(group=group)
