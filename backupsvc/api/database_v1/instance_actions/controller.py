# SPDX-License-Identifier: Apache-2.0
"""Actions of instances: restart, resize."""

from backupsvc.api.database_v1 import forms, references
from backupsvc.api.database_v1.instance_actions import schemas
from backupsvc.orchestration import database_instances
from backupsvc.wsgi import validation


@validation.body(schemas.RESTART)
@forms.answer(None, 202)
def restart(req):
    """Start to restart the server; 202."""
    database_instances.restart(req.context, req.path_params['instance_id'])


@validation.body(schemas.RESIZE)
@forms.answer(None, 202)
def resize(req):
    """Start to change the flavor or to make the volume larger; 202."""
    wanted = req.json['resize']
    instance_id = req.path_params['instance_id']
    if 'flavorRef' in wanted:
        database_instances.resize_flavor(
            req.context, instance_id, references.last_segment(wanted['flavorRef']))
    else:
        database_instances.resize_volume(
            req.context, instance_id, int(wanted['volume']['size']))
