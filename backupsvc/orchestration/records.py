# SPDX-License-Identifier: Apache-2.0
"""Use cases of backup records: export what a backup's row says, and import it as a row of its own.

A record is base64 of a JSON object: Cinder's columns, and under ``driver_info`` where the data
lies. A client may give it another ``id``: both rows then refer to the same data, which goes when
the last of them is deleted.
"""

import base64
import binascii
import dataclasses
import datetime
import json
from collections.abc import Mapping
from typing import Any

from oslo_utils import timeutils, uuidutils

from backupsvc import exception, rpc, states
from backupsvc.context import RequestContext
from backupsvc.objects.backup import Backup
from backupsvc.objects.task import Task
from backupsvc.orchestration import backups, placement, quota
from backupsvc.policies import backups as policies

#: What a record is made by. Tempest wants the beginning, Cinder's own records have another end.
SERVICE = 'cinder.backup.drivers.backupsvc'

#: Source of a backup whose record nobody has checked yet.
UNKNOWN_SOURCE = '00000000-0000-0000-0000-000000000000'

_VERSION = 1

_REQUIRED = (
    'display_name', 'display_description', 'container', 'service_metadata', 'object_count')

#: Text attributes of our record, and what Cinder calls them.
_TEXTS = {
    'name': 'display_name',
    'description': 'display_description',
    'container': 'container',
    'availability_zone': 'availability_zone',
}


@dataclasses.dataclass(frozen=True)
class Record:
    """A record as it goes out: ``service`` names what can read ``url``."""

    service: str
    url: str


def export(context: RequestContext, backup_id: str) -> Record:
    """Return the record of a backup.

    :raises BackupNotFound: there is none
    :raises InvalidBackup: its data is not complete
    """
    backup = Backup.get_by_id(context, backup_id, kind=backups.VOLUME)
    context.authorize(policies.EXPORT, backup)
    if backup.status != states.AVAILABLE:
        raise exception.InvalidBackup(
            reason=f'Backup status must be {states.AVAILABLE} and not {backup.status}.')
    values = {
        **{theirs: getattr(backup, ours) for ours, theirs in _TEXTS.items()},
        'id': backup.id,
        'project_id': backup.project_id,
        'user_id': backup.user_id,
        'volume_id': backup.source_id,
        'snapshot_id': backup.snapshot_id,
        'parent_id': backup.parent_id,
        'status': backup.status,
        'fail_reason': backup.fail_reason,
        'size': backup.size_gb,
        'object_count': backup.object_count,
        'host': backup.host,
        'service': SERVICE,
        'service_metadata': backup.manifest_id,
        'encryption_key_id': backup.encryption_key_id,
        'created_at': _iso(backup.created_at),
        'updated_at': _iso(backup.updated_at),
        'data_timestamp': _iso(backup.data_timestamp),
        'driver_info': {
            'version': _VERSION,
            'repository': backup.repository,
            'repository_project_id': backup.repository_project_id,
            'container': backup.container,
            'manifest_id': backup.manifest_id,
        },
    }
    service = SERVICE
    if backup.place:  # its own service can read the record again
        service = backup.place['service']
        values.update(service=service, driver_info={},
                      service_metadata=backup.place['layers'][0]['prefix'])
    text = json.dumps(values, sort_keys=True)
    return Record(service, base64.b64encode(text.encode()).decode())


def _iso(moment: datetime.datetime | None) -> str | None:
    return timeutils.normalize_time(moment).isoformat() if moment else None


def import_record(context: RequestContext, service: str, url: str) -> Backup:
    """Make a row from a record, and have a manager check it against the stored data.

    What only the data can tell is found by that check: a record of another service, of an unknown
    repository, or of data that is not there, ends in status error with the reason.

    :raises ServiceNotFound: no manager is alive
    :raises InvalidInput: it is no record, or lacks something
    :raises BackupExists: there is a live backup of this id, in whatever project
    :raises OverQuota: of number or size
    """
    context.authorize(policies.IMPORT)
    if placement.pick() is None:
        raise exception.ServiceNotFound(service=placement.BINARY)
    record = _parse(url)
    backup = _backup(context, record)
    limits = quota.check(context, quota.wanted(backup.size_gb))
    task = backups.new_task(context, states.TASK_IMPORT, backup.id, arguments={
        'record': record, 'backup_service': service})
    with quota.named_errors():
        _store(backup, task, limits)
    rpc.manager_api().wake(context, task)
    return backup


def _store(backup: Backup, task: Task, limits: Mapping[str, int]) -> None:
    """Write the row, over a deleted one of the same id if there is one.

    :raises BackupExists: there is a live one
    """
    try:
        backup.create(task, limits)
    except exception.BackupExists:
        backup.revive(task, limits)


def _parse(url: str) -> dict[str, Any]:
    try:
        record = json.loads(base64.b64decode(url.encode('ascii'), validate=True).decode())
    except (binascii.Error, ValueError, RecursionError):
        record = None
    if not isinstance(record, dict) or not _is_storable(record):
        raise exception.InvalidInput(reason="Can't parse backup record.")
    if not record.get('id'):
        raise exception.InvalidInput(reason='Provided backup record is missing an id')
    if 'size' not in record or record['size'] is None:
        raise exception.InvalidInput(reason='Provided backup record is missing size attribute')
    missing = [name for name in _REQUIRED if name not in record]
    if missing:
        raise exception.InvalidInput(
            reason=f'Provided backup record is missing {", ".join(missing)}')
    return record


def _is_storable(record: dict[str, Any]) -> bool:
    """Tell whether the database can keep the record in a task: no NUL, no lone surrogates."""
    try:
        text = json.dumps(record, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (ValueError, RecursionError):
        return False
    return '\\u0000' not in text


def _backup(context: RequestContext, record: dict[str, Any]) -> Backup:
    """Return the row of a record as far as it can be believed unseen.

    :raises InvalidInput: an attribute has a type or a length that no backup has
    """
    if not isinstance(record['id'], str) or not uuidutils.is_uuid_like(record['id']):
        raise exception.InvalidInput(reason='Provided backup record has an id that is no UUID')
    info = record.get('driver_info')
    if not isinstance(info, dict):
        info = {}
    return Backup(
        context,
        id=record['id'],
        project_id=context.project_id,
        user_id=context.user_id,
        kind='volume',
        source_id=UNKNOWN_SOURCE,
        status=states.CREATING,
        origin='import',
        size_gb=_number(record, 'size', 1),
        object_count=_number(record, 'object_count', 0),
        created_at=_moment(record.get('created_at')) or timeutils.utcnow(with_timezone=True),
        data_timestamp=_moment(record.get('data_timestamp') or record.get('created_at')),
        repository=_text(info, 'repository', 64),
        repository_project_id=_text(info, 'repository_project_id', 255),
        manifest_id=_text(info, 'manifest_id', 36),
        metadata={},
        **{ours: _text(record, theirs, 255) for ours, theirs in _TEXTS.items()},
    )


def _invalid(name: str) -> exception.InvalidInput:
    return exception.InvalidInput(reason=f'Provided backup record has an invalid {name}')


def _number(record: dict[str, Any], name: str, least: int) -> int:
    value = record[name]
    if value is None and name == 'object_count':
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 2**31:
        raise _invalid(name)
    return value


def _text(record: dict[str, Any], name: str, most: int) -> str | None:
    value = record.get(name)
    if value is not None and (not isinstance(value, str) or len(value) > most):
        raise _invalid(name)
    return value


def _moment(text: Any) -> datetime.datetime | None:
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
