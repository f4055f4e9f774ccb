# SPDX-License-Identifier: Apache-2.0
"""Backups: take, list, show, delete."""

import re

from backupsvc import exception
from backupsvc.api.actuator_v1.backups import schemas, views
from backupsvc.orchestration import checkpoints
from backupsvc.wsgi import validation

_NUMBER = re.compile(r'[0-9]+\Z', re.ASCII)
_PREFIX = re.compile(r'[0-9]*\*\Z', re.ASCII)


@validation.body(schemas.CREATE)
@validation.response(schemas.CREATED, status=202)
def create_backup(req):
    """Take a backup of all partitions at one point; 202 with a message."""
    wanted = (req.json or {}).get('backupId')
    backup_id = checkpoints.create(req.context, None if wanted is None else int(wanted))
    return views.created(backup_id, is_made_here=wanted is None)


@validation.query(schemas.QUERY)
@validation.response(schemas.LIST)
def list_backups(req):
    """List backups, the highest id first; 200."""
    return [views.summary(checkpoint) for checkpoint in checkpoints.list_(req.context)]


@validation.query(schemas.QUERY)
@validation.response(schemas.SHOW)
def show_backup(req):
    """Show a backup, or list those whose ids begin so; 200."""
    given = req.path_params['backup_id']
    if _PREFIX.match(given):
        found = checkpoints.list_(req.context, prefix=given[:-1])
        return [views.summary(checkpoint) for checkpoint in found]
    return views.detail(checkpoints.get(req.context, _id(given)))


@validation.query(schemas.QUERY)
@validation.response(schemas.STATE)
def show_state(req):
    """Show the latest checkpoint and backup of each partition, and what can be restored; 200."""
    return views.state(checkpoints.state(req.context))


@validation.response(None, status=204)
def delete_backup(req):
    """Delete a backup, whether or not there is one; 204."""
    checkpoints.delete(req.context, _id(req.path_params['backup_id']))


def _id(given: str) -> int:
    """Return the id that a path names.

    :raises Invalid: it can be none
    """
    if _NUMBER.match(given) and len(given) <= len(str(schemas.MAX_ID)):
        number = int(given)
        if number <= schemas.MAX_ID:
            return number
    raise exception.Invalid(
        f"Expected a backup ID or prefix ending with '*', but got '{given}'.")
