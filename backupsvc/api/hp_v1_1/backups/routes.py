# SPDX-License-Identifier: Apache-2.0
"""Rows of backups."""

from backupsvc.api.hp_v1_1.backups import controller
from backupsvc.policies import backups as policies
from backupsvc.wsgi.dialect import Route

BASE = '/hp-volume-backups'

ROUTES = [
    Route('GET', BASE, controller.list_backups, policies=(policies.LIST,), errors=(404,)),
    Route('GET', f'{BASE}/detail', controller.list_backup_details, policies=(policies.LIST,),
          errors=(404,)),
    Route('POST', BASE, controller.create_backup, policies=(policies.CREATE,),
          errors=(404, 503)),
    Route('GET', f'{BASE}/{{backup_id}}', controller.show_backup, policies=(policies.SHOW,)),
    Route('DELETE', f'{BASE}/{{backup_id}}', controller.delete_backup,
          policies=(policies.DELETE,), errors=(400,)),
    Route('POST', f'{BASE}/{{backup_id}}/restore', controller.restore_backup,
          policies=(policies.RESTORE,), errors=(503,)),
]
