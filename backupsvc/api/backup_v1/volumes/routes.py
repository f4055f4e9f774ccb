# SPDX-License-Identifier: Apache-2.0
"""Rows of volumes."""

from backupsvc.api.backup_v1 import forwarding
from backupsvc.api.backup_v1.volumes import controller
from backupsvc.policies import backups, volumes
from backupsvc.wsgi.dialect import Route

ROUTES = [
    Route('POST', '/volume', controller.create_volume,
          policies=(backups.RESTORE, volumes.CREATE), errors=forwarding.ERRORS,
          forwarded=forwarding.SUCCESSES),
]
