# SPDX-License-Identifier: Apache-2.0
"""Rows of services."""

from backupsvc.api.cinder_v3.services import controller
from backupsvc.orchestration.volumes import are_served
from backupsvc.policies import services as policies
from backupsvc.wsgi.dialect import Route

ROUTES = [
    Route('GET', '/os-services', controller.list_services, policies=(policies.LIST,),
          served=are_served),
    Route('PUT', '/os-services/enable', controller.enable, policies=(policies.UPDATE,),
          errors=(404,), served=are_served),
    Route('PUT', '/os-services/disable', controller.disable, policies=(policies.UPDATE,),
          errors=(404,), served=are_served),
    Route('PUT', '/os-services/disable-log-reason', controller.disable_log_reason,
          policies=(policies.UPDATE,), errors=(404,), served=are_served),
]
