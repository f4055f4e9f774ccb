# SPDX-License-Identifier: Apache-2.0
"""Rows of volumes, for when the volume driver serves them itself."""

from backupsvc.api.cinder_v3 import versions
from backupsvc.api.cinder_v3.volumes import controller
from backupsvc.orchestration.volumes import are_served
from backupsvc.policies import volumes as policies
from backupsvc.wsgi.dialect import Route

_ATTRIBUTES = (
    policies.HOST_ATTRIBUTE, policies.TENANT_ATTRIBUTE, policies.MIGRATION_ATTRIBUTE,
    policies.IMAGE_METADATA_SHOW)

ROUTES = [
    Route('GET', '/volumes', controller.list_volumes, policies=(policies.LIST,), errors=(404,),
          served=are_served),
    Route('GET', '/volumes/detail', controller.list_volume_details,
          policies=(policies.LIST, *_ATTRIBUTES), errors=(404,), served=are_served),
    Route('GET', '/volumes/summary', controller.show_summary,
          min_version=versions.VOLUME_SUMMARY, policies=(policies.LIST,), served=are_served),
    Route('POST', '/volumes', controller.create_volume, policies=(policies.CREATE,),
          errors=(404, 413, 503), served=are_served),
    Route('GET', '/volumes/{volume_id}', controller.show_volume,
          policies=(policies.SHOW, *_ATTRIBUTES), served=are_served),
    Route('PUT', '/volumes/{volume_id}', controller.update_volume, policies=(policies.UPDATE,),
          served=are_served),
    Route('DELETE', '/volumes/{volume_id}', controller.delete_volume,
          policies=(policies.DELETE, policies.FORCE_DELETE), errors=(400,), served=are_served),
]
