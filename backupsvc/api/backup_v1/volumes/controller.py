# SPDX-License-Identifier: Apache-2.0
"""Volumes: made of a backup here, anything else by the volume service."""

from backupsvc.api.backup_v1 import forwarding
from backupsvc.api.backup_v1 import views as shared_views
from backupsvc.api.backup_v1.volumes import schemas, views
from backupsvc.orchestration import restores
from backupsvc.orchestration.volumes import NewVolume
from backupsvc.wsgi import validation


@validation.body(schemas.CREATE)
@validation.response(schemas.VOLUME, status=201)
def create_volume(req):
    """Make a volume of a backup; 201. Without ``backup_id`` the volume service makes it."""
    wanted = req.json['volume']
    if wanted.get('backup_id') is None:
        return forwarding.to_volume_service(req, '/volumes')
    volume = restores.create_volume_from_backup(req.context, wanted['backup_id'], NewVolume(
        size_gb=int(wanted.get('size') or 0),
        name=shared_views.stripped(wanted.get('name')),
        description=shared_views.stripped(wanted.get('description')),
        volume_type=wanted.get('volume_type') or None,
        availability_zone=wanted.get('availability_zone'),
    ))
    return views.of_backup(volume, wanted['backup_id'])
