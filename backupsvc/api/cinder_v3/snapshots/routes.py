# SPDX-License-Identifier: Apache-2.0
"""Rows of snapshots, for when the volume driver serves volumes itself."""

from backupsvc.api.cinder_v3.snapshots import controller
from backupsvc.orchestration.volumes import are_served
from backupsvc.policies import snapshots as policies
from backupsvc.wsgi.dialect import Route

_ACTION = '/snapshots/{snapshot_id}/action'

ROUTES = [
    Route('GET', '/snapshots', controller.list_snapshots, policies=(policies.LIST,),
          errors=(404,), served=are_served),
    Route('GET', '/snapshots/detail', controller.list_snapshot_details,
          policies=(policies.LIST, policies.EXTENDED_ATTRIBUTES), errors=(404,),
          served=are_served),
    Route('POST', '/snapshots', controller.create_snapshot, policies=(policies.CREATE,),
          errors=(404, 413), served=are_served),
    Route('GET', '/snapshots/{snapshot_id}', controller.show_snapshot,
          policies=(policies.SHOW, policies.EXTENDED_ATTRIBUTES), served=are_served),
    Route('PUT', '/snapshots/{snapshot_id}', controller.update_snapshot,
          policies=(policies.UPDATE,), served=are_served),
    Route('DELETE', '/snapshots/{snapshot_id}', controller.delete_snapshot,
          policies=(policies.DELETE,), errors=(400,), served=are_served),
    Route('POST', _ACTION, controller.force_delete, action='os-force_delete',
          policies=(policies.FORCE_DELETE,), served=are_served),
    Route('POST', _ACTION, controller.reset_status, action='os-reset_status',
          policies=(policies.RESET_STATUS,), served=are_served),
]
