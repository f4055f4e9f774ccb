# SPDX-License-Identifier: Apache-2.0
"""What the sample configuration lists of ours, and our defaults of libraries' options.

Options of drivers are listed by ``backupsvc.drivers.loader``, another namespace of the generator.
"""

from oslo_config import cfg
from oslo_log import log
from oslo_middleware import cors

from backupsvc import conf


def list_opts() -> list[tuple[cfg.OptGroup | None, list[cfg.Opt]]]:
    """Return (group, options) of every module of this package, for ``oslo-config-generator``."""
    return [(None if group.name == 'DEFAULT' else group, options)
            for group, options in conf.groups()]


def set_defaults() -> None:
    """Set our defaults of the options of oslo libraries; before a configuration is parsed."""
    levels = dict(item.split('=') for item in log.get_default_log_levels())
    levels |= {'alembic': 'WARN', 'cheroot': 'INFO'}
    log.set_defaults(default_log_levels=[f'{name}={level}' for name, level in levels.items()])
    cors.set_defaults(
        allow_headers=[
            'X-Auth-Token', 'X-Identity-Status', 'X-Roles', 'X-Service-Catalog', 'X-User-Id',
            'X-Tenant-Id', 'X-OpenStack-Request-ID', 'OpenStack-API-Version', 'If-Match',
            'If-None-Match'],
        expose_headers=[
            'X-OpenStack-Request-ID', 'OpenStack-API-Version', 'ETag', 'Location', 'Retry-After'],
        allow_methods=['GET', 'PUT', 'POST', 'DELETE', 'PATCH', 'HEAD'])
