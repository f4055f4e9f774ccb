# SPDX-License-Identifier: Apache-2.0
"""Rows of volume types."""

from backupsvc.api.cinder_v3.types import controller
from backupsvc.orchestration.volumes import are_served
from backupsvc.policies import services as policies
from backupsvc.wsgi.dialect import Route

ROUTES = [
    Route('GET', '/types', controller.list_types, policies=(policies.TYPES,), served=are_served),
    Route('GET', '/types/{type_id}', controller.show_type, policies=(policies.TYPE,),
          served=are_served),
    Route('GET', '/types/{type_id}/extra_specs', controller.show_extra_specs,
          policies=(policies.TYPE,), served=are_served),
    Route('GET', '/types/{type_id}/encryption', controller.show_encryption,
          policies=(policies.TYPE,), served=are_served),
    Route('POST', '/types', controller.create_type, policies=(policies.TYPE_CREATE,),
          errors=(409,), served=are_served),
    Route('PUT', '/types/{type_id}', controller.update_type, policies=(policies.TYPE_UPDATE,),
          served=are_served),
    Route('DELETE', '/types/{type_id}', controller.delete_type,
          policies=(policies.TYPE_DELETE,), errors=(400,), served=are_served),
    Route('POST', '/types/{type_id}/extra_specs', controller.set_extra_specs,
          policies=(policies.TYPE_UPDATE, policies.TYPE), served=are_served),
]
