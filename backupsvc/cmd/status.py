# SPDX-License-Identifier: Apache-2.0
"""``backupsvc-status upgrade check``: whether this release can run on what the last one left."""

import sys
from typing import Any

from oslo_upgradecheck import upgradecheck

from backupsvc import conf as service_conf
from backupsvc import context, states
from backupsvc.db import migration
from backupsvc.objects.service import ServiceList
from backupsvc.objects.task import TaskList
from backupsvc.rpc import versions

_SUCCESS = upgradecheck.Code.SUCCESS
_WARNING = upgradecheck.Code.WARNING
_FAILURE = upgradecheck.Code.FAILURE


class Checks(upgradecheck.UpgradeCommands):
    """Run by ``upgrade check`` in this order."""

    def _check_migrations(self) -> upgradecheck.Result:
        """The migrations were installed with the code."""
        try:
            return upgradecheck.Result(_SUCCESS, f'in {migration.migrations_directory()}')
        except migration.MigrationsNotFound as missing:
            return upgradecheck.Result(_FAILURE, str(missing))

    def _check_schema(self) -> upgradecheck.Result:
        """The database has the version that the code needs."""
        try:
            version, head = migration.version(), migration.head()
            known = migration.revisions()
        except migration.MigrationsNotFound as missing:
            return upgradecheck.Result(_FAILURE, str(missing))
        if version == head:
            return upgradecheck.Result(_SUCCESS, f'version {version}')
        if version is not None and version not in known:
            return upgradecheck.Result(
                _FAILURE, f'version {version} was made by a newer release')
        return upgradecheck.Result(
            _FAILURE, f'version {version or "none"}, needed is {head}: run '
                      'backupsvc-manage db sync')

    def _check_services(self) -> upgradecheck.Result:
        """Every registered service lives."""
        if migration.version() is None:
            return upgradecheck.Result(_SUCCESS, 'none registered')
        down = [f'{service.binary} on {service.host}'
                for service in ServiceList.get_all(context.get_admin_context())
                if not service.is_up]
        if down:
            return upgradecheck.Result(
                _WARNING, f'not seen lately: {", ".join(down)}; start them, or forget them with '
                          'backupsvc-manage service remove')
        return upgradecheck.Result(_SUCCESS)

    def _check_versions(self) -> upgradecheck.Result:
        """Every manager understands what this release sends, and the pin is not forgotten."""
        pin, newest = service_conf.current().upgrade_levels.manager, versions.newest()
        if migration.version() is None:
            return upgradecheck.Result(_SUCCESS, f'messages of version {newest}')
        found = {service.host: service.rpc_version or 'none'
                 for service in ServiceList.get_all(
                     context.get_admin_context(), {'binary': versions.BINARY}) if service.is_up}
        if pin != 'auto':
            behind = _list({host: version for host, version in found.items()
                            if version == 'none' or versions.key(version) < versions.key(pin)})
            if behind:
                return upgradecheck.Result(
                    _FAILURE, f'[upgrade_levels] manager = {pin} is above what managers '
                              f'understand: {behind}; set it to "auto"')
        older = _list({host: version for host, version in found.items() if version != newest})
        if older:
            return upgradecheck.Result(
                _WARNING, f'messages are of version {newest} here, managers that speak another '
                          f'one: {older}; upgrade them')
        if pin not in ('auto', newest):
            return upgradecheck.Result(
                _WARNING, f'every manager understands version {newest}: [upgrade_levels] manager '
                          f'= {pin} can go')
        return upgradecheck.Result(_SUCCESS, f'messages of version {newest}')

    def _check_stranded_tasks(self) -> upgradecheck.Result:
        """No work waits for a host that is gone."""
        if migration.version() is None:
            return upgradecheck.Result(_SUCCESS, 'no work')
        admin = context.get_admin_context()
        alive = {service.host for service in ServiceList.get_all(admin) if service.is_up}
        waiting = {task.host_affinity for task in TaskList.get_all(
            admin, {'state': list(states.TASK_LIVE)}) if task.host_affinity} - alive
        if waiting:
            return upgradecheck.Result(
                _WARNING, f'work waits for hosts that are down: {", ".join(sorted(waiting))}')
        return upgradecheck.Result(_SUCCESS)

    _upgrade_checks = (
        ('Migrations', _check_migrations),
        ('Schema', _check_schema),
        ('Services', _check_services),
        ('Versions', _check_versions),
        ('Work', _check_stranded_tasks),
    )


def _list(versions_of: dict[str, str]) -> str:
    return ', '.join(f'{host} ({version})' for host, version in sorted(versions_of.items()))


def main(argv: list[str] | None = None) -> Any:
    """Run the checks that the arguments name; return 0 good, 1 warnings, 2 failures."""
    conf = service_conf.new_config()
    service_conf.install(conf)
    return upgradecheck.main(
        conf, project='backupsvc', upgrade_command=Checks(),
        argv=sys.argv[1:] if argv is None else argv)


if __name__ == '__main__':
    sys.exit(main())
