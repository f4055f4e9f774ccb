# SPDX-License-Identifier: Apache-2.0
"""How the Database API shapes errors: one key that names the status, code and message."""

from backupsvc import exception
from backupsvc.api.database_v1 import statuses
from backupsvc.wsgi import dialect

_NAMES = {
    400: 'badRequest',
    401: 'unauthorized',
    403: 'forbidden',
    404: 'itemNotFound',
    405: 'badMethod',
    409: 'conflict',
    413: 'overLimit',
    415: 'badMediaType',
    422: 'unprocessableEntity',
    501: 'notImplemented',
    503: 'serviceUnavailable',
}


def render(status: int, message: str, error: Exception | None) -> tuple[dict, dict[str, str]]:
    """Return the body and the extra headers of an error answer."""
    fault: dict = {'code': status, 'message': message}
    retry_after = getattr(error, 'retry_after', None)
    if retry_after is not None:
        fault['retryAfter'] = retry_after
    return {_NAMES.get(status, 'instanceFault'): fault}, {}


def _instance_busy(error: exception.DatabaseInstanceBusy) -> str:
    status = statuses.INSTANCE.get(error.details.get('status', ''))
    if status is None:
        return error.message
    return (f'Instance {error.details["instance_id"]} is not currently available for an action '
            f'to be performed (instance status was {status}).')


def _backup_busy(error: exception.DatabaseBackupBusy) -> str:
    status = statuses.BACKUP.get(error.details.get('status', ''))
    if status is None:
        return error.message
    return (f'Backup {error.details["backup_id"]} is not currently available for an action to be '
            f'performed (backup status was {status}).')


FAULTS = dialect.Faults(
    render=render,
    statuses={
        exception.DatabaseInstanceBusy: 422,
        exception.DatabaseBackupBusy: 422,
    },
    messages={
        exception.DatabaseInstanceBusy: _instance_busy,
        exception.DatabaseBackupBusy: _backup_busy,
        exception.InvalidInput: '%(reason)s',
    },
)
