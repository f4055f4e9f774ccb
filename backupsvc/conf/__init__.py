# SPDX-License-Identifier: Apache-2.0
"""Configuration: one module per option group; ``cmd/`` builds the object and installs it.

Each module here exports ``GROUP`` (an ``oslo_config.cfg.OptGroup``) and ``OPTS``. No module of the
service reads the library's global ``cfg.CONF``; what runs in a process asks ``conf.current()`` at
the time of use.
"""

import importlib
import pkgutil

from oslo_config import cfg

_current: cfg.ConfigOpts | None = None


def groups() -> list[tuple[cfg.OptGroup, list[cfg.Opt]]]:
    """Return (group, options) of every module of this package."""
    found = []
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f'{__name__}.{info.name}')
        if hasattr(module, 'GROUP'):
            found.append((module.GROUP, list(module.OPTS)))
    return found


def new_config() -> cfg.ConfigOpts:
    """Return a config object with every option of our own groups registered, not parsed yet."""
    conf = cfg.ConfigOpts()
    for group, opts in groups():
        # a group named DEFAULT would hide its options from ``conf.name`` and ``$name`` in values
        if group.name == 'DEFAULT':
            conf.register_opts(opts)
            continue
        # Not the module's own object: it would carry what is set in one config to the next.
        conf.register_group(cfg.OptGroup(group.name, title=group.title, help=group.help))
        conf.register_opts(opts, group=group.name)
    return conf


def install(conf: cfg.ConfigOpts) -> None:
    """Make ``conf`` the configuration of this process."""
    global _current
    _current = conf


def current() -> cfg.ConfigOpts:
    """Return the configuration of this process.

    :raises RuntimeError: nobody has installed one
    """
    if _current is None:
        raise RuntimeError('no configuration is installed; call backupsvc.conf.install first')
    return _current
