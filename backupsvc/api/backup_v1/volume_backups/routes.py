# SPDX-License-Identifier: Apache-2.0
"""Rows of volume backups."""

from backupsvc.api.backup_v1.volume_backups import controller
from backupsvc.policies import backups as policies
from backupsvc.wsgi.dialect import Route

ROUTES = [
    Route('GET', '/volume/backup', controller.list_backups,
          policies=(policies.LIST, policies.PROJECT_ATTRIBUTE), errors=(404,)),
    Route('POST', '/volume/backup', controller.create_backup, policies=(policies.CREATE,),
          errors=(404, 409, 413, 503)),
    Route('GET', '/volume/backup/{backup_id}', controller.show_backup,
          policies=(policies.SHOW, policies.PROJECT_ATTRIBUTE)),
    Route('POST', '/volume/backup/{backup_id}/action', controller.update_backup, action='update',
          policies=(policies.UPDATE,)),
    Route('DELETE', '/volume/backup/{backup_id}', controller.delete_backup,
          policies=(policies.DELETE, policies.FORCE_DELETE), errors=(409,)),
]
