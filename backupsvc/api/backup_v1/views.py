# SPDX-License-Identifier: Apache-2.0
"""What the views of several resources share: times, progress, lists."""

import datetime

from backupsvc.wsgi import pagination


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
