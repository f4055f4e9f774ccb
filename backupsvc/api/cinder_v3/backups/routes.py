# SPDX-License-Identifier: Apache-2.0
"""Rows of backups."""

from backupsvc.api.cinder_v3 import versions
from backupsvc.api.cinder_v3.backups import controller
from backupsvc.policies import backups as policies
from backupsvc.wsgi.dialect import Route

ROUTES = [
    Route('GET', '/backups', controller.list_backups, policies=(policies.LIST,), errors=(404,)),
    Route('GET', '/backups/detail', controller.list_backup_details,
          policies=(policies.LIST, policies.PROJECT_ATTRIBUTE), errors=(404,)),
    Route('POST', '/backups', controller.create_backup, policies=(policies.CREATE,),
          errors=(404, 413, 503)),
    Route('GET', '/backups/{backup_id}', controller.show_backup,
          policies=(policies.SHOW, policies.PROJECT_ATTRIBUTE)),
    Route('PUT', '/backups/{backup_id}', controller.update_backup,
          min_version=versions.BACKUP_UPDATE, policies=(policies.UPDATE,)),
    Route('DELETE', '/backups/{backup_id}', controller.delete_backup,
          policies=(policies.DELETE,), errors=(400,)),
    Route('POST', '/backups/{backup_id}/restore', controller.restore_backup,
          policies=(policies.RESTORE,), errors=(413, 503)),
]
