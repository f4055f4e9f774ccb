# SPDX-License-Identifier: Apache-2.0
"""What the views of several resources share: times, progress, lists."""

import datetime

from backupsvc.wsgi import pagination

#: Status of a volume backup here → those of records that it stands for, where they differ.
STATUSES = {'error': ['error', 'error_deleting']}


def status(backup) -> str:
    """Return how the status of a volume backup is called here."""
    return next((name for name, own in STATUSES.items() if backup.status in own), backup.status)


def date(value: datetime.datetime | None) -> str | None:
    """Return a time in UTC with microseconds and Z; None when unset."""
    if value is None:
        return None
    value = value.astimezone(datetime.UTC).replace(tzinfo=None)
    return value.isoformat(timespec='microseconds') + 'Z'


def progress(done) -> dict | None:
    """Return how far the work on something is; None when nothing is being done.

    :param done: an ``orchestration.progress.Progress``, or None
    """
    if done is None:
        return None
    return {
        'operation': done.operation,
        'bytes_done': done.bytes_done,
        'bytes_total': done.bytes_total,
        'bytes_per_second': done.bytes_per_second,
        'seconds_left': done.seconds_left,
    }


def collection(req, name: str, items: list[dict], limit: int) -> dict:
    """Return a list body: the items, and the link to the next page."""
    body: dict = {name: items}
    found = pagination.next_links(req, [item['id'] for item in items], limit)
    if found:
        body[f'{name}_links'] = found
    return body


def id_of(key: str, resource_id: str) -> dict:
    """Return what a create or a deletion answers."""
    return {key: {'id': resource_id}}


def stripped(text: str | None) -> str | None:
    """Return a name or description without blanks around it."""
    return text.strip() if text else text


def changes(wanted: dict) -> dict:
    """Return those of name and description that an update is to change."""
    return {name: stripped(wanted[name]) for name in ('name', 'description') if name in wanted}


def owner(record) -> dict:
    """Return the fields that say who something belongs to."""
    return {'project_id': record.project_id, 'user_id': record.user_id}


def set_fields(record) -> dict:
    """Return what an instance backup and an instance snapshot have in common."""
    return {
        'id': record.id,
        'name': record.name,
        'description': record.description,
        'status': record.status,
        'fail_reason': record.fail_reason,
        'instance_id': record.instance_id,
        'size': record.size_gb,
        'is_consistent': record.is_consistent,
        'metadata': dict(record.metadata),
        'data_timestamp': date(record.data_timestamp),
        'created_at': date(record.created_at),
        'updated_at': date(record.updated_at),
    }
