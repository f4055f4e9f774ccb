# SPDX-License-Identifier: Apache-2.0
"""How the HP dialect shapes and words errors: Nova 1.1's keys, and the texts of its document."""

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

SERVER_ERROR = 'Server Error, please try again later.'


def render(status: int, message: str, error: Exception | None) -> tuple[dict, dict[str, str]]:
    """Return the body and the extra headers of an error answer."""
    if status == 500:
        message = SERVER_ERROR
    return {_NAMES.get(status, 'cloudServersFault'): {'message': message, 'code': status}}, {}


FAULTS = dialect.Faults(
    render=render,
    # The document has no 413, and words the one quota that it knows as a bad request.
    statuses={exception.OverQuota: 400},
    messages={
        exception.SourceVolumeNotReady: (
            'Invalid volume: Volume to be backed up must be available'),
        exception.TargetVolumeTooSmall: (
            'Invalid volume: Volume to be restored to is smaller than the backup to be restored'),
        exception.VolumeLimitExceeded: (
            'Volume quota exceeded. You cannot create a volume of size %(size_gb)sG'),
        exception.VolumeSizeExceedsAvailableQuota: (
            'Volume quota exceeded. You cannot create a volume of size %(size_gb)sG'),
        exception.BackupLimitExceeded: (
            'Backup quota exceeded. You cannot create more than %(limit)s backups'),
        exception.VolumeBackupSizeExceedsAvailableQuota: (
            'Backup quota exceeded. You cannot create a backup of size %(requested)sG'),
    },
    body_message='Incorrect request body format.',
)
