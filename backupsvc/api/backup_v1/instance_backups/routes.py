# SPDX-License-Identifier: Apache-2.0
"""Rows of instance backups."""

from backupsvc.api.backup_v1.instance_backups import controller
from backupsvc.policies import backups
from backupsvc.policies import instance_backups as policies
from backupsvc.wsgi.dialect import Route

_ONE = '/instance/backup/{instance_backup_id}'

ROUTES = [
    Route('GET', '/instance/backup', controller.list_backups,
          policies=(policies.LIST, backups.PROJECT_ATTRIBUTE), errors=(404,)),
    Route('POST', '/instance/backup', controller.create_backup, policies=(policies.CREATE,),
          errors=(404, 409, 413, 503)),
    Route('GET', _ONE, controller.show_backup,
          policies=(policies.SHOW, backups.PROJECT_ATTRIBUTE)),
    Route('POST', f'{_ONE}/action', controller.update_backup, action='update',
          policies=(policies.UPDATE,)),
    Route('DELETE', _ONE, controller.delete_backup,
          policies=(policies.DELETE, policies.FORCE_DELETE), errors=(409,)),
]
