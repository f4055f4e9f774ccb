# SPDX-License-Identifier: Apache-2.0
"""What the volume service does itself: sent on to it, and its answer passed back unchanged."""

import webob

from backupsvc.api.backup_v1 import ids
from backupsvc.orchestration import volumes
from backupsvc.wsgi import dispatch, forward

#: Where this very process is the volume service.
_HERE = dispatch.Dispatcher('/v3')

#: Statuses that rows may hand on, over and above those of their own.
SUCCESSES = (200, 202)
ERRORS = (400, 403, 404, 406, 409, 413, 415, 501, 502, 503, 504)


def to_volume_service(req, path: str) -> webob.Response:
    """Forward a request.

    :param path: below ``/v3``, made of literals and of ids that were checked
    """
    base_url = volumes.service_url(req.context)
    service = _HERE if base_url is None else forward.to(
        base_url, own_prefix=None, name=forward.BLOCK_STORAGE)
    return service.forward(req, path)


def fallback(req) -> webob.Response | None:
    """Forward the actions on a volume that are not ours; None where no row has the path.

    :raises NotFound: nothing can have this id
    """
    if 'volume_id' not in req.path_params:
        return None
    return to_volume_service(req, f'/volumes/{ids.of(req, "volume_id")}/action')
