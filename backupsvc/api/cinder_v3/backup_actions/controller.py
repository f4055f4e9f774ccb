# SPDX-License-Identifier: Apache-2.0
"""The administrator's actions on a backup: reset of the status, forced deletion."""

from backupsvc.api.cinder_v3.backup_actions import schemas
from backupsvc.orchestration import backups
from backupsvc.wsgi import validation


@validation.body(schemas.RESET_STATUS)
@validation.response(None, status=202)
def reset_status(req):
    """Set the status to available or error; 202."""
    backups.reset_status(
        req.context, req.path_params['backup_id'], req.json['os-reset_status']['status'].lower())


@validation.body(schemas.FORCE_DELETE)
@validation.response(None, status=202)
def force_delete(req):
    """Start to delete a backup whatever its status; 202."""
    backups.force_delete(req.context, req.path_params['backup_id'])
