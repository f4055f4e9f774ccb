# SPDX-License-Identifier: Apache-2.0
"""What the views of several resources share: links, dates and lists as Cinder writes them."""

import datetime

from backupsvc.wsgi import pagination


def date(value: datetime.datetime | None) -> str | None:
    """Return a time in UTC with microseconds and without a zone; None when unset."""
    if value is None:
        return None
    if value.tzinfo is not None:
        value = value.astimezone(datetime.UTC).replace(tzinfo=None)
    return value.isoformat(timespec='microseconds')


def links(req, collection: str, resource_id: str) -> list[dict[str, str]]:
    """Return the self and bookmark links of a resource, with the project id as Cinder has it."""
    project = req.mount_params.get('project_id') or req.context.project_id or ''
    path = '/'.join(part for part in (project, collection, resource_id) if part)
    return [
        {'rel': 'self', 'href': f'{req.application_url}/v3/{path}'},
        {'rel': 'bookmark', 'href': f'{req.application_url}/{path}'},
    ]


def collection(req, name: str, items: list[dict], count: int | None, limit: int) -> dict:
    """Return a list body: the items, the link to the next page, the count if asked for."""
    body: dict = {name: items}
    found = pagination.next_links(req, [item['id'] for item in items], limit)
    if found:
        body[f'{name}_links'] = found
    if count is not None:
        body['count'] = count
    return body
