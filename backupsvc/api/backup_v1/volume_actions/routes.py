# SPDX-License-Identifier: Apache-2.0
"""Rows of actions on volumes."""

from backupsvc.api.backup_v1 import forwarding
from backupsvc.api.backup_v1.volume_actions import controller
from backupsvc.policies import rollbacks as policies
from backupsvc.wsgi.dialect import Route

ROUTES = [
    Route('POST', '/volume/{volume_id}/action', controller.roll_back, action='rollback',
          policies=(policies.ROLLBACK,), errors=forwarding.ERRORS,
          forwarded=forwarding.SUCCESSES),
]
