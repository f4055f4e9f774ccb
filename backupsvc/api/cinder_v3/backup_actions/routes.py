# SPDX-License-Identifier: Apache-2.0
"""Rows of the administrator's actions on a backup."""

from backupsvc.api.cinder_v3.backup_actions import controller
from backupsvc.policies import backups as policies
from backupsvc.wsgi.dialect import Route

_PATH = '/backups/{backup_id}/action'

ROUTES = [
    Route('POST', _PATH, controller.reset_status, action='os-reset_status',
          policies=(policies.RESET_STATUS,)),
    Route('POST', _PATH, controller.force_delete, action='os-force_delete',
          policies=(policies.FORCE_DELETE,)),
]
