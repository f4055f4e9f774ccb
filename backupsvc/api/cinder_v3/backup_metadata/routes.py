# SPDX-License-Identifier: Apache-2.0
"""Rows of backup metadata; at every microversion, because openstacksdk names none for them."""

from backupsvc.api.cinder_v3.backup_metadata import controller
from backupsvc.policies import backups as policies
from backupsvc.wsgi.dialect import Route

_WHOLE = '/backups/{backup_id}/metadata'
# A key may hold slashes: it takes the rest of the path.
_ITEM = '/backups/{backup_id}/metadata/{key:.*}'

ROUTES = [
    Route('GET', _WHOLE, controller.show_metadata, policies=(policies.METADATA_SHOW,)),
    Route('POST', _WHOLE, controller.merge_metadata, policies=(policies.METADATA_CREATE,),
          errors=(412,)),
    Route('PUT', _WHOLE, controller.replace_metadata, policies=(policies.METADATA_UPDATE,),
          errors=(412,)),
    Route('GET', _ITEM, controller.show_item, policies=(policies.METADATA_SHOW,)),
    Route('PUT', _ITEM, controller.set_item, policies=(policies.METADATA_UPDATE,),
          errors=(412,)),
    Route('DELETE', _ITEM, controller.delete_item, policies=(policies.METADATA_DELETE,),
          errors=(412,)),
]
