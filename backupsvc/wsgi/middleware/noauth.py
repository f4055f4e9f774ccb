# SPDX-License-Identifier: Apache-2.0
"""Contexts without authentication, for services that only this machine reaches."""

import ipaddress
from collections.abc import Callable
from typing import Any

from backupsvc import context, exception
from backupsvc.wsgi import handler, root

USER = 'noauth'

#: The project of a caller who names none, neither in a token nor in the URL. Hexadecimal, so that
#: it may stand in a URL of Cinder v3.
PROJECT = '00000000000000000000000000000000'

#: What a role brings along, as Keystone's implied roles do.
IMPLIED = {'admin': ('member', 'reader'), 'member': ('reader',)}


class ExposedWithoutAuthentication(SystemExit):
    """The service would listen without authentication where other machines reach it; the text is
    printed and the exit status is 1.
    """


def check_bind(auth_strategy: str, host: str) -> None:
    """Refuse to listen without authentication on anything but loopback.

    :raises ExposedWithoutAuthentication: that is what the configuration asks for
    """
    if auth_strategy == 'noauth' and not is_loopback(host):
        raise ExposedWithoutAuthentication(
            '[api] auth_strategy is noauth, which makes everybody an administrator, '
            f'so listening on {host} is refused: set [api] bind_host to 127.0.0.1, '
            'or [api] auth_strategy to keystone'
        )


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches an address."""
    try:
        return host == 'localhost' or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _expand(roles: list[str]) -> list[str]:
    found = dict.fromkeys(roles)
    for role in roles:
        found.update(dict.fromkeys(IMPLIED.get(role, ())))
    return list(found)


class NoAuth:
    """WSGI filter that believes the token.

    ``X-Auth-Token: user:project`` is an administrator; ``user:project:role,role`` has exactly
    these roles and what they imply; ``user:project:`` has none. Without a token the caller is an
    administrator of the project in the URL.

    Requests that come from another machine are refused, whatever server this runs in.
    """

    def __init__(self, application: Callable):
        self.application = application

    def __call__(self, environ: dict[str, Any], start_response: Callable) -> Any:
        """Attach the context and go on."""
        caller = environ.get('REMOTE_ADDR')
        if caller and not is_loopback(caller):
            environ[handler.REFUSED] = exception.Forbidden(
                'This service runs without authentication and answers its own machine only.'
            )
        token = environ.get('HTTP_X_AUTH_TOKEN', '')
        user, _, rest = token.partition(':')
        project, names_roles, roles = rest.partition(':')
        if not project:
            environ[handler.PROJECT_FROM_URL] = True
        environ[root.CONTEXT] = context.RequestContext(
            user_id=user or USER,
            project_id=project or PROJECT,
            roles=_expand(
                [role.strip() for role in roles.split(',') if role.strip()]
                if names_roles
                else ['admin']
            ),
            auth_token=token or None,
            request_id=environ.get('openstack.request_id'),
            global_request_id=environ.get('openstack.global_request_id'),
        )
        return self.application(environ, start_response)
