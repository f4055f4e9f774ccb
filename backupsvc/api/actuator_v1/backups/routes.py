# SPDX-License-Identifier: Apache-2.0
"""Rows of backups."""

from backupsvc.api.actuator_v1.backups import controller
from backupsvc.policies import checkpoints as policies
from backupsvc.wsgi.dialect import Route

BASE = '/backups'

ROUTES = [
    Route('POST', BASE, controller.create_backup, policies=(policies.CREATE,),
          errors=(409, 502, 503, 504)),
    Route('GET', BASE, controller.list_backups, policies=(policies.LIST,), errors=(400,)),
    Route('GET', f'{BASE}/state', controller.show_state, policies=(policies.LIST,),
          errors=(400,)),
    Route('GET', f'{BASE}/{{backup_id}}', controller.show_backup,
          policies=(policies.SHOW, policies.LIST), errors=(400,)),
    Route('DELETE', f'{BASE}/{{backup_id}}', controller.delete_backup,
          policies=(policies.DELETE,), errors=(400,)),
]
