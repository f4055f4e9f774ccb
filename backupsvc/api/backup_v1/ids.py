# SPDX-License-Identifier: Apache-2.0
"""Ids of paths: only what can be one goes on to a record, a driver or another service."""

import uuid

from backupsvc import exception
from backupsvc.wsgi import parameter_types


def of(req, parameter: str) -> str:
    """Return an id of the path in the form that records have.

    :raises NotFound: nothing can have this id
    """
    text = req.path_params[parameter]
    if not parameter_types.is_id(text):
        raise exception.NotFound()
    return str(uuid.UUID(text))
