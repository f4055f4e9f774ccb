# SPDX-License-Identifier: Apache-2.0
"""Rows of instance snapshots."""

from backupsvc.api.backup_v1.instance_snapshots import controller
from backupsvc.policies import backups
from backupsvc.policies import instance_snapshots as policies
from backupsvc.wsgi.dialect import Route

_ONE = '/instance/snapshot/{instance_snapshot_id}'

ROUTES = [
    Route('GET', '/instance/snapshot', controller.list_snapshots,
          policies=(policies.LIST, backups.PROJECT_ATTRIBUTE), errors=(404,)),
    Route('POST', '/instance/snapshot', controller.create_snapshot, policies=(policies.CREATE,),
          errors=(404, 409, 413, 503)),
    Route('GET', _ONE, controller.show_snapshot,
          policies=(policies.SHOW, backups.PROJECT_ATTRIBUTE)),
    Route('DELETE', _ONE, controller.delete_snapshot,
          policies=(policies.DELETE, policies.FORCE_DELETE), errors=(409,)),
]
