# SPDX-License-Identifier: Apache-2.0
"""How the dialect shapes errors: as the volume service does, whose answers it passes back."""

from backupsvc import exception
from backupsvc.wsgi import dialect

_NAMES = {
    400: 'badRequest',
    401: 'unauthorized',
    403: 'forbidden',
    404: 'itemNotFound',
    405: 'badMethod',
    409: 'conflictingRequest',
    413: 'overLimit',
    415: 'badMediaType',
    501: 'notImplemented',
    503: 'serviceUnavailable',
}


def render(status: int, message: str, error: Exception | None) -> tuple[dict, dict[str, str]]:
    """Return the body and the extra headers of an error answer."""
    return {_NAMES.get(status, 'computeFault'): {'code': status, 'message': message}}, {}


FAULTS = dialect.Faults(
    render=render,
    # What is asked for is in order, and the state of something forbids it.
    statuses={
        exception.InvalidBackup: 409,
        exception.InvalidSnapshot: 409,
        exception.InvalidVolume: 409,
    },
)
