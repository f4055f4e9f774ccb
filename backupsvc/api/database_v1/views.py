# SPDX-License-Identifier: Apache-2.0
"""What the views of several resources share: links, dates and pages in either form."""

import datetime
import urllib.parse
from collections.abc import Sequence

from backupsvc.api.database_v1 import forms
from backupsvc.wsgi import pagination


def date(value: datetime.datetime | None) -> str | None:
    """Return a time in UTC with whole seconds and without a zone."""
    return None if value is None else value.strftime('%Y-%m-%dT%H:%M:%S')


def _base(req) -> str:
    """Return the base of links: https in the form of the clients, who know nothing else."""
    url = req.application_url
    if not forms.is_specified(req) and url.startswith('http://'):
        return 'https://' + url.removeprefix('http://')
    return url


def links(req, collection: str, resource_id: str, has_bookmark: bool = True) -> list[dict]:
    """Return the links of a resource."""
    base, path = _base(req), f'{collection}/{urllib.parse.quote(resource_id, safe="")}'
    mount = '/v1' if forms.is_specified(req) else f'/v1.0/{req.mount_params.get("tenant_id", "")}'
    found = [{'rel': 'self', 'href': f'{base}{mount}/{path}'}]
    if has_bookmark:
        found.append({'rel': 'bookmark', 'href': f'{base}/{path}'})
    return found


def page(req, key: str, items: Sequence[dict], marker: str | None, previous: str | None = None
         ) -> dict:
    """Return a list body.

    :param marker: that of the next page; None where this is the last
    :param previous: the query of the page before, None where this is the first
    """
    following = None if marker is None else pagination.next_url(req, marker)
    if forms.is_specified(req):
        here = f'{req.application_url}{urllib.parse.quote(req.decoded_path())}'
        query = urllib.parse.urlencode(req.query_pairs())
        return {key: list(items), 'links': {
            'self': f'{here}?{query}' if query else here,
            'next': following,
            'previous': None if previous is None else f'{here}?{previous}',
        }}
    body: dict = {key: list(items)}
    if following is not None:
        base, url = _base(req), following.removeprefix(req.application_url)
        body['links'] = [{'rel': 'next', 'href': base + url}]
    return body
