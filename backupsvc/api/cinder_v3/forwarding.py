# SPDX-License-Identifier: Apache-2.0
"""What is not about backups, where the volumes are another service's: it is forwarded there."""

from typing import Any

import orjson
import webob

from backupsvc import exception
from backupsvc.orchestration import volumes
from backupsvc.wsgi import forward

PREFIX = '/v3'

#: First segments of paths that are ours alone: the volume service's own backups are not shown.
_OURS = frozenset(('backups',))


def fallback(req) -> webob.Response | None:
    """Answer a request that no row matches; None where it is nobody's."""
    if req.dialect_path.split('/')[1] in _OURS:
        return None
    base_url = volumes.service_url(req.context)
    if base_url is None:
        return None
    return forward.to(base_url, own_prefix=PREFIX, name=forward.BLOCK_STORAGE).forward(req)


def answer(req) -> webob.Response:
    """Forward a request of a row that our answer is added to.

    :raises NotFound: there is no service behind this one
    """
    found = fallback(req)
    if found is None:
        raise exception.NotFound()
    return found


def body(found: webob.Response) -> dict[str, Any] | None:
    """Return the JSON object of a forwarded answer; None when it is an error or no such thing."""
    if found.status_int >= 300:
        return None
    try:
        value = orjson.loads(found.body)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def with_body(found: webob.Response, value: dict[str, Any]) -> webob.Response:
    """Return a forwarded answer with another body."""
    found.body = orjson.dumps(value)
    return found
