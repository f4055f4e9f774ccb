# SPDX-License-Identifier: Apache-2.0
"""What the outside is told about backups, in the form of Cinder's backup service."""

from typing import Any

from oslo_utils import timeutils

from backupsvc import conf, rpc
from backupsvc.context import RequestContext

SERVICE = 'backupsvc'


def notify(context: RequestContext, event_type: str, payload: dict[str, Any], *,
           is_error: bool = False, host: str | None = None) -> None:
    """Send one notification with publisher ``backup.<host>``; never blocks and never raises.

    :param event_type: for example ``backup.create.start``
    :param payload: plain values; see ``backup_payload``
    :param is_error: send it with priority ERROR rather than INFO
    :param host: the host that it is about; this process's own when left out
    """
    publisher = f'backup.{host or conf.current().host}'
    rpc.send(f'notification {event_type}', _emit, context, event_type, payload, publisher,
             'error' if is_error else 'info')


def _emit(context: RequestContext, event_type: str, payload: dict[str, Any], publisher: str,
          priority: str) -> None:
    notifier = rpc.notifier().prepare(publisher_id=publisher)
    getattr(notifier, priority)(context, event_type, payload)


def backup_payload(backup: Any, *, num_dependent_backups: int = 0,
                   **extra: Any) -> dict[str, Any]:
    """Return the payload of a backup event: the fields that Cinder sends, under its names.

    :param backup: a backup record
    :param num_dependent_backups: live backups that were made from this one
    :param extra: further plain values, for example ``backup_percent``
    """
    created_at = backup.created_at
    payload = {
        'tenant_id': backup.project_id,
        'user_id': backup.user_id,
        'availability_zone': backup.availability_zone,
        'backup_id': backup.id,
        'host': backup.host,
        'display_name': backup.name,
        'created_at': timeutils.normalize_time(created_at).isoformat() if created_at else None,
        'status': backup.status,
        'volume_id': backup.source_id,
        'size': backup.size_gb,
        'service_metadata': None,
        'service': SERVICE,
        'fail_reason': backup.fail_reason,
        'parent_id': backup.parent_id,
        'num_dependent_backups': num_dependent_backups,
        'snapshot_id': backup.snapshot_id,
    }
    payload.update(extra)
    return payload


def set_payload(record: Any) -> dict[str, Any]:
    """Return the payload of an event of an instance backup or an instance snapshot.

    :param record: its record; the members have events of their own
    """
    created_at = record.created_at
    return {
        'tenant_id': record.project_id,
        'user_id': record.user_id,
        'id': record.id,
        'instance_id': record.source_id,
        'display_name': record.name,
        'status': record.status,
        'fail_reason': record.fail_reason,
        'size': record.size_gb,
        'availability_zone': record.availability_zone,
        'host': record.host,
        'created_at': timeutils.normalize_time(created_at).isoformat() if created_at else None,
    }
