# SPDX-License-Identifier: Apache-2.0
"""Rows of volume metadata. A key may hold a slash."""

from backupsvc.api.cinder_v3.volume_metadata import controller
from backupsvc.orchestration.volumes import are_served
from backupsvc.policies import volumes as policies
from backupsvc.wsgi.dialect import Route

_ALL = '/volumes/{volume_id}/metadata'
_ITEM = '/volumes/{volume_id}/metadata/{key:.*}'

ROUTES = [
    Route('GET', _ALL, controller.show_metadata, policies=(policies.METADATA_SHOW,),
          served=are_served),
    Route('POST', _ALL, controller.create_metadata, policies=(policies.METADATA_CREATE,),
          served=are_served),
    Route('PUT', _ALL, controller.replace_metadata, policies=(policies.METADATA_UPDATE,),
          served=are_served),
    Route('GET', _ITEM, controller.show_item, policies=(policies.METADATA_SHOW,),
          served=are_served),
    Route('PUT', _ITEM, controller.update_item, policies=(policies.METADATA_UPDATE,),
          served=are_served),
    Route('DELETE', _ITEM, controller.delete_item, policies=(policies.METADATA_DELETE,),
          served=are_served),
]
