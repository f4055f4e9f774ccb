# SPDX-License-Identifier: Apache-2.0
"""How the Cinder v3 dialect shapes errors: one key that names the status, code and message."""

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
    fault: dict = {'code': status, 'message': message}
    headers = {}
    if status == 413:
        # Clients take the number of seconds from either; there is nothing to wait for.
        fault['retryAfter'] = '0'
        headers['Retry-After'] = '0'
    return {_NAMES.get(status, 'computeFault'): fault}, headers


def _with_class_name(error: Exception) -> str:
    # Cinder lets quota errors of backups reach its outermost wrapper, which puts the class first.
    return f'{type(error).__name__}: {error}'


FAULTS = dialect.Faults(
    render=render,
    statuses={exception.MetadataChanged: 412},
    messages={
        exception.BackupLimitExceeded: _with_class_name,
        exception.VolumeBackupSizeExceedsAvailableQuota: _with_class_name,
    },
)
