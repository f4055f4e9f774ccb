# SPDX-License-Identifier: Apache-2.0
"""Root of an instance: may it log in, and with which password from now on."""

from backupsvc.api.database_v1 import forms, shapes
from backupsvc.api.database_v1.root import schemas
from backupsvc.orchestration import databases
from backupsvc.wsgi import validation


@validation.query(shapes.ANY_QUERY)
@forms.answer(schemas.SHOW)
def show_root(req):
    """Tell whether root may log in; 200."""
    return {'rootEnabled': databases.is_root_enabled(
        req.context, req.path_params['instance_id'])}


@validation.body(schemas.ENABLE)
@forms.answer(schemas.ENABLED)
def enable_root(req):
    """Let root log in from everywhere; 200 with its password, which nobody keeps."""
    password = databases.enable_root(
        req.context, req.path_params['instance_id'], (req.json or {}).get('password'))
    return {'user': {'name': 'root', 'password': password}}


@forms.answer(None, 204)
def disable_root(req):
    """Let root log in no more; 204."""
    databases.disable_root(req.context, req.path_params['instance_id'])
