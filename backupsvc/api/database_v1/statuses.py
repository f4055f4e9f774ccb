# SPDX-License-Identifier: Apache-2.0
"""Statuses of instances and backups as the Database API calls them."""

from collections.abc import Mapping

#: Status of a record to status here.
INSTANCE: Mapping[str, str] = {
    'building': 'BUILD',
    'active': 'ACTIVE',
    'restarting': 'REBOOT',
    'resizing': 'RESIZE',
    'backing-up': 'BACKUP',
    'shutdown': 'SHUTDOWN',
    'deleting': 'SHUTDOWN',
    'deleted': 'SHUTDOWN',
    'error': 'ERROR',
    'failed': 'FAILED',
}

#: The same of backups. One that is being made is more closely described by its phase.
BACKUP: Mapping[str, str] = {
    'creating': 'BUILDING',
    'available': 'COMPLETED',
    'restoring': 'COMPLETED',
    'deleting': 'COMPLETED',
    'deleted': 'COMPLETED',
    'error': 'FAILED',
    'error_deleting': 'DELETE_FAILED',
}

#: Phase of a backup that is being made to status here.
PHASE: Mapping[str, str] = {'new': 'NEW', 'building': 'BUILDING', 'save': 'SAVING'}
