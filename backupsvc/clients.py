# SPDX-License-Identifier: Apache-2.0
"""Keystone sessions for the drivers, from the options of a configuration group."""

from collections.abc import Sequence
from typing import Any

from keystoneauth1 import exceptions as ks_exceptions
from keystoneauth1 import loading
from keystoneauth1 import session as keystone_session
from oslo_config import cfg

from backupsvc import exception


def session_options() -> Sequence[cfg.Opt]:
    """Return the options that ``keystone_session`` reads, for a driver's ``list_opts``.

    They are the session's, ``auth_type``, and those of the ``password`` plugin; other plugins
    register theirs when they are named.
    """
    found: dict[str, cfg.Opt] = {}
    for option in (*loading.get_session_conf_options(), *loading.get_auth_common_conf_options(),
                   *loading.get_auth_plugin_conf_options('password')):
        found.setdefault(option.dest, option)
    return list(found.values())


def service_session(conf: cfg.ConfigOpts, group: str) -> keystone_session.Session:
    """Return a session of the service's own user, configured by ``group``.

    It fetches and renews its token by itself, so long work does not depend on a caller's.

    :raises DriverFailed: the group does not say who the user is
    """
    loading.register_session_conf_options(conf, group)
    loading.register_auth_conf_options(conf, group)
    try:
        auth = _load_auth(conf, conf[group].auth_section or group)
    except (ks_exceptions.AuthPluginException, ks_exceptions.MissingRequiredOptions) as error:
        raise exception.DriverFailed(reason=f'[{group}]: {error}') from error
    return loading.load_session_from_conf_options(conf, group, auth=auth)


def _load_auth(conf: cfg.ConfigOpts, group: str) -> Any:
    loading.register_auth_conf_options(conf, group)
    if not conf[group].auth_type:
        raise exception.DriverFailed(reason=f'[{group}] auth_type is not set')
    plugin: loading.BaseLoader[Any] = loading.get_plugin_loader(conf[group].auth_type)
    # One by one: plugins have options of one name with different help, which cannot all be
    # registered, and those of "password" are there already.
    for option in loading.get_auth_plugin_conf_options(plugin):
        if option.dest not in conf[group]:
            conf.register_opt(option, group)
    return plugin.load_from_options_getter(lambda option: conf[group][option.dest])
