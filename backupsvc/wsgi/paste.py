# SPDX-License-Identifier: Apache-2.0
"""paste.deploy: builds the application of a trust zone from ``api-paste.ini``, and the factories
that the file names.

Factories take the configuration that is installed for the process; ``loadapp`` installs it. What
the middlewares of oslo and Keystone are configured with is thus in the service's own file, and
paste's file only says which middlewares there are and in what order.
"""

import os
import sys
from collections.abc import Callable
from typing import Any

from keystonemiddleware import auth_token
from oslo_config import cfg
from oslo_middleware import cors, http_proxy_to_wsgi
from oslo_middleware import healthcheck as oslo_healthcheck
from paste import deploy

from backupsvc import conf as service_conf
from backupsvc.wsgi import microversion, root
from backupsvc.wsgi.middleware import (
    context,
    discovery,
    healthcheck,
    noauth,
    operators,
    request_id,
    request_log,
    request_metrics,
    size_limit,
)

PASTE_FILE = 'api-paste.ini'

#: The application of the paste file that is for operators.
MANAGEMENT = 'management'

#: Request and answer headers that browsers may use when ``[cors] allowed_origin`` admits their
#: page, unless configured otherwise.
CORS_ALLOW_HEADERS = [
    'X-Auth-Token',
    'X-Service-Token',
    'X-Openstack-Request-Id',
    microversion.HEADER,
    'If-Match',
    'Content-Type',
]
CORS_EXPOSE_HEADERS = [
    'X-Openstack-Request-Id',
    'X-Compute-Request-Id',
    microversion.HEADER,
    'ETag',
    'Retry-After',
]
CORS_ALLOW_METHODS = ['GET', 'PUT', 'POST', 'DELETE', 'PATCH', 'HEAD']


class PasteFileNotFound(Exception):
    """No ``api-paste.ini`` is where it is looked for."""


def find_file(conf: cfg.ConfigOpts) -> str:
    """Return the path of the paste file: the option, the configuration directories, the checkout,
    the installation.

    :raises PasteFileNotFound: it is in none of them
    """
    if conf.api.paste_config:
        wanted = conf.find_file(conf.api.paste_config)
        if wanted is None:
            raise PasteFileNotFound(
                f'[api] paste_config is {conf.api.paste_config}, which does not exist'
            )
        return os.path.abspath(wanted)
    checkout = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    places = [
        os.path.join(base, 'etc', 'backupsvc', PASTE_FILE) for base in (checkout, sys.prefix)
    ]
    found = conf.find_file(PASTE_FILE) or next(
        (place for place in places if os.path.isfile(place)), None
    )
    if found is None:
        raise PasteFileNotFound(
            f'{PASTE_FILE} is neither in a configuration directory nor at {" or ".join(places)}; '
            'name it in [api] paste_config'
        )
    return os.path.abspath(found)


def loadapp(conf: cfg.ConfigOpts, name: str | None = None) -> Callable:
    """Build a WSGI application.

    :param conf: the process's configuration; it is installed as such
    :param name: application of the paste file; None is that of ``[api] application``
    """
    service_conf.install(conf)
    return deploy.loadapp(f'config:{find_file(conf)}', name=name or conf.api.application)


# ---- applications ----


def root_factory(
    global_conf: dict[str, str], zone: str = 'public', dialects: str = '', **local_conf: str
) -> root.Root:
    """Application: the enabled dialects of a trust zone.

    :param dialects: names, separated by spaces: of the enabled ones only these
    """
    conf = service_conf.current()
    found = root.load_dialects(conf, zone)
    wanted = dialects.split()
    return root.Root(conf, [each for each in found if not wanted or each.name in wanted])


def by_auth_strategy(loader: Any, global_conf: dict[str, str], **local_conf: str) -> Callable:
    """Composite: the pipeline named like ``[api] auth_strategy``; each is a list of filters that
    ends in an application.
    """
    names = local_conf[service_conf.current().api.auth_strategy].split()
    application = loader.get_app(names[-1], global_conf=global_conf)
    for name in reversed(names[:-1]):
        application = loader.get_filter(name, global_conf=global_conf)(application)
    return application


# ---- filters of ours ----


def noauth_factory(global_conf: dict[str, str], **local_conf: str) -> Callable:
    """Filter: contexts without authentication."""
    return noauth.NoAuth


def keystone_context_factory(global_conf: dict[str, str], **local_conf: str) -> Callable:
    """Filter: contexts from what ``authtoken`` found out."""
    return context.KeystoneContext


def operators_factory(global_conf: dict[str, str], **local_conf: str) -> Callable:
    """Filter: contexts of operators, who say who they are as ``[management]`` has it."""
    return lambda application: operators.Operators(application, service_conf.current())


def request_metrics_factory(global_conf: dict[str, str], **local_conf: str) -> Callable:
    """Filter: counts of requests."""
    return request_metrics.RequestMetrics


def request_log_factory(global_conf: dict[str, str], **local_conf: str) -> Callable:
    """Filter: one line of log for each request."""
    return request_log.RequestLog


def size_limit_factory(global_conf: dict[str, str], **local_conf: str) -> Callable:
    """Filter: ``[oslo_middleware] max_request_body_size``."""
    return lambda application: size_limit.SizeLimit(application, service_conf.current())


def discovery_factory(
    global_conf: dict[str, str], zone: str = 'public', dialects: str = '', **local_conf: str
) -> Callable:
    """Filter: version documents without a token; the parameters are those of ``root_factory``."""
    versions = root_factory(global_conf, zone=zone, dialects=dialects)
    return lambda application: discovery.Discovery(application, versions)


# ---- filters of oslo.middleware and keystonemiddleware, on the process's configuration ----


def proxy_headers_factory(global_conf: dict[str, str], **local_conf: str) -> Callable:
    """Filter: scheme, host and prefix from a proxy's headers, with ``[oslo_middleware]
    enable_proxy_headers_parsing``.
    """
    return lambda application: http_proxy_to_wsgi.HTTPProxyToWSGI(
        application, service_conf.current()
    )


def request_id_factory(global_conf: dict[str, str], **local_conf: str) -> Callable:
    """Filter: request ids."""
    return lambda application: request_id.RequestId(application, service_conf.current())


def cors_factory(global_conf: dict[str, str], **local_conf: str) -> Callable:
    """Filter: ``[cors]``; does nothing until ``allowed_origin`` is set."""
    cors.set_defaults(
        allow_headers=CORS_ALLOW_HEADERS,
        expose_headers=CORS_EXPOSE_HEADERS,
        allow_methods=CORS_ALLOW_METHODS,
    )
    return lambda application: cors.CORS(application, service_conf.current())


def healthcheck_factory(global_conf: dict[str, str], **local_conf: str) -> Callable:
    """Filter: ``/healthcheck``, with ``[healthcheck]``."""
    check = oslo_healthcheck.Healthcheck(None, service_conf.current())
    return lambda application: healthcheck.HealthcheckPath(application, check)


def authtoken_factory(global_conf: dict[str, str], **local_conf: str) -> Callable:
    """Filter: token validation by Keystone, with ``[keystone_authtoken]``."""
    return lambda application: auth_token.AuthProtocol(
        application, {'oslo_config_config': service_conf.current()}
    )
