# SPDX-License-Identifier: Apache-2.0
"""How the dialect shapes errors: one object ``error`` with code, title and message, as Keystone
does.
"""

import http

from backupsvc import exception
from backupsvc.wsgi import dialect


def render(status: int, message: str, error: Exception | None) -> tuple[dict, dict[str, str]]:
    """Return the body and the extra headers of an error answer."""
    title = http.HTTPStatus(status).phrase
    return {'error': {'code': status, 'title': title, 'message': message}}, {}


FAULTS = dialect.Faults(
    render=render,
    # What is asked for is in order, and the state of something forbids it.
    statuses={
        exception.InvalidBackup: 409,
        exception.InvalidSnapshot: 409,
        exception.InvalidVolume: 409,
    },
)
