# SPDX-License-Identifier: Apache-2.0
"""User messages: why something asked for did not come to be, in words for the one who asked."""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from oslo_utils import timeutils

from backupsvc import conf
from backupsvc.context import RequestContext
from backupsvc.objects.message import Message, MessageList
from backupsvc.policies import messages as policies

BACKUP = 'VOLUME_BACKUP'
VOLUME = 'VOLUME'
INSTANCE_BACKUP = 'INSTANCE_BACKUP'
INSTANCE_SNAPSHOT = 'INSTANCE_SNAPSHOT'

# Ids of actions and details are Cinder's: programs read them.
BACKUP_CREATE = '013'
BACKUP_DELETE = '014'
BACKUP_RESTORE = '015'
# Ours; Cinder's are far below.
INSTANCE_BACKUP_CREATE = '901'
INSTANCE_BACKUP_DELETE = '902'
INSTANCE_SNAPSHOT_CREATE = '903'
INSTANCE_SNAPSHOT_DELETE = '904'
VOLUME_ROLLBACK = '905'

BAD_STATE = '017'
SERVICE_DOWN = '018'
NO_DEVICE = '019'
CREATE_FAILED = '020'
ATTACH_FAILED = '021'
DETACH_FAILED = '022'
CLEANUP_FAILED = '023'
NO_SERVICE = '024'
DELETE_FAILED = '025'
RESTORE_FAILED = '026'
MADE_FULL = '030'
MEMBER_FAILED = '901'
ROLLBACK_FAILED = '902'

_ACTIONS = {
    BACKUP_CREATE: 'create backup',
    BACKUP_DELETE: 'delete backup',
    BACKUP_RESTORE: 'restore backup',
    INSTANCE_BACKUP_CREATE: 'create instance backup',
    INSTANCE_BACKUP_DELETE: 'delete instance backup',
    INSTANCE_SNAPSHOT_CREATE: 'create instance snapshot',
    INSTANCE_SNAPSHOT_DELETE: 'delete instance snapshot',
    VOLUME_ROLLBACK: 'roll volume back',
}

_DETAILS = {
    BAD_STATE: 'Volume is in a state that does not allow the operation.',
    SERVICE_DOWN: 'The backup service is down.',
    NO_DEVICE: 'The volume service gave no device to work on.',
    CREATE_FAILED: 'The backup could not be stored.',
    ATTACH_FAILED: 'The volume could not be attached.',
    DETACH_FAILED: 'The volume could not be detached.',
    CLEANUP_FAILED: 'The temporary volume or snapshot could not be removed.',
    NO_SERVICE: 'No backup service could be found to create the backup.',
    DELETE_FAILED: 'The backup could not be removed.',
    RESTORE_FAILED: 'The backup could not be restored.',
    MADE_FULL: 'The incremental backup was made a full one.',
    MEMBER_FAILED: 'One of the volumes failed; the fail reason says which and why.',
    ROLLBACK_FAILED: 'The volume could not be rolled back; it may hold a mixture.',
}


def text(action: str, detail: str) -> str:
    """Return the words of a message, action first."""
    return f'{_ACTIONS.get(action, action)}:{_DETAILS.get(detail, detail)}'


def create(context: RequestContext, action: str, detail: str, resource_id: str,
           resource_type: str = BACKUP) -> None:
    """Leave a message about a backup, or something else, for the project of ``context``."""
    now = timeutils.utcnow(with_timezone=True)
    Message(
        context,
        project_id=context.project_id,
        request_id=context.request_id,
        resource_type=resource_type,
        resource_id=resource_id,
        event_id=f'VOLUME_{resource_type}_{action}_{detail}',
        action_id=action,
        detail_id=detail,
        message_level='ERROR',
        expires_at=now + datetime.timedelta(seconds=conf.current().messages.ttl),
    ).create()


def list_(
    context: RequestContext, *, filters: Mapping[str, Any] | None = None,
    sort: Sequence[tuple[str, str]] | None = None, limit: int | None = None,
    marker: str | None = None, offset: int = 0
) -> list[Message]:
    """Return a page of the caller's project's messages, the newest first unless sorted.

    :raises MessageNotFound: the marker is no message that the caller may see
    """
    context.authorize(policies.LIST)
    wanted = {**(filters or {}), 'project_id': context.project_id}
    return list(MessageList.get_all(
        context, wanted, sort=sort, limit=limit, marker_id=marker, offset=offset))


def get(context: RequestContext, message_id: str) -> Message:
    """Return a message.

    :raises MessageNotFound: there is none, for this caller
    """
    message = Message.get_by_id(context, message_id)
    context.authorize(policies.SHOW, message)
    return message


def delete(context: RequestContext, message_id: str) -> None:
    """Delete a message.

    :raises MessageNotFound: there is none, for this caller
    """
    message = Message.get_by_id(context, message_id)
    context.authorize(policies.DELETE, message)
    message.destroy()
