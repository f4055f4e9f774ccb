# SPDX-License-Identifier: Apache-2.0
"""Rows of the actions of instances."""

from backupsvc.api.database_v1.instance_actions import controller
from backupsvc.policies import databases as policies
from backupsvc.wsgi.dialect import Route

ROUTES = [
    Route('POST', '/instances/{instance_id}/action', controller.restart, action='restart',
          policies=(policies.RESTART,), errors=(422,)),
    Route('POST', '/instances/{instance_id}/action', controller.resize, action='resize',
          policies=(policies.RESIZE,), errors=(422,)),
]
