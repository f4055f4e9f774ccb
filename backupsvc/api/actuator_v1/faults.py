# SPDX-License-Identifier: Apache-2.0
"""How the dialect shapes and words errors: one key, ``message``."""

from backupsvc import exception
from backupsvc.wsgi import dialect


def render(status: int, message: str, error: Exception | None) -> tuple[dict, dict[str, str]]:
    """Return the body and the extra headers of an error answer."""
    return {'message': message}, {}


FAULTS = dialect.Faults(
    render=render,
    statuses={exception.MessageNotSent: 502, exception.CallTimedOut: 504},
    body_message='A backupId must be provided and it must be > 0',
    # A body is wrong in one way only to clients of the original.
    unreadable_status=400,
)
