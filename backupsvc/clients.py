# SPDX-License-Identifier: Apache-2.0
"""Keystone sessions for the drivers, from the options of a configuration group, and trusts: what
a user has handed over, so that the service may act for the user when the token is long gone.
"""

import contextlib
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from keystoneauth1 import exceptions as ks_exceptions
from keystoneauth1 import loading, service_token
from keystoneauth1 import session as keystone_session
from oslo_config import cfg

from backupsvc import exception
from backupsvc.context import RequestContext

#: Options of a plugin that say what a token is for. A trust says it instead.
_SCOPE = frozenset((
    'project_id', 'project_name', 'project_domain_id', 'project_domain_name', 'domain_id',
    'domain_name', 'system_scope', 'default_domain_id', 'default_domain_name'))

_TRUSTS = '/OS-TRUST/trusts'


class Refused(Exception):
    """A service answered with an error that is about the request: 4xx."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status
        self.message = message


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


def service_session(
    conf: cfg.ConfigOpts, group: str, trust_id: str | None = None, *,
    project_id: str | None = None
) -> keystone_session.Session:
    """Return a session of the service's own user, configured by ``group``.

    It fetches and renews its token by itself, so long work does not depend on a caller's.

    :param trust_id: act for the user who made this trust
    :param project_id: act in this project, in which the user has a role, not in that of the group
    :raises DriverFailed: the group does not say who the user is
    """
    loading.register_session_conf_options(conf, group)
    loading.register_auth_conf_options(conf, group)
    try:
        auth = _load_auth(conf, conf[group].auth_section or group,
                          {'trust_id': trust_id, 'project_id': project_id})
    except (ks_exceptions.AuthPluginException, ks_exceptions.MissingRequiredOptions) as error:
        raise exception.DriverFailed(reason=f'[{group}]: {error}') from error
    return loading.load_session_from_conf_options(conf, group, auth=auth)


def _load_auth(conf: cfg.ConfigOpts, group: str, scope: Mapping[str, str | None]) -> Any:
    """Return the auth plugin of a group; a value of ``scope`` replaces the group's scope."""
    loading.register_auth_conf_options(conf, group)
    if not conf[group].auth_type:
        raise exception.DriverFailed(reason=f'[{group}] auth_type is not set')
    plugin: loading.BaseLoader[Any] = loading.get_plugin_loader(conf[group].auth_type)
    names = set()
    # One by one: plugins have options of one name with different help, which cannot all be
    # registered, and those of "password" are there already.
    for option in loading.get_auth_plugin_conf_options(plugin):
        names.add(option.dest)
        if option.dest not in conf[group]:
            conf.register_opt(option, group)
    wanted = {name: value for name, value in scope.items() if value is not None}
    if not wanted:
        return plugin.load_from_options_getter(lambda option: conf[group][option.dest])
    if not names.issuperset(wanted):
        raise exception.DriverFailed(
            reason=f'[{group}] auth_type = {conf[group].auth_type} cannot be told its '
                   f'{" or ".join(wanted)}')
    values = {**dict.fromkeys(_SCOPE), **wanted}
    return plugin.load_from_options_getter(
        lambda option: values.get(option.dest)
        if option.dest in values else conf[group][option.dest])


def send_service_token(session: keystone_session.Session, service: Any) -> None:
    """Have a session send another token as well: that of a service which asks.

    What a service asks of another one is then not taken for a user's wish, and a user's token that
    has run out meanwhile is still accepted.

    :param service: the auth plugin of a user with the service role in its project
    """
    session.auth = service_token.ServiceTokenAuthWrapper(
        user_auth=session.auth, service_auth=service)  # type: ignore[arg-type]


def ask(session: keystone_session.Session, part: str, method: str, url: str, *,
        version: str, **options: Any) -> dict[str, Any]:
    """Return the body of a service's answer, empty where it has none.

    :param part: name of the service, for the texts of errors
    :param version: what ``OpenStack-API-Version`` says
    :param options: of keystoneauth's ``Session.request``
    :raises Refused: the service says no
    :raises DriverFailed: it or Keystone does not answer, or refuses the service user
    """
    with explained(part):
        answer = session.request(
            url, method, raise_exc=False, connect_retries=2,
            headers={'OpenStack-API-Version': version, 'Accept': 'application/json'}, **options)
    if answer.status_code >= 500 or answer.status_code == 401:
        path = urllib.parse.urlsplit(url).path
        raise exception.DriverFailed(
            reason=f'{part} answered {answer.status_code} to {method} {path}: {_text(answer)}')
    if answer.status_code >= 400:
        raise Refused(answer.status_code, _text(answer))
    return answer.json() if answer.content else {}


@contextlib.contextmanager
def explained(part: str) -> Iterator[None]:
    """Raise DriverFailed, which names the part that failed, for what keystoneauth raises."""
    try:
        yield
    except (ks_exceptions.Unauthorized, ks_exceptions.Forbidden) as error:
        raise exception.DriverFailed(
            reason=f'Keystone refuses the service user of {part}: {error}') from error
    except ks_exceptions.EndpointNotFound as error:
        raise exception.DriverFailed(
            reason=f'The service catalog has no endpoint of {part}: {error}') from error
    except ks_exceptions.ClientException as error:
        raise exception.DriverFailed(reason=f'{part} does not answer: {error}') from error


def _text(answer: Any) -> str:
    """Return what an answer says of an error: the message of its only or first key."""
    try:
        return str(next(iter(answer.json().values()))['message'])
    except (ValueError, LookupError, TypeError, AttributeError, StopIteration):
        return answer.reason or str(answer.status_code)


def create_trust(
    conf: cfg.ConfigOpts, group: str, context: RequestContext, roles: Sequence[str]
) -> str:
    """Have the caller hand ``roles`` in the caller's project over to the user of ``group``.

    :returns: the id of the trust
    :raises Forbidden: Keystone does not let this token do it
    :raises Unavailable: Keystone does not answer
    """
    service = service_session(conf, group)
    try:
        answer = service.post(
            _TRUSTS, endpoint_filter=_identity(conf, group), authenticated=False,
            headers={'X-Auth-Token': context.auth_token or ''}, json={'trust': {
                'trustor_user_id': context.user_id, 'trustee_user_id': service.get_user_id(),
                'project_id': context.project_id, 'impersonation': True,
                'roles': [{'name': role} for role in roles]}})
    except (ks_exceptions.Unauthorized, ks_exceptions.Forbidden, ks_exceptions.NotFound) as error:
        raise exception.Forbidden(
            'Keystone does not let this token hand roles over to the backup service, which '
            f'acts for the user with {", ".join(roles)}: {error.message}') from error
    except ks_exceptions.ClientException as error:
        raise _unavailable(error) from error
    return answer.json()['trust']['id']


def list_trusts(conf: cfg.ConfigOpts, group: str) -> Iterator[str]:
    """Yield the ids of all trusts that users have handed to the user of ``group``.

    :raises Unavailable: Keystone does not answer
    """
    service = service_session(conf, group)
    try:
        answer = service.get(
            _TRUSTS, endpoint_filter=_identity(conf, group),
            params={'trustee_user_id': service.get_user_id()})
    except ks_exceptions.ClientException as error:
        raise _unavailable(error) from error
    yield from (trust['id'] for trust in answer.json()['trusts'])


def delete_trust(conf: cfg.ConfigOpts, group: str, trust_id: str) -> None:
    """Give a trust back; none is there any more, or it is void: nothing happens.

    :raises Unavailable: Keystone does not answer
    """
    # As the user who made it: nobody else but an administrator may.
    service = service_session(conf, group, trust_id)
    try:
        service.delete(f'{_TRUSTS}/{trust_id}', endpoint_filter=_identity(conf, group))
    except (ks_exceptions.Unauthorized, ks_exceptions.Forbidden, ks_exceptions.NotFound):
        return
    except ks_exceptions.ClientException as error:
        raise _unavailable(error) from error


def _identity(conf: cfg.ConfigOpts, group: str) -> dict[str, Any]:
    return {'service_type': 'identity', 'interface': conf[group].interface, 'version': (3, 0),
            'region_name': conf[group].region_name}


def _unavailable(error: Exception) -> exception.Unavailable:
    return exception.Unavailable(f'Keystone does not answer as it should: {error}')
