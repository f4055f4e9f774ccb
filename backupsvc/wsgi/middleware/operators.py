# SPDX-License-Identifier: Apache-2.0
"""Who may use the management application: whoever has its token or its password, or, while neither
is configured, whoever is on this machine.
"""

import base64
import binascii
import hmac
from collections.abc import Callable
from typing import Any

from oslo_config import cfg

from backupsvc import context, exception
from backupsvc.wsgi import errors, handler, root
from backupsvc.wsgi.middleware import noauth

#: User and project of what operators do here: theirs is no tenant.
USER = 'operator'


class Unauthorized(errors.HTTPFault):
    """The request names neither the token nor the name and password, or wrong ones."""

    status = 401
    message = 'The request you have made requires authentication.'


class PasswordIncomplete(SystemExit):
    """Of ``[management] username`` and ``password`` only one is set."""


def has_secrets(conf: cfg.ConfigOpts) -> bool:
    """Tell whether callers of the management application have to say who they are.

    :raises PasswordIncomplete: half of what it takes is configured
    """
    ours = conf.management
    if bool(ours.username) != bool(ours.password):
        raise PasswordIncomplete(
            '[management] username and password belong together: set both or neither')
    return bool(ours.token or ours.username)


def check_bind(conf: cfg.ConfigOpts, host: str) -> None:
    """Refuse to listen beyond loopback while nobody has to say who they are.

    :raises ExposedWithoutAuthentication: that is what the configuration asks for
    """
    if not has_secrets(conf) and not noauth.is_loopback(host):
        raise noauth.ExposedWithoutAuthentication(
            'everybody who reaches the management application could take and delete '
            f'checkpoints, so serving it on {host} is refused: set [management] token, or '
            'username and password, or bind it to 127.0.0.1')


def _challenges(conf: cfg.ConfigOpts) -> str:
    offered = []
    if conf.management.token:
        offered.append('Bearer realm="backupsvc"')
    if conf.management.username:
        offered.append('Basic realm="backupsvc", charset="UTF-8"')
    return ', '.join(offered)


class Operators:
    """WSGI filter of the management zone.

    With ``[management] token``, or ``username`` and ``password``, a request has to carry one of
    them; what it does not is answered 401 in the shape of its dialect. Without, requests that come
    from another machine are refused, whatever server this runs in.
    """

    def __init__(self, application: Callable, conf: cfg.ConfigOpts):
        self.application = application
        self._conf = conf
        self._has_secrets = has_secrets(conf)

    def __call__(self, environ: dict[str, Any], start_response: Callable) -> Any:
        """Attach the context, or the refusal, and go on."""
        if not self._has_secrets:
            caller = environ.get('REMOTE_ADDR')
            if caller and not noauth.is_loopback(caller):
                environ[handler.REFUSED] = exception.Forbidden(
                    'The management application has no token and no password configured and '
                    'answers its own machine only.')
        elif not self._knows(environ.get('HTTP_AUTHORIZATION', '')):
            environ[handler.REFUSED] = Unauthorized(
                headers={'WWW-Authenticate': _challenges(self._conf)})
        if handler.REFUSED not in environ:
            environ[root.CONTEXT] = context.RequestContext(
                user_id=USER,
                project_id=noauth.PROJECT,
                is_admin=True,
                request_id=environ.get('openstack.request_id'),
                global_request_id=environ.get('openstack.global_request_id'),
            )
        return self.application(environ, start_response)

    def _knows(self, authorization: str) -> bool:
        """Tell whether a header names what is configured; how long that takes tells nothing."""
        scheme, _, given = authorization.partition(' ')
        ours = self._conf.management
        if scheme.lower() == 'bearer':
            return bool(ours.token) and _equal(given.strip().encode('latin-1'), ours.token)
        if scheme.lower() == 'basic' and ours.username:
            try:
                pair = base64.b64decode(given.strip(), validate=True)
            except (binascii.Error, ValueError):
                return False
            name, _, password = pair.partition(b':')
            # Both are compared in any case.
            return _equal(name, ours.username) & _equal(password, ours.password)
        return False


def _equal(given: bytes, wanted: str) -> bool:
    return hmac.compare_digest(given, wanted.encode())
