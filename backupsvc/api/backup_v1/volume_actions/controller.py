# SPDX-License-Identifier: Apache-2.0
"""Actions on volumes: rollback. Any other one never comes here, see ``forwarding.fallback``."""

from backupsvc.api.backup_v1 import ids
from backupsvc.api.backup_v1.volume_actions import schemas
from backupsvc.orchestration import rollbacks
from backupsvc.wsgi import validation


@validation.body(schemas.ROLLBACK)
@validation.response(None, status=201)
def roll_back(req):
    """Start to put a volume back to one of its snapshots; 201."""
    rollbacks.rollback(
        req.context, ids.of(req, 'volume_id'), req.json['rollback']['snapshot_id'])
