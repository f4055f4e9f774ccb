# SPDX-License-Identifier: Apache-2.0
"""Rows of backups."""

from backupsvc.api.database_v1.backups import controller
from backupsvc.policies import databases as policies
from backupsvc.wsgi.dialect import Route

ROUTES = [
    Route('GET', '/backups', controller.list_backups,
          policies=(policies.BACKUPS_LIST, policies.BACKUPS_LIST_ALL), errors=(413,)),
    Route('POST', '/backups', controller.create_backup, policies=(policies.BACKUPS_CREATE,),
          errors=(404, 409, 422, 501)),
    Route('GET', '/backups/{backup_id}', controller.show_backup,
          policies=(policies.BACKUPS_SHOW,), errors=(413,)),
    Route('DELETE', '/backups/{backup_id}', controller.delete_backup,
          policies=(policies.BACKUPS_DELETE,), errors=(413, 422)),
    Route('GET', '/instances/{instance_id}/backups', controller.list_instance_backups,
          policies=(policies.SHOW, policies.BACKUPS_LIST), errors=(413,)),
]
