# SPDX-License-Identifier: Apache-2.0
"""How the gateway shapes its own errors: as the services do whose errors it hands on."""

from backupsvc.wsgi import dialect

_NAMES = {
    400: 'badRequest',
    401: 'unauthorized',
    403: 'forbidden',
    404: 'itemNotFound',
    405: 'badMethod',
    413: 'overLimit',
    415: 'badMediaType',
    501: 'notImplemented',
    502: 'badGateway',
    503: 'serviceUnavailable',
    504: 'gatewayTimeout',
}


def render(status: int, message: str, error: Exception | None) -> tuple[dict, dict[str, str]]:
    """Return the body and the extra headers of an error answer."""
    return {_NAMES.get(status, 'computeFault'): {'code': status, 'message': message}}, {}


FAULTS = dialect.Faults(render=render)
